"""What placement may choose from, always up to date: the nodes as clusters and the pool offer them.

Derived from nodes, container instances and the usage of tasks as these change (inside
transactions, too, and when one is undone), and never stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.planning.cluster_query import InstanceFacts
from openecs.planning.launch_requirements import launch_types
from openecs.planning.placement import Candidate, Offer, Scope
from openecs.shapes import ecs
from openecs.state.table import Table
from openecs.state.usage import NodeUsage, Usage, fargate_group

_POOL = "FARGATE"


@dataclass(slots=True)
class _Host:
    """A node with the candidates that stand for it, by name."""

    capacity: Resources
    gpus: tuple[str, ...]
    used: NodeUsage
    candidates: dict[str, tuple[Offer, Candidate]] = field(default_factory=dict)

    def free_gpus(self) -> tuple[str, ...]:
        """Ids of the GPUs that no task has, in the node's order."""
        return tuple([gpu for gpu in self.gpus if gpu not in self.used.gpus]) if self.gpus else ()


class Fleet:
    """The candidates of every cluster and of the Fargate pool."""

    def __init__(self, nodes: Table[Node], instances: Table[ContainerInstance], usage: Usage) -> None:
        self._nodes = nodes
        self._instances = instances
        self._usage = usage
        #: By cluster ARN, or ``_POOL``.
        self._offers: dict[str, Offer] = {}
        self._hosts: dict[str, _Host] = {}
        nodes.watch(self._node_changed)
        instances.watch(self._instance_changed)

    def offer(self, scope: Scope) -> Offer:
        """The candidates among which those of a scope are."""
        return self._offer(_POOL if scope.launch_type == "FARGATE" else scope.cluster_arn)

    def instance(self, instance: ContainerInstance) -> Candidate | None:
        """The candidate that stands for a container instance, unless that is INACTIVE."""
        return self._offer(instance.cluster_arn).get(instance.arn)

    def free_gpus(self, node_id: str) -> tuple[str, ...]:
        """Ids of a node's GPUs that no task has; none of a node that is unknown."""
        host = self._hosts.get(node_id)
        return host.free_gpus() if host else ()

    def task_changed(self, old: Task | None, new: Task | None) -> None:
        """Take one replacement of a task record into account, after ``Usage`` did."""
        if old is not None and old.node_id is not None:
            self._touch(old)
        if new is not None and new.node_id is not None and (old is None or old.node_id != new.node_id):
            self._touch(new)

    def _touch(self, task: Task) -> None:
        """A task changed that counts on its node."""
        assert task.node_id is not None  # noqa: S101 -- the callers looked
        host = self._hosts.get(task.node_id)
        if host is None:
            return
        name = task.container_instance_arn or task.node_id
        used = host.used
        cpu, memory = host.capacity.cpu - used.cpu, host.capacity.memory - used.memory
        gpus = len(host.free_gpus())
        for arn, (offer, candidate) in host.candidates.items():
            candidate.cpu = cpu
            candidate.memory = memory
            candidate.gpus = gpus
            candidate.tasks = used.tasks
            if arn == name:
                group = task.group
                if candidate.container_instance_arn is None:
                    group = fargate_group(task.cluster_arn, group)
                else:
                    candidate.facts.running_tasks_count = self._usage.instance(arn).running
                offer.group_changed(candidate, group)
            offer.changed(candidate)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if old is not None and new is not None and _offered(old) == _offered(new):
            return
        node = new or old
        if node is not None:
            self._renew(node.id)

    def _instance_changed(self, old: ContainerInstance | None, new: ContainerInstance | None) -> None:
        if old is not None and new is not None and _shown(old) == _shown(new):
            return
        # Not a set: its order would differ from run to run, and with it the order of candidates.
        for node_id in dict.fromkeys(instance.node_id for instance in (old, new) if instance is not None):
            self._renew(node_id)

    def _renew(self, node_id: str) -> None:
        """Let new candidates stand for a node."""
        before = self._hosts.pop(node_id, None)
        for arn, (offer, _) in before.candidates.items() if before else ():
            offer.replace(arn, None)
        node = self._nodes.get(node_id)
        if node is None:
            return
        host = self._hosts[node_id] = _Host(node.capacity, node.gpus, self._usage.node(node_id))
        instances = self._instances.by("node", node_id)
        if node.fargate_pool:
            # A node of the pool can do what it registered as a container instance.
            attributes = instances[0].attributes if instances else ()
            self._add(host, self._offer(_POOL), self._pool_candidate(host, node, attributes))
        for instance in instances:
            if instance.status != "INACTIVE":
                self._add(host, self._offer(instance.cluster_arn), self._candidate(host, node, instance))

    def _offer(self, key: str) -> Offer:
        offer = self._offers.get(key)
        if offer is None:
            offer = self._offers[key] = Offer()
        return offer

    @staticmethod
    def _add(host: _Host, offer: Offer, candidate: Candidate) -> None:
        host.candidates[candidate.arn] = (offer, candidate)
        offer.replace(candidate.arn, candidate)

    def _candidate(self, host: _Host, node: Node, instance: ContainerInstance) -> Candidate:
        counts = self._usage.instance(instance.arn)
        attributes = _named(instance.attributes)
        facts = InstanceFacts(
            agent_connected=node.agent_connected,
            agent_version=_agent_version(node),
            ec2_instance_id=instance.ec2_instance_id or "",
            registered_at=instance.registered_at,
            running_tasks_count=counts.running,
            attributes=attributes,
            task_groups=counts.groups,
        )
        return _candidate(
            host,
            node,
            facts,
            instance_arn=instance.arn,
            accepts_tasks=instance.status == "ACTIVE",
            groups=counts.groups,
            kinds=launch_types(attributes),
        )

    @staticmethod
    def _pool_candidate(host: _Host, node: Node, attributes: tuple[ecs.Attribute, ...]) -> Candidate:
        facts = InstanceFacts(
            agent_connected=node.agent_connected,
            agent_version=_agent_version(node),
            registered_at=node.registered_at,
            attributes=_named(attributes),
        )
        return _candidate(
            host,
            node,
            facts,
            instance_arn=None,
            accepts_tasks=True,
            groups=host.used.fargate_groups,
            kinds=frozenset({"FARGATE"}),
        )


