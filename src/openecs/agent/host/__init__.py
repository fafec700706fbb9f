"""What this host is told besides tasks, and what it reports: documents in, reports out."""
