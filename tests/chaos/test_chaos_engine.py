"""The container engine and the agent on it are killed and come back; tasks tell the truth."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos_engine import PrivateEngine
from chaos_processes import Cell, eventually

pytestmark = pytest.mark.docker


@contextmanager
def engine_and_cell(home: Path, image: str, *, live_restore: bool) -> Iterator[tuple[PrivateEngine, Cell]]:
    (home / "engine").mkdir()
    (home / "cell").mkdir()
    with PrivateEngine(home / "engine", live_restore=live_restore) as engine:
        engine.take_image(image)
        with Cell(home / "cell", engine=engine.address) as cell:
            container = {
                "name": "main",
                "image": image,
                "memory": 16,
                "command": ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"],
                "stopTimeout": 5,
            }
            cell.call("RegisterTaskDefinition", family="sleeper", networkMode="none", containerDefinitions=[container])
            yield engine, cell


def running(engine: PrivateEngine) -> set[str]:
    """The ids of the containers that run, as the engine itself says."""
    return set(engine.docker("ps", "-q", "--no-trunc").stdout.split())


def test_an_agent_that_is_killed_takes_its_tasks_up_again(busybox_image: str, tmp_path: Path) -> None:
    with engine_and_cell(tmp_path, busybox_image, live_restore=True) as (engine, cell):
        arns = cell.run("sleeper", count=3)
        before = cell.runtime_ids(*arns)
        cell.agent.kill()
        assert running(engine) == before
        # What is asked for meanwhile is done by the next agent.
        cell.call("StopTask", task=arns[0], reason="while away")
        cell.agent.start()
        (stopped,) = cell.until_status("STOPPED", arns[0])
        assert stopped["stoppedReason"] == "while away"
        assert stopped["containers"][0]["exitCode"] == 7
        cell.until_connected()
        assert cell.runtime_ids(*arns[1:]) == running(engine) <= before
        arns += cell.run("sleeper")
        for arn in arns[1:]:
            cell.call("StopTask", task=arn)
        cell.until_status("STOPPED", *arns)
        assert running(engine) == set()


def test_tasks_outlive_an_engine_that_is_killed(busybox_image: str, tmp_path: Path) -> None:
    with engine_and_cell(tmp_path, busybox_image, live_restore=True) as (engine, cell):
        arns = cell.run("sleeper", count=2)
        before = cell.runtime_ids(*arns)
        engine.stop(signal.SIGKILL)
        engine.start()
        assert running(engine) == before
        # Orders work again, on old tasks and new ones, and nothing was started twice.
        cell.call("StopTask", task=arns[0])
        (stopped,) = cell.until_status("STOPPED", arns[0])
        assert stopped["stopCode"] == "UserInitiated"
        new = cell.run("sleeper")
        assert {task["lastStatus"] for task in cell.until_status("RUNNING", arns[1])} == {"RUNNING"}
        assert running(engine) == cell.runtime_ids(arns[1], *new)
        cell.agent.check()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_tasks_that_end_with_their_engine_are_reported(busybox_image: str, tmp_path: Path, how: signal.Signals) -> None:
    with engine_and_cell(tmp_path, busybox_image, live_restore=False) as (engine, cell):
        arns = cell.run("sleeper", count=2)
        engine.stop(how)
        engine.start()
        for task in cell.until_status("STOPPED", *arns):
            assert task["stopCode"] == "EssentialContainerExited"
            assert task["stoppedReason"] == "Essential container in task exited"
            assert task["containers"][0]["lastStatus"] == "STOPPED"
            # 7 when the engine (the new one, if need be) asked the program to end, 137 when it did not wait for it.
            assert task["containers"][0]["exitCode"] in (7, 137)
        assert running(engine) == set()
        again = cell.run("sleeper")
        assert running(engine) == cell.runtime_ids(*again)


def test_a_service_is_whole_again_after_its_engine_came_back(busybox_image: str, tmp_path: Path) -> None:
    with engine_and_cell(tmp_path, busybox_image, live_restore=False) as (engine, cell):
        cell.call("CreateService", serviceName="s", taskDefinition="sleeper", desiredCount=2)

        def count() -> int:
            (service,) = cell.call("DescribeServices", services=["s"])["services"]
            return int(service["runningCount"])

        eventually(lambda: count() == 2, "two tasks run")
        before = running(engine)
        engine.stop(signal.SIGTERM)
        engine.start()
        eventually(lambda: count() == 2 and len(running(engine) - before) == 2, "two other tasks run")
        assert len(running(engine)) == 2


def test_agent_and_engine_both_killed(busybox_image: str, tmp_path: Path) -> None:
    with engine_and_cell(tmp_path, busybox_image, live_restore=True) as (engine, cell):
        arns = cell.run("sleeper", count=2)
        before = cell.runtime_ids(*arns)
        cell.agent.kill()
        cell.server.kill()
        engine.stop(signal.SIGKILL)
        engine.start()
        cell.start_server()
        cell.agent.start()
        cell.until_connected()
        cell.until_status("RUNNING", *arns)
        assert cell.runtime_ids(*arns) == before == running(engine)
        for arn in arns:
            cell.call("StopTask", task=arn)
        cell.until_status("STOPPED", *arns)
        assert running(engine) == set()
