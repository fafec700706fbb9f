"""The counters of this host's Envoy: of listeners, of target groups, of calls through Service Connect.

Numbers are Envoy's and count from its start, or from when a listener or cluster came.  What has
become of them in a time is for ``traffic`` to say; nothing is published here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from openecs.agent.edge.envoy_admin import EnvoyAdmin
from openecs.agent.edge.envoy_clusters import UDP_SUFFIX
from openecs.agent.edge.envoy_counters import ANSWERED, CODE, FAILED

_FIGURES = (
    "cx_active",
    "cx_total",
    "bytes_total",
    "_rq_[1-5]xx",
    "rq_completed",
    "none_healthy",
    "cx_connect_fail",
    "rq_direct_response",
)
_QUERY = (
    "/stats?format=json&histogram_buckets=detailed&filter=^openecs\\."
    f"|^(http\\.app/|tcp\\.net/|cluster\\.).*({'|'.join(_FIGURES)})$"
    "|^(listener\\.(app|net)/|cluster\\.).*\\.ssl\\.connection_error$"
)
_SSL = ".ssl.connection_error"


@dataclass
class ListenerCounters:
    """One way into a load balancer; ``answered`` are codes by their first digit, whoever gave them."""

    active: int = 0
    connections: int = 0
    processed_bytes: int = 0
    tls_errors: int = 0
    #: Answers without a target: fixed responses and redirections.
    direct: int = 0
    answered: dict[int, int] = field(default_factory=dict)


@dataclass
class ClusterCounters:
    """A target group, its part in a zone, or what one task calls of an endpoint."""

    requests: int = 0
    #: Requests and connections for which there was no target.
    unserved: int = 0
    active: int = 0
    connections: int = 0
    processed_bytes: int = 0
    #: Connections, and TLS sessions, that did not come about.
    connect_errors: int = 0
    tls_errors: int = 0
    #: By the first digit; those that Envoy gave in a target's place too.
    answered: dict[int, int] = field(default_factory=dict)
    #: Answers in a target's place, by code.
    failed: dict[int, int] = field(default_factory=dict)
    #: Microseconds until a target began to answer → how often; bins less than a tenth of their value wide.
    times: dict[float, int] = field(default_factory=dict)


class EdgeCounters(NamedTuple):
    """All of them, by Envoy's names."""

    #: ``app/web/50dc6c495c0c9188/f2f7dc8efc522ab2@all``
    listeners: Mapping[str, ListenerCounters]
    #: ``web/73e2d6bc24d8a067``, ``web/73e2d6bc24d8a067@us-east-1a``, ``connect/ns-1/api@…``
    clusters: Mapping[str, ClusterCounters]


async def read_counters(admin: EnvoyAdmin) -> EdgeCounters:
    """The numbers of now.  Raises ``AdminError``."""
    page = await admin.json(_QUERY)
    return counters(page["stats"])


def counters(stats: Iterable[Mapping[str, Any]]) -> EdgeCounters:
    """What Envoy's page says, sorted by whose it is.  Pure."""
    listeners: dict[str, ListenerCounters] = {}
    clusters: dict[str, ClusterCounters] = {}
    for stat in stats:
        name, value = stat.get("name"), stat.get("value")
        if name is None:
            for found in stat.get("histograms", {}).get("details", ()):
                _times(clusters, found)
        elif not isinstance(value, int):
            continue
        elif name.startswith(FAILED):
            cluster, _, code = name.removeprefix(FAILED).rpartition(CODE)
            if code.isdecimal():
                _cluster(clusters, cluster).failed[int(code)] = value
        elif name.startswith("cluster."):
            _count_cluster(clusters, name.removeprefix("cluster."), value)
        elif not name.startswith("openecs."):
            _count_listener(listeners, name.partition(".")[2], value)
    return EdgeCounters(listeners, clusters)


def _count_listener(listeners: dict[str, ListenerCounters], name: str, value: int) -> None:
    if name.endswith(_SSL):
        listeners.setdefault(name.removesuffix(_SSL), ListenerCounters()).tls_errors = value
        return
    path, _, figure = name.rpartition(".")
    found = listeners.setdefault(path, ListenerCounters())
    match figure:
        case "downstream_cx_active":
            found.active = value
        case "downstream_cx_total":
            found.connections = value
        case "downstream_cx_rx_bytes_total" | "downstream_cx_tx_bytes_total":
            found.processed_bytes += value
        case "rq_direct_response":
            found.direct = value
        case _ if figure.startswith("downstream_rq_") and figure.endswith("xx"):
            found.answered[int(figure[-3])] = value


def _count_cluster(clusters: dict[str, ClusterCounters], name: str, value: int) -> None:
    if name.endswith(_SSL):
        _cluster(clusters, name.removesuffix(_SSL)).tls_errors = value
        return
    cluster, _, figure = name.rpartition(".")
    if "." in cluster or cluster.endswith(UDP_SUFFIX):
        # A finer division of what is counted already, or what leads datagrams to the load balancer itself.
        return
    found = _cluster(clusters, cluster)
    match figure:
        case "upstream_rq_completed":
            found.requests = value
        case "upstream_cx_none_healthy":
            found.unserved = value
        case "upstream_cx_active":
            found.active = value
        case "upstream_cx_total":
            found.connections = value
        case "upstream_cx_connect_fail":
            found.connect_errors = value
        case "upstream_cx_rx_bytes_total" | "upstream_cx_tx_bytes_total":
            found.processed_bytes += value
        case _ if figure.startswith("upstream_rq_") and figure.endswith("xx"):
            found.answered[int(figure[-3])] = value


def _times(clusters: dict[str, ClusterCounters], found: Mapping[str, Any]) -> None:
    name = found["name"]
    if name.startswith(ANSWERED):
        _cluster(clusters, name.removeprefix(ANSWERED)).times = {
            one["lower_bound"] + one["width"] / 2: one["count"] for one in found["totals"]
        }


def _cluster(clusters: dict[str, ClusterCounters], name: str) -> ClusterCounters:
    return clusters.setdefault(name, ClusterCounters())
