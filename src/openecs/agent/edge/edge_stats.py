"""What this host's load balancers have done, in the terms of AWS's metrics.

Numbers are Envoy's and count from its start, or from when a listener or target group came: who
publishes them takes differences, and takes a number that became smaller for a new beginning.
Nothing is published here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openecs.acs.host_documents import TargetView
from openecs.agent.edge.envoy_admin import EnvoyAdmin
from openecs.agent.edge.envoy_clusters import UDP_SUFFIX
from openecs.agent.edge.envoy_counters import FAILED

_QUERY = (
    "/stats?format=json&filter=^openecs\\.failed\\.|^(http\\.app/|tcp\\.net/|cluster\\.)"
    ".*(cx_active|cx_total|bytes_total|_rq_[1-5]xx|rq_completed|none_healthy|upstream_rq_time)$"
)


@dataclass
class BalancerCounters:
    """One load balancer; ``answered`` are codes by their first digit."""

    active_connections: int = 0
    new_connections: int = 0
    processed_bytes: int = 0
    request_count: int = 0
    #: By the load balancer itself: ``HTTPCode_ELB_3XX`` and so on.
    answered: dict[int, int] = field(default_factory=dict)
    #: By targets: ``HTTPCode_Target_2XX`` and so on.
    targets_answered: dict[int, int] = field(default_factory=dict)


@dataclass
class GroupCounters:
    """One target group, or its part in a zone."""

    request_count: int = 0
    active_connections: int = 0
    new_connections: int = 0
    processed_bytes: int = 0
    connection_errors: int = 0
    targets_answered: dict[int, int] = field(default_factory=dict)
    #: Percentile (``50``, ``99.9``) → seconds; empty until Envoy has merged its threads' figures.
    response_time: dict[float, float] = field(default_factory=dict)
    healthy_hosts: int = 0
    unhealthy_hosts: int = 0


@dataclass(frozen=True)
class EdgeCounters:
    """Keys are the last parts of ARNs, as in CloudWatch's dimensions."""

    #: ``app/web/50dc6c495c0c9188``
    balancers: Mapping[str, BalancerCounters]
    #: ``targetgroup/web/73e2d6bc24d8a067``, and a zone; the zone is empty where zones are crossed.
    groups: Mapping[tuple[str, str], GroupCounters]


class EdgeStats:
    """Reads the counters of one Envoy."""

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin

    async def read(
        self, owners: Mapping[str, str], views: Mapping[str, Iterable[TargetView]] | None = None
    ) -> EdgeCounters:
        """The numbers of now.  Raises ``AdminError``.

        ``owners`` goes from a target group's key to its load balancer's, ``views`` from a target
        group's to its targets as this host sees them.
        """
        page = await self._admin.json(_QUERY)
        return counters(page["stats"], owners, views or {})


def counters(
    stats: Iterable[Mapping[str, Any]], owners: Mapping[str, str], views: Mapping[str, Iterable[TargetView]]
) -> EdgeCounters:
    """Envoy's numbers in AWS's terms.  Pure."""
    balancers: dict[str, BalancerCounters] = {}
    groups: dict[tuple[str, str], GroupCounters] = {}
    failed: dict[tuple[str, str], int] = {}
    for stat in stats:
        name, value = stat.get("name"), stat.get("value")
        if name is None:
            for found in stat.get("histograms", {}).get("computed_quantiles", ()):
                _response_time(groups, stat["histograms"]["supported_quantiles"], found)
        elif not isinstance(value, int):
            continue
        elif name.startswith(FAILED):
            key = _group_key(name.removeprefix(FAILED))
            failed[key] = failed.get(key, 0) + value
        elif name.startswith("cluster."):
            _count_group(groups, name, value)
        else:
            _count_balancer(balancers, name, value)
    for key, number in failed.items():
        group = groups.setdefault(key, GroupCounters())
        group.connection_errors += number
        group.targets_answered[5] = max(group.targets_answered.get(5, 0) - number, 0)
    for (name, _), group in groups.items():
        balancer = balancers.get(owners.get(name, ""))
        if balancer is not None:
            balancer.request_count += group.request_count
            balancer.active_connections += group.active_connections
            balancer.new_connections += group.new_connections
            for digit, number in group.targets_answered.items():
                balancer.targets_answered[digit] = balancer.targets_answered.get(digit, 0) + number
    for balancer in balancers.values():
        for digit, number in balancer.targets_answered.items():
            balancer.answered[digit] = max(balancer.answered.get(digit, 0) - number, 0)
    for name, seen in views.items():
        _count_hosts(groups.setdefault((name, ""), GroupCounters()), seen)
    return EdgeCounters(balancers, groups)


def _count_balancer(balancers: dict[str, BalancerCounters], name: str, value: int) -> None:
    path, _, figure = name.partition(".")[2].rpartition(".")
    found = balancers.setdefault(path.rpartition("/")[0], BalancerCounters())
    match figure:
        case "downstream_cx_active":
            found.active_connections += value
        case "downstream_cx_total":
            found.new_connections += value
        case "downstream_cx_rx_bytes_total" | "downstream_cx_tx_bytes_total":
            found.processed_bytes += value
        case _ if figure.startswith("downstream_rq_") and figure.endswith("xx"):
            found.answered[int(figure[-3])] = found.answered.get(int(figure[-3]), 0) + value


def _count_group(groups: dict[tuple[str, str], GroupCounters], name: str, value: int) -> None:
    cluster, _, figure = name.removeprefix("cluster.").rpartition(".")
    if "." in cluster or cluster.endswith(UDP_SUFFIX):
        # A finer division of what is counted already, or what leads datagrams to the load balancer itself.
        return
    found = groups.setdefault(_group_key(cluster), GroupCounters())
    match figure:
        case "upstream_rq_completed":
            found.request_count += value
        case "upstream_cx_none_healthy":
            # No target was chosen, so AWS does not count the request.
            found.request_count -= value
        case "upstream_cx_active":
            found.active_connections += value
        case "upstream_cx_total":
            found.new_connections += value
        case "upstream_cx_rx_bytes_total" | "upstream_cx_tx_bytes_total":
            found.processed_bytes += value
        case _ if figure.startswith("upstream_rq_") and figure.endswith("xx"):
            found.targets_answered[int(figure[-3])] = value


def _response_time(
    groups: dict[tuple[str, str], GroupCounters], quantiles: list[float], found: Mapping[str, Any]
) -> None:
    cluster, _, figure = found["name"].removeprefix("cluster.").rpartition(".")
    if figure != "upstream_rq_time" or "." in cluster:
        return
    group = groups.setdefault(_group_key(cluster), GroupCounters())
    group.response_time = {
        quantile: values["cumulative"] / 1000
        for quantile, values in zip(quantiles, found["values"], strict=True)
        if values.get("cumulative") is not None
    }


def _count_hosts(group: GroupCounters, seen: Iterable[TargetView]) -> None:
    states = [view.state for view in seen]
    group.healthy_hosts = states.count("healthy") + states.count("unavailable")
    group.unhealthy_hosts = states.count("unhealthy")


def _group_key(cluster: str) -> tuple[str, str]:
    name, _, zone = cluster.partition("@")
    return f"targetgroup/{name}", zone
