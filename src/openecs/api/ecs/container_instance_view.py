"""A container instance as the API shows it: the record, its node and what is free there."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.node import ContainerInstance, Node
from openecs.planning.cluster_query import InstanceFacts
from openecs.shapes import ecs
from openecs.state.state import State


def view(state: State, instance: ContainerInstance, include: Iterable[str] = ()) -> ecs.ContainerInstance:
    """The wire form.  ``include`` may hold TAGS and CONTAINER_INSTANCE_HEALTH."""
    node = state.nodes.get(instance.node_id)
    counts = state.usage.instance(instance.arn)
    tags = state.tags.get(instance.arn) if "TAGS" in include else None
    return ecs.ContainerInstance(
        container_instance_arn=instance.arn,
        ec2_instance_id=instance.ec2_instance_id,
        capacity_provider_name=_provider(state, instance),
        version=instance.version,
        version_info=(node.version_info if node else None) or ecs.VersionInfo(),
        remaining_resources=_remaining(state, node) if node else (),
        registered_resources=instance.registered_resources,
        status=instance.status,
        agent_connected=bool(node and node.agent_connected and instance.status != "INACTIVE"),
        running_tasks_count=counts.running,
        pending_tasks_count=counts.pending,
        attributes=instance.attributes,
        registered_at=instance.registered_at,
        attachments=(),
        tags=tags.tags if tags else (),
        health_status=_health(instance) if "CONTAINER_INSTANCE_HEALTH" in include else None,
    )


def facts(state: State, instance: ContainerInstance) -> InstanceFacts:
    """What the cluster query language may ask of the instance."""
    node = state.nodes.get(instance.node_id)
    counts = state.usage.instance(instance.arn)
    return InstanceFacts(
        agent_connected=bool(node and node.agent_connected),
        agent_version=(node.version_info.agent_version or "") if node and node.version_info else "",
        ec2_instance_id=instance.ec2_instance_id or "",
        registered_at=instance.registered_at,
        running_tasks_count=counts.running,
        attributes={a.name: a.value or "" for a in instance.attributes},
        task_groups=frozenset(counts.groups),
    )


def resources(
    *, cpu: int, memory: int, ports: Iterable[int], ports_udp: Iterable[int], gpus: Iterable[str] | None = None
) -> tuple[ecs.Resource, ...]:
    """Amounts in AWS's order and form; of ports, those that are taken.  A host without GPUs
    (``None``) has no entry for them; one whose GPUs are all taken has an empty one."""
    listed = (
        _integer("CPU", cpu),
        _integer("MEMORY", memory),
        _string_set("PORTS", ports),
        _string_set("PORTS_UDP", ports_udp),
    )
    return (*listed, _string_set("GPU", gpus)) if gpus is not None else listed


def _provider(state: State, instance: ContainerInstance) -> str | None:
    """The capacity provider of the cluster that stands for the group under which the node joined."""
    group = next((a.value for a in instance.attributes if a.name == GROUP_ATTRIBUTE), None)
    cluster = state.clusters.get(instance.cluster_arn)
    if not group or cluster is None or instance.status == "INACTIVE":
        return None
    for provider in state.capacity_providers.by("region", instance.region):
        if provider.group_name == group and provider.status == "ACTIVE" and provider.name in cluster.capacity_providers:
            return provider.name
    return None


def _remaining(state: State, node: Node) -> tuple[ecs.Resource, ...]:
    """Tasks of every cluster and of the Fargate pool count: the host is one."""
    used = state.usage.node(node.id)
    return resources(
        cpu=node.capacity.cpu - used.cpu,
        memory=node.capacity.memory - used.memory,
        ports=dict.fromkeys((*node.reserved_ports, *used.ports)),
        ports_udp=dict.fromkeys((*node.reserved_ports_udp, *used.ports_udp)),
        gpus=state.fleet.free_gpus(node.id) if node.gpus else None,
    )


def _health(instance: ContainerInstance) -> ecs.ContainerInstanceHealthStatus:
    """Before the agent's first word there is no data, which is what AWS says then."""
    return instance.health or ecs.ContainerInstanceHealthStatus(overall_status="INSUFFICIENT_DATA", details=())


def _integer(name: str, amount: int) -> ecs.Resource:
    return ecs.Resource(name=name, type="INTEGER", double_value=0.0, long_value=0, integer_value=amount)


def _string_set(name: str, items: Iterable[object]) -> ecs.Resource:
    return ecs.Resource(
        name=name,
        type="STRINGSET",
        double_value=0.0,
        long_value=0,
        integer_value=0,
        string_set_value=tuple(str(item) for item in items),
    )
