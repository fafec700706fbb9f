"""From what hosts used to Container Insights' metrics of container instances: ``instance_…``.

On AWS the CloudWatch agent measures them, as a daemon of the cluster; here the node's agent does.
Functions of state and use; they store nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from openecs.acs.telemetry_messages import HostMetric
from openecs.control.usage_metrics import INSIGHTS, Figure, insights_level
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.node import ContainerInstance
from openecs.state.state import State

MIB = 1024 * 1024


@dataclass
class HostUse:
    """What a host used in a minute: per cent, MiB, bytes a second."""

    #: CPU units of the whole host.
    cpu_limit: float
    memory_limit: float = 0.0
    figures: dict[str, Figure] = field(default_factory=dict)


def add_host(use: HostUse, said: HostMetric) -> None:
    """Add what a message says."""
    use.memory_limit = said.memory_limit
    for name, samples in (
        ("cpu", said.cpu_stats_set),
        ("memory", said.memory_stats_set),
        ("network", said.network_stats_set),
        ("filesystem", said.filesystem_stats_set),
    ):
        if samples is not None and samples.sample_count:
            figure = use.figures.setdefault(name, Figure())
            figure.add(samples.mean, samples.min, samples.max, samples.sample_count)


def instance_metrics(state: State, hosts: Mapping[str, HostUse], at: float) -> Iterator[Datum]:
    """The metrics of the container instances of these nodes, in clusters that want them."""
    for node_id, use in hosts.items():
        for instance in state.container_instances.by("node", node_id):
            cluster = state.clusters.get(instance.cluster_arn)
            active = instance.status in ("ACTIVE", "DRAINING")
            if cluster is not None and active and insights_level(cluster) != "disabled":
                yield from _instance(state, instance, cluster.name, use, at)


def _instance(state: State, instance: ContainerInstance, cluster: str, use: HostUse, at: float) -> Iterator[Datum]:
    whole = {"ClusterName": cluster}
    short = instance.arn.rpartition("/")[2]
    own = whole | {"ContainerInstanceId": short, "InstanceId": instance.ec2_instance_id or short}
    means = {name: figure.mean for name, figure in use.figures.items()}
    cpu, memory = means.get("cpu"), means.get("memory")
    held = state.usage.node(instance.node_id)
    running = state.usage.instance(instance.arn).running
    found: list[tuple[str, float | None, str, bool]] = [
        ("instance_cpu_limit", use.cpu_limit, "None", False),
        ("instance_cpu_usage_total", _scaled(cpu, use.cpu_limit / 100), "None", False),
        ("instance_cpu_utilization", cpu, "Percent", True),
        ("instance_cpu_reserved_capacity", _share(held.cpu, use.cpu_limit), "Percent", True),
        ("instance_memory_limit", use.memory_limit * MIB, "Bytes", False),
        ("instance_memory_working_set", _scaled(memory, MIB), "Bytes", False),
        ("instance_memory_utilization", _share(memory, use.memory_limit), "Percent", True),
        ("instance_memory_reserved_capacity", _share(held.memory, use.memory_limit), "Percent", True),
        ("instance_network_total_bytes", means.get("network"), "Bytes/Second", True),
        ("instance_filesystem_utilization", means.get("filesystem"), "Percent", True),
        ("instance_number_of_running_tasks", float(running), "Count", True),
    ]
    for name, value, unit, each in found:
        if value is None:
            continue
        for dims in (whole, own) if each else (whole,):
            yield single(MetricKey(instance.region, INSIGHTS, name, dimensions(dims)), at, value, unit)


def _share(part: float | None, whole: float) -> float | None:
    return None if part is None or not whole else 100.0 * part / whole


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value * by
