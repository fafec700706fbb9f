"""The supervisor with real processes, against a toy server and agent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openecs.cli.installation import Installation, Running
from openecs.cli.plan import AgentPlan, StartPlan
from openecs.cli.process import ProcessIdentity
from openecs.cli.supervisor import Supervisor
from openecs.config import Layout, ServerConfig, write_private
from openecs.errors import OperatorError

TOY = Path(__file__).with_name("toy_program.py")


def toy_command(*words: str) -> list[str]:
    return [sys.executable, str(TOY), *words]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_plan(home: Path, *, agent: bool = True) -> StartPlan:
    layout = Layout(home)
    layout.run.mkdir(parents=True, exist_ok=True)
    return StartPlan(
        home=home,
        server=ServerConfig(port=free_port(), data_dir=home, run_dir=layout.run),
        agent=AgentPlan(data_dir=layout.agent, region="us-east-1") if agent else None,
    )


def supervisor(plan: StartPlan) -> Supervisor:
    return Supervisor(plan, environ=os.environ, command=toy_command)


@asynccontextmanager
async def supervised(plan: StartPlan) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor(plan).run())
        yield
        os.kill(os.getpid(), signal.SIGTERM)


async def until(installation: Installation, check: Callable[[Running], bool]) -> Running:
    async with asyncio.timeout(30):
        while True:
            found = installation.last_run()
            if found is not None and check(found):
                return found
            await asyncio.sleep(0.02)


async def outcome_of(running: Supervisor) -> OperatorError | None:
    try:
        await running.run()
    except OperatorError as error:
        return error
    return None


def up(running: Running) -> bool:
    return running.server is not None and running.agent is not None


async def test_starts_both_and_stops_both(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with supervised(make_plan(tmp_path)):
        running = await until(installation, up)
        assert {p.pid for p in running.alive} == {os.getpid(), running.server.pid, running.agent.pid}
    assert not running.server.is_alive()
    assert not running.agent.is_alive()


@pytest.mark.parametrize("victim", ["server", "agent"])
async def test_a_killed_process_is_started_again(tmp_path: Path, victim: str) -> None:
    installation = Installation(tmp_path)
    async with supervised(make_plan(tmp_path)):
        first = await until(installation, up)
        other = "agent" if victim == "server" else "server"
        getattr(first, victim).send(signal.SIGKILL)
        second = await until(installation, lambda now: up(now) and getattr(now, victim) != getattr(first, victim))
        assert getattr(second, other) == getattr(first, other)
        assert getattr(second, f"{victim}_crashes") == 1


async def test_a_server_that_cannot_stay_up_ends_everything_with_a_message(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with asyncio.TaskGroup() as group:
        outcome = group.create_task(outcome_of(supervisor(make_plan(tmp_path))))
        running = await until(installation, up)
        (tmp_path / "crash-server").write_text("always")
        running.server.send(signal.SIGKILL)
    error = outcome.result()
    assert "ended 5 times within 60 seconds, last with signal SIGABRT" in str(error)
    assert "server.log" in str(error)
    last = installation.last_run()
    assert last.trouble == str(error)
    assert not running.agent.is_alive()


async def test_a_refusal_of_the_server_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "refuse-server").write_text("always")
    error = await outcome_of(supervisor(make_plan(tmp_path)))
    assert str(error) == "The toy does not like this folder. Name another."
    assert Installation(tmp_path).last_run().server_crashes == 1


async def test_the_agents_refusal_is_told_and_it_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "refuse-agent").write_text("1")
    installation = Installation(tmp_path)
    async with supervised(make_plan(tmp_path)):
        trouble = await until(installation, lambda now: now.trouble is not None)
        assert trouble.trouble == "The agent does not run: No container engine answers. Install one."
        await until(installation, lambda now: up(now) and now.trouble is None)


async def test_keys_reach_the_agent_by_environment_and_no_file_of_the_run(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with supervised(make_plan(tmp_path)):
        running = await until(installation, up)
        assert b"agent-secret" not in arguments_of(running.agent)
        written = files_that_hold(tmp_path, b"agent-secret")
        assert written == {tmp_path / "agent" / "credentials.json": 0o600}


def arguments_of(process: ProcessIdentity) -> bytes:
    return Path(f"/proc/{process.pid}/cmdline").read_bytes()


def files_that_hold(folder: Path, text: bytes) -> dict[Path, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mode & 0o777 for path in files if text in path.read_bytes()}


async def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    home = tmp_path
    plan_file = home / "plan.json"
    write_private(plan_file, make_plan(home))
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from openecs.cli.plan import StartPlan\n"
        "from openecs.cli.supervisor import Supervisor\n"
        "from openecs.config import read_file\n"
        f"command = lambda *words: [sys.executable, {str(TOY)!r}, *words]\n"
        f"plan = read_file(Path({str(plan_file)!r}), StartPlan)\n"
        "asyncio.run(Supervisor(plan, environ=os.environ, command=command).run())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    running = await until(Installation(home), up)
    ProcessIdentity.of(process.pid).send(signal.SIGKILL)
    await process.wait()
    assert await asyncio.to_thread(running.server.wait, 20)
    assert await asyncio.to_thread(running.agent.wait, 20)


async def test_without_an_agent(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with supervised(make_plan(tmp_path, agent=False)):
        running = await until(installation, lambda now: now.server is not None)
        assert running.agent is None
        assert not running.with_agent
