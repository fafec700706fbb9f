"""Reading events of many segments in one order, opening as little as possible.

Sources are segments and blocks that know their first and last timestamp.  They are opened
only when the merge has come to their time; a segment opens into blocks, a block into events.
So the first page of a year of logs reads one block, and streams may overlap in time freely.
Works in both directions.  The bytes come through ``Source``; nothing here does I/O itself.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from openecs.logs.event import Event, Key, Range
from openecs.logs.segment import Block, Segment, SegmentView

#: Where the merge stands: a key, its negation when descending, or a bare timestamp before all its keys.
Position = tuple[int, ...]


class Source(Protocol):
    """Where blocks and events come from."""

    def blocks(self, segment: Segment) -> tuple[Block, ...]:
        """The index of a complete segment."""
        ...

    def events(self, segment: Segment, block: Block) -> list[Event]:
        """The events of a block, ascending by key."""
        ...


class _Closed(NamedTuple):
    """A segment or block that was not opened yet; ``edge`` is where the merge meets it."""

    edge: int
    number: int
    view: SegmentView
    block: Block | None


class _Run(NamedTuple):
    """Events of an opened block from ``position`` on; ``head`` is the key of the first."""

    head: Position
    number: int
    events: list[Event]
    position: int


def _ascending(event: Event) -> Position:
    return event[:3]


def _descending(event: Event) -> Position:
    return -event[0], -event[1], -event[2]


class Merger:
    """The events in ``wanted`` of ``views`` by key, each exactly once."""

    def __init__(
        self,
        views: Iterable[SegmentView],
        wanted: Range,
        source: Source,
        *,
        descending: bool,
        budget: int | None = None,
    ) -> None:
        """``budget``: after how many bytes of blocks (as stored) the runs end early, ``None`` for never.

        Only blocks count that need not be opened again to go on, so that streams which
        overlap in time cannot make every page read the same blocks.
        """
        self._budget = budget
        self._finished = 0
        #: Far ends and bytes of the blocks that were opened and do not lie behind the merge yet.
        self._straddling: list[tuple[int, int]] = []
        self._wanted = wanted
        self._source = source
        self._descending = descending
        self._key: Callable[[Event], Position] = _descending if descending else _ascending
        self._closed: list[_Closed] = []
        self._open: list[_Run] = []
        self._numbers = 0
        #: Set when the runs ended early: everything before this key was considered, and going on
        #: behind it gives the rest.
        self.stopped_at: Key | None = None
        for view in views:
            self._close_over(view, None)

    def _close_over(self, view: SegmentView, block: Block | None) -> None:
        """Add a source to be opened when its time has come."""
        span = block or view.segment
        if self._wanted.touches(span.min_timestamp, span.max_timestamp):
            edge = -span.max_timestamp if self._descending else span.min_timestamp
            self._numbers += 1
            heapq.heappush(self._closed, _Closed(edge, self._numbers, view, block))

    def runs(self) -> Iterator[list[Event]]:
        """The events in runs of one or more, until there are no more or the budget is spent."""
        closed, opened = self._closed, self._open
        while True:
            # Anything that may hold an event before the next one, or beside it, must be open.
            while closed and (not opened or closed[0].edge <= opened[0].head[0]):
                if self._spent():
                    self.stopped_at = self._position()
                    return
                self._open_up(heapq.heappop(closed))
            if not opened:
                return
            _, number, events, position = heapq.heappop(opened)
            end = len(events)
            if opened:
                end = bisect_left(events, opened[0].head, lo=position, key=self._key)
            if closed:
                # A shorter tuple sorts before every key with the same timestamp.
                before: Position = (closed[0].edge,)
                end = bisect_left(events, before, lo=position, hi=end, key=self._key)
            if end < len(events):
                heapq.heappush(opened, _Run(self._key(events[end]), number, events, end))
            yield events[position:end]

    def _spent(self) -> bool:
        if self._budget is None or not self._straddling:
            return False
        timestamp = self._position()[0]
        edge = -timestamp if self._descending else timestamp
        while self._straddling and self._straddling[0][0] < edge:
            self._finished += heapq.heappop(self._straddling)[1]
        return self._finished > self._budget

    def _position(self) -> Key:
        """The key behind which everything lies that was not given out."""
        edge = self._closed[0].edge
        if self._descending:
            at = -edge + 1, 0, 0
            if self._open:
                timestamp, stream_id, sequence = self._open[0].head
                at = max(at, (-timestamp, -stream_id, -sequence + 1))
            return at
        at = edge, 0, 0
        if self._open:
            timestamp, stream_id, sequence = self._open[0].head
            at = min(at, (timestamp, stream_id, sequence - 1))
        return at

    def _open_up(self, closed: _Closed) -> None:
        view, block = closed.view, closed.block
        if block is None:
            blocks = view.blocks if view.blocks is not None else self._source.blocks(view.segment)
            for inner in blocks:
                self._close_over(view, inner)
            return
        if self._budget is not None:
            far = -block.min_timestamp if self._descending else block.max_timestamp
            heapq.heappush(self._straddling, (far, block.length))
        events = clip(self._source.events(view.segment, block), self._wanted)
        if self._descending:
            events.reverse()
        if events:
            heapq.heappush(self._open, _Run(self._key(events[0]), closed.number, events, 0))


def clip(events: list[Event], wanted: Range) -> list[Event]:
    """The events, ascending by key, that lie in ``wanted``."""
    low: tuple[int, ...] = (wanted.first,)
    if wanted.after is not None:
        after = (wanted.after[0], wanted.after[1], wanted.after[2] + 1)
        low = max(low, after)
    high: tuple[int, ...] = (wanted.last + 1,)
    if wanted.before is not None:
        high = min(high, wanted.before)
    start = bisect_left(events, low, key=_ascending)
    return events[start : bisect_left(events, high, lo=start, key=_ascending)]
