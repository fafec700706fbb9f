"""Time that stands still until everybody sleeps: for tests and simulations of loops.

``timing`` is what a ``Loop`` asks for, ``now`` makes it a ``Clock``.  Whoever drives
the simulation awaits ``run_until``; hours pass in it as fast as the work in them is done.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from openecs.control.loop import Timing


class VirtualTime:
    """A clock, and a sleep that it alone ends."""

    #: Turns of the event loop after which everybody who could go on has gone on.
    TURNS = 50

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<VirtualTime +{self._elapsed:g} s, {len(self._sleepers)} asleep>"

    def time(self) -> float:
        """Seconds since the start of the simulation."""
        return self._elapsed

    def now(self) -> float:
        """Seconds since the epoch, as a ``Clock`` gives them."""
        return round(self._start + self._elapsed, 3)

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of this time have passed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    def timing(self, jitter: float = 0.5) -> Timing:
        """What a ``Loop`` goes by, with the same jitter always."""
        return Timing(self.time, self.sleep, lambda: jitter)

    async def run_until(self, condition: Callable[[], bool], *, within: float = 86_400.0) -> None:
        """Let time pass until ``condition`` holds; ``TimeoutError`` after ``within`` seconds of it,
        or when nobody is left who could make it hold."""
        limit = self._elapsed + within
        while True:
            for _ in range(self.TURNS):
                if condition():
                    return
                await asyncio.sleep(0)
            if condition():
                return
            if not self._wake_next(limit):
                raise TimeoutError(f"it did not come true within {within:g} s of virtual time")

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, waking all who sleep until then."""
        end = self._elapsed + seconds
        while True:
            for _ in range(self.TURNS):
                await asyncio.sleep(0)
            if not self._wake_next(end):
                break
        self._elapsed = end

    def _wake_next(self, limit: float) -> bool:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers or self._sleepers[0][0] > limit:
            return False
        when, _, future = heapq.heappop(self._sleepers)
        self._elapsed = max(self._elapsed, when)
        future.set_result(None)
        return True
