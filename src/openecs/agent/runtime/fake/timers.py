"""How time passes for fake containers: by the event loop, or by hand.

Only containers that are told to end or to change by themselves set a timer.  A timer is a
callback and no task, so the fake owns nothing that could outlive it unnoticed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

from openecs.clock import ManualClock


class Cancellable(Protocol):
    """A timer that was set."""

    def cancel(self) -> None:
        """Forget it; no effect once it has gone off."""
        ...


class After(Protocol):
    """Calls ``callback`` once ``seconds`` have passed."""

    def __call__(self, seconds: float, callback: Callable[[], None], /) -> Cancellable: ...


def loop_after(seconds: float, callback: Callable[[], None], /) -> Cancellable:
    """Real time: the timer of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, callback)


class _ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualTimers:
    """Time that moves only when told to; ``after`` is what ``FakeRuntime`` takes."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, _ManualTimer]] = []
        self._set = 0

    def after(self, seconds: float, callback: Callable[[], None], /) -> Cancellable:
        """Set a timer."""
        timer = _ManualTimer(callback)
        self._set += 1
        heapq.heappush(self._heap, (self.clock.now() + seconds, self._set, timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move the clock; timers go off in order, each at its own time."""
        end = self.clock.now() + seconds
        while self._heap and self._heap[0][0] <= end:
            due, _, timer = heapq.heappop(self._heap)
            if timer.callback is not None:
                self.clock.advance(max(0.0, due - self.clock.now()))
                timer.callback()
        self.clock.advance(max(0.0, end - self.clock.now()))
