"""GPUs are handed out by id: to one container at a time, whatever is launched, undone and stopped."""

from __future__ import annotations

from typing import Any

import msgspec
from control_kit import CLUSTER, PREFIX, REGION, World, cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.api.ecs.container_instance_view import view
from openecs.control.launch_spec import Launched, LaunchSpec
from openecs.control.virtual_time import VirtualTime
from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning.gpus import wanted
from openecs.shapes import ecs

NODES = {"big": ("g1", "g2", "g3", "g4"), "small": ("h1",), "none": ()}


class Undo(Exception):
    """Ends a transaction without effect."""


def wants(*counts: int) -> TaskDefinition:
    """A definition with a container for each count."""
    containers = tuple(
        ecs.ContainerDefinition(
            name=f"c{number}",
            image="i",
            memory=10,
            resource_requirements=(ecs.ResourceRequirement(type="GPU", value=str(count)),) if count else None,
        )
        for number, count in enumerate(counts)
    )
    name = "gpu" + "".join(map(str, counts))
    arn = f"{PREFIX}:task-definition/{name}:1"
    shape = ecs.TaskDefinition(task_definition_arn=arn, family=name, compatibilities=("EC2",))
    shape = msgspec.structs.replace(shape, container_definitions=containers, network_mode="host")
    return TaskDefinition(arn=arn, family=name, revision=1, region=REGION, status="ACTIVE", definition=shape)


KINDS = [wants(1), wants(2, 1), wants(0), wants(4)]


class Site(World):
    """Machines with GPUs, all in one group that a capacity provider stands for."""

    def __init__(self) -> None:
        super().__init__(VirtualTime())
        provider = CapacityProvider(
            arn=f"{PREFIX}:capacity-provider/big",
            name="big",
            region=REGION,
            status="ACTIVE",
            created_at=1.0,
            auto_scaling_group_provider=ecs.AutoScalingGroupProvider(auto_scaling_group_arn="machines"),
            group_name="machines",
        )
        self.put(provider, *KINDS)
        for name, ids in NODES.items():
            self.machine(name, ids)

    def machine(self, name: str, ids: tuple[str, ...]) -> None:
        instance = ContainerInstance(
            arn=f"{PREFIX}:container-instance/default/{name}",
            cluster_arn=CLUSTER,
            region=REGION,
            node_id=name,
            status="ACTIVE",
            registered_at=1.0,
            attributes=(ecs.Attribute(name=GROUP_ATTRIBUTE, value="machines"),),
        )
        capacity = Resources(cpu=4096, memory=500, gpus=len(ids))
        self.put(Node(id=name, capacity=capacity, gpus=ids, agent_connected=True), instance)

    def instance(self, name: str) -> ContainerInstance:
        found = self.state.container_instances.get(f"{PREFIX}:container-instance/default/{name}")
        assert found is not None
        return found

    def spec(self, definition: TaskDefinition, count: int = 1, **changes: Any) -> LaunchSpec:
        base = LaunchSpec(
            cluster=cluster(),
            definition=definition,
            count=count,
            launch_type="EC2",
            group=f"family:{definition.family}",
        )
        return msgspec.structs.replace(base, **changes)

    def launch(self, spec: LaunchSpec, *, undo: bool = False) -> Launched:
        with self.state.transaction() as tx:
            launched = self.launcher.launch(tx, spec, now=5.0, ids=self.ids)
            if undo:
                raise Undo
        return launched

    def place_waiting(self) -> None:
        for kind in KINDS:
            waiting = [t for t in self.state.tasks if t.waiting is not None and t.task_definition_arn == kind.arn]
            if waiting:
                with self.state.transaction() as tx:
                    self.launcher.place_waiting(tx, waiting, ids=self.ids)

    def stop(self, task: Task, status: str = "STOPPED") -> None:
        self.put(msgspec.structs.replace(task, desired_status="STOPPED", last_status=status))

    def remaining(self, name: str) -> tuple[str, ...] | None:
        shown = {r.name: r.string_set_value for r in view(self.state, self.instance(name)).remaining_resources or ()}
        return shown.get("GPU")

    def check(self) -> None:
        """Every GPU has one owner at most, and what is said to be free is."""
        for name, ids in NODES.items():
            live = [t for t in self.state.tasks if t.node_id == name and not t.stopped]
            given_out = [gpu for task in live for container in task.containers for gpu in container.gpu_ids]
            assert len(given_out) == len(set(given_out))
            assert set(given_out) <= set(ids)
            free = tuple(gpu for gpu in ids if gpu not in given_out)
            assert self.state.fleet.free_gpus(name) == free
            assert self.remaining(name) == (free if ids else None)
            candidate = self.state.fleet.instance(self.instance(name))
            assert candidate is not None
            assert candidate.gpus == len(free)
        for task in self.state.tasks:
            kind = next(k for k in KINDS if k.arn == task.task_definition_arn)
            counts = wanted(kind.definition)
            asked = [counts.get(container.name, 0) for container in task.containers]
            got = [len(container.gpu_ids) for container in task.containers]
            assert got == (asked if task.node_id else [0] * len(asked))


