"""The messages of TCS: what agents tell of health, instance status and metrics.

Frames of official agents carry a signed header block before the JSON; ours may leave it out.
Only members that OpenECS reads are declared.  Structures only: no I/O.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.acs.structure import Structure
from openecs.acs.traffic_messages import PublishTrafficRequest


class Telemetry(msgspec.Struct, frozen=True, rename="camel"):
    """Base of every message and its parts."""


class ContainerHealth(Telemetry, frozen=True):
    """The health of one container as its engine sees it."""

    container_name: str = ""
    #: HEALTHY, UNHEALTHY or UNKNOWN.
    health_status: str = "UNKNOWN"
    status_since: float | None = None


class TaskHealth(Telemetry, frozen=True):
    """The health of one task's containers."""

    task_arn: str
    containers: tuple[ContainerHealth, ...] = ()


class PublishHealthRequest(Telemetry, frozen=True):
    """Health of every container with a health check, every 20 seconds."""

    tasks: tuple[TaskHealth, ...] = ()


class InstanceStatus(Telemetry, frozen=True):
    """How one part of the host does; ``type`` is ``ContainerRuntime``."""

    type: str = ""
    status: str = ""
    status_reason: str | None = None
    last_updated: float | None = None
    last_status_change: float | None = None


class PublishInstanceStatusRequest(Telemetry, frozen=True):
    """The result of the agent's checks of its host, after each heartbeat on ACS."""

    statuses: tuple[InstanceStatus, ...] = ()


class StatsSet(Telemetry, frozen=True):
    """Samples of one figure."""

    min: float = 0.0
    max: float = 0.0
    sample_count: int = 0
    sum: float = 0.0

    @property
    def mean(self) -> float:
        return self.sum / self.sample_count if self.sample_count else 0.0


class NetworkStatsSet(Telemetry, frozen=True):
    """Traffic of a container in bytes; the rates are those between samples."""

    rx_bytes_per_second: StatsSet | None = None
    tx_bytes_per_second: StatsSet | None = None


class StorageStatsSet(Telemetry, frozen=True):
    """What a container has read and written since it started, in bytes."""

    read_size_bytes: StatsSet | None = None
    write_size_bytes: StatsSet | None = None


class RestartStatsSet(Telemetry, frozen=True):
    """How often its restart policy has restarted a container."""

    restart_count: int = 0


class ContainerMetric(Telemetry, frozen=True):
    """One container: CPU in per cent of the whole host, memory in MiB."""

    container_name: str = ""
    cpu_stats_set: StatsSet | None = None
    memory_stats_set: StatsSet | None = None
    network_stats_set: NetworkStatsSet | None = None
    storage_stats_set: StorageStatsSet | None = None
    restart_stats_set: RestartStatsSet | None = None


class TaskMetric(Telemetry, frozen=True):
    """What the containers of one task used."""

    task_arn: str
    container_metrics: tuple[ContainerMetric, ...] = ()


class HostMetric(Telemetry, frozen=True):
    """The host as a whole: CPU in per cent, memory in MiB, bytes a second, per cent of the disk."""

    memory_limit: float = 0.0
    cpu_stats_set: StatsSet | None = None
    memory_stats_set: StatsSet | None = None
    network_stats_set: StatsSet | None = None
    filesystem_stats_set: StatsSet | None = None


class MetricsMetadata(Telemetry, frozen=True):
    """About a message; the cores are our own agent's addition."""

    openecs_cores: int | None = None


class PublishMetricsRequest(Telemetry, frozen=True):
    """What tasks used in the 20 seconds before ``timestamp``."""

    metadata: MetricsMetadata = MetricsMetadata()
    task_metrics: tuple[TaskMetric, ...] = ()
    timestamp: float | None = None
    #: Our own agent's addition.
    openecs_host: HostMetric | None = None


FROM_AGENT: dict[str, type[Telemetry | Structure]] = {
    kind.__name__: kind
    for kind in (PublishHealthRequest, PublishInstanceStatusRequest, PublishMetricsRequest, PublishTrafficRequest)
}
#: The acknowledgement that resets the agent's inactivity timer.
ACKNOWLEDGEMENTS = {
    "PublishHealthRequest": "AckPublishHealth",
    "PublishInstanceStatusRequest": "AckPublishInstanceStatus",
    "PublishMetricsRequest": "AckPublishMetric",
    "PublishTrafficRequest": "AckPublishTraffic",
}


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    message: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def decode(frame: str | bytes) -> Telemetry | Structure | None:
    """The message of a frame, ``None`` for a type that is not known.

    Raises ``msgspec.DecodeError`` for what is no message.
    """
    raw = frame.encode() if isinstance(frame, str) else frame
    if not raw.lstrip().startswith(b"{"):
        _, _, raw = raw.partition(b"\r\n\r\n")
    envelope = _decode_envelope(raw)
    kind = FROM_AGENT.get(envelope.type)
    return None if kind is None else msgspec.json.decode(envelope.message, type=kind)


def encode(kind: str, **members: Any) -> str:
    """The text frame of a message to an agent."""
    return msgspec.json.encode({"type": kind, "message": members}).decode()
