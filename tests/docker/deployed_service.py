"""A service on the real engine, followed through boto3 and past it."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from conformance_support import BIN
from docker_world import STAY, World
from waiting import wait_for
from web_tasks import web_task

#: The waiters' own 15 seconds between looks are for AWS.
QUICK = {"Delay": 1, "MaxAttempts": 90}


class DeployedService:
    """One service of the cluster ``default`` whose task definitions are all of one family."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.name = "s" + uuid.uuid4().hex[:12]

    # -- what there is ----------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        (found,) = self.world.ecs.describe_services(services=[self.name])["services"]
        result: dict[str, Any] = found
        return result

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks that nobody told to stop."""
        arns = self.world.ecs.list_tasks(serviceName=self.name)["taskArns"]
        tasks: list[dict[str, Any]] = self.world.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        return tasks

    def stopped(self) -> list[dict[str, Any]]:
        """The tasks that were told to stop or stopped by themselves, as long as they are remembered."""
        arns = self.world.ecs.list_tasks(serviceName=self.name, desiredStatus="STOPPED")["taskArns"]
        tasks: list[dict[str, Any]] = self.world.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        return tasks

    def messages(self, *, after: datetime | None = None) -> list[str]:
        """Service events younger than a point in time, oldest first, without the service's name."""
        events = [event for event in self.describe()["events"] if after is None or event["createdAt"] > after]
        prefix = f"(service {self.name}) "
        assert all(event["message"].startswith(prefix) for event in events), events
        return [event["message"].removeprefix(prefix) for event in reversed(events)]

    def newest_event(self) -> datetime:
        at: datetime = self.describe()["events"][0]["createdAt"]
        return at

    def rollout(self, arn: str) -> dict[str, Any]:
        (found,) = self.world.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        result: dict[str, Any] = found
        return result

    def why(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.world.installation.openecs("why", self.name, "--json"))
        return answer

    def containers(self) -> dict[str, list[str]]:
        """Task ARN → ids of the containers that the engine runs for the service's task definitions."""
        found: dict[str, list[str]] = {}
        family = {"com.amazonaws.ecs.task-definition-family": self.name}
        for container in self.world.engine.containers(**family):
            if container["State"] == "running":
                found.setdefault(container["Labels"]["com.amazonaws.ecs.task-arn"], []).append(container["Id"])
        return found

    # -- what to do with it -----------------------------------------------------------------

    def register(self, script: str = STAY, **members: Any) -> str:
        """A new revision of the service's family."""
        return self.world.register(self.world.container(script=script, **members), family=self.name)

    def serving(self, version: str, port: int) -> str:
        """A new revision whose program answers with its version, and ends in the middle of everything when told to."""
        task = web_task(self.world.image, f"{version}={port}")
        reply = self.world.ecs.register_task_definition(family=self.name, **task)
        arn: str = reply["taskDefinition"]["taskDefinitionArn"]
        return arn

    def create(self, definition: str, count: int, **settings: Any) -> None:
        self.world.ecs.create_service(serviceName=self.name, taskDefinition=definition, desiredCount=count, **settings)

    def update(self, **settings: Any) -> str:
        """UpdateService; the ARN of the service deployment that is then under way."""
        arn: str = self.world.ecs.update_service(service=self.name, **settings)["service"]["currentServiceDeployment"]
        return arn

    def stable(self) -> None:
        """What ``services-stable`` waits for, and that the newest deployment is over."""
        self.world.ecs.get_waiter("services_stable").wait(services=[self.name], WaiterConfig=QUICK)
        self.until(lambda: self.describe()["deployments"][0]["rolloutState"] == "COMPLETED", "a completed deployment")

    def ends(self, deployment: str, status: str) -> dict[str, Any]:
        """The service deployment once it has that status; fails at once when it ended otherwise."""

        def look() -> dict[str, Any] | None:
            found = self.rollout(deployment)
            over = found["status"] in ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
            assert not over or found["status"] == status, found
            return found if found["status"] == status else None

        result: dict[str, Any] = self.until(look, f"{deployment} to be {status}")
        return result

    def until(self, condition: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
        try:
            return wait_for(condition, seconds=seconds, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.describe(), indent=1, default=str)}") from None

    def nothing_stray(self) -> None:
        """Wait until the engine runs exactly the containers of the service's tasks."""
        self.until(
            lambda: {task["taskArn"] for task in self.tasks()} == set(self.containers()),
            "exactly the containers of the service's tasks",
        )


@contextmanager
def waiting(world: World, waiter: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """``aws ecs wait`` in a process of its own, ended with the block if it still waits."""
    command = [str(BIN / "aws"), "ecs", "wait", waiter, *arguments]
    with subprocess.Popen(command, env=world.installation.client_environ()) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def deployed(world: World) -> Iterator[DeployedService]:
    """A service that is gone at the end, with all that it ran, if it was created."""
    service = DeployedService(world)
    yield service
    world.ecs.delete_service(service=service.name, force=True)
    world.ecs.get_waiter("services_inactive").wait(services=[service.name], WaiterConfig=QUICK)
    assert service.tasks() == []
    wait_for(lambda: not service.containers(), seconds=40, what=f"no container of {service.name}")
