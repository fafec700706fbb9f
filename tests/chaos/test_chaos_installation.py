"""A whole installation as people run it: kills under its supervisor, and a stop that keeps tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_processes import eventually
from docker_world import STAY

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.config import RootCredentials, read_file

pytestmark = pytest.mark.docker


class Running:
    """``openecs up`` on the machine's engine, and what its commands do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.installation = Installation(home)

    def openecs(self, *words: str) -> str:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environ["OPENECS_DATA_DIR"] = str(self.home)
        command = [str(Path(sys.executable).with_name("openecs")), *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def up(self) -> None:
        # Fixed from the first start on, as settings are kept.
        port = [] if self.installation.settings() else ["--port", "0"]
        self.openecs("up", "--detach", *port)
        self.client = Client(read_file(self.installation.layout().credentials_file, RootCredentials))

    def call(self, operation: str, /, **members: Any) -> dict[str, Any]:
        return self.client.call("ecs", operation, **members)

    def kill(self, name: str) -> None:
        running = self.installation.running()
        assert running is not None
        victim = {"server": running.server, "agent": running.agent}[name]
        assert victim is not None
        victim.send(signal.SIGKILL)
        assert victim.wait(60)

    def task(self, arn: str) -> dict[str, Any]:
        (task,) = self.call("DescribeTasks", tasks=[arn])["tasks"]
        found: dict[str, Any] = task
        return found

    def until_status(self, arn: str, status: str) -> dict[str, Any]:
        def there() -> Any:
            try:
                task = self.task(arn)
            except UnreachableError:
                return None
            return task if task["lastStatus"] == status else None

        found: dict[str, Any] = eventually(there, f"the task is {status}")
        return found

    def run(self) -> str:
        def started() -> Any:
            try:
                return self.call("RunTask", taskDefinition="sleeper")["tasks"]
            except (UnreachableError, CallError):
                return None

        arn: str = eventually(started, "a task can be placed")[0]["taskArn"]
        self.until_status(arn, "RUNNING")
        return arn

    def container(self, arn: str) -> str:
        runtime_id: str = self.task(arn)["containers"][0]["runtimeId"]
        return runtime_id


@pytest.fixture
def running(tmp_path: Path, busybox_image: str) -> Iterator[Running]:
    cell = Running(tmp_path / "home")
    cell.up()
    try:
        container = {
            "name": "main",
            "image": busybox_image,
            "memory": 16,
            "command": ["sh", "-c", STAY],
            "stopTimeout": 2,
        }
        cell.call("RegisterTaskDefinition", family="sleeper", networkMode="none", containerDefinitions=[container])
        yield cell
    finally:
        cell.openecs("up", "--detach") if cell.installation.running() is None else None
        cell.openecs("down")


def engine_state(container: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found[0]["State"] if found else {}


def test_containers_run_on_between_down_and_up(running: Running) -> None:
    arn = running.run()
    container = running.container(arn)
    started = engine_state(container)["StartedAt"]
    running.openecs("down", "--keep-tasks")
    assert engine_state(container)["Running"]
    running.up()
    assert running.until_status(arn, "RUNNING")["containers"][0]["runtimeId"] == container
    assert engine_state(container)["StartedAt"] == started
    other = running.run()
    assert running.container(other) != container
    running.call("StopTask", task=arn, reason="taken up again")
    assert running.until_status(arn, "STOPPED")["stoppedReason"] == "taken up again"
    assert not engine_state(container).get("Running")


@pytest.mark.parametrize("victims", [["server"], ["agent"], ["server", "agent"]], ids="+".join)
def test_the_supervisor_brings_back_what_was_killed(running: Running, victims: list[str]) -> None:
    arn = running.run()
    container = running.container(arn)
    started = engine_state(container)["StartedAt"]
    for name in victims:
        running.kill(name)
    assert running.until_status(arn, "RUNNING")["containers"][0]["runtimeId"] == container
    other = running.run()
    for task in (arn, other):
        assert engine_state(running.container(task))["Running"]
    assert engine_state(container)["StartedAt"] == started
    running.call("StopTask", task=arn)
    running.until_status(arn, "STOPPED")
    assert not engine_state(container).get("Running")
