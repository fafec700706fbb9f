"""Amazon EventBridge Scheduler's operations."""
