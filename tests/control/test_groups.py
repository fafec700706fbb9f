"""Auto Scaling groups and managed scaling with a provisioner in memory, whose machines join by themselves."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import ACCOUNT, CLUSTER, PREFIX, REGION, World, definition, running_loop

from openecs.control.groups import GroupController, MachineKeys
from openecs.control.managed_scaling import ManagedScaling
from openecs.control.provisioner import Order
from openecs.control.virtual_time import VirtualTime
from openecs.errors import Retryable
from openecs.metrics.metric import Datum
from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance
from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task, Waiting
from openecs.planning.group_plan import JOIN_WITHIN
from openecs.shapes import ecs

GROUP = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:1:autoScalingGroupName/machines"


class Cloud:
    """Machines that exist.  ``joins``: whether their agents come to the control plane."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.orders: dict[str, Order] = {}
        self.joins = True
        self.problem = ""

    async def start(self, order: Order) -> None:
        if self.problem:
            raise Retryable(self.problem)
        self.orders[order.instance_id] = order
        if self.joins:
            self.join(order)

    async def stop(self, order: Order) -> None:
        self.orders.pop(order.instance_id, None)

    async def machines(self) -> frozenset[str]:
        return frozenset(self.orders)

    def join(self, order: Order) -> None:
        now = self.world.clock.now()
        name = order.instance_id
        node = Node(
            id=name,
            capacity=Resources(cpu=1024, memory=1000),
            agent_connected=True,
            owner=f"arn:aws:sts::{ACCOUNT}:assumed-role/agents/agent-{name}",
        )
        member = ContainerInstance(
            arn=f"{PREFIX}:container-instance/default/{name}",
            cluster_arn=CLUSTER,
            region=REGION,
            node_id=name,
            status="ACTIVE",
            registered_at=now,
            attributes=(ecs.Attribute(name=GROUP_ATTRIBUTE, value=order.group),),
        )
        self.world.put(node, member)


class Site:
    """A group, its capacity provider and the two controllers."""

    def __init__(self, world: World, time: VirtualTime) -> None:
        self.world, self.time = world, time
        self.cloud = Cloud(world)
        self.keys: set[str] = set()
        self.published: list[Datum] = []
        self.groups = GroupController(
            world.state,
            time,
            world.ids,
            self.cloud,
            MachineKeys(self._key, self.keys.discard),
            "http://control-plane",
        )
        self.managed = ManagedScaling(world.state, time, self.published.extend)

    def _key(self, session: str) -> tuple[str, str]:
        self.keys.add(session)
        return f"AKIA-{session}", "secret"

    def put_group(self, desired: int, **changes: object) -> None:
        base = AutoScalingGroup(
            arn=GROUP,
            name="machines",
            region=REGION,
            created_at=self.time.now(),
            min_size=0,
            max_size=6,
            desired=desired,
            zones=(f"{REGION}a", f"{REGION}b"),
        )
        self.world.put(msgspec.structs.replace(base, **changes))

    def put_provider(self, **settings: object) -> None:
        scaling = ecs.ManagedScaling(
            status="ENABLED",
            target_capacity=100,
            minimum_scaling_step_size=1,
            maximum_scaling_step_size=10,
            instance_warmup_period=300,
        )
        given = {
            "managed_scaling": scaling,
            "managed_draining": "ENABLED",
            "managed_termination_protection": "DISABLED",
        }
        self.world.put(
            CapacityProvider(
                arn=f"{PREFIX}:capacity-provider/own",
                name="own",
                region=REGION,
                status="ACTIVE",
                created_at=0.0,
                auto_scaling_group_provider=ecs.AutoScalingGroupProvider(
                    auto_scaling_group_arn=GROUP, **{**given, **settings}
                ),
                group_name="machines",
            ),
            msgspec.structs.replace(self.world.state.clusters.get(CLUSTER), capacity_providers=("own",)),
        )

    @property
    def desired(self) -> int:
        return self.world.state.auto_scaling_groups.get(GROUP).desired

    def machines(self, state: str = "InService") -> list[GroupInstance]:
        return [one for one in self.world.state.group_instances if one.state == state]

    def task(self, name: str, node: str | None, **changes: object) -> Task:
        base = Task(
            arn=f"{PREFIX}:task/default/{name}",
            region=REGION,
            cluster_arn=CLUSTER,
            task_definition_arn=definition(1).arn,
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="RUNNING" if node else "PROVISIONING",
            created_at=self.time.now(),
            group="family:web",
            containers=(),
            reservation=Resources(cpu=1024, memory=600),
            node_id=node,
            capacity_provider_name="own",
            waiting=None if node else Waiting(),
        )
        return msgspec.structs.replace(base, **changes)


@pytest.fixture
def site(world: World, time: VirtualTime) -> Site:
    return Site(world, time)


async def test_machines_come_and_go(site: Site, world: World, time: VirtualTime) -> None:
    async with running_loop(site.groups.loop(time.timing())):
        site.put_group(2)
        await time.run_until(lambda: len(site.machines()) == 2)
        assert {one.zone for one in site.machines()} == {f"{REGION}a", f"{REGION}b"}
        order = next(iter(site.cloud.orders.values()))
        assert (order.group, order.cluster, order.endpoint) == ("machines", "default", "http://control-plane")
        assert order.access_key_id == f"AKIA-agent-{order.instance_id}"
        assert {a.status for a in world.state.group_activities} == {"Successful"}
        site.put_group(1)
        await time.run_until(lambda: len(world.state.group_instances) == 1)
        assert len(site.cloud.orders) == 1
        (gone,) = [i for i in world.state.container_instances if i.status == "INACTIVE"]
        assert f"agent-{gone.node_id}" not in site.keys
        site.put_group(1, deleting=True)
        await time.run_until(lambda: not len(world.state.auto_scaling_groups))
        assert not site.cloud.orders


