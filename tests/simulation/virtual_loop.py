"""An asyncio event loop whose time stands still while anybody has something to do.

When nobody has, time jumps to the next timer.  So hours pass as fast as the work in them is
done, and the order of everything follows from the program alone: nothing waits for a socket, a
thread or the machine's clock.  Everything in the simulation runs on one such loop, unchanged:
``asyncio.sleep``, ``asyncio.timeout`` and ``TaskGroup`` included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

START = 1_700_000_000.0


class StalledError(Exception):
    """Nobody has anything to do and no timer is set: the program would wait for ever."""


class _Idle:
    """Stands where an ordinary loop waits for sockets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StalledError("everybody waits and no timer is set")
        if timeout > 0:
            self._loop.elapsed += timeout
        return []

    def close(self) -> None:
        return


class VirtualLoop(asyncio.BaseEventLoop):
    """``asyncio.Runner(loop_factory=VirtualLoop)`` runs a coroutine in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self._selector = _Idle(self)

    def time(self) -> float:
        return self.elapsed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """A thread that is done at once: threads would come in an order of their own."""
        del executor
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- the caller's, as with real threads
            done.set_exception(error)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        return

    def _write_to_self(self) -> None:
        return


class SkewedClock:
    """The wall clock of one simulated machine: the loop's time, and by how much it is wrong."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.skew = 0.0

    def now(self) -> float:
        return round(START + self._loop.time() + self.skew, 3)
