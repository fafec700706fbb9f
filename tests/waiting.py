"""Waiting for what comes true by itself, by looking at it again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Between two looks, in seconds: short at first, longer in long waits, in which every look costs
#: those who share the machine more than it brings the test.
SHORTEST, LONGEST = 0.02, 0.1


def wait_for(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    """The first true value of ``condition``; fails the test when there is none in time."""
    start = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - start
        if waited > seconds:
            raise AssertionError(f"not within {seconds} s: {what or condition}; last: {value!r}")
        time.sleep(min(LONGEST, SHORTEST + waited / 20))
