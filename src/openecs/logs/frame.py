"""The format of segment files: one frame for every accepted PutLogEvents batch.

A frame is a fixed header and a MessagePack body ``[timestamps, messages]``.  The header
holds what an index needs, so that a file can be indexed without decoding its messages.  The
checksum covers the rest of the header and the body: a frame that was cut short by a crash
is recognised and nothing of it is ever returned.  Pure functions on bytes, no files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import count, repeat
from typing import NamedTuple
from zlib import crc32

import msgspec

from openecs.logs.event import Event

#: Body length, checksum; then what the checksum covers besides the body.
PREFIX = struct.Struct("<II")
FACTS = struct.Struct("<QqqqI")
HEADER_BYTES = PREFIX.size + FACTS.size

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[int], list[str]]).decode


class Frame(NamedTuple):
    """Where a frame is and what it holds; ``length`` counts the header too."""

    offset: int
    length: int
    first_sequence: int
    min_timestamp: int
    max_timestamp: int
    ingestion_time: int
    event_count: int


class DamagedFrameError(Exception):
    """Bytes that were acknowledged as stored do not read back as they were written."""


def encode(first_sequence: int, ingestion_time: int, timestamps: Sequence[int], messages: Sequence[str]) -> bytes:
    """The frame of one batch; ``timestamps`` ascend and are as many as ``messages``, at least one."""
    body = _encode((timestamps, messages))
    facts = FACTS.pack(first_sequence, timestamps[0], timestamps[-1], ingestion_time, len(timestamps))
    return b"".join((PREFIX.pack(len(body), crc32(body, crc32(facts))), facts, body))


def scan(data: bytes, *, verify: bool) -> Iterator[Frame]:
    """The whole frames at the start of ``data``; ends silently at the first that is not whole.

    ``verify`` also checks the checksums, which costs reading every byte.
    """
    offset = 0
    total = len(data)
    view = memoryview(data)
    while offset + HEADER_BYTES <= total:
        body_length, checksum = PREFIX.unpack_from(data, offset)
        end = offset + HEADER_BYTES + body_length
        if body_length == 0 or end > total:
            return
        if verify and crc32(view[offset + PREFIX.size : end]) != checksum:
            return
        yield Frame(offset, end - offset, *FACTS.unpack_from(data, offset + PREFIX.size))
        offset = end


def decode(data: bytes, stream_id: int) -> list[Event]:
    """The events of consecutive whole frames, in the order of their keys.

    Raises ``DamagedFrameError`` when the bytes are not what was written.
    """
    events: list[Event] = []
    end = 0
    for frame in scan(data, verify=True):
        end = frame.offset + frame.length
        try:
            timestamps, messages = _decode(memoryview(data)[frame.offset + HEADER_BYTES : end])
        except msgspec.MsgspecError as error:
            raise DamagedFrameError(f"the frame at {frame.offset} does not decode: {error}") from error
        rows = zip(timestamps, repeat(stream_id), count(frame.first_sequence), messages, repeat(frame.ingestion_time))
        events.extend(map(Event._make, rows))
    if end != len(data):
        raise DamagedFrameError(f"the frame at {end} of {len(data)} bytes is not whole or its checksum differs")
    # Batches may overlap in time; for those that do not, sorting is one pass.
    events.sort()
    return events
