"""Log groups and log streams as the running process knows them.

These are the live objects of the store's one thread (the event loop's): they are changed in
place and never leave the store's callers.  What of them must survive is in the catalogue
(groups, streams, finished segments) and in the segment files themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.logs.event import Range
from openecs.logs.frame import Frame
from openecs.logs.segment import Block, Segment, SegmentView, add_to_index

MILLISECONDS_PER_DAY = 86_400_000


@dataclass(slots=True, eq=False)
class LogGroup:
    """A log group of one region; ``created`` in epoch milliseconds."""

    id: int
    region: str
    name: str
    created: int
    retention_days: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    #: Whether DeleteLogGroup is refused; the API looks at it.
    deletion_protected: bool = False
    streams: dict[str, LogStream] = field(default_factory=dict, repr=False)
    #: Bytes of all its segments on disk, compressed as they are.
    stored_bytes: int = 0

    def cutoff(self, now: int) -> int:
        """The time (epoch milliseconds) before which events have expired; 0 without a retention policy."""
        return 0 if self.retention_days is None else now - self.retention_days * MILLISECONDS_PER_DAY


@dataclass(slots=True, eq=False)
class LogStream:
    """A log stream; everything but ``next_sequence`` speaks of durable events only."""

    id: int
    group: LogGroup = field(repr=False)
    name: str
    created: int
    next_sequence: int = 1
    last_ingestion: int | None = None
    segments: dict[int, Segment] = field(default_factory=dict, repr=False)
    #: The index of the segment that grows, and its number.
    tail_number: int = 0
    tail_blocks: list[Block] = field(default_factory=list, repr=False)

    @property
    def first_timestamp(self) -> int | None:
        return min((s.min_timestamp for s in self.segments.values()), default=None)

    @property
    def last_timestamp(self) -> int | None:
        return max((s.max_timestamp for s in self.segments.values()), default=None)

    def stored(self, segment: Segment, frame: Frame) -> None:
        """A batch has become durable as ``frame`` at the end of ``segment``."""
        if segment.number != self.tail_number:
            self.tail_number = segment.number
            self.tail_blocks = []
        add_to_index(self.tail_blocks, frame)
        self.segments[segment.number] = segment
        self.last_ingestion = frame.ingestion_time
        self.group.stored_bytes += frame.length

    def adopt(self, segment: Segment) -> None:
        """A segment found at start."""
        self.segments[segment.number] = segment
        self.last_ingestion = max(self.last_ingestion or 0, segment.last_ingestion)
        self.next_sequence = max(self.next_sequence, segment.last_sequence + 1)
        self.group.stored_bytes += segment.size

    def sealed(self, segment: Segment) -> None:
        """A segment's packed file has taken the place of its first."""
        self.removed(segment.number)
        self.segments[segment.number] = segment
        self.group.stored_bytes += segment.size

    def forget(self) -> None:
        """The stream is deleted: whoever still holds it finds it empty."""
        self.group.stored_bytes -= sum(segment.size for segment in self.segments.values())
        self.segments.clear()

    def removed(self, number: int) -> None:
        """A segment's file is gone."""
        segment = self.segments.pop(number, None)
        if segment is not None:
            self.group.stored_bytes -= segment.size
        if number == self.tail_number:
            self.tail_number = 0
            self.tail_blocks = []

    def views(self, wanted: Range) -> list[SegmentView]:
        """The segments that can hold events in ``wanted``, as an immutable snapshot."""
        return [
            SegmentView(segment, tuple(self.tail_blocks) if segment.number == self.tail_number else None)
            for segment in self.segments.values()
            if wanted.touches(segment.min_timestamp, segment.max_timestamp)
        ]
