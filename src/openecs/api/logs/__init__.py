"""CloudWatch Logs: its operations."""
