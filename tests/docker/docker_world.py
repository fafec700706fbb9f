"""What tests on the real engine share: tasks through boto3, and looks at the world behind them.

``World`` asks OpenECS through unmodified boto3; ``Engine`` asks the container engine past
OpenECS, so that what is asserted is what really is.
"""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from conformance_support import Installation
from waiting import wait_for

from openecs.agent.runtime.docker.endpoint import find_endpoint
from openecs.http import UnixAddress

#: Stays until it is asked to end, then ends at once.
STAY = "trap 'exit 0' TERM; sleep 3600 & wait"
CGROUPS = Path("/sys/fs/cgroup")


class Engine:
    """The container engine, asked directly over its API."""

    def get(self, path: str) -> bytes:
        status, body = self.call("GET", path)
        assert status == 200, (path, status, body)
        return body

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def call(self, method: str, path: str) -> tuple[int, bytes]:
        connection = _EngineConnection()
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def inspect(self, container_id: str) -> dict[str, Any]:
        result: dict[str, Any] = self.json(f"/containers/{container_id}/json")
        return result

    def output(self, container_id: str) -> str:
        """What a container without a terminal wrote, in the order in which the engine has it."""
        data = self.get(f"/containers/{container_id}/logs?stdout=1&stderr=1")
        text = b""
        while data:
            size = int.from_bytes(data[4:8], "big")
            text += data[8 : 8 + size]
            data = data[8 + size :]
        return text.decode()

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """All containers, ended ones too, that carry the labels."""
        filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
        result: list[dict[str, Any]] = self.json(f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
        return result

    def containers_of(self, task_arn: str) -> list[dict[str, Any]]:
        return self.containers(**{"com.amazonaws.ecs.task-arn": task_arn})

    def volumes(self) -> dict[str, dict[str, Any]]:
        return {volume["Name"]: volume for volume in self.json("/volumes")["Volumes"] or ()}

    def remove_volume(self, name: str) -> None:
        self.call("DELETE", f"/volumes/{name}?{urlencode({'force': 'true'})}")


class World:
    """A running installation on the real engine, and an engine to look at."""

    def __init__(self, installation: Installation, image: str) -> None:
        self.installation = installation
        self.image = image
        self.engine = Engine()
        self.ecs: Any = installation.client("ecs")
        self.logs: Any = installation.client("logs")

    def container(self, name: str = "main", script: str = STAY, **members: Any) -> dict[str, Any]:
        """A container definition that runs a shell script."""
        definition = {"name": name, "image": self.image, "memory": 64, "command": ["sh", "-c", script], **members}
        return {key: value for key, value in definition.items() if value is not None}

    def register(self, *containers: dict[str, Any], **task: Any) -> str:
        family = task.pop("family", "d" + uuid.uuid4().hex[:12])
        reply = self.ecs.register_task_definition(family=family, containerDefinitions=list(containers), **task)
        arn: str = reply["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(self, *containers: dict[str, Any], run: dict[str, Any] | None = None, **task: Any) -> str:
        """The ARN of a new task with these containers."""
        reply = self.ecs.run_task(taskDefinition=self.register(*containers, **task), **(run or {}))
        assert reply["failures"] == []
        arn: str = reply["tasks"][0]["taskArn"]
        return arn

    def describe(self, arn: str) -> dict[str, Any]:
        reply = self.ecs.describe_tasks(tasks=[arn])
        assert reply["failures"] == []
        result: dict[str, Any] = reply["tasks"][0]
        return result

    def reaches(self, arn: str, status: str, *, seconds: float = 40.0) -> dict[str, Any]:
        """The task once it shows that status; fails at once when it has STOPPED instead."""

        def look() -> dict[str, Any] | None:
            task = self.describe(arn)
            if task["lastStatus"] == status:
                return task
            assert task["lastStatus"] != "STOPPED", (task.get("stoppedReason"), reasons(task))
            return None

        result: dict[str, Any] = wait_for(look, seconds=seconds, what=f"{arn} to be {status}")
        return result

    def until(self, arn: str, condition: Callable[[dict[str, Any]], bool], *, seconds: float = 40.0) -> dict[str, Any]:
        """The task as soon as it fulfils the condition."""

        def look() -> dict[str, Any] | None:
            task = self.describe(arn)
            return task if condition(task) else None

        result: dict[str, Any] = wait_for(look, seconds=seconds, what=f"{arn} to fulfil a condition")
        return result

    def wait_for_tasks(self, service: str, count: int, *, without: str) -> list[str]:
        """The service's tasks besides one, as soon as there are so many."""

        def look() -> list[str] | None:
            arns = [arn for arn in self.ecs.list_tasks(serviceName=service)["taskArns"] if arn != without]
            return arns if len(arns) == count else None

        result: list[str] = wait_for(look, seconds=40, what=f"{count} tasks of {service}")
        return result

    def stop(self, *arns: str) -> list[dict[str, Any]]:
        """Stop tasks and wait for their end."""
        for arn in arns:
            self.ecs.stop_task(task=arn)
        return [self.reaches(arn, "STOPPED") for arn in arns]

    def runtime_id(self, arn: str, name: str = "main") -> str:
        result: str = by_name(self.describe(arn))[name]["runtimeId"]
        return result

    def inspect(self, arn: str, name: str = "main") -> dict[str, Any]:
        return self.engine.inspect(self.runtime_id(arn, name))

    def output(self, arn: str, name: str = "main", *, until: str = "") -> str:
        """What a container wrote; waits until ``until`` is in it."""
        container_id = wait_for(lambda: by_name(self.describe(arn))[name].get("runtimeId"), what="a container")
        if not until:
            return self.engine.output(container_id)

        def look() -> str | None:
            text = self.engine.output(container_id)
            return text if until in text else None

        result: str = wait_for(look, seconds=20, what=f"{until!r} in the output of {name}")
        return result

    def facts(self, arn: str, name: str = "main") -> dict[str, str]:
        """The ``key=value`` lines that a container wrote before a line ``done``."""
        lines = self.output(arn, name, until="\ndone\n").splitlines()
        return dict(line.partition("=")[::2] for line in lines if "=" in line)


class _EngineConnection(http.client.HTTPConnection):
    def __init__(self) -> None:
        self._address = find_endpoint(None).address
        if isinstance(self._address, UnixAddress):
            super().__init__("localhost", timeout=60)
        else:
            super().__init__(self._address.host, self._address.port, timeout=60)

    def connect(self) -> None:
        if isinstance(self._address, UnixAddress):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._address.path)
        else:
            super().connect()


def by_name(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in task["containers"]}


def reasons(task: dict[str, Any]) -> list[str]:
    return [container["reason"] for container in task["containers"] if "reason" in container]


def fetch(address: str, port: int, *, path: str = "/", seconds: float = 10.0) -> str:
    """The body of a page, asked for until something answers there."""

    def look() -> str | None:
        connection = http.client.HTTPConnection(address, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return None
        finally:
            connection.close()

    result: str = wait_for(look, seconds=seconds, what=f"an answer at {address}:{port}")
    return result


def cgroup(pid: int, controller: str) -> Path:
    """The folder of a process's control group, for either version of the hierarchy."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return CGROUPS / controller / path.lstrip("/")
        if controllers == "" and not (CGROUPS / controller).is_dir():
            return CGROUPS / path.lstrip("/")
    raise AssertionError(f"process {pid} has no {controller} control group")


def status_field(pid: int, field: str) -> str:
    """One line of ``/proc/<pid>/status``."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise AssertionError(f"no {field} in the status of {pid}")


def all_of(condition: Callable[[Any], bool], items: Iterable[Any]) -> bool:
    found = list(items)
    return bool(found) and all(condition(item) for item in found)
