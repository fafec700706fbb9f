"""A process of the simulation: tasks that live and die together, and the world's view of it.

A crash ends everything at once.  ``finally`` blocks of its tasks still run, as Python wants it,
so whatever a process can change in the world asks ``alive`` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Process:
    """One incarnation of a program.  ``failed(name, error)`` hears of tasks that die of a bug."""

    def __init__(self, name: str, failed: Callable[[str, BaseException], None]) -> None:
        self.name = name
        self.alive = True
        self._failed = failed
        #: In the order of their start: the order of cancellation must follow from the program.
        self._tasks: dict[asyncio.Task[Any], None] = {}
        #: Called at a crash: whoever talks to this process learns of it.
        self.at_crash: dict[Callable[[], None], None] = {}

    def __repr__(self) -> str:
        return f"<Process {self.name}: {'alive' if self.alive else 'dead'}, {len(self._tasks)} tasks>"

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Run a coroutine as a part of this process; a dead process runs nothing."""
        if not self.alive:
            coroutine.close()
            return None
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def crash(self) -> None:
        """``kill -9``."""
        if not self.alive:
            return
        self.alive = False
        for task in tuple(self._tasks):
            task.cancel()
        for hear in tuple(self.at_crash):
            hear()

    async def gone(self) -> None:
        """Wait until the last task of a crashed process has ended."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self.alive:
            self._failed(self.name, error)
