"""An HTTP peer that does exactly what a test tells it: raw bytes in, raw bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from openecs.http import HttpClient, UnixAddress


class Exchange:
    """One accepted connection, as the script of a test sees it."""

    def __init__(self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self.number = server.connections

    async def request(self) -> bytes:
        """The next whole request, head and body; empty when the client hung up."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        whole = head + (await self._reader.readexactly(length) if length else b"")
        self._server.requests.append(whole)
        return whole

    async def read(self) -> bytes:
        return await self._reader.read(65536)

    async def reply(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hung_up(self) -> None:
        """Returns once the client has closed the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionResetError:
            pass


Script = Callable[[Exchange], Awaitable[None]]


class ScriptedServer:
    """Runs ``script`` for every connection; keeps what arrived."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    def hang_up(self) -> None:
        """Close every connection that is still open."""
        for writer in self._writers:
            writer.close()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self._script(Exchange(self, reader, writer))
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    path: Path, script: Script, *, max_connections: int = 8, max_body: int = 2**20
) -> AsyncIterator[tuple[HttpClient, ScriptedServer]]:
    """A scripted server on a Unix socket in ``path``, and a client of it."""
    scripted = ScriptedServer(script)
    socket = str(path / "http.sock")
    server = await asyncio.start_unix_server(scripted, socket)
    client = HttpClient(UnixAddress(socket), timeout=10.0, max_connections=max_connections, max_body=max_body)
    try:
        yield client, scripted
    finally:
        await client.close()
        server.close()
        scripted.hang_up()
        await server.wait_closed()


async def always_ok(exchange: Exchange) -> None:
    """Answers every request of the connection with ``OK``."""
    while await exchange.request():
        await exchange.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


def once(answer: bytes, *, hanging_up: bool = False) -> Script:
    """Answers the first request of every connection with these bytes."""

    async def script(exchange: Exchange) -> None:
        if await exchange.request():
            await exchange.reply(answer)
            if not hanging_up:
                await exchange.hung_up()

    return script
