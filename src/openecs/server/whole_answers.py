"""uvicorn's HTTP protocol, sending an answer that comes whole in one write.

uvicorn writes an answer's head and its body each by themselves: two system calls here and two
wake-ups of the client for what is nearly always one small packet.  Here the head waits for the
body.  Answers that come in pieces, answers to HEAD and websockets are left to uvicorn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class WholeAnswersProtocol(HttpToolsProtocol):
    """One connection."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, _Answer(cycle, send).send)

        super()._start_asgi_task(cycle, cast("Any", answer))


class _Answer:
    """What the application sends for one request."""

    def __init__(self, cycle: RequestResponseCycle, send: Send) -> None:
        self._cycle = cycle
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        start = self._start
        if start is None:
            if message["type"] == "http.response.start":
                self._start = message
            else:
                await self._send(message)
            return
        self._start = None
        cycle = self._cycle
        if cycle.response_started or message.get("more_body") or cycle.scope["method"] == "HEAD":
            await self._send(start)
            await self._send(message)
            return
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(self._rendered(start, message.get("body", b"")))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def _rendered(self, start: Message, body: bytes) -> bytes:
        """The answer as bytes; its length is known, whatever its headers say."""
        cycle = self._cycle
        lines = [STATUS_LINE[start["status"]]]
        for name, value in (*cycle.default_headers, *start["headers"]):
            if name == b"connection" and value == b"close":
                cycle.keep_alive = False
            elif name != b"content-length":
                if b"\n" in value or b"\r" in value:
                    raise ValueError(f"a line break in the header {name!r}")
                lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        lines.append(body)
        return b"".join(lines)
