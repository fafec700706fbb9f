"""Queries at work: started, read event by event, and remembered for a while with their results.

Queries and results are in memory: a restart forgets them, and asking for them says so.  A few run at a
time, each page of events in a thread; the others wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple

import structlog

from openecs.clock import Clock
from openecs.logs.event import Event, Range, message_bytes
from openecs.logs.frame import DamagedFrameError
from openecs.logs.insights.commands import TooManyGroupsError
from openecs.logs.insights.pointers import pointer
from openecs.logs.insights.query import Query, Run
from openecs.logs.insights.row import event_row
from openecs.logs.records import LogGroup
from openecs.logs.store import LogStore, StoreFailedError

_log = structlog.get_logger("openecs.logs")

Status = Literal["Scheduled", "Running", "Complete", "Failed", "Cancelled"]
#: Queries that run at a time, that wait besides, and that are remembered.
RUNNING, WAITING, REMEMBERED = 2, 30, 100
#: Events that are read at once.
PAGE_EVENTS = 10_000


class Wanted(NamedTuple):
    """What somebody asked for; times are epoch milliseconds, both inclusive."""

    id: str
    region: str
    account: str
    groups: tuple[str, ...]
    text: str
    query: Query
    first: int
    last: int
    limit: int | None
    caller: str


class Asked:
    """One query and how far it has come."""

    def __init__(self, wanted: Wanted, now: float) -> None:
        self.wanted = wanted
        self.created_at = now
        self.ended_at: float | None = None
        self.status: Status = "Scheduled"
        self.scanned = 0
        self.scanned_bytes = 0
        self.results: list[list[tuple[str, str]]] = []
        self.run: Run | None = None

    @property
    def matched(self) -> int:
        """Rows that came through all commands so far."""
        return self.run.matched if self.run is not None else 0


class Runner:
    """Runs queries over a log store; ``run`` belongs into the composition root's task group."""

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._queue: asyncio.Queue[Asked] = asyncio.Queue()

    def start(self, wanted: Wanted) -> bool:
        """Have a query run; false when too many wait already."""
        if self._queue.qsize() >= WAITING:
            return False
        asked = self._asked[wanted.id] = Asked(wanted, self._clock.now())
        ended = [known for known in self._asked.values() if known.ended_at is not None]
        for old in ended[: max(len(self._asked) - REMEMBERED, 0)]:
            del self._asked[old.wanted.id]
        self._queue.put_nowait(asked)
        return True

    def get(self, query_id: str) -> Asked | None:
        """A query that is remembered."""
        return self._asked.get(query_id)

    def all(self) -> Sequence[Asked]:
        """Every query that is remembered, oldest first."""
        return tuple(self._asked.values())

    def stop(self, asked: Asked) -> bool:
        """End a query early; false when it has ended."""
        if asked.ended_at is not None:
            return False
        self._end(asked, "Cancelled")
        return True

    def forget(self) -> None:
        """Forget all queries."""
        for asked in self._asked.values():
            self.stop(asked)
        self._asked.clear()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(RUNNING):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            asked = await self._queue.get()
            if asked.ended_at is not None:
                continue
            asked.status = "Running"
            try:
                await self._answer(asked)
            except (OSError, StoreFailedError, DamagedFrameError, TooManyGroupsError) as problem:
                _log.warning("query failed", query=asked.wanted.id, reason=str(problem))
                self._end(asked, "Failed")

    async def _answer(self, asked: Asked) -> None:
        wanted = asked.wanted
        run = asked.run = wanted.query.run(wanted.limit)
        groups = self._store.groups(wanted.region)
        found = [groups[name] for name in wanted.groups if name in groups]
        async for group, events in _newest_first(self._store, found, Range(wanted.first, wanted.last)):
            more = await asyncio.to_thread(_feed, run, wanted, group, events, asked)
            if asked.ended_at is not None:
                return
            if not more:
                break
        asked.results = await asyncio.to_thread(run.results)
        if asked.ended_at is None:
            self._end(asked, "Complete")

    def _end(self, asked: Asked, status: Status) -> None:
        asked.status = status
        asked.ended_at = self._clock.now()


def _feed(run: Run, wanted: Wanted, group: LogGroup, events: Sequence[Event], asked: Asked) -> bool:
    """Give events to a run; false when it wants no more."""
    names = {stream.id: stream.name for stream in tuple(group.streams.values())}
    log = f"{wanted.account}:{group.name}"
    for event in events:
        asked.scanned += 1
        asked.scanned_bytes += message_bytes(event.message)
        row = event_row(
            event.message,
            event.timestamp,
            event.ingestion_time,
            names.get(event.stream_id, ""),
            log,
            pointer(group.name, event.key),
        )
        if not run.take(row):
            return False
    return True


async def _newest_first(
    store: LogStore, groups: Sequence[LogGroup], wanted: Range
) -> AsyncIterator[tuple[LogGroup, Sequence[Event]]]:
    """The events of several groups, newest first, in runs of one group each."""
    ahead: list[tuple[LogGroup, list[Event], bool]] = []
    for group in groups:
        page = await store.read(group.streams.values(), wanted, PAGE_EVENTS, descending=True)
        if page.events:
            ahead.append((group, page.events, page.more))
    while ahead:
        ahead.sort(key=lambda entry: entry[1][0].timestamp, reverse=True)
        group, events, more = ahead.pop(0)
        count = len(events)
        if ahead:
            limit = ahead[0][1][0].timestamp
            count = next((n for n, event in enumerate(events) if event.timestamp < limit), count)
        yield group, events[:count]
        rest = events[count:]
        if not rest and more:
            page = await store.read(
                group.streams.values(), wanted._replace(before=events[-1].key), PAGE_EVENTS, descending=True
            )
            rest, more = page.events, page.more
        if rest:
            ahead.append((group, rest, more))
