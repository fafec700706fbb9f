"""OpenECS: the Amazon ECS API on your own machines, with real containers behind it."""

__version__ = "0.1.0"
