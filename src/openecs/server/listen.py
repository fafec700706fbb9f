"""Listening: uvicorn inside our own task group, without its signal handling or logging."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable

import uvicorn

from openecs.errors import OperatorError
from openecs.server.whole_answers import WholeAnswersProtocol

#: Connections that wait to be accepted; a burst of clients must not be refused.
BACKLOG = 4096
#: Listening sockets, all the same one to clients.  The event loop accepts one connection a turn from each,
#: and agents that have much to report open thousands of them at once.
ACCEPTED_AT_ONCE = 16
#: Seconds that open requests get when the server stops.
GRACE = 5
#: Seconds after which a connection whose other end answers no packet is closed: a host that lost its power or
#: its cable says no goodbye.  The kernel asks; the event loop has nothing to do with it.
PEER_LOST_AFTER = 20


class Listener(uvicorn.Server):
    """A uvicorn server that the composition root starts and stops.

    Signals are the process's business, not this server's.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], sock: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=WholeAnswersProtocol,
                ws="websockets-sansio",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE,
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                proxy_headers=False,
                ws_max_size=16 * 1024 * 1024,
            )
        )
        self._sock = sock
        #: Set when connections are accepted.
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and say so."""
        await super().startup(sockets)
        self.answering.set()

    async def run_until_stopped(self) -> None:
        """Serve until ``stop`` is called."""
        await self._serve([self._sock, *(self._sock.dup() for _ in range(ACCEPTED_AT_ONCE - 1))])

    def stop(self) -> None:
        """Finish what is in flight, then return from ``run_until_stopped``."""
        self.should_exit = True


def bind(address: str, port: int) -> socket.socket:
    """A listening socket; an ``OperatorError`` says what to do when that cannot be."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only for sockets that say
    # they are TCP, and accepted ones say what this one says; with it every reply takes 40 ms more.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _watch_peers(sock)
    try:
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise OperatorError(
            f"OpenECS cannot listen on {address} port {port}: {error.strerror}. Choose another port with --port."
        ) from None
    sock.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return sock


def _watch_peers(sock: socket.socket) -> None:
    """Have the kernel notice the loss of peers; accepted sockets inherit it."""
    if sys.platform != "linux":
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PEER_LOST_AFTER // 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PEER_LOST_AFTER // 4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    # For data that is under way, which is sent again and again for a quarter of an hour otherwise.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_LOST_AFTER * 1000)
