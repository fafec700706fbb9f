"""Asking the name servers that the host itself uses, over UDP and TCP.

Servers are tried one after the other; none is asked that is this resolver itself.  Every
question has a socket and a random id of its own, so that nobody outside can guess what an answer
must look like.  Nothing is remembered: the host's own servers do that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Callable
from pathlib import Path

import structlog

from openecs.agent.dns import packet

_log = structlog.get_logger("openecs.dns")
RESOLV_CONF = Path("/etc/resolv.conf")
#: Seconds that one server has to answer, and questions that wait for answers at one time.
PATIENCE, AT_ONCE = 2.0, 512
PORT = 53


class Upstream:
    """The host's name servers.  ``own`` tells the addresses at which this resolver answers."""

    def __init__(
        self,
        own: Callable[[], frozenset[str]],
        *,
        resolv_conf: Path = RESOLV_CONF,
        port: int = PORT,
        patience: float = PATIENCE,
    ) -> None:
        self._own = own
        self._file = resolv_conf
        self._port = port
        self._patience = patience
        self._stamp: tuple[int, int] | None = None
        self._listed: tuple[str, ...] = ()
        self._asking = 0

    @property
    def servers(self) -> tuple[str, ...]:
        """Addresses of name servers as the host's configuration has them now."""
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._listed = name_servers(self._file.read_text(errors="replace"))
                self._stamp = stamp
        except OSError as error:
            if self._stamp is not None:
                _log.warning("the host's resolv.conf cannot be read, the last one is used", error=str(error))
            self._stamp = None
        own = self._own()
        return tuple(server for server in self._listed if server not in own)

    async def ask(self, message: bytes, *, tcp: bool) -> bytes | None:
        """The reply to a message, with its own id; ``None`` when nobody answers."""
        if self._asking >= AT_ONCE:
            return None
        self._asking += 1
        try:
            for server in self.servers:
                asked = secrets.token_bytes(2) + message[2:]
                try:
                    async with asyncio.timeout(self._patience):
                        reply = await (self._by_tcp if tcp else self._by_udp)(server, asked)
                except (OSError, TimeoutError, EOFError) as error:
                    _log.debug("a name server does not answer", server=server, error=str(error))
                    continue
                # One that cannot or will not does not speak for the others.
                if packet.code_of(reply) not in (packet.SERVFAIL, packet.REFUSED, packet.NOTIMP):
                    return message[:2] + reply[2:]
                last = message[:2] + reply[2:]
                if server == self.servers[-1]:
                    return last
        finally:
            self._asking -= 1
        return None

    async def _by_udp(self, server: str, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Exchange(message, reply), remote_addr=(server, self._port)
        )
        try:
            transport.sendto(message)
            return await reply
        finally:
            transport.close()

    async def _by_tcp(self, server: str, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(len(message).to_bytes(2, "big") + message)
            length = int.from_bytes(await reader.readexactly(2), "big")
            reply = await reader.readexactly(length)
        finally:
            writer.close()
        if not packet.answers_question(reply, message):
            raise OSError("the answer is to another question")
        return reply


class _Exchange(asyncio.DatagramProtocol):
    """One question over UDP: waits for the answer that belongs to it."""

    def __init__(self, message: bytes, reply: asyncio.Future[bytes]) -> None:
        self._message = message
        self._reply = reply

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        if not self._reply.done() and packet.answers_question(data, self._message):
            self._reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._reply.done():
            self._reply.set_exception(exc)


def name_servers(resolv_conf: str) -> tuple[str, ...]:
    """The servers of a resolv.conf; this host, as the C library has it, when there are none."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            ipaddress.ip_address(words[1].split("%", 1)[0])
        except ValueError:
            continue
        found.append(words[1])
    return tuple(dict.fromkeys(found)) or ("127.0.0.1",)
