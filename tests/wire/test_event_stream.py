"""Event streams as botocore reads them, and over HTTP until the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.shapes import logs as shapes
from openecs.shapes.base import Shape
from openecs.wire.event_stream import EventStream, encoded, message
from openecs.wire.http_reply import reply_in_pieces


def read(data: bytes) -> list[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [event.to_response_dict() for event in buffer]


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=40), max_size=5), st.binary(max_size=200))
def test_botocore_reads_any_message(headers: dict[str, str], payload: bytes) -> None:
    (found,) = read(message(headers.items(), payload))
    assert (found["headers"], found["body"]) == (headers, payload)


async def test_a_stream_ends_with_its_error() -> None:
    async def events() -> AsyncGenerator[tuple[str, Shape]]:
        yield "sessionStart", shapes.LiveTailSessionStart(session_id="s")
        raise AWSError("SessionTimeoutException", "over")

    found = read(b"".join([piece async for piece in encoded(EventStream(events()))]))
    assert [f["headers"].get(":event-type") for f in found] == ["initial-response", "sessionStart", None]
    assert json.loads(found[1]["body"]) == {"sessionId": "s"}
    assert found[2]["headers"][":message-type"] == "exception"
    assert found[2]["headers"][":exception-type"] == "SessionTimeoutException"


async def test_a_client_that_leaves_ends_the_stream() -> None:
    ended = asyncio.Event()
    gone = asyncio.Event()
    sent: list[Any] = []

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def send(part: Any) -> None:
        sent.append(part)
        if part.get("body") == b"first":
            gone.set()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    await reply_in_pieces(send, receive, content_type=b"x/y", pieces=pieces(), request_id="r")
    assert ended.is_set()
    assert [part.get("body") for part in sent] == [None, b"first"]


async def test_a_stream_that_ends_is_finished() -> None:
    sent: list[Any] = []

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"only"

    async def send(part: Any) -> None:
        sent.append(part)

    async def receive() -> Any:
        await asyncio.Event().wait()

    await reply_in_pieces(send, receive, content_type=b"x/y", pieces=pieces(), request_id="r")
    assert [(part.get("body"), part.get("more_body", False)) for part in sent[1:]] == [(b"only", True), (b"", False)]
