"""Zone rebalancing with the real controller, state and launcher, in virtual time."""

from __future__ import annotations

import msgspec
from control_kit import (
    ACCOUNT,
    CLUSTER,
    PREFIX,
    REGION,
    World,
    controlled,
    definition,
    deployment,
    new_service,
)
from places import add_node, by_zone, connect, tag

from openecs.control.virtual_time import VirtualTime
from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.model.network import region_network
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.shapes import ecs

A, B, C = (f"{REGION}{letter}" for letter in "abc")


def balanced_service(world: World, desired: int, **changes: object) -> Service:
    return new_service(world, desired, availability_zone_rebalancing="ENABLED", **changes)


async def spread(world: World, time: VirtualTime, within: float = 60.0, **wanted: int) -> None:
    def done() -> bool:
        moving = world.agents_obey()
        assert world.service().rebalancing_zone is None or len(world.running()) >= world.service().desired_count
        return not moving and by_zone(world) == wanted and world.service().rebalancing_zone is None

    await time.run_until(done, within=within)


async def test_a_new_zone_is_filled_from_the_fullest_and_the_events_tell_it_as_aws_does(
    world: World, time: VirtualTime
):
    add_node(world, "a", zone=A)
    async with controlled(world, time):
        world.put(balanced_service(world, 2))
        await spread(world, time, a=2)
        await time.advance(60)
        add_node(world, "b", zone=B)
        await spread(world, time, a=1, b=1)
        await time.advance(3600)
    moved = next(task for task in world.running() if task.availability_zone == B)
    (gone,) = [task for task in world.tasks() if task.stopped]
    new, old = moved.arn.rsplit("/", 1)[1], gone.arn.rsplit("/", 1)[1]
    assert gone.stopped_reason == "Availability-zone rebalancing initiated by (deployment ecs-svc/1)"
    assert gone.stop_code == "ServiceSchedulerInitiated"
    assert world.events()[3:] == [
        f"(service web) is not AZ balanced with 2 tasks in {A} and 0 tasks in {B}. AZ Rebalancing in progress.",
        f"(service web) has started 1 tasks in {B} to AZ Rebalance: (task {new}).",
        f"(service web) has stopped 1 running tasks in {A} due to AZ rebalancing: (task {old}).",
        f"(service web) is AZ balanced with 1 tasks in {A} and 1 tasks in {B}.",
    ]


