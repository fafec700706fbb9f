"""One HTTP/1.1 connection as an asyncio protocol: one exchange at a time, parsed by httptools.

It is not a pool and not a client: it decides neither when to connect nor whether to repeat.
Callers begin an exchange, wait for its future, and either put the connection back or abort it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from openecs.http.errors import HttpProtocolError, HttpUnavailable, StaleConnection
from openecs.http.response import Response, ResponseHead

#: A stream reader that falls behind by this many bytes stops the socket from being read.
_HIGH_WATER = 256 * 1024


class Connection(asyncio.Protocol):
    """An open socket and the reply that is being read from it."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_complete",
        "_failure",
        "_head",
        "_headers",
        "_keep_alive",
        "_limit",
        "_loop",
        "_parser",
        "_paused",
        "_peer",
        "_raw",
        "_reader",
        "_reply",
        "_started",
        "_streaming",
        "_transport",
        "_without_body",
        "_writable",
        "exchanges",
        "idle_since",
    )

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        #: Exchanges begun so far; more than one means that the connection came from the pool.
        self.exchanges = 0
        #: The event loop's time at which it was put back into the pool.
        self.idle_since = 0.0
        self._reply: asyncio.Future[ResponseHead] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: ResponseHead | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._limit = 0
        self._streaming = self._without_body = False
        self._started = self._complete = self._keep_alive = self._raw = self._paused = False
        self._failure: Exception | None = None

    # What the client does with a connection

    @property
    def reusable(self) -> bool:
        """Whether another exchange may begin: the last one is over and the peer stays."""
        return self._transport is not None and (self.exchanges == 0 or (self._complete and self._keep_alive))

    def begin(self, message: bytes, *, streaming: bool, without_body: bool, limit: int) -> asyncio.Future[ResponseHead]:
        """Send a request; the future gives a ``Response``, or with ``streaming`` only its head.

        ``without_body`` is for replies to HEAD; ``limit`` is the most bytes of a whole body.
        """
        reply: asyncio.Future[ResponseHead] = self._loop.create_future()
        self.exchanges += 1
        self._reply = reply
        self._streaming, self._without_body, self._limit = streaming, without_body, limit
        self._headers = []
        self._head = None
        self._chunks.clear()
        self._buffered = 0
        self._started = self._complete = self._keep_alive = False
        if self._transport is None:
            kind = StaleConnection if self.exchanges > 1 else HttpUnavailable
            self._fail(kind(f"{self._peer} closed the connection before it was asked anything"))
        else:
            self._transport.write(message)
        return reply

    async def read(self) -> bytes:
        """The next piece of a streamed body or of an upgraded connection; empty at its end."""
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return b""
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if len(self._chunks) == 1:
            data = self._chunks.popleft()
        else:
            data = b"".join(self._chunks)
            self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write_raw(self, data: bytes) -> None:
        """Send bytes on an upgraded connection."""
        if self._failure is not None:
            raise self._failure
        if self._transport is None:
            raise HttpUnavailable(f"{self._peer} closed the connection")
        self._transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def write_eof(self) -> None:
        """Close our side of an upgraded connection."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self) -> None:
        """Close at once and forget what was underway."""
        self._reply = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no isinstance: uvloop's transports do not descend from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._raw:
            self._push(data)
            return
        if self._complete or self.exchanges == 0:
            # Nothing was asked, so whatever this is cannot be an answer to the next request.
            self.abort()
            return
        self._started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._raw, self._complete, self._keep_alive = True, False, False
            if rest := data[upgrade.args[0] :]:
                self._push(rest)
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(HttpProtocolError(f"{self._peer} sent something that is not HTTP: {error}"))
            self.abort()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        # The parser holds our methods, and we the parser: part them, so that both go at once.
        del self._parser
        self.resume_writing()
        if self._complete or self.exchanges == 0:
            return
        ends_here = self._raw or (self._head is not None and not _is_framed(self._headers))
        if exc is None and ends_here:
            self._finish(keep_alive=False)
        elif not self._started and self.exchanges > 1:
            self._fail(StaleConnection(f"{self._peer} closed the connection before it answered"))
        else:
            self._fail(
                HttpUnavailable(f"{self._peer} closed the connection before the end of its answer: {exc or 'EOF'}")
            )

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        waiting, self._writable = self._writable, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            # A second reply to one request: it must not become the answer to the next one.
            self._keep_alive = False
            self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete:
            return
        if status < 200 and status != 101:
            # An interim reply (100 Continue): the real one follows.
            self._headers = []
            return
        self._head = ResponseHead(status, self._headers)
        if self._without_body:
            # llhttp would wait for the body that Content-Length speaks of and HEAD leaves out.
            self._finish(keep_alive=False)
        elif self._streaming:
            self._resolve(self._head)

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        if self._streaming:
            self._push(body)
            return
        self._buffered += len(body)
        if self._buffered > self._limit:
            self._fail(HttpProtocolError(f"{self._peer} sent more than {self._limit} bytes"))
            self.abort()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._head is not None and not self._complete:
            self._finish(keep_alive=self._parser.should_keep_alive())

    # The end of an exchange

    def _finish(self, *, keep_alive: bool) -> None:
        self._complete, self._keep_alive = True, keep_alive
        if self._streaming:
            self._wake_reader()
        elif self._head is not None:
            chunks = self._chunks
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._resolve(Response(self._head.status, self._headers, body))

    def _resolve(self, head: ResponseHead) -> None:
        reply, self._reply = self._reply, None
        if reply is not None and not reply.done():
            reply.set_result(head)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        reply, self._reply = self._reply, None
        if reply is not None and not reply.done():
            reply.set_exception(error)
        self._wake_reader()

    def _push(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _is_framed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the reply itself says where it ends; otherwise the end of the connection does."""
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in headers)
