"""Target groups as Envoy's clusters, and their targets as endpoints.  Pure.

A target group whose load balancer does not cross zones has one cluster per zone.  Which targets
get traffic is not decided here; a zone in which there is none uses those of the other zones, as
AWS takes such a zone's address out of the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from openecs.acs.host_documents import TargetEntry, TargetGroupDocument
from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_farewell import ends_connections
from openecs.agent.edge.envoy_resources import UNLIMITED, Resource, file_name
from openecs.agent.edge.routing import Route, Target
from openecs.agent.edge.zones import in_zone

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_STATUS = {"routable": "HEALTHY", "draining": "DRAINING", "out": "UNHEALTHY"}
#: Seconds for a connection to a target: time for two packets that get lost.
CONNECT_TIMEOUT = "4s"
#: Milliseconds after which a connection is given up when a target's host acknowledges nothing: a machine without
#: power says no goodbye.  An application that takes its time is no matter, its kernel acknowledges; one that
#: reads nothing of what it is sent has as long.
_UNACKNOWLEDGED = 30_000
_TCP_USER_TIMEOUT = {"description": "TCP_USER_TIMEOUT", "level": 6, "name": 18, "int_value": _UNACKNOWLEDGED}
#: A target that three connections in a row did not reach is left out for some seconds, long before two
#: probes have failed; what it answers does not count, and at least one target stays in.
_UNREACHABLE = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 3,
    "enforcing_consecutive_local_origin_failure": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_time": "30s",
    "max_ejection_percent": 90,
    "always_eject_one_host": False,
}
#: How the names of clusters and listeners for datagrams end.
UDP_SUFFIX = "/udp"


def cluster_name(target_group_arn: str, zone: str = "") -> str:
    """Name of a target group's cluster, for one zone or for all."""
    name = target_group_arn.rpartition("targetgroup/")[2]
    return f"{name}@{zone}" if zone else name


def render_cluster(
    group: TargetGroupDocument,
    name: str,
    *,
    xds: Path,
    namespace: str | None,
    network: bool,
    idle_seconds: int,
) -> Resource:
    """The cluster of a target group; ``network`` for a network load balancer."""
    cluster: Resource = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(xds / file_name("endpoints", name))},
        "connect_timeout": CONNECT_TIMEOUT,
        # Health is what the agent's probes say; a target that is taken away gets nothing new at once.
        "ignore_health_on_host_removal": True,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "outlier_detection": _UNREACHABLE,
        "circuit_breakers": UNLIMITED,
        **_balancing(group, network=network),
        **_transport(group, network=network),
    }
    if namespace is not None:
        address = {"address": "0.0.0.0", "port_value": 0, "network_namespace_filepath": namespace}  # noqa: S104
        cluster["upstream_bind_config"] = {"source_address": address}
        if not network:
            cluster["upstream_bind_config"]["socket_options"] = [_TCP_USER_TIMEOUT]
    if network:
        terminate = group.attributes.get("target_health_state.unhealthy.connection_termination.enabled", "true")
        gone = group.attributes.get("deregistration_delay.connection_termination.enabled") == "true"
        cluster["metadata"] = ends_connections(gone=gone, unhealthy=terminate == "true")
    else:
        cluster["typed_extension_protocol_options"] = {_HTTP_OPTIONS: _http(group, idle_seconds)}
    return cluster


def render_endpoints(
    group: TargetGroupDocument,
    name: str,
    routes: Mapping[Target, Route],
    zone: str = "",
    weights: Mapping[Target, int] = {},
) -> Resource:
    """The endpoints of a cluster; targets whose address is not known are left out.

    ``weights``: of targets whose shares differ from each other's.
    """
    chosen: Sequence[TargetEntry] = [target for target in group.targets if target.address]
    if zone:
        chosen = in_zone(chosen, zone, lambda target: _route(target, routes) == "routable")
    entries: dict[tuple[str, int], Resource] = {}
    for target in chosen:
        address = {"address": target.address, "port_value": target.port}
        entries[target.address, target.port] = {
            "endpoint": {"address": {"socket_address": address}},
            "health_status": _STATUS[_route(target, routes)],
        }
        if (target.id, target.port) in weights:
            entries[target.address, target.port]["load_balancing_weight"] = weights[target.id, target.port]
    endpoints = [{"lb_endpoints": [entries[key] for key in sorted(entries)]}] if entries else []
    return {"cluster_name": name, "endpoints": endpoints}


def inward_cluster(name: str, places: Sequence[tuple[str, int]]) -> Resource:
    """The cluster of what leads from outside into a load balancer's own network: to its addresses there."""
    entries = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        for address, port in places
    ]
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": entries}]},
        "circuit_breakers": UNLIMITED,
    }


def _route(target: TargetEntry, routes: Mapping[Target, Route]) -> Route:
    """A target of which nothing is known yet gets no traffic."""
    return routes.get((target.id, target.port), "out")


def _balancing(group: TargetGroupDocument, *, network: bool) -> Resource:
    if network:
        sticky = group.attributes.get("stickiness.enabled") == "true"
        return {"lb_policy": "MAGLEV" if sticky else "RANDOM"}
    match group.attributes.get("load_balancing.algorithm.type", "round_robin"):
        case "least_outstanding_requests":
            name = "envoy.load_balancing_policies.least_request"
            kind = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
            config = {"@type": f"type.googleapis.com/{kind}", "selection_method": "FULL_SCAN"}
            policy = {"typed_extension_config": {"name": name, "typed_config": config}}
            return {"load_balancing_policy": {"policies": [policy]}}
        case "weighted_random":
            return {"lb_policy": "RANDOM"}
        case _:
            return {"lb_policy": "ROUND_ROBIN"}


def _http(group: TargetGroupDocument, idle_seconds: int) -> Resource:
    version = "http_protocol_options" if group.protocol_version == "HTTP1" else "http2_protocol_options"
    return {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {version: {}},
        "common_http_protocol_options": {"idle_timeout": f"{idle_seconds}s"},
    }


def _transport(group: TargetGroupDocument, *, network: bool) -> Resource:
    socket: Resource | None = None
    if group.protocol in {"HTTPS", "TLS"}:
        # As on AWS, the target's certificate is not looked at.
        common: Resource = {} if group.protocol_version == "HTTP1" else {"alpn_protocols": ["h2"]}
        kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        socket = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": f"type.googleapis.com/{kind}", "common_tls_context": common},
        }
    if network and group.attributes.get("proxy_protocol_v2.enabled") == "true":
        kind = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
        raw = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
        inner = socket or {
            "name": "envoy.transport_sockets.raw_buffer",
            "typed_config": {"@type": f"type.googleapis.com/{raw}"},
        }
        socket = {
            "name": "envoy.transport_sockets.upstream_proxy_protocol",
            "typed_config": {
                "@type": f"type.googleapis.com/{kind}",
                "config": {"version": "V2"},
                "transport_socket": inner,
            },
        }
    return {} if socket is None else {"transport_socket": socket}
