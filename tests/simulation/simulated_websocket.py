"""Websockets of the simulation: the agent's end and the server's, and what breaks between them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from simulated_network import Link, Server, fail, scope_of, settle
from simulated_process import Process
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from openecs.acs.link import InactiveInstanceError, NotRegisteredError
from openecs.errors import Retryable

HANDSHAKE_TIMEOUT = 30.0


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
            self._link.deliver(lambda: settle(self._accepted, None))
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
            self._link.deliver(lambda: fail(self._accepted, refusal))

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
        fail(self._accepted, Retryable("the connection ended during the handshake"))
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
        self._scope = scope_of("websocket", "GET", f"{parts.path}?{parts.query}", {"Host": parts.netloc, **headers})
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
            self._link.deliver(lambda: fail(self._reached, OSError("connection refused")))
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
