"""What agents tell once a minute of the traffic through their hosts: a message of our own on TCS.

Numbers are of the minute before ``timestamp``, not since some beginning.  Structures only: no I/O.
"""

from __future__ import annotations

from openecs.acs.structure import Structure


class FlowTraffic(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """Connections of clients to the listeners of one protocol; ``active``: at a time, on average."""

    protocol: str
    #: The zone of the addresses at which they came in; empty when they are of several.
    zone: str = ""
    active: float = 0.0
    connections: int = 0
    processed_bytes: int = 0


class BalancerTraffic(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """A load balancer, as far as this host runs it; the zone as above."""

    load_balancer_arn: str
    zone: str = ""
    flows: tuple[FlowTraffic, ...] = ()
    #: TLS handshakes with clients that failed.
    tls_errors: int = 0
    #: Answers that no target gave, by the first digit of their code; and those of them that rules asked for.
    answered: dict[int, int] = {}
    direct: int = 0


class TargetTraffic(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """What this host has sent to the targets behind a name."""

    requests: int = 0
    active: float = 0.0
    connections: int = 0
    processed_bytes: int = 0
    connect_errors: int = 0
    tls_errors: int = 0
    #: Targets' answers, by the first digit of their code.
    answered: dict[int, int] = {}
    #: Answers in a target's place, by code.
    failed: dict[int, int] = {}
    #: Microseconds until a target began to answer, and how often it was so.
    times: tuple[tuple[float, int], ...] = ()


class GroupTraffic(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """A target group of a load balancer; the zone is that where clients came in, empty as above."""

    target_group_arn: str
    zone: str = ""
    sent: TargetTraffic


class GroupHealth(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """The targets of a target group in a zone, as this host's probes find them."""

    target_group_arn: str
    zone: str = ""
    healthy: int = 0
    unhealthy: int = 0


class CallTraffic(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """What a task has called through Service Connect; ``endpoint`` is ``namespace id/discovery name``."""

    task_arn: str
    endpoint: str
    #: ``http``, ``http2``, ``grpc`` or ``tcp``.
    protocol: str
    #: Tasks behind the endpoint.
    targets: int = 0
    sent: TargetTraffic


class PublishTrafficRequest(Structure, frozen=True, kw_only=True, omit_defaults=True):
    """The traffic of one minute, or a part of it; ``timestamp`` is the minute's end, in seconds."""

    timestamp: float
    balancers: tuple[BalancerTraffic, ...] = ()
    groups: tuple[GroupTraffic, ...] = ()
    health: tuple[GroupHealth, ...] = ()
    calls: tuple[CallTraffic, ...] = ()
