"""Subscription filters at work: one worker a filter, which delivers what its group stores.

At least once: what was delivered is noted as a position per stream, every few seconds, and a
worker begins where the note says.  What comes meanwhile it takes from memory; what it missed
(before it began, or because its destination was slow) it reads from the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog

from openecs.clock import Clock
from openecs.control.subscription_delivery import Delivery, Row, UndeliveredError
from openecs.logs.event import Range
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.pattern import parse
from openecs.logs.records import LogStream
from openecs.logs.store import LogStore, StoredBatch
from openecs.model.log_filter import SubscriptionFilter, SubscriptionProgress
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.logs")

#: Batches (1 MiB at most) that wait in memory for one destination; further ones are read again later.
MOST_WAITING = 16
#: Seconds between two notes of a worker's progress.
NOTE_EVERY = 3.0
#: Events of one reading.
PAGE_EVENTS = 5000
#: Seconds between two attempts: doubling from the first to the longest, for as long as ``PATIENCE``.
FIRST_DELAY, LONGEST_DELAY, PATIENCE = 0.5, 60.0, 24 * 60 * 60.0

Sleep = Callable[[float], Awaitable[None]]


class Piece(NamedTuple):
    """Events of one stream that are delivered together; times in epoch milliseconds, ascending."""

    stream: LogStream
    events: Sequence[Row]


class Subscriptions:
    """Keeps a worker for every subscription filter."""

    def __init__(
        self, state: State, store: LogStore, clock: Clock, delivery: Delivery, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._state = state
        self._store = store
        self._clock = clock
        self._delivery = delivery
        self._sleep = sleep
        self._workers: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        #: Region and name of a group → its workers; empty without filters.
        self._by_group: dict[tuple[str, str], list[Worker]] = {}

    async def run(self) -> None:
        """Work for ever."""
        self._store.listen(self._note)
        async with asyncio.TaskGroup() as self._group:
            self._state.store.subscribe("subscription_filter", self._changed)
            for record in self._state.subscription_filters:
                self._start(record)
            # Workers come and go; this one keeps the group open.
            await asyncio.Event().wait()

    def _note(self, batch: StoredBatch) -> None:
        if self._by_group:
            for worker in self._by_group.get((batch.stream.group.region, batch.stream.group.name), ()):
                worker.take(batch)

    def _changed(self, notice: Notice) -> None:
        positions = None
        if notice.old is not None:
            positions = self._stop(notice.old)
        if notice.new is not None:
            self._start(notice.new, positions)

    def _start(self, record: SubscriptionFilter, positions: dict[int, int] | None = None) -> None:
        if positions is None:
            progress = self._state.subscription_progress.get(record.key)
            positions = {} if progress is None else progress.positions
        try:
            worker = Worker(self._state, self._store, self._clock, self._delivery, record, positions, self._sleep)
        except PatternError as error:
            logger.warning("a kept subscription filter is not valid", filter=record.key, reason=str(error))
            return
        self._workers[record.key] = worker, self._group.create_task(worker.run())
        self._by_group.setdefault((record.region, record.group), []).append(worker)

    def _stop(self, record: SubscriptionFilter) -> dict[int, int] | None:
        """End the worker of a filter; how far it has come."""
        known = self._workers.pop(record.key, None)
        if known is None:
            return None
        worker, task = known
        task.cancel()
        workers = self._by_group[record.region, record.group]
        workers.remove(worker)
        if not workers:
            del self._by_group[record.region, record.group]
        return worker.positions


class Worker:
    """Delivers the events of one filter, stream by stream in their order."""

    def __init__(
        self,
        state: State,
        store: LogStore,
        clock: Clock,
        delivery: Delivery,
        record: SubscriptionFilter,
        positions: dict[int, int],
        sleep: Sleep,
    ) -> None:
        self._state = state
        self._store = store
        self._clock = clock
        self._delivery = delivery
        self._record = record
        self._sleep = sleep
        self._pattern = parse(record.pattern)
        #: Stream id → sequence of its last event that is done with.
        self.positions = dict(positions)
        self._noted_at = clock.now()
        self._waiting: deque[StoredBatch] = deque()
        #: Streams of which something has to be read from the store.
        self._behind: set[LogStream] = set(self._streams())
        self._wake = asyncio.Event()

    def take(self, batch: StoredBatch) -> None:
        """A batch has become durable."""
        if batch.stream in self._behind or len(self._waiting) >= MOST_WAITING:
            self._behind.add(batch.stream)
        else:
            self._waiting.append(batch)
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._work()
            except Exception:
                # One filter's trouble (a damaged file, say) must not end the others' work.
                logger.exception("a subscription filter failed", filter=self._record.key)
                self._behind.update(batch.stream for batch in self._waiting)
                self._waiting.clear()
                await self._sleep(LONGEST_DELAY)
                continue
            await self._wake.wait()

    async def _work(self) -> None:
        """Deliver everything that waits, and note it."""
        while self._waiting or self._behind:
            if self._waiting:
                await self._deliver_waiting(self._waiting.popleft())
            else:
                await self._catch_up(next(iter(self._behind)))
            if self._clock.now() - self._noted_at >= NOTE_EVERY:
                self.note_progress()
        if self._clock.now() - self._noted_at < NOTE_EVERY:
            # What comes within a moment is noted together.
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTE_EVERY):
                    await self._wake.wait()
                return
        self.note_progress()

    def note_progress(self) -> None:
        """Write down how far the worker has come; positions only grow, so a lost note costs repetitions."""
        self._noted_at = self._clock.now()
        known = self._state.subscription_progress.get(self._record.key)
        live = {stream.id for stream in self._streams()}
        positions = {stream: at for stream, at in self.positions.items() if stream in live}
        if self._record.key in self._state.subscription_filters and (known is None or known.positions != positions):
            with self._state.transaction() as tx:
                tx.put(SubscriptionProgress(filter_key=self._record.key, positions=positions))

    async def _deliver_waiting(self, batch: StoredBatch) -> None:
        done = self.positions.get(batch.stream.id, 0)
        rows = zip(batch.timestamps, range(batch.first_sequence, 2**62), batch.messages, strict=False)
        await self._deliver(Piece(batch.stream, [row for row in rows if row[1] > done]))
        last = batch.first_sequence + len(batch.messages) - 1
        self.positions[batch.stream.id] = max(done, last)

    async def _catch_up(self, stream: LogStream) -> None:
        """Deliver what a stream holds behind the worker's position, in the order of time."""
        done = self.positions.get(stream.id, 0)
        segments = [segment for segment in stream.segments.values() if segment.last_sequence > done]
        last = max((segment.last_sequence for segment in segments), default=done)
        wanted = Range(min((segment.min_timestamp for segment in segments), default=0))
        while segments:
            page = await self._store.read([stream], wanted, PAGE_EVENTS, matcher=self._pattern)
            rows = [(e.timestamp, e.sequence, e.message) for e in page.events if done < e.sequence <= last]
            await self._deliver(Piece(stream, rows))
            if page.position is None:
                break
            wanted = wanted._replace(after=page.position)
        self.positions[stream.id] = last
        # What came while this was under way has to be read, too.
        if not any(segment.last_sequence > last for segment in stream.segments.values()):
            self._behind.discard(stream)

    async def _deliver(self, piece: Piece) -> None:
        # Others have the event loop while patterns are matched.
        matching = await asyncio.to_thread(self._matching, piece.events) if piece.events else []
        if not matching:
            return
        began, delay = self._clock.now(), FIRST_DELAY
        while True:
            try:
                await self._delivery.deliver(self._record, piece.stream, matching)
            except UndeliveredError as error:
                if self._clock.now() + delay - began > PATIENCE:
                    logger.warning(
                        "log events were dropped", filter=self._record.key, events=len(matching), reason=str(error)
                    )
                    return
                logger.warning("log events wait for their destination", filter=self._record.key, reason=str(error))
                await self._sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)
            else:
                return

    def _matching(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if self._pattern.matches(row[2])]

    def _streams(self) -> list[LogStream]:
        group = self._store.groups(self._record.region).get(self._record.group)
        return [] if group is None else list(group.streams.values())