async def test_a_start_that_fails_is_told_and_tried_again(site: Site, world: World, time: VirtualTime) -> None:
    site.cloud.problem = "the rack is full"
    async with running_loop(site.groups.loop(time.timing())):
        site.put_group(1)
        await time.run_until(lambda: any(a.message for a in world.state.group_activities))
        (activity,) = world.state.group_activities
        assert (activity.status, activity.message) == ("InProgress", "the rack is full")
        site.cloud.problem = ""
        await time.run_until(lambda: len(site.machines()) == 1)
        assert len(world.state.group_activities) == 1


async def test_a_machine_that_never_joins_is_replaced(site: Site, world: World, time: VirtualTime) -> None:
    site.cloud.joins = False
    async with running_loop(site.groups.loop(time.timing())):
        site.put_group(1)
        await time.run_until(lambda: len(site.cloud.orders) == 1)
        first = next(iter(site.cloud.orders))
        site.cloud.joins = True
        await time.run_until(lambda: len(site.machines()) == 1, within=JOIN_WITHIN + 60)
        assert first not in site.cloud.orders


async def test_a_machine_that_vanished_is_replaced_and_its_tasks_end(
    site: Site, world: World, time: VirtualTime
) -> None:
    async with running_loop(site.groups.loop(time.timing())):
        site.put_group(1)
        await time.run_until(lambda: len(site.machines()) == 1)
        (lost,) = site.machines()
        world.put(site.task("t", lost.id))
        del site.cloud.orders[lost.id]
        await time.run_until(lambda: lost.id not in world.state.group_instances and len(site.machines()) == 1)
        (task,) = world.state.tasks
        assert task.stopped
        assert task.stopped_reason == f"Host EC2 (instance {lost.id}) terminated."


async def test_managed_draining_waits_for_tasks(site: Site, world: World, time: VirtualTime) -> None:
    site.put_provider()
    async with running_loop(site.groups.loop(time.timing())):
        site.put_group(1)
        await time.run_until(lambda: len(site.machines()) == 1)
        (machine,) = site.machines()
        task = site.task("t", machine.id)
        world.put(task)
        site.put_group(0)
        await time.run_until(lambda: [i.status for i in world.state.container_instances] == ["DRAINING"])
        await time.advance(3600)
        assert machine.id in site.cloud.orders
        world.put(msgspec.structs.replace(task, desired_status="STOPPED", last_status="STOPPED", stopped_at=time.now()))
        await time.run_until(lambda: machine.id not in site.cloud.orders)


async def test_waiting_tasks_bring_machines_and_empty_ones_go(site: Site, world: World, time: VirtualTime) -> None:
    site.put_provider()
    site.put_group(0)
    timing = time.timing()
    async with running_loop(site.groups.loop(timing)), running_loop(site.managed.loop(timing)):
        await time.advance(100)
        assert site.desired == 0
        waiting = [site.task(f"t{n}", None) for n in range(3)]
        world.put(*waiting)
        # Nobody knows the size of a machine yet: two, as on AWS; then as many as the tasks fill.
        await time.run_until(lambda: site.desired == 2)
        await time.run_until(lambda: site.desired == 3)
        await time.run_until(lambda: len(site.machines()) == 3)
        for task, machine in zip(waiting, site.machines(), strict=True):
            world.put(msgspec.structs.replace(task, node_id=machine.id, waiting=None, last_status="RUNNING"))
        await time.advance(3600)
        assert site.desired == 3
        values = {round(datum.values[0]) for datum in site.published}
        assert 100 in values
        assert {datum.key.name for datum in site.published} == {"CapacityProviderReservation"}
        # One for every minute, whatever else has woken the loop.
        minutes = [datum.timestamp // 60 for datum in site.published]
        assert minutes == [minutes[0] + passed for passed in range(len(minutes))]
        done = world.state.tasks.get(waiting[0].arn)
        world.put(msgspec.structs.replace(done, desired_status="STOPPED", last_status="STOPPED", stopped_at=time.now()))
        await time.advance(14 * 60)
        assert site.desired == 3
        await time.run_until(lambda: site.desired == 2, within=180)
        await time.run_until(lambda: len(site.cloud.orders) == 2)
        assert done.node_id not in site.cloud.orders


async def test_termination_protection_follows_the_tasks(site: Site, world: World, time: VirtualTime) -> None:
    site.put_provider(managed_termination_protection="ENABLED")
    site.put_group(2, protect_new_instances=True)
    timing = time.timing()
    async with running_loop(site.groups.loop(timing)), running_loop(site.managed.loop(timing)):
        await time.run_until(lambda: len(site.machines()) == 2)
        busy = site.machines()[0]
        world.put(site.task("t", busy.id))
        await time.run_until(lambda: [one.protected for one in site.machines()] == [True, False])


async def test_without_a_provisioner_the_activity_says_so(world: World, time: VirtualTime) -> None:
    controller = GroupController(
        world.state, time, world.ids, None, MachineKeys(lambda _: ("", ""), lambda _: None), "http://x"
    )
    site = Site(world, time)
    async with running_loop(controller.loop(time.timing())):
        site.put_group(1)
        await time.run_until(lambda: any("--provisioner" in a.message for a in world.state.group_activities))
        assert site.machines("Pending")
        site.put_group(0)
        await time.run_until(lambda: not len(world.state.group_instances))
