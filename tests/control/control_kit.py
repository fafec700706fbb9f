"""A small installation in memory for tests of controllers: state, launcher, nodes that obey."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import msgspec

from openecs.clock import Clock
from openecs.control.launch import Launcher
from openecs.control.loop import Loop
from openecs.control.region_networks import RegionNetworks
from openecs.control.services import ServiceController
from openecs.control.virtual_time import VirtualTime
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning.rollout import in_progress
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

REGION = "eu-west-1"
ACCOUNT = "123456789012"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER = f"{PREFIX}:cluster/default"


def new_state() -> State:
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    return state


def cluster(name: str = "default") -> Cluster:
    return Cluster(arn=f"{PREFIX}:cluster/{name}", name=name, region=REGION, status="ACTIVE", created_at=1.0)


def definition(
    revision: int, *, memory: int = 100, network_mode: str = "host", compatibilities: tuple[str, ...] = ("EC2",)
) -> TaskDefinition:
    arn = f"{PREFIX}:task-definition/web:{revision}"
    return TaskDefinition(
        arn=arn,
        family="web",
        revision=revision,
        region=REGION,
        status="ACTIVE",
        definition=ecs.TaskDefinition(
            task_definition_arn=arn,
            family="web",
            revision=revision,
            network_mode=network_mode,
            compatibilities=compatibilities,
            container_definitions=(ecs.ContainerDefinition(name="web", image="web", cpu=0, memory=memory),),
        ),
    )


class World:
    """Nodes, and an agent on each that does what the control plane wants at once."""

    def __init__(self, time: VirtualTime | Clock) -> None:
        self.state = new_state()
        self.clock = time
        self.ids = SeededIds(7)
        #: Revisions of the definition whose image does not exist.
        self.broken: set[int] = set()
        self.networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        self.networks.ensure(REGION)
        self.launcher = Launcher(self.state, self.networks, random.Random(1))
        self.controller = ServiceController(self.state, self.launcher, time, self.ids)
        self.put(cluster(), definition(1), definition(2))

    def put(self, *records: object) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def add_node(self, name: str, memory: int = 1000) -> ContainerInstance:
        instance = ContainerInstance(
            arn=f"{PREFIX}:container-instance/default/{name}",
            cluster_arn=CLUSTER,
            region=REGION,
            node_id=name,
            status="ACTIVE",
            registered_at=self.clock.now(),
        )
        node = Node(id=name, capacity=Resources(cpu=4096, memory=memory), agent_connected=True)
        self.put(node, instance)
        return instance

    def service(self, name: str = "web") -> Service:
        found = self.state.services.get(f"{PREFIX}:service/default/{name}")
        assert found is not None
        return found

    def tasks(self, name: str = "web") -> tuple[Task, ...]:
        return self.state.tasks.by("service", f"{PREFIX}:service/default/{name}")

    def running(self, revision: int | None = None) -> list[Task]:
        suffix = "" if revision is None else f":{revision}"
        return [
            task for task in self.tasks() if task.last_status == "RUNNING" and task.task_definition_arn.endswith(suffix)
        ]

    def events(self, name: str = "web") -> list[str]:
        """What the service said, oldest first."""
        record = self.state.service_events.get(f"{PREFIX}:service/default/{name}")
        return [event.message or "" for event in reversed(record.events)] if record else []

    def agents_obey(self) -> bool:
        """One change per task towards what is wanted; whether there was any."""
        changed = [new for new in map(self._obey, self.state.tasks) if new is not None]
        if changed:
            self.put(*changed)
        return bool(changed)

    def _obey(self, task: Task) -> Task | None:
        now = self.clock.now()
        if task.stopped or task.node_id is None:
            return None
        if task.desired_status == "STOPPED":
            # Its agent hears nothing while it drains.
            return None if task.drains else msgspec.structs.replace(task, last_status="STOPPED", stopped_at=now)
        revision = int(task.task_definition_arn.rsplit(":", 1)[1])
        if revision in self.broken:
            return msgspec.structs.replace(
                task,
                desired_status="STOPPED",
                last_status="STOPPED",
                stopped_at=now,
                stop_code="TaskFailedToStart",
                stopped_reason="CannotPullContainerError: not found",
            )
        if task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"):
            return msgspec.structs.replace(task, last_status="RUNNING", started_at=now)
        return None

    def set_instance(self, instance: ContainerInstance, status: str) -> None:
        self.put(msgspec.structs.replace(instance, status=status))


def deployment(number: int, now: float, **changes: object) -> Deployment:
    identifier = f"ecs-svc/{number}"
    base = Deployment(
        id=identifier,
        status="PRIMARY",
        task_definition_arn=f"{PREFIX}:task-definition/web:{number}",
        created_at=now,
        updated_at=now,
        rollout_state="IN_PROGRESS",
        rollout_state_reason=in_progress(identifier),
        launch_type="EC2",
    )
    return msgspec.structs.replace(base, **changes)


def new_service(world: World, desired: int, **changes: object) -> Service:
    base = Service(
        arn=f"{PREFIX}:service/default/web",
        name="web",
        cluster_arn=CLUSTER,
        region=REGION,
        status="ACTIVE",
        desired_count=desired,
        created_at=world.clock.now(),
        deployments=(deployment(1, world.clock.now()),),
        deployment_configuration=ecs.DeploymentConfiguration(maximum_percent=200, minimum_healthy_percent=100),
    )
    return msgspec.structs.replace(base, **changes)


@asynccontextmanager
async def running_loop(loop: Loop):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        yield
        task.cancel()


@asynccontextmanager
async def controlled(world: World, time: VirtualTime):
    """While entered, services are reconciled; none of it may have been a bug."""
    loop = world.controller.loop(time.timing())
    async with running_loop(loop):
        yield loop
    assert loop.bugs == 0
