"""Segments: the append-only files of a stream, and the sparse index over one of them.

A stream's events lie in numbered segments of a few megabytes.  A ``Segment`` says what one
holds; a ``Block`` is a run of neighbouring frames of about 64 KiB, the unit of reading.  Both
are immutable: a reader that holds them is not disturbed by what is appended meanwhile.
No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openecs.logs.frame import Frame

SEGMENT_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 64 * 1024


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

    @property
    def name(self) -> str:
        return segment_name(self.stream_id, self.number)

    def extended(self, frame: Frame) -> Segment:
        """This segment after ``frame`` was appended to it."""
        if self.event_count == 0:
            return first_segment(self.stream_id, self.number, frame)
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
        )


class SegmentView(NamedTuple):
    """A segment as a reader sees it: ``blocks`` when the index is at hand, else ``None``."""

    segment: Segment
    blocks: tuple[Block, ...] | None


def empty_segment(stream_id: int, number: int) -> Segment:
    """A segment that has no file yet."""
    return Segment(stream_id, number, 0, 0, 0, 0, 0, 0, 0)


def first_segment(stream_id: int, number: int, frame: Frame) -> Segment:
    """A segment that holds one frame."""
    return Segment(
        stream_id,
        number,
        frame.offset + frame.length,
        frame.event_count,
        frame.min_timestamp,
        frame.max_timestamp,
        frame.ingestion_time,
        frame.ingestion_time,
        frame.first_sequence + frame.event_count - 1,
    )


def segment_name(stream_id: int, number: int) -> str:
    """The file of a segment, below the events directory: 256 folders keep each one small."""
    return f"{stream_id % 256:02x}/{stream_id}-{number}.seg"


def parse_segment_name(name: str) -> tuple[int, int] | None:
    """Stream id and number of a segment's file, ``None`` for a file that is not one."""
    stem, dot, suffix = name.rpartition("/")[2].partition(".")
    stream_id, dash, number = stem.partition("-")
    if suffix != "seg" or not dot or not dash or not (stream_id + number).isdecimal():
        return None
    return int(stream_id), int(number)


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
