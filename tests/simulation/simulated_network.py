"""The network between clients, agents and the control plane: HTTP calls and websockets in memory.

As with TCP, what is sent on one connection arrives in order or the connection breaks; nothing
arrives twice by itself.  What the network does to its users: delays, partitions (packets wait
for the end of it, and whoever has waited too long gives up), connections that break with frames
in flight, requests that are carried out though their reply is lost, and requests that a client
repeats because its connection broke.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Protocol

from simulated_process import Process

from openecs.http.errors import HttpTimeout, HttpUnavailable
from openecs.http.response import Response

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class Breakable(Protocol):
    """A connection that can break."""

    def break_off(self) -> None: ...


class Link:
    """The way between one machine and the control plane."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.partitioned = False
        #: Seconds that a packet takes at most, mostly; chaos makes it worse for a while.
        self.latency = 0.02
        #: How often a reply is lost though its request was carried out.
        self.loss = 0.0
        #: Open websockets, the oldest first.
        self.sockets: dict[Breakable, None] = {}
        self._rng = rng
        self._held: deque[Callable[[], None]] = deque()

    def deliver(self, arrive: Callable[[], None]) -> None:
        """Have ``arrive`` called when what is sent now arrives."""
        delay = self._rng.random() * self.latency
        asyncio.get_running_loop().call_later(delay, self._arrived, arrive)

    def loses(self) -> bool:
        return self.loss > 0 and self._rng.random() < self.loss

    def heal(self) -> None:
        """End of the partition: what waited arrives now."""
        self.partitioned = False
        held, self._held = self._held, deque()
        for arrive in held:
            arrive()

    def break_sockets(self) -> None:
        """Every connection breaks; frames in flight are lost."""
        for socket in tuple(self.sockets):
            socket.break_off()

    def _arrived(self, arrive: Callable[[], None]) -> None:
        if self.partitioned:
            self._held.append(arrive)
        else:
            arrive()


class Server:
    """Where the control plane is reached, whichever incarnation runs at the moment."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.application: Application | None = None

    def listen(self, process: Process, application: Application) -> None:
        self.process, self.application = process, application


class SimulatedHttp:
    """``openecs.http.client.HttpClient`` over a link, as far as its users here need it."""

    def __init__(self, link: Link, server: Server, host: str, timeout: float = 30.0) -> None:
        self.host_header = host
        self._link = link
        self._server = server
        self._timeout = timeout

    async def close(self) -> None:
        return

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        within: float | None = None,
        repeatable: bool | None = None,
    ) -> Response:
        scope = scope_of("http", method, target, {**dict(headers), "Content-Length": str(len(body))})
        try:
            async with asyncio.timeout(within or self._timeout):
                try:
                    return await self._once(scope, body)
                except HttpUnavailable:
                    if not repeatable:
                        raise
                    # What the real client does on a stale connection: the server may see it twice.
                    return await self._once(scope, body)
        except TimeoutError:
            raise HttpTimeout("no answer in time") from None

    async def _once(self, scope: MutableMapping[str, Any], body: bytes) -> Response:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._link.deliver(lambda: self._arrive(dict(scope), body, answer))
        return await answer

    def _arrive(self, scope: MutableMapping[str, Any], body: bytes, answer: asyncio.Future[Response]) -> None:
        process, application = self._server.process, self._server.application
        if process is None or application is None or not process.alive:
            self._link.deliver(lambda: fail(answer, HttpUnavailable("connection refused")))
            return

        def hang_up() -> None:
            self._link.deliver(lambda: fail(answer, HttpUnavailable("hung up before the reply")))

        async def serve() -> None:
            parts: list[MutableMapping[str, Any]] = []
            inbox = deque([{"type": "http.request", "body": body}])

            async def receive() -> Any:
                if inbox:
                    return inbox.popleft()
                return await asyncio.get_running_loop().create_future()

            async def send(message: MutableMapping[str, Any]) -> None:
                parts.append(message)

            await application(scope, receive, send)
            process.at_crash.pop(hang_up, None)
            if not process.alive:
                return
            if self._link.loses():
                hang_up()
                return
            response = Response(parts[0]["status"], parts[0]["headers"], parts[1]["body"])
            self._link.deliver(lambda: settle(answer, response))

        process.at_crash[hang_up] = None
        process.spawn(serve())


def scope_of(kind: str, method: str, target: str, headers: Mapping[str, str]) -> MutableMapping[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": kind,
        "method": method,
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"websocket.http.response": {}},
    }


def settle(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # Nobody may be waiting any more.
