"""Metrics: the store of samples and what is computed from them.  Knows no API and no records of state."""
