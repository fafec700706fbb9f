"""From the traffic of load balancers to the metrics of AWS/ApplicationELB and AWS/NetworkELB.  Pure.

By AWS's names, dimensions, units and criteria: what is counted by event has a sample of 1 for each,
and most are published only where there was something.  Zones are those of the addresses at which
clients came in; where a host has addresses in several, what is counted for all of them is published
without a zone.
"""

from __future__ import annotations

from collections.abc import Iterator

from openecs.acs.traffic_messages import BalancerTraffic, FlowTraffic, GroupHealth, GroupTraffic, TargetTraffic
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.balancer_arns import full_name
from openecs.model.load_balancer import LoadBalancer
from openecs.model.target_group import TargetGroup

APPLICATION, NETWORK = "AWS/ApplicationELB", "AWS/NetworkELB"
_MICROSECOND = 1e-6
#: The codes of which AWS tells apart what load balancers answer.
_OWN_CODES = (500, 502, 503, 504)
_DATAGRAMS = frozenset({"UDP", "TCP_UDP"})


class _Publisher:
    """Makes data of one minute for a load balancer, or a target group of it."""

    def __init__(self, balancer: LoadBalancer, zone: str, at: float, target_group_arn: str = "") -> None:
        self._region = balancer.region
        self.application = balancer.type == "application"
        self._namespace = APPLICATION if self.application else NETWORK
        self._at = at
        self._whole = {"LoadBalancer": full_name(balancer.arn)}
        self._zone = {"AvailabilityZone": zone} if zone else None
        self._group = {"TargetGroup": target_group_arn.rpartition(":")[2]}

    def keys(self, name: str, *, balancer: bool, group: bool) -> Iterator[MetricKey]:
        """The metric by load balancer, by target group, and the same by zone."""
        sets = [self._whole] * balancer + [self._whole | self._group] * group
        for dims in sets:
            yield self.key(name, dims)
            if self._zone is not None:
                yield self.key(name, dims | self._zone)

    def key(self, name: str, dims: dict[str, str]) -> MetricKey:
        return MetricKey(self._region, self._namespace, name, dimensions(dims))

    def events(self, name: str, number: int, *, group: bool = False, always: bool = False) -> Iterator[Datum]:
        """What happened so many times; with ``group`` by target group too."""
        if number or always:
            for key in self.keys(name, balancer=True, group=group):
                yield events(key, self._at, number)

    def total(self, name: str, value: float, unit: str = "Count") -> Iterator[Datum]:
        """A number of the minute, of the zone where there is one; nothing when it is 0."""
        if value:
            yield single(self.key(name, self._whole | (self._zone or {})), self._at, value, unit)

    def amount(self, name: str, value: float, unit: str = "Count") -> Iterator[Datum]:
        """The same without regard to zones."""
        if value:
            yield single(self.key(name, self._whole), self._at, value, unit)

    def each_group(self) -> Iterator[dict[str, str]]:
        """The dimensions of RequestCountPerTarget, which has its target group's without the load balancer too."""
        for dims in (self._group, self._group | self._whole):
            yield dims
            if self._zone is not None:
                yield dims | self._zone


def events(key: MetricKey, at: float, number: int) -> Datum:
    """A metric of which every event is a sample of 1; one of 0 says that there was none."""
    one = float(number > 0)
    return Datum(key, at, sample_count=max(number, 1), sum=number, minimum=one, maximum=one, unit="Count")


def times(key: MetricKey, at: float, sent: TargetTraffic) -> Datum:
    """Seconds until targets began to answer: the middle of each bin, as often as it was counted."""
    return Datum(
        key,
        at,
        tuple(value * _MICROSECOND for value, _ in sent.times),
        tuple(float(number) for _, number in sent.times),
        unit="Seconds",
    )


