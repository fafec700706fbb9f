"""The AWS services: thin handlers that read, decide, write and answer."""
