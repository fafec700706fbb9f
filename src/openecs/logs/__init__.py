"""Storage of log events: append-only segments on disk, nothing of the API."""
