"""A small HTTP/1.1 server for the metadata endpoint: GET only, keep-alive, bounded heads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httptools
import structlog

_log = structlog.get_logger("openecs.agent")
IDLE_SECONDS = 30.0
LARGEST_REQUEST = 64 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Answer(NamedTuple):
    """One reply; the body is JSON."""

    status: int
    body: bytes


class Request(NamedTuple):
    """One request; ``path`` without its query, ``client`` is the peer's address."""

    method: str
    path: str
    query: str
    client: str


Handler = Callable[[Request], Awaitable[Answer]]


class _Parsed:
    """What the parser calls back."""

    def __init__(self) -> None:
        self.target = b""
        self.done = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_message_complete(self) -> None:
        self.done = True


class MetadataServer:
    """Serves one address.  ``start`` raises ``OSError`` when it cannot be bound."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the address in use."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LARGEST_REQUEST)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError):
            _log.debug("metadata client went away")
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = (writer.get_extra_info("peername") or ("",))[0]
        while True:
            parsed = _Parsed()
            parser = httptools.HttpRequestParser(parsed)
            size = 0
            while not parsed.done:
                async with asyncio.timeout(IDLE_SECONDS):
                    chunk = await reader.read(4096)
                size += len(chunk)
                if not chunk or size > LARGEST_REQUEST:
                    return
                try:
                    parser.feed_data(chunk)
                except httptools.HttpParserError:
                    writer.write(_render(Answer(400, b'"malformed request"'), keep=False))
                    return
            keep = bool(parser.should_keep_alive())
            method = parser.get_method().decode("latin-1")
            path, _, query = parsed.target.decode("latin-1").partition("?")
            if method in ("GET", "HEAD"):
                answer = await self._handler(Request(method, path, query, client))
            else:
                answer = Answer(405, b'"only GET is served here"')
            writer.write(_render(answer, keep=keep))
            await writer.drain()
            if not keep:
                return


def _render(answer: Answer, *, keep: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Error')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(answer.body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode("latin-1") + answer.body
