"""What ``$ECS_AGENT_URI/task-protection/v1/state`` answers, to whom, and what it asks for."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from agent_control_plane import INSTANCE, ControlPlaneDouble
from agent_payloads import CLUSTER, task, task_arn
from agent_process import agent_config, agent_process, running_agent

from openecs.acs import task_payload as tp
from openecs.agent.control_plane import ControlPlane, RawReply
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.metadata.http import Answer, Request
from openecs.agent.metadata.routes import MetadataRoutes
from openecs.agent.metadata.task_protection import BURST, Wish, read_wish
from openecs.agent.runtime.fake import FakeRuntime
from openecs.clock import SystemClock
from openecs.errors import Retryable
from openecs.ids import RandomIds
from openecs.shapes.base import Shape
from openecs.wire.sigv4 import Credentials

HOST = "169.254.170.2"
ROLE = tp.RoleCredentials(
    credentials_id="c0ffee",
    role_arn="arn:aws:iam::111122223333:role/r",
    access_key_id="ASIA1",
    secret_access_key="hidden",
    session_token="token",
    expiration="2030-01-01T00:00:00Z",
)
PROTECTED = {"taskArn": task_arn(1), "protectionEnabled": True, "expirationDate": 1700000000.25}
SHOWN = {"ExpirationDate": "2023-11-14T22:13:20.250Z", "ProtectionEnabled": True, "TaskArn": task_arn(1)}
NO_ROLE = {
    "error": {
        "Arn": task_arn(2),
        "Code": "AccessDeniedException",
        "Message": "Invalid Request: no task IAM role credentials available for task",
    }
}


class Node(NamedTuple):
    container_instance: str = INSTANCE
    availability_zone: str = "us-east-1a"


class FrozenClock:
    """Time stands still unless it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


