"""Where a launch puts tasks, over real state: zones, subnets, groups, failures and facts."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from control_kit import ACCOUNT, CLUSTER, PREFIX, REGION, World, cluster, definition

from openecs.control.launch_spec import Launched, LaunchSpec
from openecs.control.virtual_time import VirtualTime
from openecs.errors import AWSError
from openecs.model.network import region_network
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.planning.placement import DISTINCT, MEMBER_OF, ZONE
from openecs.shapes import ecs

SUBNETS = region_network(ACCOUNT, REGION).subnets
DISTINCT_INSTANCE = ecs.PlacementConstraint(type="distinctInstance")


@pytest.fixture
def world() -> World:
    return World(VirtualTime())


def add(world: World, name: str, zone: str, *, memory: int = 1000, pool: bool = False, **changes: Any) -> str:
    """A machine in a zone; its container instance's ARN."""
    instance = ContainerInstance(
        arn=f"{PREFIX}:container-instance/default/{name}",
        cluster_arn=CLUSTER,
        region=REGION,
        node_id=name,
        status="ACTIVE",
        registered_at=1.0,
        attributes=(ecs.Attribute(name=ZONE, value=REGION + zone), ecs.Attribute(name="stack", value="prod")),
    )
    node = Node(id=name, capacity=Resources(cpu=4096, memory=memory), agent_connected=True, fargate_pool=pool)
    world.put(msgspec.structs.replace(node, **changes), instance)
    return instance.arn


def spec(count: int, **changes: Any) -> LaunchSpec:
    base = LaunchSpec(cluster=cluster(), definition=definition(1), count=count, launch_type="EC2", group="service:web")
    return msgspec.structs.replace(base, **changes)


def launch(world: World, wanted: LaunchSpec) -> Launched:
    with world.state.transaction() as tx:
        return world.launcher.launch(tx, wanted, now=5.0, ids=world.ids)


def fargate(count: int, *subnets: int, network_mode: str = "awsvpc") -> LaunchSpec:
    vpc = ecs.AwsVpcConfiguration(subnets=tuple(SUBNETS[number].id for number in subnets))
    return spec(
        count,
        definition=definition(1, network_mode=network_mode, compatibilities=("FARGATE",)),
        launch_type="FARGATE",
        network_configuration=ecs.NetworkConfiguration(awsvpc_configuration=vpc),
    )


def places(launched: Launched) -> list[str | None]:
    return [task.node_id for task in launched.tasks]


def test_the_default_is_zones_then_instances(world: World) -> None:
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        add(world, name, zone)
    assert places(launch(world, spec(6))) == ["a1", "b1", "a2", "b1", "a1", "b1"]
    assert places(launch(world, spec(1))) == ["a2"]


def test_fargate_tasks_go_to_the_zones_of_their_subnets_and_spread_over_them(world: World) -> None:
    for name, zone in (("a1", "a"), ("b1", "b"), ("c1", "c")):
        add(world, name, zone, pool=True)
    launched = launch(world, fargate(4, 0, 1))
    assert places(launched) == ["a1", "b1", "a1", "b1"]
    assert [task.availability_zone for task in launched.tasks] == [f"{REGION}a", f"{REGION}b"] * 2
    # Tasks of other clusters do not count, nodes elsewhere serve when there is nothing else.
    other = msgspec.structs.replace(fargate(1, 0, 1), cluster=cluster("other"))
    assert places(launch(world, other)) == ["a1"]
    world.put(*(msgspec.structs.replace(node, fargate_pool=node.id == "c1") for node in world.state.nodes))
    assert places(launch(world, fargate(1, 0, 1))) == ["c1"]


def test_failures_name_every_instance_and_nothing_is_placed_twice(world: World) -> None:
    first, second = add(world, "a1", "a"), add(world, "a2", "a", memory=50)
    launched = launch(world, spec(3, placement_constraints=(DISTINCT_INSTANCE,)))
    assert places(launched) == ["a1"]
    assert [(f.arn, f.reason) for f in launched.failures] == [(first, DISTINCT), (second, "RESOURCE:MEMORY")]
    assert launched.nearest is not None
    assert launched.nearest.candidate.arn == first


def test_constraints_of_the_definition_hold_too(world: World) -> None:
    add(world, "a1", "a")
    constraint = ecs.TaskDefinitionPlacementConstraint(type="memberOf", expression="attribute:stack == dev")
    shape = msgspec.structs.replace(definition(1).definition, placement_constraints=(constraint,))
    launched = launch(world, spec(1, definition=msgspec.structs.replace(definition(1), definition=shape)))
    assert [f.reason for f in launched.failures] == [MEMBER_OF]


def test_tasks_of_one_launch_follow_the_first(world: World) -> None:
    """A task:group constraint that the launch's own tasks change counts for the next of them."""
    add(world, "a1", "a")
    add(world, "b1", "b")
    apart = ecs.PlacementConstraint(type="memberOf", expression="not (task:group == service:web)")
    launched = launch(world, spec(3, placement_constraints=(apart,)))
    assert sorted(map(str, places(launched))) == ["a1", "b1"]
    assert {f.reason for f in launched.failures} == {MEMBER_OF}


def test_facts_tell_how_each_was_chosen(world: World) -> None:
    arn = add(world, "a1", "a")
    add(world, "b1", "b", agent_connected=False)
    with world.state.transaction() as tx:
        (task,) = world.launcher.launch(tx, spec(1), now=5.0, ids=world.ids).tasks
        told = tx.reasons[task.arn].facts
    assert (task.node_id, task.container_instance_arn, task.availability_zone) == ("a1", arn, f"{REGION}a")
    assert (told["strategy"], told["fitting"], told["offered"]) == (
        (f"spread(attribute:{ZONE})", "spread(instanceId)"),
        1,
        2,
    )
    assert [(node["node"], node["reason"]) for node in told["nodes"]] == [("b1", "AGENT")]


def test_named_instances_are_taken_or_refused_one_by_one(world: World) -> None:
    for name, changes in (("a1", {}), ("a2", {"agent_connected": False}), ("a3", {"memory": 10})):
        add(world, name, "a", **changes)
    named = tuple(world.state.container_instances.by("cluster", CLUSTER))
    launched = launch(world, spec(3, container_instances=named))
    assert places(launched) == ["a1"]
    assert [f.reason for f in launched.failures] == ["AGENT", "RESOURCE:MEMORY"]


def test_what_a_launch_took_is_free_again_when_its_transaction_is_undone(world: World) -> None:
    add(world, "a1", "a", memory=250)
    with contextlib.suppress(RuntimeError), world.state.transaction() as tx:
        assert len(world.launcher.launch(tx, spec(3), now=5.0, ids=world.ids).tasks) == 2
        raise RuntimeError
    assert len(launch(world, spec(3)).tasks) == 2


def test_tasks_of_one_launch_have_ids_of_their_own(world: World) -> None:
    add(world, "a1", "a")
    tasks = launch(world, spec(4)).tasks
    assert len({task.arn for task in tasks}) == 4
    assert len({container.arn for task in tasks for container in task.containers}) == 4
    for task in tasks:
        assert task.containers[0].arn.startswith(task.arn.replace(":task/", ":container/") + "/")


def test_a_cluster_without_instances_of_the_launch_type_is_an_error(world: World) -> None:
    with pytest.raises(AWSError, match="No Container Instances were found"):
        launch(world, spec(1))
    add(world, "a1", "a")
    with pytest.raises(AWSError, match="No Container Instances were found"):
        launch(world, spec(1, launch_type="EXTERNAL"))
