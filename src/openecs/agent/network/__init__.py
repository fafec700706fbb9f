"""Networking of tasks on this host."""
