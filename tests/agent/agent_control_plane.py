"""A scripted control plane on loopback: the API over plain HTTP, ACS and TCS over websockets.

It keeps what agents said and says what tests tell it to; it decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from openecs.acs import evidence
from openecs.acs import messages as m
from openecs.acs import task_payload as tp

INSTANCE = "arn:aws:ecs:us-east-1:111122223333:container-instance/default/0123456789abcdef0123456789abcdef"
DEADLINE = 20.0


class ControlPlaneDouble:
    """``async with`` it; ``endpoint`` is what an agent is configured with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.frames: list[dict[str, Any]] = []
        self.telemetry: list[dict[str, Any]] = []
        self.handshakes: list[str] = []
        #: operation → answer: a dict for 200, ``(status, dict)`` otherwise.
        self.refusals: dict[str, tuple[int, dict[str, Any]]] = {}
        #: Body of a refused ACS handshake.
        self.refuse_acs: str | None = None
        #: Paths of the handshakes that were refused.
        self.refused: list[str] = []
        #: Tags by ARN, for ListTagsForResource.
        self.tags: dict[str, dict[str, str]] = {}
        #: (operation, region that its signature names) of every call.
        self.regions: list[tuple[str, str]] = []
        self.acs: ServerConnection | None = None
        self.port = 0
        self._changed = asyncio.Condition()
        self._api: asyncio.Server | None = None
        self._sockets: Server | None = None
        self._seq = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Answer (again), at the same port as before."""
        self._api = await asyncio.start_server(self._http, "127.0.0.1", self.port)
        self.port = self._api.sockets[0].getsockname()[1]
        self._sockets = await serve(self._websocket, "127.0.0.1", 0, process_request=self._handshake)

    async def close(self) -> None:
        """Be gone, as after a kill."""
        assert self._api is not None
        assert self._sockets is not None
        self._api.close()
        await self._api.wait_closed()
        self._sockets.close()
        await self._sockets.wait_closed()

    # -- what tests do --------------------------------------------------------------------

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until the condition holds; its value."""
        async with asyncio.timeout(DEADLINE), self._changed:
            while not (value := condition()):
                await self._changed.wait()
            return value

    async def connected(self) -> None:
        await self.until(lambda: self.acs is not None)

    async def send(self, message: m.Message) -> None:
        assert self.acs is not None
        await self.acs.send(m.encode(message))

    async def assign(self, *tasks: tp.TaskPayload) -> str:
        """Send a payload; its message id."""
        self._seq += 1
        message_id = f"payload-{self._seq}"
        await self.send(
            m.PayloadMessage(
                message_id=message_id,
                cluster_arn="arn:aws:ecs:us-east-1:111122223333:cluster/default",
                container_instance_arn=INSTANCE,
                tasks=tasks,
                seq_num=self._seq,
            )
        )
        return message_id

    async def stop(self, arn: str) -> None:
        await self.assign(tp.TaskPayload(arn=arn, desired_status="STOPPED"))

    async def manifest(self, *running: str) -> str:
        self._seq += 1
        message_id = f"manifest-{self._seq}"
        await self.send(
            m.TaskManifestMessage(
                message_id=message_id,
                cluster_arn="arn:aws:ecs:us-east-1:111122223333:cluster/default",
                container_instance_arn=INSTANCE,
                tasks=tuple(m.ManifestTask(task_arn=arn) for arn in running),
                timeline=self._seq,
            )
        )
        return message_id

    def reports(self, arn: str) -> list[dict[str, Any]]:
        """Task state changes of a task, in the order in which they came."""
        return [body for name, body in self.calls if name == "SubmitTaskStateChange" and body["task"] == arn]

    def status(self, arn: str) -> str | None:
        reports = self.reports(arn)
        return reports[-1]["status"] if reports else None

    async def reaches(self, arn: str, status: str) -> dict[str, Any]:
        """Wait for a report with that status; the report."""
        await self.until(lambda: self.status(arn) == status)
        return self.reports(arn)[-1]

    def evidence(self, arn: str) -> list[dict[str, Any]]:
        """What was seen of a task's containers."""
        return [body for name, body in self.calls if name == evidence.PATH and body["task_arn"] == arn]

    def answers(self, kind: str) -> list[dict[str, Any]]:
        """Messages of a type that came over ACS."""
        return [frame["message"] for frame in self.frames if frame["type"] == kind]

    # -- inside ---------------------------------------------------------------------------

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                headers = {key.lower(): value for key, value in headers.items()}
                body = msgspec.json.decode(await reader.readexactly(int(headers["content-length"])))
                assert headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
                # Evidence has a path of its own instead of an operation.
                operation = headers.get("x-amz-target", head.split(" ", 2)[1]).rsplit(".", 1)[-1]
                self.regions.append((operation, headers["authorization"].split("/")[2]))
                status, answer = self.refusals.get(operation) or (200, self._answer(operation, body))
                if status == 200:
                    self.calls.append((operation, body))
                text = msgspec.json.encode(answer)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
                await self._note()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "RegisterContainerInstance":
                instance = {"containerInstanceArn": INSTANCE, "attributes": body["attributes"]}
                return {"containerInstance": instance}
            case "DiscoverPollEndpoint":
                assert self._sockets is not None
                port = next(iter(self._sockets.sockets)).getsockname()[1]
                base = f"http://127.0.0.1:{port}"
                return {"endpoint": f"{base}/acs/", "telemetryEndpoint": f"{base}/tcs/"}
            case "ListTagsForResource":
                tags = self.tags.get(body["resourceArn"], {})
                return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
            case "SubmitTaskStateChange":
                return {"acknowledgment": "ok"}
            case evidence.PATH:
                return {}
        raise AssertionError(operation)

    async def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/acs/") and self.refuse_acs is not None:
            self.refused.append(request.path)
            await self._note()
            return connection.respond(HTTPStatus.BAD_REQUEST, self.refuse_acs)
        return None

    async def _websocket(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        path = socket.request.path
        self.handshakes.append(path)
        assert "AWS4-HMAC-SHA256" in socket.request.headers["Authorization"]
        if path.startswith("/acs/"):
            self.acs = socket
        await self._note()
        try:
            async for frame in socket:
                text = frame if isinstance(frame, str) else frame.decode()
                if path.startswith("/tcs/"):
                    head, _, text = text.partition("\r\n\r\n")
                    assert head.startswith(("X-Amz-Date", "Authorization"))
                    self.telemetry.append(msgspec.json.decode(text))
                else:
                    self.frames.append(msgspec.json.decode(text))
                await self._note()
        except ConnectionClosed:
            pass  # Agents are cut off without a word in these tests.
        finally:
            if self.acs is socket:
                self.acs = None
            await self._note()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
    except asyncio.IncompleteReadError:
        return ""
