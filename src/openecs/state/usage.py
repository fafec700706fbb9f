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
    #: Host port → how many tasks hold it (one, unless ports were taken by force).
    ports: dict[int, int] = field(default_factory=dict)
    ports_udp: dict[int, int] = field(default_factory=dict)
    #: Ids of the GPUs that are taken, like the ports.
    gpus: dict[str, int] = field(default_factory=dict)
    tasks: int = 0
    #: FARGATE task group (see ``fargate_group``) → tasks of it that shall run.
    fargate_groups: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class TaskCounts:
    """Live tasks of a cluster or a container instance."""

    running: int = 0
    pending: int = 0
    #: Task group → tasks of it that shall run.  As on AWS a task that was told to stop keeps
    #: its resources while it stops, but is out of the way of spreading and distinctInstance.
    groups: dict[str, int] = field(default_factory=dict)


def fargate_group(cluster_arn: str, group: str) -> str:
    """A task group's name in the Fargate pool, which the clusters share."""
    return f"{group} {cluster_arn}"


class Usage:
    """Sums over the live tasks; ``task_changed`` is the task table's watcher.

    The objects that it gives are its own, change with the tasks and stay the same objects:
    whoever keeps one sees the present.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, NodeUsage] = {}
        self._instances: dict[str, TaskCounts] = {}
        self._clusters: dict[str, TaskCounts] = {}

    def node(self, node_id: str) -> NodeUsage:
        """What a node's tasks hold; all zero for a node without tasks."""
        found = self._nodes.get(node_id)
        if found is None:
            found = self._nodes[node_id] = NodeUsage()
        return found

    def instance(self, arn: str) -> TaskCounts:
        """The live tasks of a container instance."""
        found = self._instances.get(arn)
        if found is None:
            found = self._instances[arn] = TaskCounts()
        return found

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
        usage = self.node(task.node_id)
        held = task.reservation
        usage.cpu += sign * held.cpu
        usage.memory += sign * held.memory
        usage.tasks += sign
        for ports, taken in ((usage.ports, held.ports), (usage.ports_udp, held.ports_udp)):
            for port in taken:
                _increment(ports, port, sign)
        if held.gpus:
            for container in task.containers:
                for gpu in container.gpu_ids:
                    _increment(usage.gpus, gpu, sign)
        if task.container_instance_arn is None and task.desired_status == "RUNNING":
            _increment(usage.fargate_groups, fargate_group(task.cluster_arn, task.group), sign)

    @staticmethod
    def _count(counts: dict[str, TaskCounts], key: str, task: Task, sign: int) -> None:
        entry = counts.get(key)
        if entry is None:
            entry = counts[key] = TaskCounts()
        # A task that is on its way out is neither pending nor running for DescribeClusters.
        if task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"):
            entry.pending += sign
        elif task.last_status == "RUNNING":
            entry.running += sign
        if task.desired_status == "RUNNING":
            _increment(entry.groups, task.group, sign)


def holds_the_same(old: Task | None, new: Task | None) -> bool:
    """Whether a replacement of a task record surely changes nothing of what the task holds."""
    return (
        old is not None
        and new is not None
        and old.last_status == new.last_status
        and old.desired_status == new.desired_status
        and old.node_id == new.node_id
        and old.reservation is new.reservation
    )


def _increment(counts: dict[K, int], key: K, by: int) -> None:
    value = counts.get(key, 0) + by
    if value:
        counts[key] = value
    else:
        counts.pop(key, None)
