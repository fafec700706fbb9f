"""The query language of CloudWatch Logs Insights: parsing and running queries.  Pure; reads no store."""
