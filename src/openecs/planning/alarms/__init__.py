"""CloudWatch alarms as pure functions: what their data mean, what is said about it, what follows."""