class World:
    """Tasks 1 (with a role) and 2 (without) of a running agent, and a control plane by hand."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.asked: list[tuple[str, Any, str, str, float]] = []
        self.reply: RawReply | Exception = ok(protectedTasks=[PROTECTED], failures=[])
        self.tokens: dict[int, str] = {}
        self.routes: MetadataRoutes

    async def call(
        self, operation: str, request: Shape, keys: tp.RoleCredentials, region: str, within: float
    ) -> RawReply:
        self.asked.append((operation, request, keys.access_key_id, region, within))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def ask(self, method: str = "GET", body: Any = None, *, number: int = 1, client: str = HOST) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path = f"/api/{self.tokens.get(number, 'nobody')}/task-protection/v1/state"
        return await self.routes.answer(Request(method, path, "", client, raw))


def ok(**body: Any) -> RawReply:
    return RawReply(200, json.dumps(body).encode())


async def no_tags(_: str) -> Mapping[str, str]:
    return {}


@asynccontextmanager
async def _world(plane: ControlPlaneDouble, data_dir: Path) -> AsyncIterator[World]:
    world = World()
    runtime = FakeRuntime(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, data_dir), runtime) as engine:
        world.routes = MetadataRoutes(engine._parts.credentials, runtime, world.clock, no_tags, world.call)
        world.routes.serve_tasks(engine, Node())  # type: ignore[arg-type]
        await plane.connected()
        await plane.assign(task(role_credentials=ROLE), task(number=2))
        for number in (1, 2):
            await plane.reaches(task_arn(number), "RUNNING")
            worker = engine.worker(task_arn(number))
            assert worker is not None
            world.tokens[number] = worker.state.container("app").token
        yield world


@pytest.fixture
async def world(plane: ControlPlaneDouble, tmp_path: Path) -> AsyncIterator[World]:
    async with _world(plane, tmp_path) as made:
        yield made


def body_of(answer: Answer) -> Any:
    return json.loads(answer.body)


async def test_a_task_protects_itself_with_its_roles_keys(world: World) -> None:
    answer = await world.ask("PUT", {"ProtectionEnabled": True, "ExpiresInMinutes": 60})
    assert (answer.status, body_of(answer)) == (200, {"protection": SHOWN})
    ((operation, request, key, region, within),) = world.asked
    assert (operation, key, region, within) == ("UpdateTaskProtection", "ASIA1", "us-east-1", 4.0)
    assert (request.cluster, request.tasks) == (CLUSTER, (task_arn(1),))
    assert (request.protection_enabled, request.expires_in_minutes) == (True, 60)


async def test_the_default_period_is_left_to_the_control_plane(world: World) -> None:
    await world.ask("PUT", {"ProtectionEnabled": False})
    ((_, request, _, _, _),) = world.asked
    assert (request.protection_enabled, request.expires_in_minutes) == (False, None)


async def test_reading_shows_a_time_or_null(world: World) -> None:
    world.reply = ok(protectedTasks=[{"taskArn": task_arn(1), "protectionEnabled": False}], failures=[])
    answer = await world.ask()
    expected = {"protection": {"ExpirationDate": None, "ProtectionEnabled": False, "TaskArn": task_arn(1)}}
    assert (answer.status, body_of(answer)) == (200, expected)
    assert world.asked[0][0] == "GetTaskProtection"


async def test_a_failure_is_handed_on(world: World) -> None:
    world.reply = ok(protectedTasks=[], failures=[{"arn": task_arn(1), "reason": "TASK_NOT_VALID"}])
    answer = await world.ask()
    expected = {"failure": {"Arn": task_arn(1), "Detail": None, "Reason": "TASK_NOT_VALID"}}
    assert (answer.status, body_of(answer)) == (200, expected)


@pytest.mark.parametrize(
    ("reply", "status", "code", "message", "request_id"),
    [
        (RawReply(400, b"", "InvalidParameterException", "no", "r-1"), 400, "InvalidParameterException", "no", "r-1"),
        (RawReply(500, b"", "ServerException", "bug", "r-2"), 500, "ServerException", "bug", "r-2"),
        (TimeoutError(), 504, "RequestCanceled", "Timed out calling ECS Task Protection API", None),
        (Retryable("gone"), 500, "RequestError", "send request failed", None),
        (ok(protectedTasks=[], failures=[]), 500, "ServerException", "Unexpected error occurred", None),
        (RawReply(200, b"<html>"), 500, "ServerException", "Unexpected error occurred", None),
    ],
)
async def test_errors_of_the_call(
    world: World, reply: RawReply | Exception, status: int, code: str, message: str, request_id: str | None
) -> None:
    world.reply = reply
    answer = await world.ask("PUT", {"ProtectionEnabled": True})
    shown = body_of(answer)
    assert answer.status == status
    assert shown["error"] == {"Arn": task_arn(1), "Code": code, "Message": message}
    assert shown.get("requestID") == request_id


async def test_a_task_without_a_role_is_refused(world: World) -> None:
    for answer in (await world.ask(number=2), await world.ask("PUT", {"ProtectionEnabled": True}, number=2)):
        assert (answer.status, body_of(answer)) == (403, NO_ROLE)
    assert world.asked == []


async def test_a_put_without_the_flag_is_refused(world: World) -> None:
    answer = await world.ask("PUT", {"ExpiresInMinutes": 5})
    assert answer.status == 400
    assert body_of(answer)["error"] == {
        "Arn": task_arn(1),
        "Code": "InvalidParameterException",
        "Message": "Invalid request: does not contain 'ProtectionEnabled' field",
    }
    assert world.asked == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"x", b"[]", b'"a"', b"\xff", b'{"ProtectionEnabled":'),
        *({"ProtectionEnabled": "true"}, {"ProtectionEnabled": 1}, {"ProtectionEnabled": True, "Unknown": 2}),
        *({"ProtectionEnabled": True, "ExpiresInMinutes": 1.5}, {"ProtectionEnabled": True, "ExpiresInMinutes": True}),
        {"ProtectionEnabled": True, "ExpiresInMinutes": 2**63},
    ],
)
async def test_what_is_not_understood_is_refused(world: World, body: Any) -> None:
    answer = await world.ask("PUT", body)
    expected = {"Code": "InvalidParameterException", "Message": "UpdateTaskProtection: failed to decode request"}
    assert (answer.status, body_of(answer)) == (400, {"error": expected})
    assert world.asked == []


def test_names_in_a_body_may_be_written_in_any_case() -> None:
    assert read_wish(b'{"protectionEnabled": true, "EXPIRESINMINUTES": 7}') == Wish(enabled=True, minutes=7)
    assert read_wish(b'{"ProtectionEnabled": null}') == Wish(enabled=None, minutes=None)


async def test_an_unknown_token_may_be_another_agents(world: World) -> None:
    answer = await world.ask(number=9)
    expected = {"Code": "ResourceNotFoundException", "Message": "Failed to find a task for the request"}
    assert (answer.status, body_of(answer), answer.known) == (404, {"error": expected}, False)


async def test_requests_are_limited_in_rate(world: World) -> None:
    for _ in range(int(BURST)):
        assert (await world.ask()).status == 200
    assert (await world.ask()).status == 429
    world.clock.at += 0.0625
    assert [(await world.ask()).status for _ in range(3)] == [200, 200, 429]
    assert len(world.asked) == int(BURST) + 2


def fetch(url: str, method: str, body: str | None = None) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request(method, parts.path, body)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


async def test_a_container_finds_the_endpoint_in_its_environment(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    runtime = FakeRuntime(SystemClock(), RandomIds())
    plane.refusals["UpdateTaskProtection"] = (200, {"protectedTasks": [PROTECTED], "failures": []})
    async with running_agent(agent_config(plane.endpoint, tmp_path, metadata_bind="127.0.0.1:0"), runtime):
        await plane.connected()
        await plane.assign(task(role_credentials=ROLE))
        report = await plane.reaches(task_arn(1), "RUNNING")
        body = runtime._containers[report["containers"][0]["runtimeId"]].body
        base = next(v for v in body["Env"] if v.startswith("ECS_AGENT_URI=")).partition("=")[2]
        url = f"{base}/task-protection/v1/state"
        told = await asyncio.to_thread(fetch, url, "PUT", '{"ProtectionEnabled":true}')
        assert told == (200, {"protection": SHOWN})
        assert (await asyncio.to_thread(fetch, url, "POST", "{}"))[0] == 405
        other = base.replace("/api/", "/v4/")
        assert (await asyncio.to_thread(fetch, other, "PUT", "{}"))[0] == 405
    ((_, asked),) = [call for call in plane.calls if call[0] == "UpdateTaskProtection"]
    assert asked == {"cluster": CLUSTER, "tasks": [task_arn(1)], "protectionEnabled": True}


async def test_a_call_that_is_not_answered_ends_in_time() -> None:
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        left.set()

    async with asyncio.timeout(10):
        silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        api = ControlPlane(f"http://127.0.0.1:{port}", "us-east-1", Credentials("A", "s", None), SystemClock())
        try:
            with pytest.raises(TimeoutError):
                await api.call_as("GetTaskProtection", Shape(), ROLE, "us-east-1", 0.05)
        finally:
            await api.close()
            await left.wait()
            silent.close()
            await silent.wait_closed()


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A short path: those of Unix sockets may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="openecs-run-"))
    yield folder
    shutil.rmtree(folder)


async def test_the_agent_that_holds_the_address_hands_a_put_on(tmp_path: Path, run_dir: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    async with AsyncExitStack() as stack:
        planes: list[ControlPlaneDouble] = []
        urls: list[str] = []
        for number in (1, 2):
            folder = tmp_path / str(number)
            folder.mkdir()
            plane = await stack.enter_async_context(ControlPlaneDouble())
            plane.refusals["UpdateTaskProtection"] = (200, {"protectedTasks": [PROTECTED], "failures": []})
            config = agent_config(
                plane.endpoint, folder / "data", metadata_bind=f"127.0.0.1:{port}", run_dir=str(run_dir), fargate=True
            )
            await stack.enter_async_context(agent_process(config, folder))
            await plane.connected()
            await plane.assign(task(number=number, role_credentials=ROLE))
            await plane.reaches(task_arn(number), "RUNNING")
            planes.append(plane)
            urls.append(f"http://127.0.0.1:{port}/api/{_token(folder / 'data')}/task-protection/v1/state")
        for number, url in enumerate(urls):
            status, _ = await asyncio.to_thread(fetch, url, "PUT", '{"ProtectionEnabled":true,"ExpiresInMinutes":9}')
            assert status == 200
            ((_, asked),) = [call for call in planes[number].calls if call[0] == "UpdateTaskProtection"]
            assert (asked["tasks"], asked["expiresInMinutes"]) == ([task_arn(number + 1)], 9)


def _token(data_dir: Path) -> str:
    """The token of the only container that the agent remembers."""
    store = TaskStore(data_dir / "agent.db")
    try:
        ((_, state),) = store.tasks()
        return state.container("app").token
    finally:
        store.close()
