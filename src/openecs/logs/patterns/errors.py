"""What is wrong with a filter pattern."""

from __future__ import annotations


class PatternError(ValueError):
    """The text is no filter pattern; the message is a sentence for whoever wrote it."""
