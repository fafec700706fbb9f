"""Reading pages of events from segment files.  Runs in reader threads, never on the event loop."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from openecs.logs import frame as frames
from openecs.logs.event import Event, Range, message_bytes
from openecs.logs.files import Files
from openecs.logs.merge import merge
from openecs.logs.segment import Block, Segment, SegmentView, index

#: What one page returns at most, as GetLogEvents and FilterLogEvents document it.
PAGE_BYTES = 1024 * 1024
#: Indexes of complete segments that stay in memory, a few kilobytes each.
CACHED_INDEXES = 256


class Page(NamedTuple):
    """Events in the order of reading, and whether the range holds more behind them."""

    events: list[Event]
    more: bool


class Reader:
    """Pages out of ``files``; safe to use from several threads."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._indexes: OrderedDict[tuple[int, int], tuple[Block, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, views: Iterable[SegmentView], wanted: Range, limit: int, *, descending: bool) -> Page:
        """Up to ``limit`` events, up to 1 MiB of messages, at least one event if there is any.

        Raises ``DamagedFrameError`` when a file does not hold what was written.
        """
        events: list[Event] = []
        room = PAGE_BYTES
        for run in merge(views, wanted, self, descending=descending):
            for event in run:
                size = message_bytes(event.message)
                if len(events) == limit or (size > room and events):
                    return Page(events, more=True)
                events.append(event)
                room -= size
        return Page(events, more=False)

    def blocks(self, segment: Segment) -> tuple[Block, ...]:
        key = (segment.stream_id, segment.number)
        with self._lock:
            known = self._indexes.get(key)
            if known is not None:
                self._indexes.move_to_end(key)
                return known
        data = self._read(segment, 0, segment.size)
        blocks = tuple(index(frames.scan(data, verify=False)))
        with self._lock:
            self._indexes[key] = blocks
            while len(self._indexes) > CACHED_INDEXES:
                self._indexes.popitem(last=False)
        return blocks

    def events(self, segment: Segment, block: Block) -> list[Event]:
        data = self._read(segment, block.offset, block.length)
        try:
            return frames.decode(data, segment.stream_id)
        except frames.DamagedFrameError as error:
            raise frames.DamagedFrameError(f"{segment.name} at {block.offset}: {error}") from error

    def _read(self, segment: Segment, offset: int, length: int) -> bytes:
        try:
            return self._files.read(segment.name, offset, length)
        except FileNotFoundError:
            return b""  # the stream was deleted, or the segment expired, while this page was read
