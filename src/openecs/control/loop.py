"""The machinery of every reconciler: a queue of keys, back-off, timers and log context.

A reconciler takes a key, never an event, looks at the state of the world and makes it one step
better.  It answers ``Done()``, ``After(seconds)`` or raises.  Changes only enqueue keys; a key
that is queued already is not queued twice; every key comes again with the slow resync, so that
a lost signal costs time and nothing else.

* ``Retryable`` means that the world is not ready: the key comes again after a back-off.
* Any other exception is a bug in this reconciler or this key's data: it is logged with its
  traceback and the key comes again after a back-off; all other keys go on.
* A key that costs much rests before its next turn, failed or not, so that a large service whose
  tasks report one by one is looked at a few times for many reports, and API calls are answered
  meanwhile.

Time and sleeping are given by the caller, so that simulations run under virtual time.
``run()`` ends only by cancellation and belongs into the composition root's ``TaskGroup``.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from openecs.errors import Retryable
from openecs.state.store import Notice, Store

logger = structlog.get_logger("openecs.control")


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True, slots=True)
class After:
    """Come again in ``seconds`` even if nothing changes."""

    seconds: float


Result = Done | After

#: Reconcilers that only read and write state are plain functions; those that must wait for
#: something outside are coroutine functions.
Reconcile = Callable[[str], Result] | Callable[[str], Awaitable[Result]]


#: A key rests this many times as long as its turn took: then it has a tenth of a core at most ...
REST = 9.0
#: ... unless its turns are so long that changes would wait for more than this many seconds.  Then
#: it rests these, and never less than its turn took: no key has more than half of a core.
ENOUGH_REST = 0.25
#: Seconds of rest that are not worth a timer.
SHORTEST_REST = 0.002


def rest_after(turn: float) -> float:
    """Seconds for which a key rests after a turn of ``turn`` seconds."""
    rest = max(min(turn * REST, ENOUGH_REST), turn)
    return rest if rest >= SHORTEST_REST else 0.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a key that fails waits: doubling from ``first`` to ``maximum`` seconds."""

    first: float = 0.2
    maximum: float = 60.0

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds after the ``failures``-th failure in a row; ``jitter`` is in [0, 1).

        The delay is between half and all of its full length, so that keys that failed
        together do not come again together.
        """
        full = min(self.first * 2.0 ** min(failures - 1, 30), self.maximum)
        return full * (0.5 + jitter / 2)


class Timing(NamedTuple):
    """The time that a loop goes by."""

    #: Counts seconds and never goes back; it also tells how long a turn takes, so it must go on
    #: within one (an event loop's own clock may not).
    time: Callable[[], float]
    #: Waits for seconds of the same time.
    sleep: Callable[[float], Awaitable[None]]
    #: Gives numbers in [0, 1).
    jitter: Callable[[], float]


class KeyQueue:
    """Keys to work on now, in order of arrival, and keys for later.  No I/O.

    Adding and taking cost the same however many keys wait; timers that were replaced are
    forgotten before they outnumber the others by much.
    """

    def __init__(self) -> None:
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()
        self._due: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Queue ``key`` for now, once."""
        if key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)

    def add_at(self, key: str, when: float) -> None:
        """Queue ``key`` for ``when``, in place of what it was queued for later before."""
        if self._due.get(key) == when:
            return
        self._due[key] = when
        heapq.heappush(self._timers, (when, key))
        if len(self._timers) > 2 * len(self._due) + 64:
            self._timers = [(due, waiting) for waiting, due in self._due.items()]
            heapq.heapify(self._timers)

    def is_due_at(self, key: str, when: float) -> bool:
        """Whether ``key`` is queued for exactly ``when``."""
        return self._due.get(key) == when

    def pop(self, now: float) -> str | None:
        """The next key that is due; taking it forgets what it was queued for later."""
        while self._timers and self._timers[0][0] <= now:
            when, key = heapq.heappop(self._timers)
            if self._due.get(key) == when:
                self.add(key)
                del self._due[key]
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._queued.discard(key)
        self._due.pop(key, None)
        return key

    def next_due(self) -> float | None:
        """When the earliest key that waits is due."""
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None


