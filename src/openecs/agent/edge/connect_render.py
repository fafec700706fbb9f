"""Service Connect put into Envoy's words.  Pure.

Each name that a task may call is a listener on its loopback address, in the task's own network
namespace, and clusters whose connections leave from there: security groups apply to them as to
the task's own.  A port of the task behind its proxy is a listener on all addresses that leads to
the container's port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from openecs.acs.host_documents import ConnectDocument
from openecs.acs.task_payload import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.agent.edge import connect_routes
from openecs.agent.edge.connect_logs import ProxyLog, access_logs
from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_clusters import CONNECT_TIMEOUT
from openecs.agent.edge.envoy_counters import count_failures, time_answers
from openecs.agent.edge.envoy_resources import UNLIMITED, Resource, Resources, file_name

_TYPE = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#: Ends the name of the cluster of the alternate place: discovery names have no slash.
ALTERNATE = "/alternate"
#: Seconds that AWS documents: an idle HTTP connection, an idle TCP connection.
HTTP_IDLE, TCP_IDLE = 300, 3600


class ConnectPart(NamedTuple):
    """One task with a part in Service Connect."""

    task_arn: str
    namespace: Path
    payload: ConnectPayload
    #: File to which its proxy writes; empty for none.
    log: str = ""


def cluster_base(endpoint: str, *, alternate: bool = False) -> str:
    """How the names of an endpoint's clusters begin, before ``@`` and the task; it has one for each place."""
    return f"connect/{endpoint}{ALTERNATE if alternate else ''}"


def render(parts: tuple[ConnectPart, ...], documents: Mapping[str, ConnectDocument], xds: Path) -> Resources:
    """The resources of all tasks; ``documents`` by endpoint."""
    clusters: dict[str, Resource] = {}
    endpoints: dict[str, Resource] = {}
    routes: dict[str, Resource] = {}
    listeners: dict[str, Resource] = {}
    for part in parts:
        for found in (_outgoing(part, documents, xds), _incoming(part)):
            clusters |= found.clusters
            endpoints |= found.endpoints
            routes |= found.routes
            listeners |= found.listeners
    return Resources(clusters, endpoints, routes, listeners)


def owner(name: str) -> str:
    """The part of a resource's name that says whose it is; see ``short``."""
    return name.rpartition("@")[2] if name.startswith("connect/") else ""


def short(task_arn: str) -> str:
    """What stands for a task in names of resources."""
    return hashlib.sha256(task_arn.encode()).hexdigest()[:16]


def _outgoing(part: ConnectPart, documents: Mapping[str, ConnectDocument], xds: Path) -> Resources:
    """What a task may call."""
    task = short(part.task_arn)
    namespace = str(part.namespace)
    clusters: dict[str, Resource] = {}
    endpoints: dict[str, Resource] = {}
    routes: dict[str, Resource] = {}
    listeners: dict[str, Resource] = {}
    for alias in part.payload.aliases:
        document = documents.get(alias.endpoint, ConnectDocument())
        plain, other = (f"{cluster_base(alias.endpoint, alternate=place)}@{task}" for place in (False, True))
        for place in connect_routes.places(document):
            name = other if place else plain
            clusters[name] = _cluster(name, alias, namespace, xds)
            endpoints[name] = _endpoints(name, document, alternate=place)
        http = alias.protocol != "tcp"
        if http:
            proxy = _manager(plain, HTTP_IDLE if document.idle_timeout is None else document.idle_timeout)
            source = file_source(xds / file_name("routes", plain))
            proxy["rds"] = {"route_config_name": plain, "config_source": source}
            routes[plain] = connect_routes.http_routes(plain, (plain, other), document)
        else:
            idle = TCP_IDLE if document.idle_timeout is None else document.idle_timeout
            proxy = _tcp(plain, connect_routes.destination((plain, other), document), idle)
        proxy["access_log"] = [count_failures()] if http else []
        proxy["access_log"] += access_logs(_log(part), f"{alias.name}:{alias.port}", http=http)
        # Each address is a listener of its own: one endpoint may be called by two names.
        listener = f"connect/{alias.address}:{alias.port}/{alias.endpoint}@{task}"
        listeners[listener] = _listener(listener, _bind(alias.address, alias.port, namespace), proxy)
    return Resources(clusters, endpoints, routes, listeners)


