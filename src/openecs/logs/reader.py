"""Reading pages of events from segment files.  Runs in reader threads, never on the event loop."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from openecs.logs import frame as frames
from openecs.logs.engine import EngineError, LogEngine, slices
from openecs.logs.event import Event, Key, Range, message_bytes
from openecs.logs.files import Files
from openecs.logs.matching import Matcher
from openecs.logs.merge import Merger
from openecs.logs.segment import MOVED, Block, Segment, SegmentView, index

#: What one page returns at most, as GetLogEvents and FilterLogEvents document it.
PAGE_BYTES = 1024 * 1024
#: How many bytes of files a page with a matcher looks at before it hands over what it found: some
#: tenths of a second.
SCAN_BYTES = 16 * 1024 * 1024
#: Indexes of complete segments that stay in memory, a few kilobytes each.
CACHED_INDEXES = 256


class Page(NamedTuple):
    """Events in the order of reading, and whether the range may hold more behind ``position``.

    ``position`` is set when there is more: the key of the last event, or, when a matcher has
    had enough to look at, a key that need not exist.
    """

    events: list[Event]
    more: bool
    position: Key | None = None


class SegmentGoneError(Exception):
    """A segment's file is not there: it was sealed, has expired or was deleted since the view was taken."""


class Reader:
    """Pages out of ``files``; safe to use from several threads."""

    def __init__(self, files: Files, *, engine: LogEngine | None = None, scan_bytes: int = SCAN_BYTES) -> None:
        self._files = files
        self._engine = engine
        self._scan_bytes = scan_bytes
        self._indexes: OrderedDict[str, tuple[Block, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def page(
        self,
        views: Iterable[SegmentView],
        wanted: Range,
        limit: int,
        *,
        descending: bool,
        matcher: Matcher | None = None,
    ) -> Page:
        """Up to ``limit`` events, up to 1 MiB of messages, at least one event if there is any.

        With a ``matcher`` only those that match; such a page may be empty and yet not the last.
        Raises ``SegmentGoneError`` when the views are no longer true, ``DamagedFrameError``
        when a file does not hold what was written.
        """
        budget = None if matcher is None else self._scan_bytes
        merger = Merger(views, wanted, _Matching(self, matcher), descending=descending, budget=budget)
        events: list[Event] = []
        room = PAGE_BYTES
        for run in merger.runs():
            for event in run:
                size = message_bytes(event.message)
                if len(events) == limit or (size > room and events):
                    return Page(events, more=True, position=events[-1].key)
                events.append(event)
                room -= size
        return Page(events, more=merger.stopped_at is not None, position=merger.stopped_at)

    def blocks(self, segment: Segment) -> tuple[Block, ...]:
        """The index of a complete segment."""
        with self._lock:
            known = self._indexes.get(segment.name)
            if known is not None:
                self._indexes.move_to_end(segment.name)
                return known
        try:
            found = frames.headers(lambda offset, length: self.read(segment, offset, length), segment.size)
            blocks = tuple(index(found))
        except frames.DamagedFrameError as error:
            raise frames.DamagedFrameError(f"{segment.name}: {error}") from error
        with self._lock:
            self._indexes[segment.name] = blocks
            while len(self._indexes) > CACHED_INDEXES:
                self._indexes.popitem(last=False)
        return blocks

    def moved(self, segment: Segment, block: Block) -> list[Event]:
        """The events of a slice of a segment that lies in the engine; raises ``EngineError``."""
        if self._engine is None:
            raise EngineError(f"{segment.name} lies in a log engine, and none was named")
        return self._engine.events(segment, block.min_timestamp, block.max_timestamp)

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """Bytes of a segment's file; raises ``SegmentGoneError``."""
        try:
            return self._files.read(segment.name, offset, length)
        except FileNotFoundError:
            raise SegmentGoneError(segment.name) from None


class _Matching:
    """The events of blocks that a matcher lets through."""

    def __init__(self, reader: Reader, matcher: Matcher | None) -> None:
        self._reader = reader
        self._matcher = matcher

    def blocks(self, segment: Segment) -> tuple[Block, ...]:
        return slices(segment) if segment.sealed == MOVED else self._reader.blocks(segment)

    def events(self, segment: Segment, block: Block) -> list[Event]:
        if segment.sealed == MOVED:
            events = self._reader.moved(segment, block)
            return [e for e in events if self._matcher.matches(e.message)] if self._matcher else events
        data = self._reader.read(segment, block.offset, block.length)
        try:
            return frames.decode(data, segment.stream_id, self._matcher)
        except frames.DamagedFrameError as error:
            raise frames.DamagedFrameError(f"{segment.name} at {block.offset}: {error}") from error
