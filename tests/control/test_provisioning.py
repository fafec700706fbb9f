"""Tasks of capacity providers: shared by weight, waiting for machines, placed when these come."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, REGION, World, cluster, definition, deployment, new_service, running_loop

from openecs.control import launch_failures, waiting_tasks
from openecs.control.launch_spec import Launched, LaunchSpec
from openecs.control.provisioning import Provisioning
from openecs.control.virtual_time import VirtualTime
from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.model.network import region_network
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.model.task_state import declare_stopped, request_stop
from openecs.server.interrupt import Interruptions
from openecs.shapes import ecs


def provider(name: str, group: str) -> CapacityProvider:
    return CapacityProvider(
        arn=f"{PREFIX}:capacity-provider/{name}",
        name=name,
        region=REGION,
        status="ACTIVE",
        created_at=1.0,
        auto_scaling_group_provider=ecs.AutoScalingGroupProvider(auto_scaling_group_arn=group),
        group_name=group,
    )


def strategy(**weights: int) -> tuple[ecs.CapacityProviderStrategyItem, ...]:
    return tuple(
        ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight, base=0)
        for name, weight in weights.items()
    )


class Site:
    """A cluster with the providers ``big`` and ``small``, Fargate's, and the loops."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.world = World(self.time)
        self.state = self.world.state
        names = ("big", "small", "FARGATE", "FARGATE_SPOT")
        self.world.put(
            provider("big", "big-machines"),
            provider("small", "small-machines"),
            msgspec.structs.replace(cluster(), capacity_providers=names),
        )
        self.provisioning = Provisioning(self.state, self.world.launcher, self.time, self.world.ids)

    @asynccontextmanager
    async def running(self):
        timing = self.time.timing()
        loops = [self.provisioning.loop(timing), self.world.controller.loop(timing)]
        async with AsyncExitStack() as stack:
            for loop in loops:
                await stack.enter_async_context(running_loop(loop))
            yield
        assert [loop.bugs for loop in loops] == [0, 0]

    def machine(self, name: str, group: str | None = "big-machines", *, memory: int = 1000, pool: bool = False) -> None:
        attributes = (ecs.Attribute(name=GROUP_ATTRIBUTE, value=group),) if group else ()
        instance = ContainerInstance(
            arn=f"{PREFIX}:container-instance/default/{name}",
            cluster_arn=CLUSTER,
            region=REGION,
            node_id=name,
            status="ACTIVE",
            registered_at=self.time.now(),
            attributes=attributes,
        )
        node = Node(id=name, capacity=Resources(cpu=4096, memory=memory), agent_connected=True, fargate_pool=pool)
        self.world.put(node, instance)

    def launch(self, count: int = 1, *, revision: int = 1, **changes: Any) -> Launched:
        found = self.state.task_definitions.get(f"{PREFIX}:task-definition/web:{revision}")
        cluster_now = self.state.clusters.get(CLUSTER)
        assert found is not None
        assert cluster_now is not None
        spec = LaunchSpec(
            cluster=cluster_now,
            definition=found,
            count=count,
            launch_type="EC2",
            group="family:web",
            capacity_provider_strategy=strategy(big=1),
        )
        with self.state.transaction() as tx:
            return self.world.launcher.launch(
                tx, msgspec.structs.replace(spec, **changes), now=self.time.now(), ids=self.world.ids
            )

    def now(self, task: Task) -> Task:
        found = self.state.tasks.get(task.arn)
        assert found is not None
        return found

    def waiting(self) -> int:
        return self.state.tasks.count("unplaced", CLUSTER)

    def placed(self) -> list[Task]:
        return [task for task in self.state.tasks if task.node_id is not None and not task.stopped]


@pytest.fixture
def site() -> Site:
    return Site()


def test_tasks_go_to_the_machines_of_their_provider_by_weight(site: Site) -> None:
    site.machine("b", "big-machines")
    site.machine("s", "small-machines")
    site.machine("other", None)
    launched = site.launch(10, capacity_provider_strategy=strategy(big=4, small=1))
    where = [(task.capacity_provider_name, task.node_id, task.launch_type) for task in launched.tasks]
    assert where.count(("big", "b", "EC2")) == 8
    assert where.count(("small", "s", "EC2")) == 2


def test_the_ratio_holds_from_call_to_call_and_after_ends(site: Site) -> None:
    site.machine("b", "big-machines")
    site.machine("s", "small-machines")
    equal = strategy(big=1, small=1)
    tasks = [site.launch(capacity_provider_strategy=equal).tasks[0] for _ in range(4)]
    assert sorted(t.capacity_provider_name or "" for t in tasks) == ["big", "big", "small", "small"]
    for task in tasks:
        if task.capacity_provider_name == "big":
            site.world.put(declare_stopped(task, now=1.0, stop_code="UserInitiated", reason="x"))
    again = site.launch(2, capacity_provider_strategy=equal).tasks
    assert {t.capacity_provider_name for t in again} == {"big"}