def _incoming(part: ConnectPart) -> Resources:
    """The task's ports behind which its proxy stands."""
    namespace = str(part.namespace)
    clusters: dict[str, Resource] = {}
    listeners: dict[str, Resource] = {}
    for ingress in part.payload.ingress:
        name = f"connect/ingress/{ingress.port}@{short(part.task_arn)}"
        # Requests are told apart only where they are written down.
        http = ingress.protocol != "tcp" and bool(part.payload.access_log)
        clusters[name] = _local_cluster(name, ingress, namespace, http=http)
        if http:
            # How long to wait is for those who call to say.
            proxy = _manager(name, 0)
            route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}
            hosts = [{"name": "all", "domains": ["*"], "routes": [route]}]
            proxy["route_config"] = {"name": name, "virtual_hosts": hosts}
        else:
            proxy = _tcp(name, {"cluster": name}, TCP_IDLE)
        proxy["access_log"] = access_logs(_log(part), "", http=http)
        bind = _bind("0.0.0.0", ingress.listener or ingress.port, namespace)  # noqa: S104 -- all of the task's
        listeners[name] = _listener(name, bind, proxy)
    return Resources(clusters=clusters, listeners=listeners)


def _log(part: ConnectPart) -> ProxyLog:
    return ProxyLog(part.log, part.payload.access_log, part.payload.access_log_queries)


def _bind(address: str, port: int, namespace: str) -> Resource:
    return {"address": address, "port_value": port, "network_namespace_filepath": namespace}


def _from_task(namespace: str) -> Resource:
    """Connections leave from any address of the task's."""
    return {"source_address": _bind("0.0.0.0", 0, namespace)}  # noqa: S104 -- it is not listened at


def _listener(name: str, bind: Resource, proxy: Resource) -> Resource:
    return {
        "name": name,
        "address": {"socket_address": bind},
        "filter_chains": [{"filters": [{"name": "connect", "typed_config": proxy}]}],
    }


def _manager(name: str, idle: int) -> Resource:
    """What speaks HTTP with those who call; ``idle`` seconds end a connection or a request that is silent."""
    return {
        "@type": _MANAGER,
        "stat_prefix": name,
        "codec_type": "AUTO",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                    "upstream_log": [time_answers()],
                },
            }
        ],
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "use_remote_address": True,
        "skip_xff_append": True,
        # No client is trusted with headers that steer Envoy.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "stream_idle_timeout": f"{idle}s",
        "common_http_protocol_options": {"idle_timeout": f"{idle}s"},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }


def _tcp(name: str, destination: Resource, idle: int) -> Resource:
    return {
        "@type": f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        **destination,
        "idle_timeout": f"{idle}s",
        "max_connect_attempts": connect_routes.RETRIES + 1,
    }


def _cluster(name: str, alias: ConnectAlias, namespace: str, xds: Path) -> Resource:
    cluster: Resource = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(xds / file_name("endpoints", name))},
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "ROUND_ROBIN",
        "ignore_health_on_host_removal": True,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "upstream_bind_config": _from_task(namespace),
        "circuit_breakers": UNLIMITED,
        # As AWS documents it: five failures in 30 seconds, left out for 30 to 300 seconds.
        "outlier_detection": {
            "consecutive_5xx": 5,
            "consecutive_gateway_failure": 5,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "30s",
            "base_ejection_time": "30s",
            "max_ejection_time": "300s",
            "max_ejection_percent": 50,
            "enforcing_success_rate": 0,
        },
    }
    return cluster if alias.protocol == "tcp" else cluster | _spoken(alias.protocol)


def _endpoints(name: str, document: ConnectDocument, *, alternate: bool) -> Resource:
    entries = [
        {
            "endpoint": {"address": {"socket_address": {"address": target.address, "port_value": target.port}}},
            "health_status": "DRAINING" if target.draining else "HEALTHY",
        }
        for target in sorted(document.targets, key=lambda t: (t.address, t.port))
        if target.address and target.alternate == alternate
    ]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": entries}] if entries else []}


def _local_cluster(name: str, ingress: ConnectIngress, namespace: str, *, http: bool) -> Resource:
    local = {
        "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ingress.container_port}}}
    }
    cluster: Resource = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "upstream_bind_config": _from_task(namespace),
        "circuit_breakers": UNLIMITED,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [local]}]},
    }
    return cluster | _spoken(ingress.protocol) if http else cluster


def _spoken(protocol: str) -> Resource:
    """What a cluster's targets speak."""
    version = "http_protocol_options" if protocol == "http" else "http2_protocol_options"
    options = {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}", "explicit_http_config": {version: {}}}
    return {"typed_extension_protocol_options": {_HTTP_OPTIONS: options}}
