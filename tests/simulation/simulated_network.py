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
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from simulated_process import Process
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from openecs.acs.link import InactiveInstanceError, NotRegisteredError
from openecs.errors import Retryable
from openecs.http.errors import HttpTimeout, HttpUnavailable
from openecs.http.response import Response

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
HANDSHAKE_TIMEOUT = 30.0


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
        self.sockets: dict[Socket, None] = {}
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
        scope = _scope("http", method, target, {**dict(headers), "Content-Length": str(len(body))})
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
            self._link.deliver(lambda: _fail(answer, HttpUnavailable("connection refused")))
            return

        def hang_up() -> None:
            self._link.deliver(lambda: _fail(answer, HttpUnavailable("hung up before the reply")))

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
            self._link.deliver(lambda: _settle(answer, response))

        process.at_crash[hang_up] = None
        process.spawn(serve())


class Socket:
    """One websocket: the agent's end has ``recv``, ``send`` and ``close``, the server's is ASGI."""

    def __init__(self, link: Link, agent: Process, server: Process) -> None:
        self._link = link
        self._agent = agent
        self._server = server
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._to_agent: deque[str] = deque()
        self._to_server: deque[str] = deque()
        self._agent_inbox: asyncio.Queue[str | Close | None] = asyncio.Queue()
        self._server_inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._agent_open = self._server_open = True
        #: Set once the connection is broken: nothing that is in flight arrives any more.
        self._broken = False
        self._refusal: tuple[int, bytes] | None = None
        link.sockets[self] = None
        agent.at_crash[self._agent_died] = None
        server.at_crash[self._server_died] = None

    # -- the agent's end ------------------------------------------------------------------

    async def handshake(self) -> None:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            await self._accepted

    async def recv(self) -> str:
        item = await self._agent_inbox.get()
        if isinstance(item, str):
            return item
        self._agent_open = False
        self._agent_inbox.put_nowait(item)
        raise ConnectionClosedError(item, None)

    async def send(self, frame: str) -> None:
        if not self._agent_open:
            raise ConnectionClosedError(None, None)
        if not self._agent.alive or self._broken:
            return
        self._to_server.append(frame)
        self._link.deliver(self._arrive_at_server)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        if not self._agent_open:
            return
        self._agent_open = False
        self._forget()
        self._link.deliver(lambda: self._disconnect_server(code))

    # -- the server's end -----------------------------------------------------------------

    async def receive(self) -> MutableMapping[str, Any]:
        return await self._server_inbox.get()

    async def answer(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's ``send``."""
        if not self._server.alive:
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self._link.deliver(lambda: _settle(self._accepted, None))
        elif kind == "websocket.send":
            if not self._server_open:
                raise OSError("the agent is gone")
            self._to_agent.append(message["text"])
            self._link.deliver(self._arrive_at_agent)
        elif kind == "websocket.close":
            self._server_open = False
            self._link.deliver(lambda: self._disconnect_agent(Close(message["code"], "")))
        elif kind == "websocket.http.response.start":
            self._refusal = (message["status"], b"")
        elif kind == "websocket.http.response.body":
            status, _ = self._refusal or (400, b"")
            refusal = refused(status, message["body"].decode())
            self._link.deliver(lambda: _fail(self._accepted, refusal))

    def server_ended(self) -> None:
        """The server's application has returned."""
        if self._server_open and self._server.alive:
            self._server_open = False
            self._link.deliver(lambda: self._disconnect_agent(Close(1000, "")))

    # -- what befalls it ------------------------------------------------------------------

    def break_off(self) -> None:
        """The connection breaks in the middle; both ends notice in their time."""
        if self._broken:
            return
        self._broken = True
        self._link.deliver(lambda: self._disconnect_agent(None))
        self._link.deliver(lambda: self._disconnect_server(1006))

    def _agent_died(self) -> None:
        self._agent_open = False
        self._link.deliver(lambda: self._disconnect_server(1006))

    def _server_died(self) -> None:
        self._server_open = False
        self._link.deliver(lambda: self._disconnect_agent(None))

    def _arrive_at_agent(self) -> None:
        if self._to_agent and not self._broken:
            self._agent_inbox.put_nowait(self._to_agent.popleft())

    def _arrive_at_server(self) -> None:
        if self._to_server and not self._broken:
            self._server_inbox.put_nowait({"type": "websocket.receive", "text": self._to_server.popleft()})

    def _disconnect_agent(self, close: Close | None) -> None:
        self._forget()
        _fail(self._accepted, Retryable("the connection ended during the handshake"))
        self._agent_inbox.put_nowait(close)

    def _disconnect_server(self, code: int) -> None:
        self._forget()
        self._server_open = False
        self._server_inbox.put_nowait({"type": "websocket.disconnect", "code": code})

    def _forget(self) -> None:
        self._link.sockets.pop(self, None)
        self._agent.at_crash.pop(self._agent_died, None)


class SimulatedDial:
    """``openecs.acs.link.dial`` over a link."""

    def __init__(self, link: Link, server: Server, agent: Process) -> None:
        self._link = link
        self._server = server
        self._agent = agent

    def __call__(self, url: str, headers: Mapping[str, str], tls: object = None, /) -> _Dialing:
        del tls
        return _Dialing(self._link, self._server, self._agent, url, headers)


class _Dialing:
    def __init__(self, link: Link, server: Server, agent: Process, url: str, headers: Mapping[str, str]) -> None:
        self._link = link
        self._server = server
        self._agent = agent
        parts = urlsplit(url)
        self._scope = _scope("websocket", "GET", f"{parts.path}?{parts.query}", {"Host": parts.netloc, **headers})
        self._reached: asyncio.Future[Socket] = asyncio.get_running_loop().create_future()
        self._socket: Socket | None = None

    async def __aenter__(self) -> Socket:
        self._link.deliver(self._arrive)
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            self._socket = await self._reached
        try:
            await self._socket.handshake()
        except BaseException:
            await self._socket.close(1006)
            raise
        return self._socket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None and self._agent.alive:
            await self._socket.close()

    def _arrive(self) -> None:
        process, application = self._server.process, self._server.application
        if self._reached.done() or not self._agent.alive:
            return
        if process is None or application is None or not process.alive:
            self._link.deliver(lambda: _fail(self._reached, OSError("connection refused")))
            return
        socket = Socket(self._link, self._agent, process)
        self._reached.set_result(socket)

        async def serve() -> None:
            connected = False

            async def receive() -> MutableMapping[str, Any]:
                nonlocal connected
                if not connected:
                    connected = True
                    return {"type": "websocket.connect"}
                return await socket.receive()

            await application(self._scope, receive, socket.answer)
            socket.server_ended()

        process.spawn(serve())


def refused(status: int, text: str) -> Exception:
    """What an agent makes of a refused handshake; ``openecs.acs.link.dial`` says the same."""
    if "InactiveInstanceException" in text:
        return InactiveInstanceError(text)
    if "InvalidInstanceException" in text or "InvalidClusterException" in text:
        return NotRegisteredError(text)
    return Retryable(f"the handshake was refused with status {status}: {text}")


def _scope(kind: str, method: str, target: str, headers: Mapping[str, str]) -> MutableMapping[str, Any]:
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


def _settle(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # Nobody may be waiting any more.