class Loop:
    """One reconciler and its queue.

    ``resync`` lists every key, at the start and then
    every ``resync_every`` seconds.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        timing: Timing,
        *,
        resync: Callable[[], Iterable[str]] = tuple,
        resync_every: float = 600.0,
        back_off: BackOff | None = None,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._time, self._sleep, self._jitter = timing
        self._resync = resync
        self._resync_every = resync_every
        self._back_off = back_off or BackOff()
        self._queue = KeyQueue()
        self._failures: dict[str, int] = {}
        #: Keys whose last turn was long → until when they rest.
        self._rests: dict[str, float] = {}
        self._wake = asyncio.Event()
        #: Counters for metrics.
        self.reconciled = 0
        self.retries = 0
        self.bugs = 0

    def __repr__(self) -> str:
        return f"<Loop {self.name}: {len(self._queue)} queued, {len(self._failures)} failing>"

    @property
    def queued(self) -> int:
        """Keys that wait for their turn now."""
        return len(self._queue)

    def enqueue(self, key: str) -> None:
        """Have ``key`` reconciled soon; also ends its back-off."""
        rest = self._rests.get(key)
        if rest is None or not self._queue.is_due_at(key, rest):
            self._queue.add(key)
            self._wake.set()

    def watch(self, store: Store, table: str, keys: Callable[[Notice], Iterable[str]]) -> None:
        """Enqueue what ``keys`` makes of every committed change of ``table``."""

        def note(notice: Notice) -> None:
            for key in keys(notice):
                self.enqueue(key)

        store.subscribe(table, note)

    async def run(self) -> None:
        """Reconcile for ever."""
        resync_at = self._time()
        while True:
            self._wake.clear()
            now = self._time()
            if now >= resync_at:
                self._rests = {key: until for key, until in self._rests.items() if until > now}
                for known in self._resync():
                    self._queue.add(known)
                resync_at = now + self._resync_every
            key = self._queue.pop(now)
            if key is None:
                due = self._queue.next_due()
                await self._idle((resync_at if due is None else min(due, resync_at)) - now)
                continue
            rest = self._rests.get(key, now)
            if now < rest:
                self._queue.add_at(key, rest)
                continue
            await self._work_on(key)
            # Others get their turn between any two keys, however long the queue is.
            await asyncio.sleep(0)

    async def _work_on(self, key: str) -> None:
        with structlog.contextvars.bound_contextvars(loop=self.name, key=key):
            self._rests.pop(key, None)
            began = self._time()
            waited = 0.0
            try:
                result = self._reconcile(key)
                if not isinstance(result, Done | After):
                    asked = self._time()
                    try:
                        result = await result
                    finally:
                        # Others have the core meanwhile.
                        waited = self._time() - asked
            except Retryable as reason:
                self.retries += 1
                delay = self._failed(key)
                logger.info("reconcile.retry", reason=str(reason), delay=delay)
            except Exception:
                # A bug with one key must not stop the others; the traceback says where it is.
                self.bugs += 1
                delay = self._failed(key)
                logger.exception("reconcile.bug", delay=delay)
            else:
                self.reconciled += 1
                self._failures.pop(key, None)
                if isinstance(result, After):
                    self._queue.add_at(key, self._time() + max(result.seconds, 0.0))
            # Telling of a failure takes longer than most turns: it counts.
            ended = self._time()
            rest = rest_after(ended - began - waited)
            if rest:
                self._rests[key] = ended + rest

    def _failed(self, key: str) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._back_off.delay(failures, self._jitter())
        self._queue.add_at(key, self._time() + delay)
        return round(delay, 3)

    async def _idle(self, seconds: float) -> None:
        """Wait until a key is queued or ``seconds`` have passed."""
        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(self._ring_after(max(seconds, 0.0)))
            await self._wake.wait()
            alarm.cancel()

    async def _ring_after(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._wake.set()
