"""Nodes with zones and attributes for tests of services that care about places."""

from __future__ import annotations

import msgspec
from control_kit import CLUSTER, PREFIX, REGION, World

from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.shapes import ecs

ZONE = "ecs.availability-zone"


def add_node(
    world: World,
    name: str,
    *,
    zone: str = f"{REGION}a",
    memory: int = 1000,
    pool: bool = False,
    connected: bool = True,
    **attributes: str,
) -> ContainerInstance:
    """A node that is lent to the cluster, and to the Fargate pool when ``pool`` says so."""
    instance = ContainerInstance(
        arn=f"{PREFIX}:container-instance/default/{name}",
        cluster_arn=CLUSTER,
        region=REGION,
        node_id=name,
        status="ACTIVE",
        registered_at=world.clock.now(),
        attributes=tuple(ecs.Attribute(name=key, value=value) for key, value in {ZONE: zone, **attributes}.items()),
    )
    node = Node(
        id=name,
        capacity=Resources(cpu=4096, memory=memory),
        agent_connected=connected,
        fargate_pool=pool,
        availability_zone=zone,
        instance_arn=instance.arn,
    )
    world.put(node, instance)
    return instance


def connect(world: World, name: str, *, connected: bool = True) -> None:
    """Have the agent of a node connect, or lose its connection."""
    world.put(msgspec.structs.replace(world.state.nodes.get(name), agent_connected=connected))


def tag(world: World, name: str, **attributes: str) -> None:
    """Give a container instance these custom attributes, in place of those it had."""
    instance = world.state.container_instances.get(f"{PREFIX}:container-instance/default/{name}")
    kept = [attribute for attribute in instance.attributes if attribute.name == ZONE]
    given = [ecs.Attribute(name=key, value=value) for key, value in attributes.items()]
    world.put(msgspec.structs.replace(instance, attributes=(*kept, *given)))


def by_node(world: World, name: str = "web") -> dict[str, int]:
    """Live tasks of a service by node."""
    found: dict[str, int] = {}
    for task in world.tasks(name):
        if not task.stopped and task.node_id is not None:
            found[task.node_id] = found.get(task.node_id, 0) + 1
    return dict(sorted(found.items()))


def by_zone(world: World) -> dict[str, int]:
    """Running tasks of the service by the last letter of their zone."""
    found: dict[str, int] = {}
    for task in world.running():
        zone = (task.availability_zone or "?")[-1]
        found[zone] = found.get(zone, 0) + 1
    return dict(sorted(found.items()))
