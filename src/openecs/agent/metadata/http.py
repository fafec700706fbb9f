"""A small HTTP/1.1 server for the metadata endpoint: keep-alive, bounded requests.

Everything is read with GET; below ``/api/`` there is PUT as well.

It listens on TCP for tasks, or on a Unix socket for the other agents of this host.  Only on
the latter it believes who the request is said to come from, and says in a header whether the
answer is "I do not know that token".
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import httptools
import structlog

_log = structlog.get_logger("openecs.agent")
IDLE_SECONDS = 30.0
LARGEST_REQUEST = 64 * 1024
#: Between agents of one host: whom a request came from, and that its token is not known here.
CLIENT_HEADER = "openecs-client"
UNKNOWN_HEADER = "openecs-unknown"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Answer(NamedTuple):
    """One reply; the body is JSON."""

    status: int
    body: bytes
    #: ``False`` when the request names no task of this agent; another agent may have it.
    known: bool = True


class Request(NamedTuple):
    """One request; ``path`` without its query, ``client`` is the asking task's address."""

    method: str
    path: str
    query: str
    client: str
    body: bytes = b""


Handler = Callable[[Request], Awaitable[Answer]]


class _Parsed:
    """What the parser calls back."""

    def __init__(self) -> None:
        self.target = b""
        self.client = ""
        self.body = b""
        self.done = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.decode("latin-1").lower() == CLIENT_HEADER:
            self.client = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


class MetadataServer:
    """Serves one address.  ``start`` and ``start_unix`` raise ``OSError`` when they cannot."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._for_agents = False
        self._accepts: Callable[[str], bool] | None = None

    async def start(self, host: str, port: int, *, accepts: Callable[[str], bool] | None = None) -> tuple[str, int]:
        """Listen; the address in use.  ``accepts`` tells of a client's address whether it is answered at all."""
        self._accepts = accepts
        self._server = await asyncio.start_server(self._serve, host, port, limit=LARGEST_REQUEST)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def start_unix(self, listener: socket.socket) -> None:
        """Listen on a bound Unix socket, for agents of the same user only."""
        self._for_agents = True
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LARGEST_REQUEST)

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._for_agents and not same_user(writer.get_extra_info("socket")):
                _log.warning("somebody else than an agent called on the agents' socket")
                return
            peer = writer.get_extra_info("peername")
            client = "" if self._for_agents else str((peer or ("",))[0])
            if self._accepts is not None and not self._accepts(client):
                _log.debug("a machine around this host called on the metadata address", client=client)
                return
            await self._converse(reader, writer, client)
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError):
            _log.debug("metadata client went away")
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
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
                    writer.write(self._render(Answer(400, b'"malformed request"'), keep=False))
                    return
            keep = bool(parser.should_keep_alive())
            method = parser.get_method().decode("latin-1")
            path, _, query = parsed.target.decode("latin-1").partition("?")
            if method in ("GET", "HEAD") or (method == "PUT" and path.startswith("/api/")):
                asked_by = parsed.client if self._for_agents else client
                answer = await self._handler(Request(method, path, query, asked_by, parsed.body))
            else:
                answer = Answer(405, b'"only GET is served here"')
            writer.write(self._render(answer, keep=keep, with_body=method != "HEAD"))
            await writer.drain()
            if not keep:
                return

    def _render(self, answer: Answer, *, keep: bool, with_body: bool = True) -> bytes:
        unknown = f"{UNKNOWN_HEADER}: true\r\n" if self._for_agents and not answer.known else ""
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Error')}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(answer.body)}\r\n{unknown}"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        return head.encode("latin-1") + (answer.body if with_body else b"")


def listen(path: Path) -> socket.socket:
    """A Unix socket that is bound to ``path`` in one step, in place of a dead one.

    Whoever finds the path can connect at once: the socket listens before it gets its name.
    Raises ``OSError``.
    """
    unnamed = path.with_name(f".{path.name}")
    unnamed.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(unnamed))
        unnamed.chmod(0o600)
        listener.listen(128)
        listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
        unnamed.rename(path)
    except OSError:
        listener.close()
        raise
    return listener


def same_user(peer: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket runs as root or as this one's user."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (0, os.geteuid())
