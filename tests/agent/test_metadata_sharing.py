"""Several agents, each a process of its own, behind one metadata address."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task
from agent_process import agent_config, agent_process

from openecs.acs import task_payload as tp
from openecs.agent.metadata import sharing
from openecs.agent.metadata.http import Answer, MetadataServer, Request
from openecs.agent.metadata.siblings import Siblings


@pytest.fixture
def run_dir() -> AsyncIterator[Path]:
    """A short path: those of Unix sockets may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="openecs-run-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keys(name: str) -> tp.RoleCredentials:
    return tp.RoleCredentials(
        credentials_id=f"id-of-{name}",
        role_arn="arn:aws:iam::111122223333:role/r",
        access_key_id=f"key-of-{name}",
        secret_access_key="hidden",
        session_token="token",
        expiration="2030-01-01T00:00:00Z",
    )


class Installation(NamedTuple):
    plane: ControlPlaneDouble
    process: asyncio.subprocess.Process
    log: Path


async def start(stack: AsyncExitStack, name: str, tmp_path: Path, run_dir: Path, port: int) -> Installation:
    """An agent with a running task whose credentials have ``name`` in them."""
    folder = tmp_path / name
    folder.mkdir()
    plane = await stack.enter_async_context(ControlPlaneDouble())
    config = agent_config(
        plane.endpoint, folder / "data", metadata_bind=f"127.0.0.1:{port}", run_dir=str(run_dir), fargate=True
    )
    process = await stack.enter_async_context(agent_process(config, folder))
    await plane.connected()
    payload = task(container(image="app:1"), number=f"{ord(name):x}", role_credentials=keys(name))
    await plane.assign(payload)
    await plane.reaches(payload.arn, "RUNNING")
    return Installation(plane, process, folder / "agent.log")


def get(port: int, path: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


async def key_of(port: int, name: str) -> object:
    """The access key that the endpoint gives for a task's credentials id; waits while nobody listens."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, body = await asyncio.to_thread(get, port, f"/v2/credentials/id-of-{name}")
            except OSError:
                await asyncio.sleep(0.01)
                continue
            return body.get("AccessKeyId", body.get("code"))


async def test_one_agent_answers_for_all_and_another_takes_over_after_each_end(
    tmp_path: Path, run_dir: Path, port: int
) -> None:
    async with AsyncExitStack() as stack:
        agents = {name: await start(stack, name, tmp_path, run_dir, port) for name in ("a", "b", "c")}
        for name in agents:
            assert await key_of(port, name) == f"key-of-{name}"
        assert await key_of(port, "x") == "InvalidIdInRequest"

        agents["a"].process.send_signal(signal.SIGKILL)
        await agents["a"].process.wait()
        for name in ("b", "c"):
            assert await key_of(port, name) == f"key-of-{name}"
        (folder,) = (run_dir / "metadata").iterdir()
        # What the killed agent left is gone; two agents, their holder's socket and lock remain.
        assert len(list(folder.iterdir())) == 4
        assert await key_of(port, "a") == "InvalidIdInRequest"

        holder, other = ("b", "c") if "serving the metadata address" in agents["b"].log.read_text() else ("c", "b")
        agents[holder].process.send_signal(signal.SIGTERM)
        assert await agents[holder].process.wait() == 0
        assert await key_of(port, other) == f"key-of-{other}"

        late = await start(stack, "d", tmp_path, run_dir, port)
        assert await key_of(port, "d") == "key-of-d"
        assert "another agent of this host serves the metadata address" in late.log.read_text()
        for agent in (agents[other], late):
            agent.process.send_signal(signal.SIGTERM)
            assert await agent.process.wait() == 0
        assert {path.name for path in folder.iterdir()} == {sharing.LOCK}


async def test_an_address_that_a_stranger_has_is_not_shared(tmp_path: Path, run_dir: Path, port: int) -> None:
    async with AsyncExitStack() as stack:
        stranger = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        agent = await start(stack, "a", tmp_path, run_dir, port)
        (folder,) = (run_dir / "metadata").iterdir()
        assert {path.name for path in folder.iterdir()} == {sharing.LOCK}
        assert "tasks run without metadata and credentials endpoint" in agent.log.read_text()
        assert stranger.fileno() > 0


async def asked(folder: Path, own: Path, client: str = "10.0.0.7") -> Answer | None:
    return await Siblings(folder, own).ask(Request("GET", "/v4/token", "", client))


async def test_siblings_hear_who_asks_and_silence_is_not_taken_for_ignorance(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openecs.agent.metadata.siblings.PATIENCE", 0.2)
    folder = sharing.meeting_place(run_dir, "127.0.0.1", 80)
    assert folder.stat().st_mode & 0o777 == 0o700
    own, listener = sharing.own_socket(folder, "own")
    listener.close()

    async def knows(request: Request) -> Answer:
        return Answer(200, request.client.encode())

    async def ignorant(request: Request) -> Answer:
        return Answer(404, b"?", known=False)

    async def silent(request: Request) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    assert await asked(folder, own) is None
    async with AsyncExitStack() as stack:

        async def serve(name: str, handler: object) -> MetadataServer:
            server = MetadataServer(handler)  # type: ignore[arg-type]
            await server.start_unix(sharing.own_socket(folder, name)[1])
            stack.push_async_callback(server.close)
            return server

        await serve("ignorant", ignorant)
        sharing.own_socket(folder, "dead")[1].close()
        await Siblings(folder, own).clear()
        assert sorted(path.name for path in folder.iterdir()) == ["ignorant.sock", "own.sock"]
        assert await asked(folder, own) is None
        await serve("silent", silent)
        refusal = await asked(folder, own)
        assert refusal is not None
        assert (refusal.status, refusal.known) == (503, False)
        await serve("knows", knows)
        assert await asked(folder, own) == Answer(200, b"10.0.0.7")
    # All have ended without a word; asking clears up after them.
    assert len(list(folder.iterdir())) == 4
    assert await asked(folder, own) is None
    assert [path.name for path in folder.iterdir()] == ["own.sock"]


async def test_tcp_clients_cannot_say_that_they_are_somebody_else() -> None:
    async def echo(request: Request) -> Answer:
        return Answer(200, json.dumps(request.client).encode(), known=False)

    server = MetadataServer(echo)
    _, port = await server.start("127.0.0.1", 0)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"OpenECS-Client": "10.0.0.9"})

    def ask() -> tuple[object, object]:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return json.load(reply), reply.headers["openecs-unknown"]

    assert await asyncio.to_thread(ask) == ("127.0.0.1", None)
    await server.close()


async def test_a_directory_of_somebody_else_is_not_met_in(run_dir: Path) -> None:
    (run_dir / "metadata").symlink_to("/usr")
    with pytest.raises(PermissionError):
        sharing.meeting_place(run_dir, "127.0.0.1", 80)