async def test_many_tasks_move_one_by_one_without_a_moment_below_the_desired_count(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    async with controlled(world, time):
        world.put(balanced_service(world, 7))
        await spread(world, time, a=7)
        add_node(world, "b", zone=B)
        add_node(world, "c", zone=C)
        await spread(world, time, a=3, b=2, c=2)


async def test_a_zone_that_comes_back_is_used_again(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    add_node(world, "b", zone=B)
    async with controlled(world, time):
        world.put(balanced_service(world, 4))
        await spread(world, time, a=2, b=2)
        connect(world, "b", connected=False)
        world.put(
            *(
                msgspec.structs.replace(
                    task, last_status="STOPPED", stopped_at=time.now(), stop_code="InfrastructureHealth"
                )
                for task in world.running()
                if task.node_id == "b"
            )
        )
        await spread(world, time, a=4)
        connect(world, "b")
        await spread(world, time, a=2, b=2)


async def test_a_zone_without_room_is_left_until_a_node_changes(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    add_node(world, "b", zone=B, memory=50)
    async with controlled(world, time):
        world.put(balanced_service(world, 4))
        await spread(world, time, a=4)
        await time.run_until(lambda: "stopped AZ Rebalancing" in world.events()[-1], within=1.0)
        said = "(service web) is unable to place a task"
        assert world.events()[-3:] == [
            f"(service web) is not AZ balanced with 4 tasks in {A} and 0 tasks in {B}. AZ Rebalancing in progress.",
            f"{said} in {B} because no container instance met all of its requirements.",
            "(service web) stopped AZ Rebalancing.",
        ]
        before = len(world.events())
        await time.advance(800)
        assert len(world.events()) == before
        assert len(world.tasks()) == 4
        add_node(world, "b2", zone=B)
        await spread(world, time, a=2, b=2)


async def test_a_second_move_that_finds_no_room_ends_the_operation(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    async with controlled(world, time):
        world.put(balanced_service(world, 6))
        await spread(world, time, a=6)
        add_node(world, "b", zone=B, memory=150)
        await spread(world, time, a=5, b=1, within=10.0)
        assert world.events()[-1] == "(service web) stopped AZ Rebalancing."


async def test_constraints_decide_which_nodes_of_a_zone_count(world: World, time: VirtualTime):
    add_node(world, "a", zone=A, role="edge")
    add_node(world, "b", zone=B)
    edge = ecs.PlacementConstraint(type="memberOf", expression="attribute:role == edge")
    async with controlled(world, time):
        world.put(balanced_service(world, 2, placement_constraints=(edge,)))
        await spread(world, time, a=2)
        tag(world, "b", role="edge")
        await spread(world, time, a=1, b=1)


async def test_a_draining_instance_makes_no_zone(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    second = add_node(world, "b", zone=B)
    world.set_instance(second, "DRAINING")
    async with controlled(world, time):
        world.put(balanced_service(world, 4))
        await spread(world, time, a=4)
        assert not any("AZ" in text for text in world.events())
        world.set_instance(second, "ACTIVE")
        await spread(world, time, a=2, b=2)


async def test_services_without_rebalancing_stay_as_they_are(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    async with controlled(world, time):
        world.put(new_service(world, 4))
        await spread(world, time, a=4)
        add_node(world, "b", zone=B)
        await time.advance(3600)
    assert by_zone(world) == {"a": 4}


async def test_fargate_tasks_are_balanced_over_the_zones_of_their_subnets(world: World, time: VirtualTime):
    network = region_network(ACCOUNT, REGION)
    subnets = {subnet.availability_zone: subnet.id for subnet in network.subnets}
    world.put(definition(3, network_mode="awsvpc", compatibilities=("EC2", "FARGATE")))
    vpc = ecs.AwsVpcConfiguration(subnets=(subnets[A], subnets[B]), security_groups=(network.security_group_id,))
    fargate = deployment(
        3,
        time.now(),
        launch_type="FARGATE",
        platform_version="LATEST",
        network_configuration=ecs.NetworkConfiguration(awsvpc_configuration=vpc),
    )
    add_node(world, "a", zone=A, pool=True)
    async with controlled(world, time):
        world.put(balanced_service(world, 4, deployments=(fargate,)))
        await spread(world, time, a=4)
        add_node(world, "c", zone=C, pool=True)
        await time.advance(1200)
        assert by_zone(world) == {"a": 4}
        add_node(world, "b", zone=B, pool=True)
        await spread(world, time, a=2, b=2)
    assert {task.eni.subnet_id for task in world.running() if task.availability_zone == B} == {subnets[B]}


async def test_a_restart_goes_on_with_the_move(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    async with controlled(world, time):
        world.put(balanced_service(world, 4))
        await spread(world, time, a=4)
        add_node(world, "b", zone=B)
        await time.run_until(lambda: world.service().rebalancing_zone == B)
    async with controlled(world, time):
        await spread(world, time, a=2, b=2)
    assert sum("AZ Rebalancing in progress" in text for text in world.events()) == 1


async def test_a_zone_that_others_filled_is_tried_again_later(world: World, time: VirtualTime):
    add_node(world, "a", zone=A)
    add_node(world, "b", zone=B)
    other = Task(
        arn=f"{PREFIX}:task/default/other",
        region=REGION,
        cluster_arn=CLUSTER,
        task_definition_arn=f"{PREFIX}:task-definition/web:1",
        launch_type="EC2",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=1.0,
        group="family:web",
        containers=(),
        reservation=Resources(memory=950),
        node_id="b",
        container_instance_arn=f"{PREFIX}:container-instance/default/b",
    )
    world.put(other)
    async with controlled(world, time):
        world.put(balanced_service(world, 2))
        await spread(world, time, a=2)
        world.put(msgspec.structs.replace(other, last_status="STOPPED"))
        await spread(world, time, within=1300.0, a=1, b=1)


async def test_a_zone_without_a_machine_of_the_provider_is_not_waited_for(world: World, time: VirtualTime):
    group = CapacityProvider(
        arn=f"{PREFIX}:capacity-provider/big",
        name="big",
        region=REGION,
        status="ACTIVE",
        created_at=1.0,
        auto_scaling_group_provider=ecs.AutoScalingGroupProvider(auto_scaling_group_arn="machines"),
        group_name="machines",
    )
    item = ecs.CapacityProviderStrategyItem(capacity_provider="big", weight=1, base=0)
    world.put(group)
    add_node(world, "a", zone=A, **{GROUP_ATTRIBUTE: "machines"})
    add_node(world, "b", zone=B)
    async with controlled(world, time):
        of_group = deployment(1, time.now(), capacity_provider_strategy=(item,))
        world.put(balanced_service(world, 3, deployments=(of_group,)))
        await spread(world, time, a=3)
        await time.run_until(lambda: "(service web) stopped AZ Rebalancing." in world.events())
        await time.run_until(lambda: not world.agents_obey() and all(task.waiting is None for task in live(world)))
        assert by_zone(world) == {"a": 3}
        before = len(world.tasks())
        await time.advance(800)
        assert len(world.tasks()) == before
        add_node(world, "b2", zone=B, **{GROUP_ATTRIBUTE: "machines"})
        await spread(world, time, a=2, b=1)


def live(world: World) -> list[Task]:
    return [task for task in world.tasks() if not task.stopped]
