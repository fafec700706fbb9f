"""The least of HTTP/2 that a probe needs: one request, and the code of its answer.

No flow control beyond the windows that both ends begin with, no priorities, no push.  The peer
is told to use no dynamic header table, and of its headers only ``:status`` and ``grpc-status``
are looked at, so that neither a table nor Huffman codes beyond those names are needed.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import NamedTuple

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_HEADER_TABLE_SIZE, _ENABLE_PUSH = 1, 2
_STREAM = 1
#: Frames of an answer that a probe reads at most, and bytes of one.
_MAX_FRAMES, _MAX_FRAME = 256, 16384
#: Bytes of a header block, and digits of a code, that are looked at: whoever sends more is no sound server.
_MAX_BLOCK, _MAX_DIGITS = 16384, 9

#: Entries of the static table (RFC 7541, appendix A): those of ``:status``.
_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
_STATIC_ENTRIES = 61
#: Huffman codes (RFC 7541, appendix B) of what is compared or read: bits as text.
_HUFFMAN = {
    "0": "00000", "1": "00001", "2": "00010", "3": "011001", "4": "011010", "5": "011011", "6": "011100",
    "7": "011101", "8": "011110", "9": "011111",
}  # fmt: skip
_NAME_CODES = {
    "g": "100110", "r": "101100", "p": "101011", "c": "00100", "-": "010110", "s": "01000", "t": "01001",
    "a": "00011", "u": "101101",
}  # fmt: skip


class Http2Error(Exception):
    """The peer speaks no HTTP/2, or gives no answer."""


class _Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class _Answer:
    """What the answer's headers and trailers have said so far."""

    status: int | None = None
    grpc_status: int | None = None


async def ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    authority: str,
    path: str,
    scheme: str,
    user_agent: str,
    grpc: bool,
) -> int:
    """Send one request and return its HTTP code, or with ``grpc`` the call's gRPC code.

    Raises ``Http2Error``, and what the streams raise.
    """
    fields = [
        (":method", "POST" if grpc else "GET"),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        ("user-agent", user_agent),
    ]
    if grpc:
        fields += [("te", "trailers"), ("content-type", "application/grpc")]
    settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0)
    block = b"".join(_literal(name, value) for name, value in fields)
    writer.write(_PREFACE + _pack(_SETTINGS, 0, 0, settings))
    writer.write(_pack(_HEADERS, _END_HEADERS | (0 if grpc else _END_STREAM), _STREAM, block))
    if grpc:
        # An empty message: not compressed, no bytes.
        writer.write(_pack(_DATA, _END_STREAM, _STREAM, b"\0\0\0\0\0"))
    answer = await _answer(reader, writer, whole=grpc)
    if answer.status is None:
        raise Http2Error("the answer has no status")
    if not grpc:
        return answer.status
    return answer.grpc_status if answer.grpc_status is not None else _grpc_code(answer.status)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, whole: bool) -> _Answer:
    """The answer; ``whole``: with its trailers."""
    answer = _Answer()
    block = b""
    ends = False
    for _ in range(_MAX_FRAMES):
        frame = await _read(reader)
        if frame.kind == _SETTINGS and not frame.flags & _ACK:
            writer.write(_pack(_SETTINGS, _ACK, 0, b""))
        elif frame.kind == _PING and not frame.flags & _ACK:
            writer.write(_pack(_PING, _ACK, 0, frame.payload))
        elif frame.kind == _GOAWAY and int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF < _STREAM:
            # One that is cut off names no stream, and so none that it would still answer.
            raise Http2Error("the peer goes away")
        if frame.stream != _STREAM:
            continue
        if frame.kind == _RST_STREAM:
            raise Http2Error("the peer gave the request up")
        if frame.kind in (_HEADERS, _CONTINUATION):
            block += _fragment(frame)
            if len(block) > _MAX_BLOCK:
                raise Http2Error("the answer's headers are too long")
            ends = ends or (frame.kind == _HEADERS and bool(frame.flags & _END_STREAM))
            if frame.flags & _END_HEADERS:
                _take(block, answer)
                block = b""
                if answer.status is not None and answer.status >= 200 and (ends or not whole):
                    return answer
                if answer.status is not None and answer.status < 200:
                    answer.status = None
        elif frame.kind == _DATA and frame.flags & _END_STREAM:
            return answer
    raise Http2Error("the answer does not end")


