"""Container Insights' performance log events: what one minute's metrics are made of, as JSON for queries.

One for each task, its containers, each service and the cluster, with AWS's members as far as they
are measured here.  Functions of state and use; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from openecs.control.usage_metrics import TaskUse, Used, cluster_counts_of, insights_level, service_counts_of
from openecs.model.task import Task
from openecs.state.state import State


class PerformanceEvent(NamedTuple):
    """One event, and the stream that it belongs to."""

    region: str
    cluster: str
    stream: str
    members: dict[str, Any]


def task_events(state: State, found: Iterable[tuple[Task, TaskUse]], minute: float) -> Iterator[PerformanceEvent]:
    """Of tasks and their containers, in clusters that want them."""
    for task, use in found:
        cluster = state.clusters.get(task.cluster_arn)
        if cluster is None or insights_level(cluster) == "disabled":
            continue
        common = _common(state, task, cluster.name, minute)
        instance = common.get("ContainerInstanceId")
        stream = f"AgentTelemetry-{instance}" if instance else f"FargateTelemetry-{_short(task.arn)[:4]}"
        states = {one.name: one for one in task.containers}
        for name, used in use.containers.items():
            known = states.get(name)
            if known is not None:
                own = {
                    "Type": "Container",
                    "ContainerName": name,
                    "Image": known.image,
                    "ContainerKnownStatus": known.last_status,
                    "CpuReserved": float(known.cpu or 0),
                    "MemoryReserved": int(known.memory or known.memory_reservation or 0),
                }
                yield PerformanceEvent(task.region, cluster.name, stream, {**common, **own, **_used(used)})
        own = {
            "Type": "Task",
            "KnownStatus": task.last_status,
            "LaunchType": task.launch_type,
            "CpuReserved": float(task.reservation.cpu),
            "MemoryReserved": task.reservation.memory,
            "PullStartedAt": _milliseconds(task.pull_started_at),
            "PullStoppedAt": _milliseconds(task.pull_stopped_at),
            "CreatedAt": _milliseconds(task.created_at),
            "StartedAt": _milliseconds(task.started_at),
        }
        told = {name: value for name, value in own.items() if value is not None}
        yield PerformanceEvent(task.region, cluster.name, stream, {**common, **told, **_used(use.total())})


def cluster_events(state: State, minute: float) -> Iterator[PerformanceEvent]:
    """Of clusters and their services, as they are now."""
    for cluster in state.clusters:
        if cluster.status != "ACTIVE" or insights_level(cluster) == "disabled":
            continue
        common = {"Version": "0", "ClusterName": cluster.name, "Timestamp": int(minute * 1000)}
        stream = f"ClusterTelemetry-{cluster.name}"
        counts = cluster_counts_of(state, cluster)
        yield PerformanceEvent(cluster.region, cluster.name, stream, {**common, "Type": "Cluster", **counts})
        stream = f"ServiceTelemetry-{cluster.name}"
        for service in state.services.by("cluster", cluster.arn):
            if service.status != "INACTIVE":
                own = {"Type": "Service", "ServiceName": service.name, **service_counts_of(state, service)}
                yield PerformanceEvent(cluster.region, cluster.name, stream, {**common, **own})


def _common(state: State, task: Task, cluster: str, minute: float) -> dict[str, Any]:
    family, _, revision = _short(task.task_definition_arn).rpartition(":")
    found = {
        "Version": "0",
        "TaskId": _short(task.arn),
        "TaskDefinitionFamily": family,
        "TaskDefinitionRevision": revision,
        "ClusterName": cluster,
        "Timestamp": int(minute * 1000),
    }
    if task.service_arn is not None:
        found["ServiceName"] = _short(task.service_arn)
    instance = state.container_instances.get(task.container_instance_arn or "")
    if instance is not None:
        found["ContainerInstanceId"] = _short(instance.arn)
        if instance.ec2_instance_id is not None:
            found["EC2InstanceId"] = instance.ec2_instance_id
    return found


def _used(used: Used) -> dict[str, float | int]:
    """What was measured."""
    means = {name: figure.mean for name, figure in used.figures.items()}
    found = {
        "CpuUtilized": means.get("cpu"),
        "MemoryUtilized": None if "memory" not in means else round(means["memory"]),
        "StorageReadBytes": None if used.read is None else int(used.read),
        "StorageWriteBytes": None if used.written is None else int(used.written),
        "NetworkRxBytes": None if "received" not in means else round(means["received"]),
        "NetworkTxBytes": None if "sent" not in means else round(means["sent"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]
