"""How tasks end on a real engine: exits, kills, memory, pulls that fail; codes, reasons and times."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest
from docker_world import STAY, World, by_name, reasons

ORDER = ("createdAt", "startedAt", "stoppingAt", "stoppedAt")


def assert_in_order(task: dict[str, Any], *names: str) -> None:
    times = [task[name] for name in names or ORDER]
    assert times == sorted(times), list(zip(names or ORDER, times, strict=True))


def test_an_essential_exit_ends_the_task_with_its_code(world: World) -> None:
    task = world.run(
        world.container("main", "exit 3"), world.container("beside", STAY), world.container("done", "exit 7")
    )
    stopped = world.reaches(task, "STOPPED")
    containers = by_name(stopped)
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["stoppedReason"] == "Essential container in task exited"
    assert stopped["desiredStatus"] == "STOPPED"
    assert containers["main"]["exitCode"] == 3
    assert "reason" not in containers["main"]
    assert all(container["lastStatus"] == "STOPPED" for container in containers.values())
    assert_in_order(stopped, "createdAt", "executionStoppedAt", "stoppedAt")
    assert all(c["State"] != "running" for c in world.engine.containers_of(task))


def test_a_non_essential_exit_leaves_the_task_running(world: World) -> None:
    task = world.run(world.container("main", STAY), world.container("helper", "exit 5", essential=False))
    world.reaches(task, "RUNNING")
    helper = by_name(world.until(task, lambda t: by_name(t)["helper"]["lastStatus"] == "STOPPED"))["helper"]
    assert helper["exitCode"] == 5
    assert world.describe(task)["lastStatus"] == "RUNNING"
    assert world.inspect(task)["State"]["Running"] is True
    (stopped,) = world.stop(task)
    assert stopped["stopCode"] == "UserInitiated"
    assert by_name(stopped)["main"]["exitCode"] == 0
    assert_in_order(stopped)


def test_stop_sends_sigterm_and_then_sigkill(world: World) -> None:
    task = world.run(
        world.container("polite", "trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done"),
        world.container("stubborn", "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done", stopTimeout=2),
    )
    world.reaches(task, "RUNNING")
    world.output(task, "polite", until="up")
    world.output(task, "stubborn", until="up")
    ids = {name: world.runtime_id(task, name) for name in ("polite", "stubborn")}
    (stopped,) = world.stop(task)
    containers = by_name(stopped)
    assert containers["polite"]["exitCode"] == 9
    assert containers["stubborn"]["exitCode"] == 128 + signal.SIGKILL
    assert "asked" in world.engine.output(ids["stubborn"])
    assert world.engine.inspect(ids["stubborn"])["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert stopped["stoppedReason"] == "Task stopped by user"


def test_too_much_memory_is_told(world: World) -> None:
    # The shell itself stays small: its child is what the kernel ends.
    hog = "echo go; head -c 200m /dev/zero | tail > /dev/null; exit $?"
    task = world.run(world.container("main", f"exec sh -c '{hog}'", memory=16))
    stopped = world.reaches(task, "STOPPED")
    main = by_name(stopped)["main"]
    assert main["exitCode"] == 137
    assert main["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert stopped["stopCode"] == "EssentialContainerExited"


def test_an_image_that_nobody_has(world: World) -> None:
    task = world.run({"name": "main", "image": "127.0.0.1:9/shop/nothing:1", "memory": 16})
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    (reason,) = reasons(stopped)
    assert reason.startswith("CannotPullContainerError: Error response from daemon: ")
    assert "127.0.0.1:9" in reason
    assert stopped["stoppedReason"] == reason
    assert "startedAt" not in stopped
    assert "exitCode" not in by_name(stopped)["main"]
    assert world.engine.containers_of(task) == []


def test_a_command_that_is_not_there(world: World) -> None:
    task = world.run({"name": "main", "image": world.image, "memory": 16, "command": ["/no/such/program"]})
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"].startswith("CannotStartContainerError: Error response from daemon: ")
    assert "/no/such/program" in stopped["stoppedReason"]
    assert "startedAt" not in stopped


def test_a_container_that_somebody_removes(world: World) -> None:
    task = world.run(world.container())
    world.reaches(task, "RUNNING")
    world.engine.call("DELETE", f"/containers/{world.runtime_id(task)}?force=1")
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert "startedAt" in stopped


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_an_exit_by_a_signal(world: World, number: signal.Signals) -> None:
    # As another process than the first one, which the kernel spares its own signals.
    task = world.run(
        world.container(script=f"sh -c 'kill -{number.value} $$'", linuxParameters={"initProcessEnabled": True})
    )
    stopped = world.reaches(task, "STOPPED")
    assert by_name(stopped)["main"]["exitCode"] == 128 + number


def test_times_have_their_order(world: World) -> None:
    task = world.run(world.container())
    running = world.reaches(task, "RUNNING")
    assert_in_order(running, "createdAt", "connectivityAt", "startedAt")
    assert running["connectivity"] == "CONNECTED"
    (stopped,) = world.stop(task)
    assert_in_order(stopped)
    assert re.fullmatch("[0-9a-f]{64}", by_name(stopped)["main"]["runtimeId"])