async def _read(reader: asyncio.StreamReader) -> _Frame:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > _MAX_FRAME:
        # Also what an HTTP/1 server's answer looks like.
        raise Http2Error("no HTTP/2 frame")
    return _Frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, await reader.readexactly(length))


def _pack(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: str, value: str) -> bytes:
    """A header that is not to be indexed, without Huffman."""
    return b"\x00" + _string(name.encode()) + _string(value.encode())


def _string(text: bytes) -> bytes:
    return _integer(len(text), 7) + text


def _integer(value: int, bits: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((value,))
    rest, out = value - limit, bytearray((limit,))
    while rest >= 128:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _fragment(frame: _Frame) -> bytes:
    """The header block in a frame, without padding and priority."""
    payload = frame.payload
    if frame.kind == _HEADERS:
        if frame.flags & _PADDED:
            if not payload:
                raise Http2Error("the header block is cut off")
            payload = payload[1 : len(payload) - payload[0]]
        if frame.flags & _PRIORITY:
            payload = payload[5:]
    return payload


def _take(block: bytes, answer: _Answer) -> None:
    """Note the codes that a header block says."""
    for index, name, value in _fields(block):
        if index in _STATUS and value is None:
            answer.status = _STATUS[index]
        elif value is not None and (index in _STATUS or name in _names(":status")):
            answer.status = _number(value)
        elif value is not None and name in _names("grpc-status"):
            answer.grpc_status = _number(value)


#: A string of a header block as it was sent: whether it is Huffman-coded, and its bytes.
_Sent = tuple[bool, bytes]


def _fields(block: bytes) -> Iterator[tuple[int, _Sent | None, _Sent | None]]:
    """Index of the static table, name when that is 0, and value unless the index says it."""
    position = 0
    try:
        while position < len(block):
            first = block[position]
            if first & 0x80:
                index, position = _read_integer(block, position, 7)
                if not 0 < index <= _STATIC_ENTRIES:
                    raise Http2Error("the peer uses a header table that it was told not to use")
                yield index, None, None
            elif first & 0xE0 == 0x20:
                _, position = _read_integer(block, position, 5)
            else:
                index, position = _read_integer(block, position, 6 if first & 0x40 else 4)
                name: _Sent | None = None
                if not index:
                    name, position = _read_string(block, position)
                value, position = _read_string(block, position)
                yield index, name, value
    except IndexError:
        raise Http2Error("the header block is cut off") from None


def _read_integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = block[position] & limit
    position += 1
    shift = 0
    if value < limit:
        return value, position
    while shift < 28:
        octet = block[position]
        position += 1
        value += (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80:
            return value, position
    raise Http2Error("a number in the header block is too large")


def _read_string(block: bytes, position: int) -> tuple[_Sent, int]:
    coded = bool(block[position] & 0x80)
    length, position = _read_integer(block, position, 7)
    if position + length > len(block):
        raise Http2Error("the header block is cut off")
    return (coded, block[position : position + length]), position + length


def _names(name: str) -> tuple[_Sent, ...]:
    """The forms in which a header's name may have been sent."""
    if name == ":status":
        # Servers refer to the static table for it; so this one is only ever plain.
        return ((False, b":status"),)
    return ((False, name.encode()), (True, _encoded("".join(_NAME_CODES[letter] for letter in name))))


def _encoded(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _number(sent: _Sent) -> int:
    coded, text = sent
    if not coded:
        if not text.isdigit() or len(text) > _MAX_DIGITS:
            raise Http2Error("a code that is no number")
        return int(text)
    # No digit's code is longer than a byte.
    if len(text) > _MAX_DIGITS:
        raise Http2Error("a code that is no number")
    bits = "".join(f"{octet:08b}" for octet in text)
    digits, rest = "", bits
    while rest and not (len(rest) < 8 and set(rest) <= {"1"}):
        digit = next((digit for digit, code in _HUFFMAN.items() if rest.startswith(code)), None)
        if digit is None:
            raise Http2Error("a code that is no number")
        digits, rest = digits + digit, rest[len(_HUFFMAN[digit]) :]
    if not 0 < len(digits) <= _MAX_DIGITS:
        raise Http2Error("a code that is no number")
    return int(digits)


def _grpc_code(status: int) -> int:
    """The gRPC code that stands for an answer without one (gRPC's mapping of HTTP codes)."""
    return {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}.get(status, 2)
