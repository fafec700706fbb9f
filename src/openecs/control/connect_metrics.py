"""From calls through Service Connect to the metrics that AWS/ECS has of them.  Pure.

``TargetDiscoveryName`` with ``ServiceName`` and ``ClusterName`` is seen from the calling service,
``DiscoveryName`` with them from the serving one; either name also stands alone.  Everything is
measured where the calls come from, so what reaches a task past Service Connect is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from openecs.acs.traffic_messages import CallTraffic
from openecs.control.balancer_metrics import events, times
from openecs.control.usage_metrics import ECS
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.service import Service
from openecs.model.task import Task


def call_metrics(task: Task, server: Service | None, name: str, said: CallTraffic, at: float) -> Iterator[Datum]:
    """What a task has called; ``server`` has the endpoint, whose discovery name is ``name``."""
    sent = said.sent
    http, grpc = said.protocol != "tcp", said.protocol == "grpc"
    for dims in _sets("DiscoveryName", name, server.cluster_arn if server else "", server.arn if server else ""):

        def key(metric: str, dims: dict[str, str] = dims) -> MetricKey:
            return MetricKey(task.region, ECS, metric, dimensions(dims))

        yield single(key("ActiveConnectionCount"), at, sent.active, "Count")
        yield single(key("NewConnectionCount"), at, sent.connections, "Count")
        yield single(key("ProcessedBytes"), at, sent.processed_bytes, "Bytes")
        if http:
            yield events(key("RequestCount"), at, sent.requests)
        if grpc:
            yield events(key("GrpcRequestCount"), at, sent.requests)
    for dims in _sets("TargetDiscoveryName", name, task.cluster_arn, task.service_arn or ""):

        def target(metric: str, dims: dict[str, str] = dims) -> MetricKey:
            return MetricKey(task.region, ECS, metric, dimensions(dims))

        yield single(target("TargetProcessedBytes"), at, sent.processed_bytes, "Bytes")
        if not http:
            continue
        if said.targets:
            yield single(target("RequestCountPerTarget"), at, sent.requests / said.targets, "Count")
        for digit in (2, 3, 4, 5):
            if sent.answered.get(digit):
                yield events(target(f"HTTPCode_Target_{digit}XX_Count"), at, sent.answered[digit])
        if sent.times:
            yield times(target("TargetResponseTime"), at, sent)


def _sets(dimension: str, name: str, cluster_arn: str, service_arn: str) -> Iterator[dict[str, str]]:
    yield {dimension: name}
    if service_arn:
        yield {
            dimension: name,
            "ServiceName": service_arn.rpartition("/")[2],
            "ClusterName": cluster_arn.rpartition("/")[2],
        }
