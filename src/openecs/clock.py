"""Time as an input.  The core never asks the operating system what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the composition root hands to everything that needs the time."""

    def now(self) -> float:
        """Seconds since the epoch, with milliseconds, as AWS timestamps have them."""
        ...


class SystemClock:
    """The machine's clock, rounded to the milliseconds that AWS timestamps carry."""

    def now(self) -> float:
        return round(time.time(), 3)  # noqa: TID251 -- this is the one place that may ask


class ManualClock:
    """A clock that tests and the simulator move by hand."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time forward by ``seconds``."""
        self._now = round(self._now + seconds, 3)
