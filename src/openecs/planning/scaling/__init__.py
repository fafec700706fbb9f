"""Scaling decisions: how much capacity the policies of one target want.  Pure."""
