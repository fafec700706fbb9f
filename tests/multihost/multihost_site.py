"""Several machines and their control plane, seen through boto3 and past it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conformance_support import BIN, Installation
from multihost_machines import Agent, Fabric, Machine, MachineEngine, machines
from waiting import wait_for

from openecs.agent.runtime.docker.endpoint import find_endpoint
from openecs.http import UnixAddress

CLUSTER = "multihost"
#: Stays until it is asked to end, then ends at once.
STAY = "trap 'exit 0' TERM; sleep 3600 & wait"


class Site:
    """The cluster ``multihost``: who is in it, and what runs where."""

    def __init__(self, installation: Installation, fabric: Fabric, machines: dict[str, Machine], image: str) -> None:
        self.installation = installation
        self.fabric = fabric
        self.machines = machines
        self.image = image
        self.ecs: Any = installation.client("ecs")
        self.logs: Any = installation.client("logs")
        self.agents: dict[str, Agent] = {}
        #: Machine → ARN of its container instance.
        self.instances: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._options: dict[str, tuple[str, ...]] = {}
        self.ecs.create_cluster(clusterName=CLUSTER)

    # -- machines ---------------------------------------------------------------------------

    def join(self, name: str, *given: str) -> None:
        """Start the machine's agent, with the machine's own key pair, and wait until it is connected.

        Options of ``openecs agent`` that are ``given`` hold for later times too.
        """
        self._options[name] = given or self._options.get(name, ())
        if name not in self._keys:
            self._keys[name] = self.installation.openecs("join-key")
        machine = self.machines[name]
        before = set(self.listed()) - {self.instances.get(name)}
        options = ("--cluster", CLUSTER, "--data-dir", str(machine.folder / "agent"), *self._options[name])
        self.agents[name] = Agent(machine, BIN / "openecs", self._keys[name], *options)

        def connected() -> str | None:
            for arn in set(self.listed()) - before:
                if self.instance_of(arn)["agentConnected"]:
                    return arn
            return None

        try:
            self.instances[name] = wait_for(connected, seconds=30, what=f"the agent of {name}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(machine.folder / 'agent.log').read_text()}") from None

    def listed(self) -> list[str]:
        """ARNs of the container instances."""
        arns: list[str] = self.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        return arns

    def instance_of(self, arn: str) -> dict[str, Any]:
        (instance,) = self.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=[arn])[
            "containerInstances"
        ]
        result: dict[str, Any] = instance
        return result

    def instance(self, name: str) -> dict[str, Any]:
        """The machine's container instance as it is now."""
        return self.instance_of(self.instances[name])

    def node_id(self, name: str) -> str:
        """What the machine's agent calls itself."""
        (node_id,) = [a["value"] for a in self.instance(name)["attributes"] if a["name"] == "openecs.node-id"]
        result: str = node_id
        return result

    def set_state(self, name: str, status: str) -> None:
        reply = self.ecs.update_container_instances_state(
            cluster=CLUSTER, containerInstances=[self.instances[name]], status=status
        )
        assert reply["failures"] == []

    @contextmanager
    def draining(self, name: str) -> Iterator[None]:
        """The machine is DRAINING in the ``with`` block and ACTIVE for the next test, however the block ends."""
        self.set_state(name, "DRAINING")
        try:
            yield
        finally:
            self.set_state(name, "ACTIVE")

    def machine_of(self, task: dict[str, Any]) -> str:
        """The name of the machine that the task was placed on."""
        (name,) = [name for name, arn in self.instances.items() if arn == task["containerInstanceArn"]]
        return name

    # -- tasks ------------------------------------------------------------------------------

    def register(self, script: str = STAY, container: dict[str, Any] | None = None, **task: Any) -> str:
        family = "m" + uuid.uuid4().hex[:12]
        main = {"name": "main", "image": self.image, "memory": 32, "command": ["sh", "-c", script], **(container or {})}
        reply = self.ecs.register_task_definition(family=family, containerDefinitions=[main], **task)
        arn: str = reply["taskDefinition"]["taskDefinitionArn"]
        return arn

    def start(self, name: str, definition: str, **arguments: Any) -> str:
        """StartTask on the machine; the task's ARN."""
        reply = self.ecs.start_task(
            cluster=CLUSTER, taskDefinition=definition, containerInstances=[self.instances[name]], **arguments
        )
        assert reply["failures"] == []
        arn: str = reply["tasks"][0]["taskArn"]
        return arn

    def describe(self, arn: str) -> dict[str, Any]:
        (task,) = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"]
        result: dict[str, Any] = task
        return result

    def reaches(self, arn: str, status: str, *, seconds: float = 40.0) -> dict[str, Any]:
        """The task once it shows that status; fails at once when it has STOPPED instead."""

        def look() -> dict[str, Any] | None:
            task = self.describe(arn)
            assert status == "STOPPED" or task["lastStatus"] != "STOPPED", task
            return task if task["lastStatus"] == status else None

        result: dict[str, Any] = wait_for(look, seconds=seconds, what=f"{arn} to be {status}")
        return result

    def stop(self, *arns: str) -> None:
        """Stop the tasks and wait for their end."""
        for arn in arns:
            self.ecs.stop_task(cluster=CLUSTER, task=arn)
        for arn in arns:
            self.reaches(arn, "STOPPED")

    def service(self, definition: str, count: int | None, **arguments: Any) -> str:
        """A new service's name; DAEMON services have no count."""
        name = "s" + uuid.uuid4().hex[:12]
        if count is not None:
            arguments["desiredCount"] = count
        self.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=definition, **arguments)
        return name

    def service_machines(self, service: str) -> list[str]:
        """The machines of a service's RUNNING tasks, sorted, one entry a task."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=service)["taskArns"]
        tasks = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
        return sorted(self.machine_of(task) for task in tasks if task["lastStatus"] == "RUNNING")

    def until_service_on(self, service: str, *names: str) -> None:
        """Wait until exactly these machines run the service's tasks."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self.service_machines(service)
            return found == sorted(names)

        try:
            wait_for(look, seconds=40, what=f"{service} on {names}")
        except AssertionError as error:
            raise AssertionError(f"{error}; last on {found}") from None

    def delete_service(self, service: str) -> None:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=service)["taskArns"]
        self.ecs.delete_service(cluster=CLUSTER, service=service, force=True)
        for arn in arns:
            self.reaches(arn, "STOPPED")

    def clear(self) -> None:
        """End what is left in the cluster, which is nothing unless a test has failed."""
        for arn in self.ecs.list_services(cluster=CLUSTER)["serviceArns"]:
            self.ecs.delete_service(cluster=CLUSTER, service=arn, force=True)
        for arn in self.ecs.list_tasks(cluster=CLUSTER)["taskArns"]:
            self.ecs.stop_task(cluster=CLUSTER, task=arn)

    # -- logs -------------------------------------------------------------------------------

    def awslogs(self, group: str) -> dict[str, Any]:
        """The part of a container definition that sends its output to a group."""
        options = {"awslogs-group": group, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web"}
        return {"logConfiguration": {"logDriver": "awslogs", "options": options}}

    def lines(self, group: str, task_arn: str, until: Callable[[list[str]], bool]) -> list[str]:
        """What the task's container logged, once it satisfies the condition."""
        stream = f"web/main/{task_arn.rpartition('/')[2]}"

        def look() -> list[str] | None:
            streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
            if not streams:
                return None
            events = self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
            found = [event["message"] for event in events]
            return found if until(found) else None

        result: list[str] = wait_for(look, seconds=30, what=f"the log of {task_arn}")
        return result


@contextmanager
def opened(plane: Path, image: str, *names: str, options: tuple[str, ...] = ()) -> Iterator[Site]:
    """A control plane without an agent of its own, and machines of these names that may join it.

    ``plane`` is a folder for the control plane and ``options`` are for its ``up``; ``image`` is in
    every machine's engine.
    """
    # Engines leave much behind, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="openecs-multihost-"))
    try:
        with machines(folder, *names) as (fabric, found):
            archive = saved_image(image)
            for machine in found.values():
                machine.engine.load(archive)
            installation = Installation(plane, "--no-agent", "--bind", fabric.address)
            installation.up("--advertise-url", f"http://{fabric.address}:{installation.port}", *options)
            site = Site(installation, fabric, found, image)
            try:
                yield site
            finally:
                for agent in site.agents.values():
                    agent.kill()
                installation.down("--keep-tasks")
    finally:
        shutil.rmtree(folder)


def saved_image(reference: str) -> bytes:
    """An image of the machine's own engine as an archive that other engines can load."""
    address = find_endpoint(None).address
    assert isinstance(address, UnixAddress), "these tests need an engine on a Unix socket"
    status, archive = MachineEngine(Path(address.path)).call("GET", f"/images/{reference}/get")
    assert status == 200, archive
    return archive
