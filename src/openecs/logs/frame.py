"""The format of segment files: frames, each of them one or more accepted batches in a row.

A frame is a fixed header and a body.  The header holds what an index needs, so that a file
can be indexed without decoding its messages.  The checksum covers the rest of the header and
the body: a frame that was cut short by a crash is recognised and nothing of it is ever
returned.  Sequence numbers in a frame have no gaps.

The first byte of the body says which of the two forms it has.  *Loose*: MessagePack
``[timestamps, messages]``, for small batches.  *Packed*: a mark, the length of what follows
before compression, and zstd over MessagePack ``[first timestamp and differences, messages,
ingestion times, counts]``, where the last two lists speak of runs of events.  Pure functions
on bytes, no files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, count, repeat
from operator import sub
from typing import NamedTuple
from zlib import crc32

import cramjam
import msgspec

from openecs.logs.event import Event
from openecs.logs.matching import Matcher, Needles
from openecs.logs.regexes import literal

#: Body length, checksum; then what the checksum covers besides the body.
PREFIX = struct.Struct("<II")
FACTS = struct.Struct("<QqqqI")
HEADER_BYTES = PREFIX.size + FACTS.size
#: The head of a packed body: a mark that no MessagePack list begins with, and the raw length.
PACKED = struct.Struct("<BI")
PACKED_MARK = 0x5A

#: Batches with more characters than this are packed at once; smaller ones would gain little.
PACK_CHARACTERS = 16 * 1024
#: Small batches are put together to packed frames of about so many characters.
SEALED_CHARACTERS = 64 * 1024
#: zstd's fastest ordinary level: 500 MB/s, text logs to a sixth.
LEVEL = 1
#: How much of a file is read at a time to find the headers.
WINDOW_BYTES = 16 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode_loose = msgspec.msgpack.Decoder(tuple[list[int], list[str]]).decode
_decode_packed = msgspec.msgpack.Decoder(tuple[list[int], list[str], list[int], list[int]]).decode


class Frame(NamedTuple):
    """Where a frame is and what it holds; ``length`` counts the header too."""

    offset: int
    length: int
    first_sequence: int
    min_timestamp: int
    max_timestamp: int
    ingestion_time: int
    event_count: int
    packed: bool = False


class DamagedFrameError(Exception):
    """Bytes that were acknowledged as stored do not read back as they were written."""


def encode(first_sequence: int, ingestion_time: int, timestamps: Sequence[int], messages: Sequence[str]) -> bytes:
    """The frame of one batch; ``timestamps`` ascend and are as many as ``messages``, at least one."""
    if sum(map(len, messages)) > PACK_CHARACTERS:
        return _pack(first_sequence, timestamps, messages, [ingestion_time], [len(timestamps)])
    facts = FACTS.pack(first_sequence, timestamps[0], timestamps[-1], ingestion_time, len(timestamps))
    return _frame(facts, _encode((timestamps, messages)))


def is_packed(data: bytes) -> bool:
    """Whether the frame at the start of ``data`` is packed."""
    return data[HEADER_BYTES] == PACKED_MARK


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
        yield _frame_at(data, offset, offset, body_length)
        offset = end


def headers(read: Callable[[int, int], bytes], size: int) -> Iterator[Frame]:
    """The frames of a file of ``size`` bytes of which ``read(offset, length)`` gives parts, from their headers only.

    Raises ``DamagedFrameError`` when the frames do not end where the file does.
    """
    offset = start = 0
    window = b""
    while offset < size:
        if offset + HEADER_BYTES >= start + len(window):
            window, start = read(offset, WINDOW_BYTES), offset
        at = offset - start
        body_length = PREFIX.unpack_from(window, at)[0] if at + HEADER_BYTES < len(window) else 0
        if body_length == 0 or offset + HEADER_BYTES + body_length > size:
            raise DamagedFrameError(f"there is no whole frame at {offset} of {size} bytes")
        yield _frame_at(window, at, offset, body_length)
        offset += HEADER_BYTES + body_length


def decode(data: bytes, stream_id: int, matcher: Matcher | None = None) -> list[Event]:
    """The events of consecutive whole frames, in the order of their keys; those only that match.

    Raises ``DamagedFrameError`` when the bytes are not what was written.
    """
    events: list[Event] = []
    end = 0
    for frame in scan(data, verify=True):
        end = frame.offset + frame.length
        body = _body(data, frame)
        needles = [] if matcher is None else _present(matcher.needles, body)
        if not all(needles):
            continue
        timestamps, messages, ingestion_times = _columns(body, frame)
        rows = zip(timestamps, repeat(stream_id), count(frame.first_sequence), messages, ingestion_times)
        if matcher is not None:
            rows = compress(rows, _matching(messages, needles, matcher))  # type: ignore[assignment]
        events.extend(map(Event._make, rows))
    if end != len(data):
        raise DamagedFrameError(f"the frame at {end} of {len(data)} bytes is not whole or its checksum differs")
    # Batches may overlap in time; for those that do not, sorting is one pass.
    events.sort()
    return events


def seal(data: bytes) -> Iterator[bytes]:
    """The same events in fewer, packed frames; frames that are packed stay as they are.

    Raises ``DamagedFrameError`` when the bytes are not what was written.
    """
    group = _Group()
    end = 0
    for frame in scan(data, verify=True):
        end = frame.offset + frame.length
        if frame.packed or not group.takes(frame):
            yield from group.frame()
            group = _Group()
        if frame.packed:
            yield data[frame.offset : end]
        else:
            timestamps, messages, _ = _columns(_body(data, frame), frame)
            group.add(frame, timestamps, messages)
    yield from group.frame()
    if end != len(data):
        raise DamagedFrameError(f"the frame at {end} of {len(data)} bytes is not whole or its checksum differs")


class _Group:
    """Loose frames in a row that become one packed frame."""

    def __init__(self) -> None:
        self._first = self._next = self._characters = 0
        self._timestamps: list[int] = []
        self._messages: list[str] = []
        self._ingestion_times: list[int] = []
        self._counts: list[int] = []

    def takes(self, frame: Frame) -> bool:
        """Whether the frame goes on where the last one ended, and there is room."""
        return not self._counts or (self._next == frame.first_sequence and self._characters < SEALED_CHARACTERS)

    def add(self, frame: Frame, timestamps: Sequence[int], messages: list[str]) -> None:
        self._first = self._first if self._counts else frame.first_sequence
        self._next = frame.first_sequence + frame.event_count
        self._characters += sum(map(len, messages))
        self._timestamps += timestamps
        self._messages += messages
        self._ingestion_times.append(frame.ingestion_time)
        self._counts.append(frame.event_count)

    def frame(self) -> Iterator[bytes]:
        if self._counts:
            yield _pack(self._first, self._timestamps, self._messages, self._ingestion_times, self._counts)


def _pack(
    first_sequence: int,
    timestamps: Sequence[int],
    messages: Sequence[str],
    ingestion_times: list[int],
    counts: list[int],
) -> bytes:
    differences = [timestamps[0], *map(sub, timestamps[1:], timestamps)]
    raw = _encode((differences, messages, ingestion_times, counts))
    packed = cramjam.zstd.compress(raw, level=LEVEL)
    facts = FACTS.pack(first_sequence, min(timestamps), max(timestamps), ingestion_times[-1], len(timestamps))
    return _frame(facts, PACKED.pack(PACKED_MARK, len(raw)) + memoryview(packed))


def _frame(facts: bytes, body: bytes) -> bytes:
    return b"".join((PREFIX.pack(len(body), crc32(body, crc32(facts))), facts, body))


def _frame_at(data: bytes, at: int, offset: int, body_length: int) -> Frame:
    """The frame whose header is at ``at`` of ``data`` and at ``offset`` of its file."""
    facts = FACTS.unpack_from(data, at + PREFIX.size)
    return Frame._make((offset, HEADER_BYTES + body_length, *facts, data[at + HEADER_BYTES] == PACKED_MARK))


def _body(data: bytes, frame: Frame) -> bytes | bytearray:
    """The frame's MessagePack."""
    start, end = frame.offset + HEADER_BYTES, frame.offset + frame.length
    if not frame.packed:
        return data[start:end]
    try:
        raw = bytearray(PACKED.unpack_from(data, start)[1])
        cramjam.zstd.decompress_into(memoryview(data)[start + PACKED.size : end], raw)
    except (struct.error, cramjam.DecompressionError) as error:
        raise DamagedFrameError(f"the frame at {frame.offset} does not decompress: {error}") from error
    return raw