def balancer_metrics(balancer: LoadBalancer, said: BalancerTraffic, at: float) -> Iterator[Datum]:
    """What its clients had of a host's part of a load balancer."""
    to = _Publisher(balancer, said.zone, at)
    yield from to.events("ClientTLSNegotiationErrorCount", said.tls_errors)
    if not to.application:
        yield from _flows(balancer, said.flows, at)
        return
    yield from to.amount("ActiveConnectionCount", sum(flow.active for flow in said.flows))
    yield from to.amount("NewConnectionCount", sum(flow.connections for flow in said.flows))
    yield from to.amount("ProcessedBytes", sum(flow.processed_bytes for flow in said.flows), "Bytes")
    for digit in (3, 4, 5):
        yield from to.events(f"HTTPCode_ELB_{digit}XX_Count", said.answered.get(digit, 0))
    redirects = min(said.answered.get(3, 0), said.direct)
    yield from to.events("HTTP_Redirect_Count", redirects)
    yield from to.events("HTTP_Fixed_Response_Count", said.direct - redirects)


def _flows(balancer: LoadBalancer, flows: tuple[FlowTraffic, ...], at: float) -> Iterator[Datum]:
    """Datagrams are the kernel's and not counted: totals are only published where there are none."""
    counted = [flow for flow in flows if flow.protocol != "UDP"]
    by_protocol = {"_TCP": [flow for flow in counted if flow.protocol != "TLS"]}
    by_protocol["_TLS"] = [flow for flow in counted if flow.protocol == "TLS"]
    if not any(flow.protocol in _DATAGRAMS for flow in flows):
        by_protocol[""] = counted
    for suffix, chosen in by_protocol.items():
        for zone in ("", *sorted({flow.zone for flow in chosen} - {""})):
            to = _Publisher(balancer, zone, at)
            here = [flow for flow in chosen if zone in ("", flow.zone)]
            yield from to.total(f"ActiveFlowCount{suffix}", sum(flow.active for flow in here))
            yield from to.total(f"NewFlowCount{suffix}", sum(flow.connections for flow in here))
            yield from to.total(f"ProcessedBytes{suffix}", sum(flow.processed_bytes for flow in here), "Bytes")


def group_metrics(
    balancer: LoadBalancer, group: TargetGroup, said: GroupTraffic, targets: int, at: float
) -> Iterator[Datum]:
    """What a host has sent to a target group's targets; so many ``targets`` get it."""
    to, sent = _Publisher(balancer, said.zone, at, said.target_group_arn), said.sent
    if not to.application:
        if sent.tls_errors:
            yield from to.events("TargetTLSNegotiationErrorCount", sent.tls_errors)
        return
    # Connections to targets are connections of the load balancer.
    yield from to.amount("ActiveConnectionCount", sent.active)
    yield from to.amount("NewConnectionCount", sent.connections)
    yield from to.events("RequestCount", sent.requests, group=True, always=True)
    if group.protocol_version == "GRPC":
        yield from to.events("GrpcRequestCount", sent.requests, group=True)
    for dims in to.each_group():
        yield single(to.key("RequestCountPerTarget", dims), at, sent.requests / targets, "None")
    for digit in (2, 3, 4, 5):
        yield from to.events(f"HTTPCode_Target_{digit}XX_Count", sent.answered.get(digit, 0), group=True)
    for code in _OWN_CODES:
        yield from to.events(f"HTTPCode_ELB_{code}_Count", sent.failed.get(code, 0))
    yield from to.events("TargetConnectionErrorCount", sent.connect_errors, group=True)
    yield from to.events("TargetTLSNegotiationErrorCount", sent.tls_errors, group=True)
    if sent.times:
        for key in to.keys("TargetResponseTime", balancer=True, group=True):
            yield times(key, at, sent)


def health_metrics(balancer: LoadBalancer, said: GroupHealth, at: float) -> Iterator[Datum]:
    """How a host finds the targets of a zone."""
    to = _Publisher(balancer, said.zone, at, said.target_group_arn)
    for name, number in (("HealthyHostCount", said.healthy), ("UnHealthyHostCount", said.unhealthy)):
        for key in to.keys(name, balancer=False, group=True):
            yield single(key, at, float(number), "Count")
