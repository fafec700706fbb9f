"""The HTTP client: a pool of connections to one address, and the requests made over it.

One client speaks to one peer.  It owns no task: everything happens in the caller's, so a
cancelled caller leaves nothing behind but a closed connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from openecs.http.address import Address, TcpAddress, UnixAddress
from openecs.http.connection import Connection
from openecs.http.errors import HttpTimeout, HttpUnavailable, HttpUpgradeError, StaleConnection
from openecs.http.response import Response, ResponseHead, StreamingResponse, UpgradedStream

#: Methods that mean the same when a peer sees them twice (RFC 9110, 9.2.2).
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

HeaderFields = Iterable[tuple[str, str]]


class HttpClient:
    """Requests to one peer over kept-alive connections.

    ``timeout`` is in seconds, for every request that does not say ``within`` what time it wants its reply.
    ``max_idle`` must stay below the time after which the peer drops idle connections: uvicorn
    does after 5 s.  ``max_body`` bounds whole replies, in bytes.
    """

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        max_connections: int = 128,
        max_idle: float = 4.0,
        max_body: int = 64 * 1024 * 1024,
    ) -> None:
        self.address = address
        #: The ``Host`` header that is sent unless a request brings its own; signers need it.
        self.host_header = address.host_header
        self._tls = (tls or ssl.create_default_context()) if isinstance(address, TcpAddress) and address.tls else None
        self._timeout = timeout
        self._max_idle = max_idle
        self._max_body = max_body
        self._idle: deque[Connection] = deque()
        self._slots = asyncio.Semaphore(max_connections)
        self._closed = False

    def __repr__(self) -> str:
        return f"HttpClient({str(self.address)!r}, idle={len(self._idle)})"

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: HeaderFields = (),
        body: bytes = b"",
        within: float | None = None,
        repeatable: bool | None = None,
    ) -> Response:
        """Send a request and read the whole reply, whatever its status.

        ``target`` is the path with its query, already escaped.  ``within`` seconds cover
        waiting for a free connection, connecting and the reply.  ``repeatable`` says that the
        peer may see the request twice; by default that goes by the method.
        Raises ``HttpUnavailable`` (``HttpTimeout``) and ``HttpProtocolError``.
        """
        message = self._encode(method, target, headers, body)
        again = method in _REPEATABLE if repeatable is None else repeatable
        allowed = self._timeout if within is None else within
        try:
            async with asyncio.timeout(allowed), self._slots:
                connection, head = await self._exchange(message, again, streaming=False, without_body=method == "HEAD")
        except TimeoutError as error:
            raise HttpTimeout(f"{self.address} did not answer {method} {target} within {allowed:g} seconds") from error
        self._put_back(connection)
        if not isinstance(head, Response):  # pragma: no cover -- a whole exchange gives a whole response
            raise TypeError("a whole exchange gave no body")
        return head

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: HeaderFields = (),
        body: bytes = b"",
        within: float | None = None,
        repeatable: bool | None = None,
    ) -> AsyncIterator[StreamingResponse]:
        """Send a request and read the reply piece by piece inside the ``async with`` block.

        ``within`` covers (in seconds) the time up to the headers only; the body may take for ever.
        """
        message = self._encode(method, target, headers, body)
        again = method in _REPEATABLE if repeatable is None else repeatable
        async with self._slots:
            connection, head = await self._open(message, again, method, target, within)
            try:
                yield StreamingResponse(head, connection)
            finally:
                self._put_back(connection)

    @asynccontextmanager
    async def upgrade(
        self,
        method: str,
        target: str,
        protocol: str,
        *,
        headers: HeaderFields = (),
        body: bytes = b"",
        within: float | None = None,
    ) -> AsyncIterator[UpgradedStream]:
        """Turn a connection into a raw one that speaks ``protocol`` (``tcp`` for an engine).

        Raises ``HttpUpgradeError`` with the peer's reply when it answers anything but 101.
        """
        fields = [*headers, ("Connection", "Upgrade"), ("Upgrade", protocol)]
        message = self._encode(method, target, fields, body)
        async with self._slots:
            connection, head = await self._open(message, False, method, target, within)  # noqa: FBT003
            try:
                if head.status != 101:
                    rest = await StreamingResponse(head, connection).read()
                    raise HttpUpgradeError(Response(head.status, head.headers, rest))
                yield UpgradedStream(head, connection)
            finally:
                connection.abort()

    async def close(self) -> None:
        """Close the idle connections and accept no more requests; those underway may end."""
        self._closed = True
        while self._idle:
            self._idle.popleft().abort()
        # Transports tell their sockets goodbye in the next turn of the loop.
        await asyncio.sleep(0)

    # Inside

    def _encode(self, method: str, target: str, headers: HeaderFields, body: bytes) -> bytes:
        lines = [f"{method} {target} HTTP/1.1"]
        has_host = False
        for name, value in headers:
            has_host = has_host or name.lower() == "host"
            lines.append(f"{name}: {value}")
        if not has_host:
            lines.append(f"Host: {self.host_header}")
        if body or method not in {"GET", "HEAD"}:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or " " in target or "\0" in head:
            raise ValueError(f"a line break or blank does not belong into the head of a request: {method} {target!r}")
        return f"{head}\r\n\r\n".encode("latin-1") + body

    async def _open(
        self,
        message: bytes,
        repeatable: bool,  # noqa: FBT001
        method: str,
        target: str,
        within: float | None,
    ) -> tuple[Connection, ResponseHead]:
        allowed = self._timeout if within is None else within
        try:
            async with asyncio.timeout(allowed):
                return await self._exchange(message, repeatable, streaming=True, without_body=method == "HEAD")
        except TimeoutError as error:
            raise HttpTimeout(f"{self.address} did not answer {method} {target} within {allowed:g} seconds") from error

    async def _exchange(
        self,
        message: bytes,
        repeatable: bool,  # noqa: FBT001
        *,
        streaming: bool,
        without_body: bool,
    ) -> tuple[Connection, ResponseHead]:
        connection = self._take_idle() or await self._connect()
        while True:
            reply = connection.begin(message, streaming=streaming, without_body=without_body, limit=self._max_body)
            try:
                return connection, await reply
            except StaleConnection:
                if not repeatable:
                    raise
                # Other idle connections are as old: a new one cannot be stale, so this ends.
                connection = await self._connect()
            except BaseException:
                connection.abort()
                raise

    def _take_idle(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - self._max_idle
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def _put_back(self, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    async def _connect(self) -> Connection:
        if self._closed:
            raise HttpUnavailable(f"the client of {self.address} is closed")
        loop = asyncio.get_running_loop()
        peer = str(self.address)
        address = self.address
        try:
            if isinstance(address, UnixAddress):
                _, connection = await loop.create_unix_connection(lambda: Connection(peer), address.path)
            else:
                _, connection = await loop.create_connection(
                    lambda: Connection(peer), address.host, address.port, ssl=self._tls
                )
        except OSError as error:
            raise HttpUnavailable(f"cannot connect to {peer}: {error.strerror or error}") from error
        return connection
