"""What came through this host's Envoy in a minute, from counters that only grow.  No I/O, no clock.

A number that became smaller is a new beginning: Envoy was started anew, or the listener was made
again.  What was not there before began at nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from openecs.acs.host_documents import TargetGroupDocument, TargetView
from openecs.acs.traffic_messages import (
    BalancerTraffic,
    CallTraffic,
    FlowTraffic,
    GroupHealth,
    GroupTraffic,
    PublishTrafficRequest,
    TargetTraffic,
)
from openecs.agent.edge.edge_stats import ClusterCounters, EdgeCounters, ListenerCounters
from openecs.agent.edge.proxy import Serving
from openecs.agent.edge.routing import Target
from openecs.agent.edge.traffic_owners import Call, Group, Listener, Owner, whole_zone

#: Entries in one message, so that none gets too long to be taken.
ENTRIES = 50

Views = Mapping[str, Mapping[Target, TargetView]]
_Counters = TypeVar("_Counters", ListenerCounters, ClusterCounters)


@dataclass
class _Balancer:
    """What has come of one load balancer."""

    flows: dict[tuple[str, str], ListenerCounters] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    direct: int = 0
    tls_errors: int = 0


class Tally:
    """Takes looks at the counters, and tells what they came to."""

    def __init__(self) -> None:
        self._last: EdgeCounters | None = None
        #: Since the last messages; ``active`` numbers are sums over ``_looks``.
        self._listeners: dict[str, ListenerCounters] = {}
        self._clusters: dict[str, ClusterCounters] = {}
        self._looks = 0
        #: Load balancer → answers of targets by their first digit which its clients have not had yet.
        self._owed: dict[str, dict[int, int]] = {}

    def look(self, now: EdgeCounters) -> None:
        """Take in the counters of now; those of the first look are where it begins."""
        last, self._last = self._last, now
        if last is None:
            return
        self._looks += 1
        for name, listener in now.listeners.items():
            _add(self._listeners.setdefault(name, ListenerCounters()), last.listeners.get(name), listener)
        for name, cluster in now.clusters.items():
            _add(self._clusters.setdefault(name, ClusterCounters()), last.clusters.get(name), cluster)

    def cut(
        self, owners: Mapping[str, Owner], serving: Serving, views: Views, at: float
    ) -> Iterator[PublishTrafficRequest]:
        """Messages of what has come since the last ones; ``at`` is when that ended."""
        looks, self._looks = self._looks, 0
        listeners, self._listeners = self._listeners, {}
        clusters, self._clusters = self._clusters, {}
        groups: list[GroupTraffic] = []
        calls: list[CallTraffic] = []
        balancers: dict[str, _Balancer] = {}
        for name, counted in listeners.items():
            owner = owners.get(name)
            if isinstance(owner, Listener):
                _take(balancers.setdefault(owner.load_balancer_arn, _Balancer()), owner, counted)
        for name, cluster in clusters.items():
            match owners.get(name):
                case Group(arn, balancer_arn, zone):
                    _subtract(balancers.setdefault(balancer_arn, _Balancer()).answered, cluster)
                    groups.append(GroupTraffic(target_group_arn=arn, zone=zone, sent=_sent(cluster, looks)))
                case Call(task, endpoint, protocol):
                    document = serving.connect_endpoints.get(endpoint)
                    targets = sum(not one.draining for one in document.targets) if document is not None else 0
                    sent = _sent(cluster, looks)
                    call = CallTraffic(task_arn=task, endpoint=endpoint, protocol=protocol, targets=targets, sent=sent)
                    calls.append(call)
        zones = {part.arn: whole_zone(part.document) for part in serving.parts}
        told = [self._told(arn, one, zones.get(arn, ""), looks) for arn, one in balancers.items()]
        health = [one for arn, group in serving.groups.items() for one in _health(arn, group, views.get(arn, {}))]
        for start in range(0, max(len(told), len(groups), len(health), len(calls)), ENTRIES):
            part = slice(start, start + ENTRIES)
            yield PublishTrafficRequest(
                timestamp=at,
                balancers=tuple(told[part]),
                groups=tuple(groups[part]),
                health=tuple(health[part]),
                calls=tuple(calls[part]),
            )

    def _told(self, arn: str, found: _Balancer, zone: str, looks: int) -> BalancerTraffic:
        """A target's answer counts for it a moment before it counts for the client: a look may come between."""
        owed = self._owed.pop(arn, {})
        own = {digit: found.answered.get(digit, 0) - owed.get(digit, 0) for digit in found.answered | owed}
        later = {digit: -number for digit, number in own.items() if number < 0}
        if later:
            self._owed[arn] = later
        return BalancerTraffic(
            load_balancer_arn=arn,
            zone=zone,
            flows=tuple(
                FlowTraffic(
                    protocol=protocol,
                    zone=place,
                    active=flows.active / looks,
                    connections=flows.connections,
                    processed_bytes=flows.processed_bytes,
                )
                for (protocol, place), flows in found.flows.items()
            ),
            tls_errors=found.tls_errors,
            answered={digit: number for digit, number in own.items() if number > 0},
            direct=found.direct,
        )


