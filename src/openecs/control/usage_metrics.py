"""From what tasks used to the metrics of AWS/ECS and ECS/ContainerInsights, by AWS's names and dimensions.

Only what was measured becomes a metric: a task that reserves no CPU has no CPU utilisation, and a
container on the host's network no traffic of its own.  Functions of state and use; they store nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.cluster import Cluster
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.state.state import State

ECS, INSIGHTS = "AWS/ECS", "ECS/ContainerInsights"
_METRICS = frozenset({"CPUUtilization", "MemoryUtilization"})


class Samples(Protocol):
    """Samples of a figure, as an agent's stats set has them."""

    @property
    def sample_count(self) -> int: ...
    @property
    def mean(self) -> float: ...
    @property
    def min(self) -> float: ...
    @property
    def max(self) -> float: ...


@dataclass
class Figure:
    """A figure's mean, with the least and the most that it was."""

    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    #: Samples that the mean is of.
    weight: float = 0.0

    def add(self, mean: float, low: float, high: float, weight: float) -> None:
        """More samples of the same."""
        if not self.weight:
            self.mean, self.low, self.high, self.weight = mean, low, high, weight
            return
        self.low, self.high = min(self.low, low), max(self.high, high)
        # What is rounded must not come to lie beyond the extremes.
        both = (self.mean * self.weight + mean * weight) / (self.weight + weight)
        self.mean = min(max(both, self.low), self.high)
        self.weight += weight

    def __add__(self, other: Figure) -> Figure:
        """Both together, as if they had their extremes at one time."""
        return Figure(
            self.mean + other.mean, self.low + other.low, self.high + other.high, max(self.weight, other.weight)
        )


class Used:
    """What one container, or several together, used: CPU units, MiB, bytes a second, bytes since the start."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}
        self.read: float | None = None
        self.written: float | None = None
        self.restarts: int | None = None

    def add(self, name: str, mean: float, low: float, high: float, weight: float) -> None:
        """Samples of a figure."""
        self.figures.setdefault(name, Figure()).add(mean, low, high, weight)

    def add_mean(self, name: str, samples: Samples) -> None:
        """Samples of a figure whose extremes nobody asks for."""
        if samples.sample_count:
            self.add(name, samples.mean, samples.min, samples.max, samples.sample_count)

    def __add__(self, other: TaskUse | Used) -> Used:
        """Both together."""
        if isinstance(other, TaskUse):
            other = other.total()
        both = Used()
        for name in dict.fromkeys((*self.figures, *other.figures)):
            both.figures[name] = self.figures.get(name, Figure()) + other.figures.get(name, Figure())
        both.read = _sum(self.read, other.read)
        both.written = _sum(self.written, other.written)
        restarts = _sum(self.restarts, other.restarts)
        both.restarts = None if restarts is None else int(restarts)
        return both


@dataclass
class TaskUse:
    """What the containers of a task used."""

    containers: dict[str, Used] = field(default_factory=dict)

    def total(self) -> Used:
        """The task as a whole."""
        total = Used()
        for part in self.containers.values():
            total = total + part
        return total


def task_metrics(state: State, task: Task, use: TaskUse, at: float) -> Iterator[Datum]:
    """A task's part in the utilisation of its service: one sample a minute."""
    if task.service_arn is not None:
        yield from _utilisation(task, use.total(), at, 60, _METRICS - fine(state, task))


def fine_metrics(state: State, task: Task, use: TaskUse, at: float) -> Iterator[Datum]:
    """The same every 20 seconds, for services that asked for it."""
    wanted = fine(state, task)
    if wanted:
        yield from _utilisation(task, use.total(), at, 1, wanted)


def fine(state: State, task: Task) -> frozenset[str]:
    """The metrics that a task's service has every 20 seconds."""
    service = state.services.get(task.service_arn or "")
    deployment = service.deployment(task.deployment_id) if service is not None else None
    monitoring = deployment.monitoring if deployment is not None else None
    wanted = (monitoring.metric_configurations or ()) if monitoring is not None else ()
    return frozenset(name for one in wanted if one.resolution_seconds < 60 for name in one.metric_names)


def _utilisation(task: Task, total: Used, at: float, seconds: int, names: frozenset[str]) -> Iterator[Datum]:
    dims = dimensions({"ClusterName": _short(task.cluster_arn), "ServiceName": _short(task.service_arn or "")})
    for name, figure, reserved in (
        ("CPUUtilization", total.figures.get("cpu"), task.reservation.cpu),
        ("MemoryUtilization", total.figures.get("memory"), task.reservation.memory),
    ):
        if figure is None or not reserved or name not in names:
            continue
        scale = 100.0 / reserved
        yield Datum(
            MetricKey(task.region, ECS, name, dims),
            at,
            sample_count=1.0,
            sum=figure.mean * scale,
            minimum=figure.low * scale,
            maximum=figure.high * scale,
            unit="Percent",
            resolution=seconds,
        )


