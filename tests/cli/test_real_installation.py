"""The whole program: real server and agent, from ``openecs up`` to ``openecs down``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openecs.cli.client import Client
from openecs.cli.installation import Installation
from openecs.cli.supervisor import program

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy.py"
DEFINITION = {"family": "sleeper", "containerDefinitions": [{"name": "main", "image": "any", "memory": 32}]}
RUNNING = {"cluster": "default", "desiredStatus": "RUNNING"}


class Shell:
    """Commands on one installation."""

    def __init__(self, home: Path) -> None:
        self.installation = Installation(home)
        self._environ = {**os.environ, "OPENECS_DATA_DIR": str(home)}

    def run(self, *words: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        line = [*(command or program()), *words]
        done = subprocess.run(line, env=self._environ, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def well(self) -> bool:
        words = program("status", "--json")
        done = subprocess.run(words, env=self._environ, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode == 0

    @property
    def client(self) -> Client:
        return Client(self.installation.credentials())

    def tasks(self) -> dict[str, dict[str, Any]]:
        arns = self.client.call("ecs", "ListTasks", **RUNNING)["taskArns"]
        if not arns:
            return {}
        return {task["taskArn"]: task for task in self.client.call("ecs", "DescribeTasks", tasks=arns)["tasks"]}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "home")
    yield shell
    if shell.installation.running() is not None:
        shell.run("down")


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def run_two(shell: Shell) -> set[str]:
    shell.client.call("ecs", "RegisterTaskDefinition", **DEFINITION)
    shell.client.call("ecs", "RunTask", taskDefinition="sleeper", count=2)
    until(lambda: [task["lastStatus"] for task in shell.tasks().values()] == ["RUNNING", "RUNNING"])
    return set(shell.tasks())


def test_what_is_acknowledged_outlives_the_server(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    started = run_two(shell)
    before = shell.installation.running()
    before.server.send(signal.SIGKILL)
    until(lambda: shell.installation.running().server not in (None, before.server))
    until(shell.well)
    assert set(shell.tasks()) == started
    assert {task["lastStatus"] for task in shell.tasks().values()} == {"RUNNING"}


def test_down_stops_tasks_and_state_comes_back_with_up(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    started = run_two(shell)
    shell.run("down")
    shell.run("up", "--detach")
    found = shell.client.call("ecs", "DescribeTasks", tasks=sorted(started))["tasks"]
    assert {task["lastStatus"] for task in found} == {"STOPPED"}
    families = shell.client.call("ecs", "ListTaskDefinitions")["taskDefinitionArns"]
    assert [arn.rpartition("/")[2] for arn in families] == ["sleeper:1"]


def test_reset_wipes_an_ephemeral_installation(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake", "--ephemeral")
    run_two(shell)
    shell.run("reset")
    assert shell.tasks() == {}
    assert shell.client.call("ecs", "ListTaskDefinitions")["taskDefinitionArns"] == []
    run_two(shell)  # and it can be used again


def test_secrets_are_in_no_log(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake", "--log-level", "debug")
    joined = shell.run("join-key").stdout
    run_two(shell)
    secrets = [shell.installation.credentials().secret_key, re.search(r"SECRET_KEY='?([^'\n]+)", joined)[1]]
    agent = json.loads(shell.installation.layout().agent_credentials_file.read_text())
    secrets.append(agent["secret_key"])
    shell.run("down")
    logged = "".join(path.read_text() for path in shell.installation.layout().log.iterdir())
    assert "openecs" in logged
    assert not [secret for secret in secrets if secret in logged]


@pytest.mark.docker
def test_the_sample_service_serves_its_page_and_deploying_again_changes_nothing(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0")
    first = shell.run(command=[sys.executable, str(DEPLOY), "--timeout", "40"]).stdout
    tasks = shell.tasks()
    shown = re.search(r"TaskARN +(\S+)", first)
    assert shown[1] in tasks, "the page tells which task serves it"
    again = shell.run(command=[sys.executable, str(DEPLOY), "--timeout", "40"]).stdout
    assert "is there already" in again
    assert set(shell.tasks()) == set(tasks)
    url = re.search(r"\$ curl (\S+)", again)[1]
    shell.run("down", "--keep-tasks")
    assert b"Hello from a task" in urllib.request.urlopen(url, timeout=10).read()
    shell.run("up", "--detach")
    until(shell.well)
    assert set(shell.tasks()) == set(tasks)
    shell.run("down")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)