def test_what_finds_no_machine_waits_without_a_failure(site: Site) -> None:
    site.machine("other", None)
    launched = site.launch(2)
    assert (len(launched.tasks), launched.failures, launched.waiting) == (2, (), 2)
    for task in launched.tasks:
        assert (task.last_status, task.desired_status) == ("PROVISIONING", "RUNNING")
        assert (task.node_id, task.capacity_provider_name) == (None, "big")
        assert task.waiting is not None


def test_fargate_does_not_wait(site: Site) -> None:
    launched = site.launch(2, launch_type="FARGATE", capacity_provider_strategy=strategy(FARGATE=1))
    assert (launched.tasks, launched.waiting) == ((), 0)
    assert [failure.reason for failure in launched.failures] == [launch_failures.FARGATE_FULL] * 2


def test_at_most_so_many_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_tasks, "MAX_WAITING", 3)
    assert site.launch(2).waiting == 2
    launched = site.launch(3)
    assert (len(launched.tasks), launched.waiting) == (1, 1)
    assert [failure.reason for failure in launched.failures] == [launch_failures.TOO_MANY_WAITING] * 2


def test_a_waiting_task_stops_at_once(site: Site) -> None:
    (task,) = site.launch().tasks
    site.world.put(request_stop(task, now=5.0, stop_code="UserInitiated", reason="Task stopped by user"))
    after = site.now(task)
    assert (after.last_status, after.stop_code, after.waiting) == ("STOPPED", "UserInitiated", None)
    assert site.waiting() == 0


async def test_a_joining_machine_takes_the_oldest_first(site: Site) -> None:
    tasks = []
    for revision in (1, 2, 1, 2):
        tasks += site.launch(revision=revision).tasks
        await site.time.advance(1.0)
    async with site.running():
        site.machine("b", memory=300)
        await site.time.run_until(lambda: site.waiting() == 1)
    assert [site.now(task).node_id for task in tasks] == ["b", "b", "b", None]
    first = site.now(tasks[0])
    assert (first.last_status, first.waiting) == ("PENDING", None)
    assert first.version == tasks[0].version + 1
    assert first.container_instance_arn == f"{PREFIX}:container-instance/default/b"


async def test_machines_of_other_groups_take_none(site: Site) -> None:
    (task,) = site.launch().tasks
    async with site.running():
        site.machine("s", "small-machines")
        site.machine("other", None)
        await site.time.advance(700.0)
        assert site.now(task).node_id is None
        site.machine("b")
        await site.time.run_until(lambda: site.now(task).node_id == "b", within=1.0)


async def test_room_that_a_task_leaves_is_given_on(site: Site) -> None:
    site.machine("b", memory=100)
    (first,) = site.launch().tasks
    (second,) = site.launch().tasks
    assert (first.node_id, second.node_id) == ("b", None)
    async with site.running():
        await site.time.advance(1.0)
        site.world.put(declare_stopped(site.now(first), now=site.time.now(), stop_code="UserInitiated", reason="x"))
        await site.time.run_until(lambda: site.now(second).node_id == "b", within=1.0)


async def test_a_machine_that_is_active_again_counts(site: Site) -> None:
    site.machine("b")
    (instance,) = site.state.container_instances.by("node", "b")
    site.world.set_instance(instance, "DRAINING")
    (task,) = site.launch().tasks
    assert task.node_id is None
    async with site.running():
        await site.time.advance(1.0)
        site.world.set_instance(instance, "ACTIVE")
        await site.time.run_until(lambda: site.now(task).node_id == "b", within=1.0)


async def test_what_waited_over_a_restart_goes_on(site: Site) -> None:
    (task,) = site.launch().tasks
    site.machine("b")
    async with site.running():
        await site.time.run_until(lambda: site.now(task).node_id == "b", within=1.0)


async def test_nothing_is_placed_while_the_installation_shuts_down(site: Site) -> None:
    (task,) = site.launch().tasks
    site.world.launcher.pause(until=site.time.now() + 30.0)
    async with site.running():
        site.machine("b")
        await site.time.advance(29.0)
        assert site.now(task).node_id is None
        await site.time.run_until(lambda: site.now(task).node_id == "b", within=120.0)


