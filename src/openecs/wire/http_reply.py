"""The HTTP side of an answer: headers as AWS sends them, and reading a bounded body.  ASGI only.

``Date`` is the HTTP server's business: uvicorn writes it once per second for all replies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any

from openecs.errors import AWSError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class TooLargeError(AWSError):
    """The body has more than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        message = f"The request is larger than {limit} bytes."
        super().__init__("RequestEntityTooLargeException", message, status=413)


class DisconnectedError(Exception):
    """The client went away before its request was complete."""


async def read_body(scope_headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The request's body.

    Raises ``TooLargeError`` as soon as it is known that it has more than ``limit`` bytes, and
    ``DisconnectedError`` when it will never be complete.
    """
    length = scope_headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:19]) > limit:
        raise TooLargeError(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body"):
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise TooLargeError(limit)
            parts.append(part)
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    if len(body) > limit:
        raise TooLargeError(limit)
    return body


def header_map(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; the values of a repeated header joined by commas, as they are signed."""
    headers = dict(raw)
    if len(headers) != len(raw):
        headers = {}
        for name, value in raw:
            headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


async def reply_in_pieces(
    send: Send, receive: Receive, *, content_type: bytes, pieces: AsyncGenerator[bytes], request_id: str
) -> None:
    """Sends an answer piece by piece, as long as the client is there."""
    headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", content_type)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_wait_gone(receive))
            async with aclosing(pieces):
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            watcher.cancel()
            await send({"type": "http.response.body", "body": b""})
    except* DisconnectedError:
        pass


async def _wait_gone(receive: Receive) -> None:
    """Raise ``DisconnectedError`` when the client has gone; that also ends what is sent to it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise DisconnectedError


async def reply(
    send: Send,
    *,
    status: int,
    content_type: bytes,
    body: bytes,
    request_id: str,
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Sends one whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"x-amzn-requestid", request_id.encode()),
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *more,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
