"""Answers that are streams of events, in AWS's encoding ``application/vnd.amazon.eventstream``.

A message is a prelude (its own length, the length of its headers, a CRC-32 of both), headers,
a payload and a CRC-32 of everything before it; all numbers are big-endian.  Handlers give an
``EventStream``; the gateway sends its events as they come.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from openecs.errors import AWSError
from openecs.shapes.base import Shape

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
_TEXT = 7


@dataclass(frozen=True, slots=True)
class EventStream:
    """The answer of an operation whose output is an event stream.

    ``events`` gives the name of each event, as the model's union spells it, with its structure.
    An ``AWSError`` that it raises becomes the stream's last message.
    """

    events: AsyncGenerator[tuple[str, Shape]]


async def encoded(stream: EventStream) -> AsyncGenerator[bytes]:
    """The messages of a stream, from the initial response on."""
    yield event("initial-response", b"{}")
    try:
        async with aclosing(stream.events) as events:
            async for name, structure in events:
                yield event(name, msgspec.json.encode(structure))
    except AWSError as error:
        payload = msgspec.json.encode({"message": error.message})
        yield message(
            [(":message-type", "exception"), (":exception-type", error.code), (":content-type", "application/json")],
            payload,
        )


def event(name: str, payload: bytes) -> bytes:
    """One event with a JSON payload."""
    headers = [(":message-type", "event"), (":event-type", name), (":content-type", "application/json")]
    return message(headers, payload)


def message(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """One message; the headers are texts."""
    head = b"".join(
        struct.pack(f"!B{len(name)}sBH{len(value)}s", len(name), name, _TEXT, len(value), value)
        for name, value in ((name.encode(), value.encode()) for name, value in headers)
    )
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    content = prelude + struct.pack("!I", zlib.crc32(prelude)) + head + payload
    return content + struct.pack("!I", zlib.crc32(content))
