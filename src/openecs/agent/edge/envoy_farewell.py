"""Ending connections to targets that leave a network load balancer's target group or became unhealthy.

Envoy goes on with a connection that stands, whatever becomes of its target's endpoint.  So the
kernel ends it: the sockets in the load balancer's namespace that lead to the target.  Another
target group of the same load balancer with the same target loses its connections too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog

from openecs.agent.edge.envoy_resources import Resource
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError

_log = structlog.get_logger("openecs.agent")


class Farewell(NamedTuple):
    """Connections that are to end: from a namespace (empty: this process's own) to an address."""

    namespace: str
    address: str
    port: int


def ends_connections(*, gone: bool, unhealthy: bool) -> Resource:
    """Metadata of a cluster: connections to which targets end."""
    return {"filter_metadata": {"openecs": {"ends": {"gone": gone, "unhealthy": unhealthy}}}}


def farewells(cluster: Resource, old: Resource, new: Resource) -> list[Farewell]:
    """Whose connections end when a cluster's endpoints change from ``old`` to ``new``.  Pure."""
    ends = cluster.get("metadata", {}).get("filter_metadata", {}).get("openecs", {}).get("ends")
    if ends is None:
        return []
    source = cluster.get("upstream_bind_config", {}).get("source_address", {})
    namespace = source.get("network_namespace_filepath", "")
    now = _statuses(new)
    found = []
    for (address, port), status in _statuses(old).items():
        after = now.get((address, port))
        if (after is None and ends["gone"]) or (after == "UNHEALTHY" != status and ends["unhealthy"]):
            found.append(Farewell(namespace, address, port))
    return found


async def end_connections(leaving: Iterable[Farewell]) -> None:
    """End them; a connection that cannot be ended is left to the target."""
    for one in leaving:
        inside = ("nsenter", f"--net={one.namespace}") if one.namespace else ()
        try:
            await run((*inside, "ss", "-K", "-t", "-H", "dst", one.address, "dport", "=", f":{one.port}"), "")
        except NetworkError as error:
            _log.warning("connections to a target were left", target=f"{one.address}:{one.port}", reason=str(error))


def _statuses(endpoints: Resource) -> Mapping[tuple[str, int], str]:
    found = {}
    for locality in endpoints.get("endpoints", ()):
        for entry in locality.get("lb_endpoints", ()):
            socket = entry["endpoint"]["address"]["socket_address"]
            found[socket["address"], socket["port_value"]] = entry.get("health_status", "UNKNOWN")
    return found
