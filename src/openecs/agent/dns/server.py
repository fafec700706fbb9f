"""The resolver's sockets: queries in, replies out, over UDP and TCP.

UDP is read straight from the sockets, many messages at a wake-up: that costs a third of what the
event loop's own datagram transports cost.  Sockets may be bound before their address is on an
interface (``IP_FREEBIND``).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

import structlog

from openecs.agent.dns import packet
from openecs.agent.dns.answers import Answers, Forward
from openecs.agent.dns.upstream import Upstream

_log = structlog.get_logger("openecs.dns")
_FREEBIND = 15
#: Messages that are read from a socket before others get their turn.
BURST = 64
#: Connections at a time, and seconds for which one may say nothing.
MAX_CONNECTIONS, IDLE = 256, 10.0
_BUFFER = 1 << 20


class _Listener(NamedTuple):
    """What listens on one address."""

    datagrams: socket.socket
    server: asyncio.Server


class DnsServer:
    """Answers queries at any number of addresses."""

    def __init__(self, answers: Answers, upstream: Upstream, *, port: int) -> None:
        self._answers = answers
        self._upstream = upstream
        self._port = port
        self._listeners: dict[str, _Listener] = {}
        self._connections = 0
        self._forwards: set[asyncio.Task[None]] = set()

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses at which it answers."""
        return frozenset(self._listeners)

    async def listen(self, addresses: Iterable[str]) -> dict[str, str]:
        """Answer at these addresses and no others; address → why not, for those where it cannot."""
        wanted = set(addresses)
        for gone in self._listeners.keys() - wanted:
            self._close(gone)
        problems = {}
        for address in sorted(wanted - self._listeners.keys()):
            try:
                self._listeners[address] = await self._open(address)
            except OSError as error:
                problems[address] = f"port {self._port} of {address}: {error.strerror or error}"
        return problems

    def close(self) -> None:
        """Stop answering."""
        for address in tuple(self._listeners):
            self._close(address)
        for task in self._forwards:
            task.cancel()

    async def _open(self, address: str) -> _Listener:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            for one in (datagrams, stream):
                one.setblocking(False)  # noqa: FBT003 -- the standard library's signature
                one.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            datagrams.bind((address, self._port))
            stream.bind((address, self._port))
            server = await asyncio.start_server(self._serve_stream, sock=stream)
        except OSError:
            datagrams.close()
            stream.close()
            raise
        asyncio.get_running_loop().add_reader(datagrams.fileno(), self._read, datagrams)
        return _Listener(datagrams, server)

    def _close(self, address: str) -> None:
        listener = self._listeners.pop(address)
        asyncio.get_running_loop().remove_reader(listener.datagrams.fileno())
        listener.datagrams.close()
        listener.server.close()

    def _read(self, sock: socket.socket) -> None:
        """Answer what has arrived."""
        receive, send, answer = sock.recvfrom, sock.sendto, self._answers.udp
        for _ in range(BURST):
            try:
                message, asker = receive(4096)
            except BlockingIOError:
                return
            except OSError as error:
                # The kernel tells of a reply that somebody did not want.
                _log.debug("nobody took a reply", error=str(error))
                continue
            reply = answer(message, asker[0])
            if isinstance(reply, bytes):
                try:
                    send(reply, asker)
                except OSError as error:
                    _log.debug("a reply was not sent", asker=asker[0], error=str(error))
            elif reply is not None:
                self._forward(sock, reply, asker)

    def _forward(self, sock: socket.socket, forward: Forward, asker: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._forwarded(sock, forward, asker))
        self._forwards.add(task)
        task.add_done_callback(self._forwards.discard)

    async def _forwarded(self, sock: socket.socket, forward: Forward, asker: Any) -> None:
        reply = await self._resolve(forward, tcp=False)
        try:
            sock.sendto(reply, asker)
        except OSError as error:
            _log.debug("a reply was not sent", asker=asker[0], error=str(error))

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            asker = writer.get_extra_info("peername")[0]
            while True:
                async with asyncio.timeout(IDLE):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    message = await reader.readexactly(length)
                reply = self._answers.tcp(message, asker)
                if isinstance(reply, Forward):
                    reply = await self._resolve(reply, tcp=True)
                if reply is None:
                    return
                writer.write(len(reply).to_bytes(2, "big") + reply)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
        except (OSError, TimeoutError, EOFError) as error:
            _log.debug("a connection ended", error=str(error))
        finally:
            self._connections -= 1
            writer.close()

    async def _resolve(self, forward: Forward, *, tcp: bool) -> bytes:
        """The reply to a query that somebody else must answer, or the end of which they must."""
        query = forward.query
        failed = packet.write(query, packet.SERVFAIL)
        if forward.target is None:
            return await self._upstream.ask(forward.message, tcp=tcp) or failed
        question = packet.ask(0, forward.target, query.type)
        reply = await self._upstream.ask(question, tcp=tcp)
        if reply is not None and packet.is_truncated(reply):
            reply = await self._upstream.ask(question, tcp=True)
        if reply is None:
            return failed
        try:
            found = packet.read_answers(reply)
        except packet.PacketError:
            return failed
        records = [packet.record(r.owner, r.type, r.ttl, r.data) for r in found if r.cls == packet.IN]
        limit = None if tcp else packet.udp_limit(query)
        return packet.write(query, packet.code_of(reply), (*forward.chain, *records), limit=limit)
