"""The whole program: real server and agent, from ``openecs up`` to ``openecs down``."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from openecs.cli.client import Client
from openecs.cli.installation import Installation
from openecs.cli.supervisor import program
from openecs.clock import SystemClock
from openecs.wire.sigv4 import Credentials, sign

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

    def try_to(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = program(*words)
        return subprocess.run(line, env=self._environ, capture_output=True, text=True, timeout=150, check=False)

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


def run_two(shell: Shell) -> set[str]:
    shell.client.call("ecs", "RegisterTaskDefinition", **DEFINITION)
    shell.client.call("ecs", "RunTask", taskDefinition="sleeper", count=2)
    wait_for(lambda: [task["lastStatus"] for task in shell.tasks().values()] == ["RUNNING", "RUNNING"])
    return set(shell.tasks())


def test_what_is_acknowledged_outlives_the_server(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    started = run_two(shell)
    before = shell.installation.running()
    before.server.send(signal.SIGKILL)
    wait_for(lambda: shell.installation.running().server not in (None, before.server))
    wait_for(shell.well)
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


def test_a_down_that_gives_up_leaves_the_installation_working(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    shell.client.call("ecs", "RegisterTaskDefinition", **DEFINITION)
    service = {"serviceName": "web", "taskDefinition": "sleeper", "desiredCount": 2}
    shell.client.call("ecs", "CreateService", **service)
    wait_for(lambda: [task["lastStatus"] for task in shell.tasks().values()] == ["RUNNING", "RUNNING"])
    before = set(shell.tasks())
    agent = shell.installation.running().agent
    agent.send(signal.SIGSTOP)  # so that no task can stop
    try:
        gave_up = shell.try_to("down", "--timeout", "1")
    finally:
        agent.send(signal.SIGCONT)
    assert gave_up.returncode == 1
    assert "2 tasks have not stopped within 1 seconds" in gave_up.stderr
    assert shell.client.get("/_openecs/status")["paused"] is False
    wait_for(lambda: len(set(shell.tasks()) - before) == 2)


def test_status_says_that_nothing_is_launched(shell: Shell) -> None:
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    assert shell.well()
    shell.client.post("/_openecs/stop-tasks")
    said = shell.try_to("status")
    assert said.returncode == 1
    assert "No task is launched" in said.stdout
    shell.client.post("/_openecs/resume")
    assert shell.well()


def test_what_is_stored_is_the_owners_business_also_in_an_open_folder(shell: Shell) -> None:
    home = shell.installation.home
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    shell.run("up", "--detach", "--port", "0", "--runtime", "fake")
    shell.run("down")
    (home / "journal.db").chmod(0o644)  # as an earlier version left it
    (home / "logs").chmod(0o755)
    shell.run("up", "--detach")
    assert not (home / "logs").stat().st_mode & 0o077
    run_two(shell)
    shell.client.call("logs", "CreateLogGroup", logGroupName="g")
    shell.client.call("logs", "CreateLogStream", logGroupName="g", logStreamName="s")
    shell.client.call(
        "logs",
        "PutLogEvents",
        logGroupName="g",
        logStreamName="s",
        logEvents=[{"timestamp": int(SystemClock().now() * 1000), "message": "m"}],
    )
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"journal.db", "journal.db-wal", "catalogue.sqlite", "agent.db", "server.log"} <= {p.name for p in files}
    # What ``up`` itself writes besides holds no secrets, and its folder is closed.
    assert not (home / "run").stat().st_mode & 0o077
    assert [p for p in files if p.stat().st_mode & 0o077 and home / "run" not in p.parents] == []


def test_size_and_agent_are_kept_from_one_up_to_the_next(shell: Shell) -> None:
    def machines() -> list[tuple[int, int]]:
        return [(node["cpu"], node["memory"]) for node in shell.client.get("/_openecs/status")["nodes"]]

    shell.run("up", "--detach", "--port", "0", "--runtime", "fake", "--cpu", "2048", "--memory", "512")
    assert machines() == [(2048, 512)]
    shell.run("down")
    shell.run("up", "--detach", "--memory", "all")
    ((cpu, memory),) = machines()
    assert (cpu, memory > 512) == (2048, True)
    shell.run("down")
    shell.run("up", "--detach", "--no-agent")
    shell.run("down")
    shell.run("up", "--detach")
    assert shell.installation.running().agent is None
    shell.run("down")
    shell.run("up", "--detach", "--agent")
    assert shell.installation.running().agent is not None


def test_a_machine_that_is_lent_elsewhere_leaves_its_cluster(shell: Shell) -> None:
    def machines(cluster: str) -> int:
        return len(shell.client.call("ecs", "ListContainerInstances", cluster=cluster)["containerInstanceArns"])

    shell.run("up", "--detach", "--port", "0", "--runtime", "fake", "--lend-to", "a", "--lend-to", "b")
    assert (machines("a"), machines("b")) == (1, 1)
    shell.run("down")
    shell.run("up", "--detach", "--lend-to", "b", "--lend-to", "c")
    assert (machines("a"), machines("b"), machines("c")) == (0, 1, 1)


@pytest.mark.docker
def test_nothing_of_an_ephemeral_installation_survives_it(shell: Shell, busybox_image: str) -> None:
    def containers() -> list[str]:
        command = ["docker", "ps", "-aq", "--filter", f"label={mark}=1"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def running() -> list[str]:
        command = ["docker", "ps", "-q", "--filter", f"label={mark}=1"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def run_one() -> None:
        shell.client.call("ecs", "RegisterTaskDefinition", **definition)
        shell.client.call("ecs", "RunTask", taskDefinition="sleeper")
        wait_for(lambda: [task["lastStatus"] for task in shell.tasks().values()] == ["RUNNING"])

    mark = f"openecs-test-{os.getpid()}"
    command = ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]
    container = {"name": "main", "image": busybox_image, "memory": 16, "command": command, "stopTimeout": 2}
    definition = {
        "family": "sleeper",
        "networkMode": "none",
        "containerDefinitions": [container | {"dockerLabels": {mark: "1"}}],
    }
    shell.run("up", "--detach", "--port", "0", "--ephemeral")
    run_one()
    assert len(containers()) == 1
    # The new control plane knows of no task, so the agent ends the one that runs.
    shell.installation.running().server.send(signal.SIGKILL)
    wait_for(lambda: running() == [])
    wait_for(shell.well)
    run_one()
    assert len(running()) == 1
    # Nobody stops the task now; what is left is removed by whoever comes next.
    before = shell.installation.running()
    before.supervisor.send(signal.SIGKILL)
    for process in before.alive:
        assert process.wait(60)
    assert len(running()) == 1
    shell.run("down")
    assert containers() == []


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
    wait_for(shell.well)
    assert set(shell.tasks()) == set(tasks)
    shell.run("down")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_behind_a_proxy_agents_are_sent_to_the_advertised_url(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shell.run(
        "up", "--detach", "--port", str(port), "--advertise-url", f"http://localhost:{port}/", "--runtime", "fake"
    )
    assert discovered(shell, port, "ecs.example.com") == f"http://localhost:{port}/_openecs/acs"
    assert discovered(shell, port, f"127.0.0.1:{port}") == f"http://127.0.0.1:{port}/_openecs/acs"


def discovered(shell: Shell, port: int, host: str) -> str:
    """What DiscoverPollEndpoint answers to a request with that Host header."""
    root = shell.installation.credentials()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint",
    }
    signed = sign(
        Credentials(root.access_key_id, root.secret_key),
        method="POST",
        url=f"http://{host}/",
        headers=headers,
        body=b"{}",
        region=root.region,
        service="ecs",
        now=SystemClock().now(),
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/", body=b"{}", headers={**headers, **signed, "host": host})
    reply = connection.getresponse()
    body = json.loads(reply.read())
    connection.close()
    assert reply.status == 200, body
    endpoint: str = body["endpoint"]
    return endpoint
