"""Segments: the append-only files of a stream, and the sparse index over one of them.

A stream's events lie in numbered segments of a few megabytes.  A ``Segment`` says what one
holds; a ``Block`` is a run of neighbouring frames of about 16 KiB, the unit of reading.  Both
are immutable: a reader that holds them is not disturbed by what is appended meanwhile.  A
segment that gets nothing more and holds many small batches is *sealed*: a second file takes
the place of its first, with the same events in packed frames.  No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openecs.logs.frame import Frame

SEGMENT_BYTES = 8 * 1024 * 1024
#: A segment with so much in loose frames is closed early, so that little lies about uncompressed.
LOOSE_BYTES = 1024 * 1024
#: Sealing less than this would hardly free a block of the disk.
SEAL_BYTES = 8 * 1024
BLOCK_BYTES = 16 * 1024
#: ``Segment.sealed`` of a segment that lies in a log engine and has no file.
MOVED = 2


class Block(NamedTuple):
    """Neighbouring frames of one segment; timestamps inclusive, in epoch milliseconds."""

    offset: int
    length: int
    min_timestamp: int
    max_timestamp: int


class Segment(NamedTuple):
    """What one segment file holds, up to ``size``."""

    stream_id: int
    number: int
    size: int
    event_count: int
    min_timestamp: int
    max_timestamp: int
    #: Ingestion times of the first and the last batch.
    first_ingestion: int
    last_ingestion: int
    last_sequence: int
    #: Bytes of it that are in loose frames.
    loose: int = 0
    #: 1 for the second, packed file of a segment, 2 for one that has moved to a log engine.
    sealed: int = 0

    @property
    def name(self) -> str:
        return segment_name(self.stream_id, self.number, self.sealed)

    def extended(self, frame: Frame) -> Segment:
        """This segment after ``frame`` was appended to it."""
        if self.event_count == 0:
            return first_segment(self, frame)
        return Segment(
            self.stream_id,
            self.number,
            frame.offset + frame.length,
            self.event_count + frame.event_count,
            min(self.min_timestamp, frame.min_timestamp),
            max(self.max_timestamp, frame.max_timestamp),
            self.first_ingestion,
            frame.ingestion_time,
            frame.first_sequence + frame.event_count - 1,
            self.loose + (0 if frame.packed else frame.length),
            self.sealed,
        )


class SegmentView(NamedTuple):
    """A segment as a reader sees it: ``blocks`` when the index is at hand, else ``None``."""

    segment: Segment
    blocks: tuple[Block, ...] | None


def empty_segment(stream_id: int, number: int, sealed: int = 0) -> Segment:
    """A segment that has no file yet."""
    return Segment(stream_id, number, 0, 0, 0, 0, 0, 0, 0, sealed=sealed)


def first_segment(empty: Segment, frame: Frame) -> Segment:
    """A segment that holds one frame."""
    return Segment(
        empty.stream_id,
        empty.number,
        frame.offset + frame.length,
        frame.event_count,
        frame.min_timestamp,
        frame.max_timestamp,
        frame.ingestion_time,
        frame.ingestion_time,
        frame.first_sequence + frame.event_count - 1,
        0 if frame.packed else frame.length,
        empty.sealed,
    )


def segment_name(stream_id: int, number: int, sealed: int) -> str:
    """The file of a segment, below the events directory: 256 folders keep each one small."""
    return f"{stream_id % 256:02x}/{stream_id}-{number}.{'sealed' if sealed else 'seg'}"


def parse_segment_name(name: str) -> tuple[int, int, int] | None:
    """Stream id, number and whether it is sealed, of a segment's file; ``None`` for a file that is not one."""
    stem, dot, suffix = name.rpartition("/")[2].partition(".")
    stream_id, dash, number = stem.partition("-")
    if suffix not in ("seg", "sealed") or not dot or not dash or not (stream_id + number).isdecimal():
        return None
    return int(stream_id), int(number), int(suffix == "sealed")


def add_to_index(blocks: list[Block], frame: Frame, block_bytes: int = BLOCK_BYTES) -> None:
    """Append ``frame`` to the index: to the last block while that stays small, else as a new one."""
    if blocks and blocks[-1].length + frame.length <= block_bytes:
        last = blocks[-1]
        blocks[-1] = Block(
            last.offset,
            last.length + frame.length,
            min(last.min_timestamp, frame.min_timestamp),
            max(last.max_timestamp, frame.max_timestamp),
        )
    else:
        blocks.append(Block(frame.offset, frame.length, frame.min_timestamp, frame.max_timestamp))


def index(frames: Iterable[Frame], block_bytes: int = BLOCK_BYTES) -> list[Block]:
    """The sparse index over a segment's frames."""
    blocks: list[Block] = []
    for frame in frames:
        add_to_index(blocks, frame, block_bytes)
    return blocks
