"""A journal on a simulated disk: commits become durable after a while, crashes lose the rest.

The disk keeps encoded records, so that what comes back after a crash has gone through the same
encoding as with the real journals.  A commit that is being written at the moment of a crash is
on the disk or is not: the seed decides, and nobody has been told either way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import msgspec

from openecs.state.journal.protocol import Change

Commit = tuple[int, list[Change]]


class Disk:
    """What survives a crash of the control plane."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}
        self.revision = 0


class SimulatedJournal:
    """``openecs.state.journal.protocol.Journal`` for one incarnation of the control plane.

    ``observe(changes)`` sees every commit as it is made, ``slow()`` gives the seconds that a
    write takes.
    """

    def __init__(
        self, disk: Disk, rng: random.Random, observe: Callable[[list[Change]], None], slow: Callable[[], float]
    ) -> None:
        self._disk = disk
        self._rng = rng
        self._observe = observe
        self._slow = slow
        self._queue: list[Commit] = []
        self._writing: list[Commit] = []
        self._reached: Callable[[int], None] | None = None
        self._failed: Callable[[BaseException], None] | None = None
        self._dead = False
        self.loaded_revision = 0

    @property
    def idle(self) -> bool:
        """Whether everything is durable."""
        return not self._queue and not self._writing

    def load(self, types: dict[str, type]) -> Iterator[Change]:
        self.loaded_revision = self._disk.revision
        for (table, key), body in sorted(self._disk.records.items()):
            yield Change(table, key, msgspec.json.decode(body, type=types[table]))

    def start(self, reached: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        self._reached, self._failed = reached, failed
        self._next()

    def append(self, revision: int, changes: list[Change], notes: object = ()) -> None:
        if self._dead:
            return
        self._observe(changes)
        self._queue.append((revision, changes))
        self._next()

    async def prune_history(self, before: float, at_most: int) -> int:
        """History is not kept here."""
        del before, at_most
        return 0

    def close(self) -> None:
        return

    def fail(self, error: BaseException) -> None:
        """The disk takes nothing any more."""
        if not self._dead and self._failed is not None:
            self.crash()
            self._failed(error)

    def crash(self) -> None:
        """The process is gone; what was on its way to the disk got there or did not."""
        if self._dead:
            return
        self._dead = True
        if self._writing and self._rng.random() < 0.5:
            self._write()

    def _next(self) -> None:
        if self._dead or self._writing or not self._queue or self._reached is None:
            return
        self._writing, self._queue = self._queue, []
        asyncio.get_running_loop().call_later(self._slow(), self._written)

    def _written(self) -> None:
        if self._dead or self._reached is None:
            return
        self._write()
        revision = self._writing[-1][0]
        self._writing = []
        self._reached(revision)
        self._next()

    def _write(self) -> None:
        for revision, changes in self._writing:
            for change in changes:
                if change.record is None:
                    self._disk.records.pop((change.table, change.key), None)
                else:
                    self._disk.records[change.table, change.key] = msgspec.json.encode(change.record)
            self._disk.revision = revision