def cluster_utilisation(state: State, used: Mapping[str, Used], at: float) -> Iterator[Datum]:
    """What tasks on container instances used of them; ``used`` is by cluster."""
    for arn, total in used.items():
        cluster = state.clusters.get(arn)
        if cluster is None or cluster.status != "ACTIVE":
            continue
        capacity = _capacity(state, cluster)
        for name, figure, whole in (
            ("CPUUtilization", total.figures.get("cpu"), capacity[0]),
            ("MemoryUtilization", total.figures.get("memory"), capacity[1]),
        ):
            if figure is not None and whole:
                scale = 100.0 / whole
                yield Datum(
                    _of_cluster(cluster, ECS, name),
                    at,
                    sample_count=1.0,
                    sum=figure.mean * scale,
                    minimum=figure.low * scale,
                    maximum=figure.high * scale,
                    unit="Percent",
                )


def cluster_counts(state: State, at: float) -> Iterator[Datum]:
    """What is reserved of every cluster's container instances now, and Container Insights' counts."""
    for cluster in state.clusters:
        if cluster.status == "ACTIVE":
            yield from _reservations(state, cluster, _capacity(state, cluster), at)
            if insights_level(cluster) != "disabled":
                yield from _counts(state, cluster, at)


def _capacity(state: State, cluster: Cluster) -> tuple[int, int, int]:
    """CPU units, MiB and GPUs of a cluster's container instances."""
    cpu = memory = gpus = 0
    for instance in state.container_instances.by("cluster", cluster.arn):
        node = state.nodes.get(instance.node_id)
        if node is not None and instance.status in ("ACTIVE", "DRAINING"):
            cpu += node.capacity.cpu
            memory += node.capacity.memory
            gpus += len(node.gpus)
    return cpu, memory, gpus


def _reservations(state: State, cluster: Cluster, capacity: tuple[int, int, int], at: float) -> Iterator[Datum]:
    """What tasks on container instances have reserved of them."""
    if not capacity[0]:
        return
    held = [
        task.reservation
        for task in state.tasks.by("cluster", cluster.arn)
        if not task.stopped and task.launch_type == "EC2" and task.node_id is not None
    ]
    for name, reserved, total in (
        ("CPUReservation", sum(one.cpu for one in held), capacity[0]),
        ("MemoryReservation", sum(one.memory for one in held), capacity[1]),
        ("GPUReservation", sum(one.gpus for one in held), capacity[2]),
    ):
        if total:
            yield single(_of_cluster(cluster, ECS, name), at, 100.0 * reserved / total, "Percent")


def _counts(state: State, cluster: Cluster, at: float) -> Iterator[Datum]:
    """Container Insights' counts of a cluster and its services."""
    for name, value in cluster_counts_of(state, cluster).items():
        yield single(_of_cluster(cluster, INSIGHTS, name), at, float(value), "Count")
    for service in state.services.by("cluster", cluster.arn):
        if service.status != "INACTIVE":
            dims = dimensions({"ClusterName": cluster.name, "ServiceName": service.name})
            for name, value in service_counts_of(state, service).items():
                yield single(MetricKey(cluster.region, INSIGHTS, name, dims), at, float(value), "Count")


def cluster_counts_of(state: State, cluster: Cluster) -> dict[str, int]:
    """What a cluster has now, by the metrics' names."""
    services = state.services.by("cluster", cluster.arn)
    instances = state.container_instances.by("cluster", cluster.arn)
    return {
        "TaskCount": state.usage.cluster(cluster.arn).running,
        "ServiceCount": sum(one.status != "INACTIVE" for one in services),
        "ContainerInstanceCount": sum(one.status != "INACTIVE" for one in instances),
    }


def service_counts_of(state: State, service: Service) -> dict[str, int]:
    """The same of a service."""
    tasks = [one for one in state.tasks.by("service", service.arn) if one.desired_status == "RUNNING"]
    living = [one for one in service.deployments if one.status != "INACTIVE" and one.task_set is None]
    return {
        "DesiredTaskCount": service.desired_count,
        "RunningTaskCount": sum(one.last_status == "RUNNING" for one in tasks),
        "PendingTaskCount": sum(one.last_status in ("PROVISIONING", "PENDING", "ACTIVATING") for one in tasks),
        "DeploymentCount": len(living),
        "TaskSetCount": sum(one.task_set is not None for one in service.deployments),
    }


