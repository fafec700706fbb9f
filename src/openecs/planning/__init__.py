"""Decisions: pure functions from a snapshot and the time to a plan that explains itself."""