def _add(total: _Counters, before: _Counters | None, now: _Counters) -> None:
    for one in fields(now):
        value, earlier = getattr(now, one.name), getattr(before, one.name, None)
        if one.name == "active":
            total.active += now.active
        elif isinstance(value, dict):
            _sum(getattr(total, one.name), {key: _grown((earlier or {}).get(key, 0), n) for key, n in value.items()})
        else:
            setattr(total, one.name, getattr(total, one.name) + _grown(earlier or 0, value))


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now


def _sum(total: dict[float, int] | dict[int, int], more: Mapping[int, int]) -> None:
    for key, number in more.items():
        if number:
            total[key] = total.get(key, 0) + number


def _take(found: _Balancer, owner: Listener, counted: ListenerCounters) -> None:
    flows = found.flows.setdefault((owner.protocol, owner.zone), ListenerCounters())
    flows.active += counted.active
    flows.connections += counted.connections
    flows.processed_bytes += counted.processed_bytes
    found.tls_errors += counted.tls_errors
    found.direct += counted.direct
    _sum(found.answered, counted.answered)


def _by_target(cluster: ClusterCounters) -> dict[int, int]:
    """The answers that targets themselves gave."""
    answered = dict(cluster.answered)
    for code, number in cluster.failed.items():
        answered[code // 100] = max(answered.get(code // 100, 0) - number, 0)
    return {digit: number for digit, number in answered.items() if number}


def _subtract(total: dict[int, int], cluster: ClusterCounters) -> None:
    for digit, number in _by_target(cluster).items():
        total[digit] = total.get(digit, 0) - number


def _sent(counted: ClusterCounters, looks: int) -> TargetTraffic:
    return TargetTraffic(
        # AWS counts requests for which a target was chosen.
        requests=max(counted.requests - counted.unserved, 0),
        active=counted.active / looks,
        connections=counted.connections,
        processed_bytes=counted.processed_bytes,
        connect_errors=counted.connect_errors,
        tls_errors=counted.tls_errors,
        answered=_by_target(counted),
        failed=counted.failed,
        times=tuple(sorted(counted.times.items())),
    )


def _health(arn: str, group: TargetGroupDocument, views: Mapping[Target, TargetView]) -> Iterable[GroupHealth]:
    """By the targets' zones; nothing where nobody looks."""
    if not group.health_check.enabled:
        return
    zones: dict[str, list[str]] = {}
    for entry in group.targets:
        view = views.get((entry.id, entry.port))
        if view is not None:
            zones.setdefault(entry.availability_zone, []).append(view.state)
    for zone, states in zones.items():
        yield GroupHealth(
            target_group_arn=arn,
            zone=zone,
            healthy=states.count("healthy"),
            unhealthy=states.count("unhealthy"),
        )