async def test_a_full_cluster_is_not_searched_for_every_event(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    real = site.world.launcher.place_waiting
    monkeypatch.setattr(
        site.world.launcher, "place_waiting", lambda tx, tasks, ids: (searched.append(1), real(tx, tasks, ids=ids))[1]
    )
    site.machine("full", memory=50)
    site.launch(200)
    async with site.running():
        await site.time.advance(1.0)
        at_start = len(searched)
        for _ in range(50):
            (instance,) = site.state.container_instances.by("node", "full")
            site.world.put(msgspec.structs.replace(instance, version=instance.version + 1))
            await site.time.advance(1.0)
    assert (at_start, len(searched)) == (1, 1)


async def test_many_are_placed_in_steps(site: Site) -> None:
    site.launch(250)
    async with site.running():
        site.machine("b", memory=100_000)
        await site.time.run_until(lambda: site.waiting() == 0, within=1.0)
    assert len(site.placed()) == 250


async def test_waiting_awsvpc_tasks_get_their_interface_when_placed(site: Site) -> None:
    network = region_network("123456789012", REGION)
    site.world.put(definition(3, network_mode="awsvpc"))
    wanted = ecs.NetworkConfiguration(
        awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(network.subnets[0].id,), security_groups=())
    )
    (task,) = site.launch(revision=3, network_configuration=wanted).tasks
    assert task.eni is None
    async with site.running():
        site.machine("b")
        await site.time.run_until(lambda: site.now(task).node_id == "b", within=1.0)
    placed = site.now(task)
    assert placed.eni is not None
    assert (placed.eni.subnet_id, placed.last_status) == (network.subnets[0].id, "PROVISIONING")


class TestServices:
    async def settled(self, site: Site) -> None:
        def done() -> bool:
            return not site.world.agents_obey() and site.world.service().steady

        await site.time.run_until(done, within=600.0)

    async def test_waiting_tasks_count_as_pending_and_are_said_once(self, site: Site) -> None:
        made = deployment(1, site.time.now(), capacity_provider_strategy=strategy(big=1))
        async with site.running():
            site.world.put(new_service(site.world, 2, deployments=(made,)))
            await site.time.advance(1300.0)
            assert site.waiting() == 2
            said = site.world.events()
            assert len(said) == 2
            assert said[0].startswith("(service web) has started 2 tasks: ")
            assert said[1].startswith(
                "(service web) was unable to place a task because no container instance met all of its requirements. "
                "Reason: No Container Instances were found in your capacity provider."
            )
            site.machine("b")
            await self.settled(site)
        assert {task.capacity_provider_name for task in site.world.running()} == {"big"}
        assert len(site.world.tasks()) == 2

    async def test_scaling_in_stops_waiting_tasks(self, site: Site) -> None:
        made = deployment(1, site.time.now(), capacity_provider_strategy=strategy(big=1))
        async with site.running():
            site.world.put(new_service(site.world, 2, deployments=(made,)))
            await site.time.advance(1.0)
            site.world.put(msgspec.structs.replace(site.world.service(), desired_count=0))
            await site.time.advance(1.0)
        assert site.waiting() == 0

    async def test_base_and_weights_hold_for_a_service(self, site: Site) -> None:
        site.machine("b", "big-machines", memory=10_000)
        site.machine("s", "small-machines", memory=10_000)
        item = ecs.CapacityProviderStrategyItem
        made = deployment(
            1,
            site.time.now(),
            capacity_provider_strategy=(
                item(capacity_provider="big", weight=1, base=2),
                item(capacity_provider="small", weight=3, base=0),
            ),
        )
        async with site.running():
            site.world.put(new_service(site.world, 10, deployments=(made,)))
            await self.settled(site)
        on = [task.capacity_provider_name for task in site.world.running()]
        assert (on.count("big"), on.count("small")) == (4, 6)

    async def test_an_interrupted_spot_task_is_replaced_at_once(self, site: Site) -> None:
        site.machine("p", None, pool=True)
        made = deployment(
            1, site.time.now(), launch_type="FARGATE", capacity_provider_strategy=strategy(FARGATE_SPOT=1)
        )
        async with site.running():
            site.world.put(new_service(site.world, 1, deployments=(made,)))
            await self.settled(site)
            (old,) = site.world.running()
            await Interruptions(site.state, site.time).interrupt({"task": old.arn.rsplit("/", 1)[1]})
            assert (site.now(old).stop_code, site.now(old).stopped_reason) == (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
            )
            # The old one has not ended yet, and the new one is there.
            await site.time.run_until(lambda: len(site.world.tasks()) == 2, within=1.0)
            await self.settled(site)
        (new,) = site.world.running()
        assert (new.capacity_provider_name, new.launch_type) == ("FARGATE_SPOT", "FARGATE")
