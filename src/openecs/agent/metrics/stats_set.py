"""Sums over samples, in the form in which agents tell them: minimum, maximum, count and sum."""

from __future__ import annotations


class StatsSet:
    """The samples of one figure since it was last told."""

    __slots__ = ("count", "high", "low", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = self.low = self.high = 0.0

    def add(self, value: float) -> None:
        """Take in a sample."""
        if self.count:
            self.low = min(self.low, value)
            self.high = max(self.high, value)
        else:
            self.low = self.high = value
        self.count += 1
        self.sum += value

    def told(self) -> dict[str, float]:
        """As the message has it."""
        return {"min": self.low, "max": self.high, "sampleCount": self.count, "sum": self.sum}