def _columns(body: bytes | bytearray, frame: Frame) -> tuple[Sequence[int], list[str], Iterator[int]]:
    """Timestamps, messages and ingestion times of a frame."""
    try:
        if not frame.packed:
            timestamps, messages = _decode_loose(body)
            return timestamps, messages, repeat(frame.ingestion_time)
        differences, messages, ingestion_times, counts = _decode_packed(body)
    except msgspec.MsgspecError as error:
        raise DamagedFrameError(f"the frame at {frame.offset} does not decode: {error}") from error
    runs = chain.from_iterable(map(repeat, ingestion_times, counts))
    return list(accumulate(differences)), messages, runs


def _present(needles: Needles, body: bytes | bytearray) -> list[list[str]]:
    """The texts of each group that occur in a frame at all."""
    there = {text for text in {*chain.from_iterable(needles)} if literal(text).search(body)}
    return [[text for text in group if text in there] for group in needles]


def _matching(messages: list[str], needles: list[list[str]], matcher: Matcher) -> list[bool]:
    """Which of the messages match; needles are looked for first because that costs next to nothing."""
    places: Iterable[int] = range(len(messages))
    for group in needles:
        if len(group) == 1:
            (text,) = group
            places = [place for place in places if text in messages[place]]
        else:
            places = [place for place in places if any(text in messages[place] for text in group)]
    matches = matcher.matches
    found = [False] * len(messages)
    for place in places:
        found[place] = matches(messages[place])
    return found
