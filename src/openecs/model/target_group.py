"""Target groups and their targets as state keeps them.

``Target`` is what should be served, written by the API and by ``control``; ``TargetHealth`` is
what the hosts of the load balancer see, written by their reports alone.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import elbv2

TargetState = Literal["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"]


class HealthCheck(Record, frozen=True, kw_only=True):
    """How targets are probed; times in seconds."""

    protocol: Literal["HTTP", "HTTPS", "TCP"]
    #: A number, or ``traffic-port``.
    port: str = "traffic-port"
    path: str | None = None
    enabled: bool = True
    interval: int = 30
    timeout: int = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    #: HTTP codes (``200-299,301``) or gRPC codes that pass.
    matcher: str | None = None


class TargetGroup(Record, frozen=True, kw_only=True):
    """One target group."""

    arn: str
    region: str
    name: str
    target_type: Literal["ip", "instance"]
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
    port: int
    vpc_id: str
    health_check: HealthCheck
    created_at: float
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] | None = None
    ip_address_type: str = "ipv4"
    #: Only what differs from the defaults of ``api.elbv2``.
    attributes: dict[str, str] = {}

    @property
    def key(self) -> str:
        return self.arn


class Target(Record, frozen=True, kw_only=True):
    """One registered target."""

    target_group_arn: str
    #: An IP address, or an instance id.
    id: str
    port: int
    registered_at: float
    #: ``all`` or a zone; ``None`` follows the target's own zone.
    availability_zone: str | None = None
    #: The task that it is, when a service registered it.
    task_arn: str | None = None
    #: Since when it is being deregistered: it gets no new requests.
    draining_since: float | None = None

    @property
    def key(self) -> str:
        return target_key(self.target_group_arn, self.id, self.port)


class HostView(Record, frozen=True, kw_only=True):
    """A target as one host of the load balancer sees it."""

    state: TargetState
    reason: elbv2.TargetHealthReasonEnum | None = None
    description: str | None = None
    #: Nothing of the host is in flight to a draining target any more.
    drained: bool = False
    at: float = 0.0


class TargetHealth(Record, frozen=True, kw_only=True):
    """What is observed of one target: node id of each host that probes it → its view."""

    target_group_arn: str
    id: str
    port: int
    views: dict[str, HostView] = {}
    #: When it was healthy for the first time since it was registered.
    healthy_at: float | None = None

    @property
    def key(self) -> str:
        return target_key(self.target_group_arn, self.id, self.port)


def target_key(target_group_arn: str, target_id: str, port: int) -> str:
    """The key that a target and its health share."""
    return f"{target_group_arn}|{target_id}|{port}"
