"""A cell for chaos tests: the control plane and an agent as processes that tests kill and freeze.

No supervisor stands between: what is killed stays down until the test starts it again.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from waiting import wait_for

from openecs.agent.config import ACCESS_KEY_ID, SECRET_KEY
from openecs.cli.client import CallError, Client, UnreachableError, is_healthy
from openecs.config import AgentCredentials, Layout, RootCredentials, ServerConfig, read_file, write_private

PATIENCE = 60.0


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = PATIENCE) -> Any:
    """The first true value of ``condition``; fails the test when there is none in time."""
    return wait_for(condition, seconds=seconds, what=what)


class Program:
    """One process of ours: started, killed, frozen."""

    def __init__(self, command: list[str], output: Path, environ: dict[str, str]) -> None:
        self._command = command
        self._output = output
        self._environ = {**os.environ, **environ}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environ
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, which nothing can prepare for, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def check(self) -> None:
        """Fail the test when the process ended by itself."""
        assert self.process is not None
        status = self.process.poll()
        assert status is None, f"{self._command[1:6]} ended with {status}: {self._output.read_text()[-3000:]}"


class Cell:
    """A control plane with its files in ``home``, and one agent.

    Without ``engine``, the address of a container engine, the agent has the fake one.
    """

    def __init__(self, home: Path, *, engine: str | None = None, with_agent: bool = True) -> None:
        self.home = home
        self._engine = engine
        self._with_agent = with_agent
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.config = ServerConfig(port=self.port, data_dir=home, run_dir=home / "run")
        self.layout = Layout(home)
        write_private(self.layout.server_config_file, self.config)
        command = [sys.executable, "-P", "-m", "openecs.cli", "serve", str(self.layout.server_config_file)]
        self.server = Program(command, home / "server.out", {})
        self._listing = home / "listing.json"
        self._agent_config = home / "chaos-agent.json"
        settings: dict[str, Any] = {
            "endpoint": self.config.endpoint,
            "region": "us-east-1",
            "data_dir": str(home),
            "metadata_bind": None,
            "cpu": 1_000_000,
            "memory": 1_000_000,
        }
        runtime = {"runtime": "fake"} if engine is None else {"runtime": "docker", "docker_host": engine}
        self._agent_config.write_text(json.dumps(settings | runtime))

    def __enter__(self) -> Self:
        try:
            self.start_server()
            credentials = read_file(self.layout.credentials_file, RootCredentials)
            self.client = Client(credentials, timeout=30.0)
            keys = read_file(self.layout.agent_credentials_file, AgentCredentials)
            if self._engine is None:
                program = str(Path(__file__).with_name("chaos_agent.py"))
                command = [sys.executable, program, str(self._agent_config), str(self._listing)]
            else:
                command = [sys.executable, "-m", "openecs.agent", str(self._agent_config)]
            environ = {ACCESS_KEY_ID: keys.access_key_id, SECRET_KEY: keys.secret_key}
            self.agent = Program(command, self.home / "agent.out", environ)
            if self._with_agent:
                self.call("CreateCluster", clusterName="default")
                self.agent.start()
                self.until_connected()
        except BaseException:
            self.server.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in (self.agent, self.server):
            # A frozen process takes SIGKILL too.
            program.kill()

    def start_server(self) -> None:
        """Start the control plane and wait until it answers."""
        self.server.start()

        def healthy() -> bool:
            self.server.check()
            return is_healthy(self.config.endpoint)

        eventually(healthy, "the control plane answers")

    def call(self, operation: str, /, **members: Any) -> dict[str, Any]:
        return self.client.call("ecs", operation, **members)

    def until_connected(self) -> None:
        """Wait until the agent is there and tasks can be placed."""

        def connected() -> bool:
            self.agent.check()
            try:
                arns = self.call("ListContainerInstances")["containerInstanceArns"]
                if not arns:
                    return False
                (instance,) = self.call("DescribeContainerInstances", containerInstances=arns)["containerInstances"]
            except (UnreachableError, CallError):
                return False
            return bool(instance["agentConnected"])

        eventually(connected, "the agent is connected")

    def containers(self) -> list[dict[str, Any]]:
        """What the agent's engine has: task, name, id and status of each container."""
        self._listing.unlink(missing_ok=True)
        self.agent.check()
        self.agent.signal(signal.SIGUSR1)
        eventually(self._listing.exists, "the agent tells its containers")
        found: list[dict[str, Any]] = json.loads(self._listing.read_text())
        return found

    def run(self, definition: str, **members: Any) -> list[str]:
        """Start tasks; their ARNs once all of them run."""
        started = self.call("RunTask", taskDefinition=definition, **members)
        assert started["failures"] == [], started
        arns = [task["taskArn"] for task in started["tasks"]]
        self.until_status("RUNNING", *arns)
        return arns

    def until_status(self, status: str, *arns: str) -> list[dict[str, Any]]:
        """The tasks when all of them have that status."""

        def there() -> Any:
            tasks = self.call("DescribeTasks", tasks=list(arns))["tasks"]
            return tasks if [task["lastStatus"] for task in tasks] == [status] * len(arns) else None

        found: list[dict[str, Any]] = eventually(there, f"{len(arns)} tasks are {status}")
        return found

    def runtime_ids(self, *arns: str) -> set[str]:
        """The engine's ids of the tasks' containers."""
        tasks = self.call("DescribeTasks", tasks=list(arns))["tasks"]
        return {container["runtimeId"] for task in tasks for container in task["containers"]}

    def tasks(self, cluster: str = "default") -> dict[str, dict[str, Any]]:
        """Every task that is remembered, by ARN."""
        arns: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            token: dict[str, str] = {}
            while True:
                page = self.call("ListTasks", cluster=cluster, desiredStatus=status, **token)
                arns += page["taskArns"]
                if not page.get("nextToken"):
                    break
                token = {"nextToken": page["nextToken"]}
        found: dict[str, dict[str, Any]] = {}
        for first in range(0, len(arns), 100):
            described = self.call("DescribeTasks", cluster=cluster, tasks=arns[first : first + 100])
            assert described["failures"] == []
            found |= {task["taskArn"]: task for task in described["tasks"]}
        return found
