"""How many API calls there were, what became of them, how long they took.  Counters only; nothing is told here."""

from __future__ import annotations

from bisect import bisect_left

#: Upper bounds of the buckets, in seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Durations:
    """Calls of one service by how long they took."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        #: As many as ``BOUNDS``, and one for what took longer.
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0


class CallCounts:
    """Counts since the process started."""

    def __init__(self) -> None:
        #: (service, operation, ``OK`` or the error's code) → calls; names are empty where none was recognised.
        self.calls: dict[tuple[str, str, str], int] = {}
        self.durations: dict[str, Durations] = {}

    def add(self, service: str, operation: str, code: str, seconds: float) -> None:
        """One call has its answer."""
        key = (service, operation, code)
        self.calls[key] = self.calls.get(key, 0) + 1
        durations = self.durations.get(service)
        if durations is None:
            durations = self.durations[service] = Durations()
        durations.counts[bisect_left(BOUNDS, seconds)] += 1
        durations.total += seconds
