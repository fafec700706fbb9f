"""What placement may choose from: the nodes of a cluster, or of the Fargate pool, as they are now."""

from __future__ import annotations

from collections.abc import Sequence

from openecs.model.node import ContainerInstance, Node
from openecs.planning import cluster_query
from openecs.planning.launch_requirements import launch_types
from openecs.planning.placement import Candidate
from openecs.shapes import ecs
from openecs.state.state import State


def pool_candidates(state: State) -> Sequence[Candidate]:
    """The nodes that are lent to the Fargate pool."""
    return [candidate(state, node, None) for node in state.nodes if node.fargate_pool]


def cluster_candidates(state: State, cluster_arn: str, launch_type: str) -> Sequence[Candidate]:
    """The container instances of a cluster that serve a launch type, draining ones included."""
    found = []
    for instance in state.container_instances.by("cluster", cluster_arn):
        node = state.nodes.get(instance.node_id)
        if node is None or instance.status == "INACTIVE":
            continue
        seen = candidate(state, node, instance)
        if launch_type in launch_types(seen.facts.attributes):
            found.append(seen)
    return found


def served_by(instance: ContainerInstance) -> frozenset[str]:
    """The launch types that a container instance serves."""
    return launch_types({a.name: a.value or "" for a in instance.attributes})


def candidate(state: State, node: Node, instance: ContainerInstance | None) -> Candidate:
    """A node with what is free on it, as one cluster or (without an instance) the pool sees it."""
    used = state.usage.node(node.id)
    counts = state.usage.instance(instance.arn) if instance else None
    attributes = instance.attributes if instance else _pool_attributes(state, node)
    return Candidate(
        node_id=node.id,
        container_instance_arn=instance.arn if instance else None,
        accepts_tasks=instance is None or instance.status == "ACTIVE",
        connected=node.agent_connected,
        cpu=node.capacity.cpu - used.cpu,
        memory=node.capacity.memory - used.memory,
        gpus=len(node.gpus) - used.gpus,
        ports_taken=set(used.ports).union(node.reserved_ports),
        ports_udp_taken=set(used.ports_udp).union(node.reserved_ports_udp),
        facts=cluster_query.InstanceFacts(
            agent_connected=node.agent_connected,
            agent_version=(node.version_info.agent_version or "") if node.version_info else "",
            ec2_instance_id=(instance.ec2_instance_id or "") if instance else "",
            registered_at=instance.registered_at if instance else node.registered_at,
            running_tasks_count=counts.running if counts else 0,
            attributes={a.name: a.value or "" for a in attributes},
            task_groups=frozenset(counts.groups) if counts else frozenset(),
        ),
        tasks=used.tasks,
        groups=dict(counts.groups) if counts else {},
    )


def _pool_attributes(state: State, node: Node) -> tuple[ecs.Attribute, ...]:
    """What a node of the pool can do: what it registered as a container instance."""
    instances = state.container_instances.by("node", node.id)
    return instances[0].attributes if instances else ()