PROVIDER = (ecs.CapacityProviderStrategyItem(capacity_provider="big", weight=1),)
STEPS = st.one_of(
    st.tuples(st.just("launch"), st.integers(0, len(KINDS) - 1), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("start on"), st.integers(0, len(KINDS) - 1), st.sampled_from([*NODES])),
    st.tuples(st.just("wait"), st.integers(0, len(KINDS) - 1), st.integers(1, 3)),
    st.tuples(st.just("stop"), st.integers(0, 8), st.sampled_from(["STOPPING", "STOPPED", "STOPPED"])),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_a_gpu_has_one_owner(steps: list[tuple[Any, ...]]) -> None:
    site = Site()
    for step in steps:
        match step:
            case ("launch", kind, count, undo):
                before = [(t.arn, t.containers) for t in site.state.tasks]
                try:
                    site.launch(site.spec(KINDS[kind], count), undo=undo)
                except Undo:
                    assert [(t.arn, t.containers) for t in site.state.tasks] == before
            case ("start on", kind, name):
                site.launch(site.spec(KINDS[kind], container_instances=(site.instance(name),)))
            case ("wait", kind, count):
                site.launch(site.spec(KINDS[kind], count, capacity_provider_strategy=PROVIDER))
            case ("stop", number, status):
                live = [task for task in site.state.tasks if not task.stopped]
                if number < len(live):
                    site.stop(live[number], status)
                    site.place_waiting()
        site.check()


def test_they_come_back_when_the_task_has_ended_not_before() -> None:
    site = Site()
    (task,) = site.launch(site.spec(KINDS[3])).tasks
    assert [c.gpu_ids for c in task.containers] == [("g1", "g2", "g3", "g4")]
    assert site.remaining("big") == ()
    site.stop(task, "STOPPING")
    assert site.remaining("big") == ()
    launched = site.launch(site.spec(KINDS[1]))
    assert {failure.reason for failure in launched.failures} == {"RESOURCE:GPU"}
    site.stop(task, "STOPPED")
    assert site.remaining("big") == NODES["big"]
    (task,) = site.launch(site.spec(KINDS[1])).tasks
    assert [c.gpu_ids for c in task.containers] == [("g1", "g2"), ("g3",)]


def test_equal_tasks_of_one_launch_get_different_ones() -> None:
    site = Site()
    launched = site.launch(site.spec(KINDS[0], 6))
    owned = sorted(gpu for task in launched.tasks for gpu in task.containers[0].gpu_ids)
    assert owned == ["g1", "g2", "g3", "g4", "h1"]
    assert {failure.reason for failure in launched.failures} == {"RESOURCE:GPU"}


def test_an_override_is_what_counts() -> None:
    site = Site()
    asked = (ecs.ResourceRequirement(type="GPU", value="3"),)
    one = ecs.ContainerOverride(name="c0", resource_requirements=asked)
    (task,) = site.launch(site.spec(KINDS[2], overrides=ecs.TaskOverride(container_overrides=(one,)))).tasks
    assert task.reservation.gpus == 3
    assert task.containers[0].gpu_ids == ("g1", "g2", "g3")


def test_a_waiting_task_has_none_until_it_is_placed() -> None:
    site = Site()
    (blocking,) = site.launch(site.spec(KINDS[3])).tasks
    launched = site.launch(site.spec(KINDS[1], capacity_provider_strategy=PROVIDER))
    assert launched.waiting == 1
    site.stop(blocking)
    site.place_waiting()
    (placed,) = [task for task in site.state.tasks if not task.stopped]
    assert [c.gpu_ids for c in placed.containers] == [("g1", "g2"), ("g3",)]


def test_a_gpu_that_is_gone_from_the_machine_is_given_to_nobody() -> None:
    site = Site()
    (task,) = site.launch(site.spec(KINDS[1])).tasks
    node = site.state.nodes.get("big")
    site.put(msgspec.structs.replace(node, gpus=("g3", "g4", "g5")))
    assert task.containers[1].gpu_ids == ("g3",)
    assert site.remaining("big") == ("g4", "g5")
    launched = site.launch(site.spec(KINDS[0], 3))
    assert sorted(gpu for t in launched.tasks for gpu in t.containers[0].gpu_ids) == ["g4", "g5", "h1"]