def insights(state: State, task: Task, use: TaskUse, at: float) -> Iterator[Datum]:
    """A task's metrics of Container Insights, as far as its cluster wants them."""
    cluster = state.clusters.get(task.cluster_arn)
    level = insights_level(cluster) if cluster is not None else "disabled"
    if level == "disabled":
        return
    total = use.total()
    names = {"ClusterName": _short(task.cluster_arn)}
    family = names | {"TaskDefinitionFamily": _family(task)}
    sets = [names, family]
    if task.service_arn is not None:
        service = names | {"ServiceName": _short(task.service_arn)}
        sets.append(service)
    for dims in sets:
        yield from _resources(task, total, "", at, dims, reserved=(task.reservation.cpu, task.reservation.memory))
    if level != "enhanced":
        return
    deeper = [*sets]
    if task.service_arn is not None:
        deeper.append(service | {"TaskId": _short(task.arn)})
    deeper.append(family | {"TaskId": _short(task.arn)})
    for dims in deeper:
        yield from _percentages(task, total, "Task", at, dims, (task.reservation.cpu, task.reservation.memory))
    yield from _containers(task, use, at, deeper)


def _containers(task: Task, use: TaskUse, at: float, sets: list[dict[str, str]]) -> Iterator[Datum]:
    """The metrics of each container of a task, for enhanced observability."""
    states = {one.name: one for one in task.containers}
    for name, used in use.containers.items():
        known = states.get(name)
        if known is None:
            continue
        reserved = (_whole(known.cpu), _whole(known.memory) or _whole(known.memory_reservation))
        for dims in (dims | {"ContainerName": name} for dims in sets):
            yield from _resources(task, used, "Container", at, dims, reserved=reserved)
            whole = (reserved[0] or task.reservation.cpu, reserved[1] or task.reservation.memory)
            yield from _percentages(task, used, "Container", at, dims, whole)
            if known.health_status in ("HEALTHY", "UNHEALTHY"):
                sick = float(known.health_status == "UNHEALTHY")
                yield single(_key(task, "UnHealthyContainerHealthStatus", dims), at, sick, "Count")
            if used.restarts is not None:
                yield single(_key(task, "RestartCount", dims), at, float(used.restarts), "Count")


def _resources(
    task: Task, used: Used, prefix: str, at: float, dims: dict[str, str], *, reserved: tuple[int, int]
) -> Iterator[Datum]:
    """What was used and reserved, with the prefix that enhanced observability gives to containers."""
    for name, figure, unit in (
        ("CpuUtilized", "cpu", "None"),
        ("MemoryUtilized", "memory", "Megabytes"),
        ("NetworkRxBytes", "received", "Bytes/Second"),
        ("NetworkTxBytes", "sent", "Bytes/Second"),
    ):
        found = used.figures.get(figure)
        if found is not None:
            yield single(_key(task, prefix + name, dims), at, found.mean, unit)
    for name, value, unit in (
        ("CpuReserved", float(reserved[0]) if reserved[0] else None, "None"),
        ("MemoryReserved", float(reserved[1]) if reserved[1] else None, "Megabytes"),
        ("StorageReadBytes", used.read, "Bytes"),
        ("StorageWriteBytes", used.written, "Bytes"),
    ):
        if value is not None:
            yield single(_key(task, prefix + name, dims), at, value, unit)


def _percentages(
    task: Task, used: Used, prefix: str, at: float, dims: dict[str, str], reserved: tuple[int, int]
) -> Iterator[Datum]:
    for name, figure, total in (
        ("CpuUtilization", used.figures.get("cpu"), reserved[0]),
        ("MemoryUtilization", used.figures.get("memory"), reserved[1]),
    ):
        if figure is not None and total:
            yield single(_key(task, prefix + name, dims), at, 100.0 * figure.mean / total, "Percent")


def insights_level(cluster: Cluster) -> str:
    """``disabled``, ``enabled`` or ``enhanced``."""
    return next((one.value or "disabled" for one in cluster.settings if one.name == "containerInsights"), "disabled")


def _of_cluster(cluster: Cluster, namespace: str, name: str) -> MetricKey:
    return MetricKey(cluster.region, namespace, name, (("ClusterName", cluster.name),))


def _key(task: Task, name: str, dims: dict[str, str]) -> MetricKey:
    return MetricKey(task.region, INSIGHTS, name, dimensions(dims))


def _family(task: Task) -> str:
    return _short(task.task_definition_arn).rpartition(":")[0]


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _whole(value: str | None) -> int:
    return int(value) if value and value.isdecimal() else 0


def _sum(left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right
