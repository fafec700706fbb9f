"""A load client: keeps several connections busy with ready-made requests, in one thread.

Plain sockets and epoll, because the client shares the machine with the server: what it
burns is not there for the server.  A server that closes its connections gets new ones.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_READ = 1 << 18
#: Seconds without any reply after which a run fails.
_PATIENCE = 60.0


class LoadError(Exception):
    """The server did something that makes the figures worthless."""


@dataclass
class Result:
    """What a run saw.  Latencies are in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    body: bytes = b""

    @property
    def rate(self) -> float:
        """Replies per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that ``share`` of the requests stay within, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class _Slot:
    """One connection and the reply that it waits for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.sock = self._connect()
        self.sent_at = 0.0
        self._data = bytearray()
        self._wanted = -1
        self._body_at = 0
        self._closes = False

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=_PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def begin(self, request: bytes) -> None:
        self._data.clear()
        self._wanted = -1
        self.sent_at = time.perf_counter()
        self.sock.sendall(request)

    def receive(self) -> bool:
        """Take in what came; true when the reply is complete."""
        chunk = self.sock.recv(_READ)
        if not chunk:
            raise LoadError(f"the server closed a connection within a reply: {bytes(self._data[:200])!r}")
        self._data += chunk
        if self._wanted < 0:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self._data[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r")[0]
            self._body_at = end + 4
            self._wanted = self._body_at + int(length)
            self._closes = b"connection: close" in head
        return len(self._data) >= self._wanted

    def finish(self) -> bytes:
        """The body of the complete reply; the connection is ready for the next request."""
        if not self._data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise LoadError(f"not answered with 200: {bytes(self._data[:600])!r}")
        return bytes(self._data[self._body_at : self._wanted])

    def renew(self) -> bool:
        """Connect anew if the server closed; true when it did."""
        if self._closes:
            self.sock.close()
            self.sock = self._connect()
        return self._closes


def run(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    connections: int = 16,
    seconds: float | None = None,
    count: int | None = None,
) -> Result:
    """Send requests in turn over ``connections`` for ``seconds``, or ``count`` of them.

    Every reply must have status 200; raises ``LoadError`` otherwise.
    """
    result = Result()
    source = itertools.cycle(requests) if count is None else itertools.islice(itertools.cycle(requests), count)
    selector = selectors.DefaultSelector()
    slots = [_Slot(address) for _ in range(connections)]
    started = time.perf_counter()
    end = None if seconds is None else started + seconds
    open_slots = 0
    for slot in slots:
        request = next(source, None)
        if request is not None:
            slot.begin(request)
            selector.register(slot.sock, selectors.EVENT_READ, slot)
            open_slots += 1
    while open_slots:
        ready = selector.select(_PATIENCE)
        if not ready:
            raise LoadError(f"no reply for {_PATIENCE} seconds")
        for key, _ in ready:
            slot = key.data
            if not slot.receive():
                continue
            now = time.perf_counter()
            result.latencies.append(now - slot.sent_at)
            body = slot.finish()
            result.body = result.body or body
            request = None if end is not None and now >= end else next(source, None)
            if request is None:
                selector.unregister(slot.sock)
                open_slots -= 1
                continue
            before = slot.sock
            if slot.renew():
                selector.unregister(before)
                selector.register(slot.sock, selectors.EVENT_READ, slot)
            slot.begin(request)
    result.seconds = time.perf_counter() - started
    for slot in slots:
        slot.sock.close()
    selector.close()
    return result


def ask(address: tuple[str, int], request: bytes) -> bytes:
    """One call; the body of its reply."""
    return run(address, [request], connections=1, count=1).body
