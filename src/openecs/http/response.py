"""Replies: whole, streamed, and connections that were upgraded to something else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openecs.http.connection import Connection

#: Names in lower case, in the order of arrival.
Headers = Sequence[tuple[bytes, bytes]]


class ResponseHead:
    """Status and headers of a reply."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers

    def header(self, name: str) -> str | None:
        """The value of the first header of that name in any case, ``None`` without one."""
        wanted = name.lower().encode("ascii")
        for key, value in self.headers:
            if key == wanted:
                return value.decode("latin-1")
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status={self.status})"


class Response(ResponseHead):
    """A whole reply."""

    __slots__ = ("body",)

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status, headers)
        self.body = body


class StreamingResponse(ResponseHead):
    """A reply whose body arrives as the caller reads it."""

    __slots__ = ("_connection",)

    def __init__(self, head: ResponseHead, connection: Connection) -> None:
        super().__init__(head.status, head.headers)
        self._connection = connection

    async def chunks(self) -> AsyncIterator[bytes]:
        """Pieces of the body as they come, never empty, in no particular sizes.

        Raises ``HttpUnavailable`` when the peer hangs up before the end.
        """
        while piece := await self._connection.read():
            yield piece

    async def lines(self) -> AsyncIterator[bytes]:
        """Non-empty lines of the body without their ends, for streams of JSON documents."""
        rest = b""
        async for chunk in self.chunks():
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                if line := line.strip():
                    yield line
        if rest := rest.strip():
            yield rest

    async def read(self) -> bytes:
        """The rest of the body in one piece."""
        return b"".join([chunk async for chunk in self.chunks()])


class UpgradedStream:
    """Both directions of a connection after ``101 Switching Protocols``."""

    __slots__ = ("_connection", "head")

    def __init__(self, head: ResponseHead, connection: Connection) -> None:
        self.head = head
        self._connection = connection

    async def read(self) -> bytes:
        """The next bytes from the peer; empty once the peer has closed its side."""
        return await self._connection.read()

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the peer does not take them."""
        await self._connection.write_raw(data)

    def write_eof(self) -> None:
        """Close our side; the peer's may go on."""
        self._connection.write_eof()
