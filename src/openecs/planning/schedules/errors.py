"""What is wrong with a schedule expression."""

from __future__ import annotations


class InvalidScheduleError(ValueError):
    """The text is no schedule expression; the message says why, for people."""
