"""CloudWatch: metrics, alarms and dashboards over the metric store and the state."""
