"""CBOR bodies (RFC 8949) as plain data: exactly the part that smithy-rpc-v2-cbor allows.

Integers, floats, texts, byte strings, arrays, maps with text keys, booleans, null, both
definite and indefinite lengths, and the tag for timestamps.  Other tags are refused: a
request from the outside must not be able to make dates of the year 10^9, bignums, shared
references or any other object of Python, which a general CBOR library would build from it.
"""

from __future__ import annotations

import struct
from typing import Any, Final

#: Deeper than any AWS shape.
DEEPEST = 64
#: Tag 1: seconds since the epoch, an integer or a float.
TIMESTAMP = 1

_BREAK: Final = object()
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE: dict[int, Any] = {20: False, 21: True, 22: None, 23: None}


class CborError(ValueError):
    """The bytes are not CBOR of the allowed kind; the text says where and why."""


def read_cbor(body: bytes) -> Any:
    """The one value that ``body`` holds.  Raises ``CborError``."""
    reader = _Reader(body)
    value = reader.value(0)
    if value is _BREAK:
        raise CborError("a break stands outside of an indefinite length")
    if reader.at != len(body):
        raise CborError(f"{len(body) - reader.at} bytes follow the value")
    return value


class _Reader:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def value(self, depth: int) -> Any:
        """The next value, or ``_BREAK``."""
        if depth > DEEPEST:
            raise CborError("it is nested too deeply")
        (initial,) = self._take(1)
        major, info = initial >> 5, initial & 31
        if major == 7:
            return self._simple(info)
        if major == 2:
            return self._bytes(info, 2)
        if major == 3:
            return self._text(info)
        if major == 4:
            return self._array(info, depth)
        if major == 5:
            return self._map(info, depth)
        number = self._number(info)
        if number is None:
            raise CborError(f"byte {self.at - 1} starts nothing")
        if major == 6:
            return self._tagged(number, depth)
        return number if major == 0 else -1 - number

    def _take(self, count: int) -> bytes:
        taken = self.body[self.at : self.at + count]
        if len(taken) < count:
            raise CborError("it ends too early")
        self.at += count
        return taken

    def _number(self, info: int) -> int | None:
        """The argument of an initial byte; ``None`` says an indefinite length."""
        if info < 24:
            return info
        if info < 28:
            return int.from_bytes(self._take(1 << (info - 24)))
        if info == 31:
            return None
        raise CborError(f"byte {self.at - 1} starts nothing")

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info in _FLOATS:
            kind = _FLOATS[info]
            return kind.unpack(self._take(kind.size))[0]
        if info == 31:
            return _BREAK
        raise CborError(f"byte {self.at - 1} is a simple value without meaning here")

    def _bytes(self, info: int, major: int) -> bytes:
        size = self._number(info)
        if size is not None:
            return self._take(size)
        parts: list[bytes] = []
        while True:
            (initial,) = self._take(1)
            if initial == 0xFF:
                return b"".join(parts)
            size = self._number(initial & 31) if initial >> 5 == major else None
            if size is None:
                raise CborError(f"byte {self.at - 1} is no part of a string")
            parts.append(self._take(size))

    def _text(self, info: int) -> str:
        try:
            return self._bytes(info, 3).decode()
        except UnicodeDecodeError:
            raise CborError("a text is not UTF-8") from None

    def _array(self, info: int, depth: int) -> list[Any]:
        size = self._number(info)
        if size is None:
            items = []
            while (item := self.value(depth + 1)) is not _BREAK:
                items.append(item)
            return items
        self._fits(size)
        return [self._item(depth) for _ in range(size)]

    def _map(self, info: int, depth: int) -> dict[str, Any]:
        size = self._number(info)
        data: dict[str, Any] = {}
        if size is not None:
            self._fits(size * 2)
        while size is None or size > 0:
            key = self.value(depth + 1)
            if key is _BREAK and size is None:
                break
            if not isinstance(key, str):
                raise CborError("a key of a map is not a text")
            data[key] = self._item(depth)
            size = None if size is None else size - 1
        return data

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self._item(depth)
        if tag != TIMESTAMP:
            raise CborError(f"the tag {tag} has no meaning here")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CborError("a timestamp is not a number")
        return float(value)

    def _item(self, depth: int) -> Any:
        value = self.value(depth + 1)
        if value is _BREAK:
            raise CborError("a break stands where a value must be")
        return value

    def _fits(self, items: int) -> None:
        """Every item takes a byte at least, so a length beyond the body is known to be wrong."""
        if items > len(self.body) - self.at:
            raise CborError("it ends too early")
