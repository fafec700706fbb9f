"""What tasks hold at present: resources of nodes, counts by cluster and container instance.

Derived from the task table as it changes and never stored; asking costs nothing, however
many tasks exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from openecs.model.task import Task

K = TypeVar("K")


@dataclass(slots=True)
class NodeUsage:
    """What the live tasks of a node hold."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    #: Host port → how many tasks hold it (one, unless ports were taken by force).
    ports: dict[int, int] = field(default_factory=dict)
    ports_udp: dict[int, int] = field(default_factory=dict)
    tasks: int = 0


@dataclass(slots=True)
class TaskCounts:
    """Live tasks of a cluster or a container instance."""

    running: int = 0
    pending: int = 0
    #: Task group → live tasks of it.
    groups: dict[str, int] = field(default_factory=dict)


class Usage:
    """Sums over the live tasks; ``task_changed`` is the task table's watcher."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeUsage] = {}
        self._instances: dict[str, TaskCounts] = {}
        self._clusters: dict[str, TaskCounts] = {}

    def node(self, node_id: str) -> NodeUsage:
        """What a node's tasks hold; all zero for a node without tasks."""
        return self._nodes.get(node_id) or NodeUsage()

    def instance(self, arn: str) -> TaskCounts:
        """The live tasks of a container instance."""
        return self._instances.get(arn) or TaskCounts()

    def cluster(self, arn: str) -> TaskCounts:
        """The live tasks of a cluster, FARGATE ones included."""
        return self._clusters.get(arn) or TaskCounts()

    def task_changed(self, old: Task | None, new: Task | None) -> None:
        """Take one replacement of a task record into account."""
        if old is not None and not old.stopped:
            self._add(old, -1)
        if new is not None and not new.stopped:
            self._add(new, 1)

    def _add(self, task: Task, sign: int) -> None:
        self._count(self._clusters, task.cluster_arn, task, sign)
        if task.container_instance_arn is not None:
            self._count(self._instances, task.container_instance_arn, task, sign)
        if task.node_id is None:
            return
        usage = self._nodes.setdefault(task.node_id, NodeUsage())
        held = task.reservation
        usage.cpu += sign * held.cpu
        usage.memory += sign * held.memory
        usage.gpus += sign * held.gpus
        usage.tasks += sign
        for ports, taken in ((usage.ports, held.ports), (usage.ports_udp, held.ports_udp)):
            for port in taken:
                _increment(ports, port, sign)

    @staticmethod
    def _count(counts: dict[str, TaskCounts], key: str, task: Task, sign: int) -> None:
        entry = counts.setdefault(key, TaskCounts())
        # A task that is on its way out is neither pending nor running for DescribeClusters.
        if task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"):
            entry.pending += sign
        elif task.last_status == "RUNNING":
            entry.running += sign
        _increment(entry.groups, task.group, sign)


def _increment(counts: dict[K, int], key: K, by: int) -> None:
    value = counts.get(key, 0) + by
    if value:
        counts[key] = value
    else:
        counts.pop(key, None)