def _candidate(
    host: _Host,
    node: Node,
    facts: InstanceFacts,
    *,
    instance_arn: str | None,
    accepts_tasks: bool,
    groups: dict[str, int],
    kinds: frozenset[str],
) -> Candidate:
    used = host.used
    return Candidate(
        node_id=node.id,
        container_instance_arn=instance_arn,
        accepts_tasks=accepts_tasks,
        connected=node.agent_connected,
        cpu=node.capacity.cpu - used.cpu,
        memory=node.capacity.memory - used.memory,
        gpus=len(host.free_gpus()),
        # These dictionaries are the usage's own: the candidate sees them change.
        ports_taken=used.ports,
        ports_udp_taken=used.ports_udp,
        facts=facts,
        tasks=used.tasks,
        groups=groups,
        reserved_ports=frozenset(node.reserved_ports),
        reserved_ports_udp=frozenset(node.reserved_ports_udp),
        launch_types=kinds,
    )


def _named(attributes: tuple[ecs.Attribute, ...]) -> dict[str, str]:
    return {attribute.name: attribute.value or "" for attribute in attributes}


def _agent_version(node: Node) -> str:
    return (node.version_info.agent_version or "") if node.version_info else ""


def _offered(node: Node) -> tuple[object, ...]:
    """What candidates show of a node."""
    return (
        node.capacity,
        node.gpus,
        node.reserved_ports,
        node.reserved_ports_udp,
        node.fargate_pool,
        node.agent_connected,
        node.version_info,
        node.registered_at,
    )


def _shown(instance: ContainerInstance) -> tuple[object, ...]:
    """What candidates show of a container instance."""
    return (
        instance.node_id,
        instance.cluster_arn,
        instance.status,
        instance.attributes,
        instance.ec2_instance_id,
        instance.registered_at,
    )
