"""Service Connect put into Envoy's words.  Pure.

Each name that a task may call is a listener on its loopback address, in the task's own network
namespace, and a cluster whose connections leave from there: security groups apply to them as to
the task's own.  A port that is overridden is a listener on all addresses that leads to the
container's port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from openecs.acs.host_documents import ConnectDocument
from openecs.acs.messages import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_resources import Resource, Resources, file_name

_TYPE = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_NO_LIMIT = 1_000_000
#: Seconds that AWS documents: a request, an idle HTTP connection, an idle TCP connection.
REQUEST_TIMEOUT, HTTP_IDLE, TCP_IDLE = 15, 300, 3600
#: Times that a request or connection that failed is tried again.
RETRIES = 2


class ConnectPart(NamedTuple):
    """One task with a part in Service Connect."""

    task_arn: str
    namespace: Path
    payload: ConnectPayload
    #: File to which what could not be delivered is written; empty for none.
    log: str = ""


def cluster_base(endpoint: str) -> str:
    """How the names of an endpoint's clusters begin: before ``@`` and the task."""
    return f"connect/{endpoint}"


def render(parts: tuple[ConnectPart, ...], documents: Mapping[str, ConnectDocument], xds: Path) -> Resources:
    """The resources of all tasks; ``documents`` by endpoint."""
    found = Resources({}, {}, {}, {}, {})
    for part in parts:
        for name, cluster, endpoints, routes, listener in _resources(part, documents, xds):
            _into(found.clusters, name, cluster)
            _into(found.endpoints, name, endpoints)
            _into(found.routes, name, routes)
            _into(found.listeners, listener["name"], listener)
    return found


def owner(name: str) -> str:
    """The part of a resource's name that says whose it is; see ``short``."""
    return name.rpartition("@")[2] if name.startswith("connect/") else ""


def short(task_arn: str) -> str:
    """What stands for a task in names of resources."""
    return hashlib.sha256(task_arn.encode()).hexdigest()[:16]


def _into(table: Mapping[str, Resource], name: str, resource: Resource | None) -> None:
    assert isinstance(table, dict)  # noqa: S101 -- made above
    if resource is not None:
        table[name] = resource


def _resources(part: ConnectPart, documents: Mapping[str, ConnectDocument], xds: Path) -> Any:
    task = short(part.task_arn)
    namespace = str(part.namespace)
    for alias in part.payload.aliases:
        document = documents.get(alias.endpoint, ConnectDocument())
        name = f"{cluster_base(alias.endpoint)}@{task}"
        cluster = _cluster(name, alias, namespace, xds)
        routes = None if alias.protocol == "tcp" else _routes(name, document)
        listener = _listener(name, alias, document, part, xds)
        yield name, cluster, _endpoints(name, document), routes, listener
    for ingress in part.payload.ingress:
        name = f"connect/ingress/{ingress.port}@{task}"
        yield name, _local_cluster(name, ingress, namespace), None, None, _ingress(name, ingress, namespace)


def _bind(address: str, port: int, namespace: str) -> Resource:
    return {"address": address, "port_value": port, "network_namespace_filepath": namespace}


def _listener(name: str, alias: ConnectAlias, document: ConnectDocument, part: ConnectPart, xds: Path) -> Resource:
    if alias.protocol == "tcp":
        chain = _tcp(name, TCP_IDLE if document.idle_timeout is None else document.idle_timeout)
    else:
        idle = HTTP_IDLE if document.idle_timeout is None else document.idle_timeout
        chain = {
            "@type": _MANAGER,
            "stat_prefix": name,
            "codec_type": "AUTO",
            "rds": {"route_config_name": name, "config_source": file_source(xds / file_name("routes", name))},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {
                        "@type": f"{_TYPE}.filters.http.router.v3.Router",
                        "suppress_envoy_headers": True,
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
    if part.log:
        chain["access_log"] = [_log(part.log, alias)]
    return {
        # Each address is a listener of its own: one endpoint may be called by two names.
        "name": f"connect/{alias.address}:{alias.port}/{alias.endpoint}@{owner(name)}",
        "address": {"socket_address": _bind(alias.address, alias.port, str(part.namespace))},
        "filter_chains": [{"filters": [{"name": "connect", "typed_config": chain}]}],
    }


def _log(path: str, alias: ConnectAlias) -> Resource:
    """One line of JSON for each request or connection that the proxy could not deliver as it should."""
    form: dict[str, Any] = {
        "time": "%START_TIME%",
        "endpoint": f"{alias.name}:{alias.port}",
        "upstream": "%UPSTREAM_HOST%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
    }
    if alias.protocol != "tcp":
        form |= {"method": "%REQ(:METHOD)%", "status": "%RESPONSE_CODE%"}
    return {
        "name": "envoy.access_loggers.file",
        "filter": {"response_flag_filter": {}},
        "typed_config": {
            "@type": f"{_TYPE}.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": form, "omit_empty_values": True},
        },
    }


def _tcp(name: str, idle: int) -> Resource:
    return {
        "@type": f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": name,
        "idle_timeout": f"{idle}s",
        "max_connect_attempts": RETRIES + 1,
    }


def _routes(name: str, document: ConnectDocument) -> Resource:
    timeout = REQUEST_TIMEOUT if document.request_timeout is None else document.request_timeout
    route: Resource = {
        "match": {"prefix": "/"},
        "route": {
            "cluster": name,
            "timeout": f"{timeout}s",
            "retry_policy": {
                # Only what the other side cannot have begun to answer.
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "num_retries": RETRIES,
                "retry_host_predicate": [
                    {
                        "name": "envoy.retry_host_predicates.previous_hosts",
                        "typed_config": {"@type": f"{_TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                    }
                ],
                "host_selection_retry_max_attempts": 3,
            },
        },
    }
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}


def _cluster(name: str, alias: ConnectAlias, namespace: str, xds: Path) -> Resource:
    cluster: Resource = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(xds / file_name("endpoints", name))},
        "connect_timeout": "4s",
        "lb_policy": "ROUND_ROBIN",
        "ignore_health_on_host_removal": True,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "upstream_bind_config": {"source_address": _bind("0.0.0.0", 0, namespace)},  # noqa: S104 -- any of the task's
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _NO_LIMIT,
                    "max_pending_requests": _NO_LIMIT,
                    "max_requests": _NO_LIMIT,
                    "max_retries": _NO_LIMIT,
                }
            ]
        },
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
    if alias.protocol != "tcp":
        version = "http_protocol_options" if alias.protocol == "http" else "http2_protocol_options"
        cluster["typed_extension_protocol_options"] = {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "explicit_http_config": {version: {}},
            }
        }
    return cluster


def _endpoints(name: str, document: ConnectDocument) -> Resource:
    entries = [
        {
            "endpoint": {"address": {"socket_address": {"address": target.address, "port_value": target.port}}},
            "health_status": "DRAINING" if target.draining else "HEALTHY",
        }
        for target in sorted(document.targets, key=lambda t: (t.address, t.port))
        if target.address
    ]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": entries}] if entries else []}


def _local_cluster(name: str, ingress: ConnectIngress, namespace: str) -> Resource:
    local = {
        "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ingress.container_port}}}
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "4s",
        "upstream_bind_config": {"source_address": _bind("0.0.0.0", 0, namespace)},  # noqa: S104
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [local]}]},
    }


def _ingress(name: str, ingress: ConnectIngress, namespace: str) -> Resource:
    return {
        "name": name,
        "address": {"socket_address": _bind("0.0.0.0", ingress.port, namespace)},  # noqa: S104 -- all of the task's
        "filter_chains": [{"filters": [{"name": "connect", "typed_config": _tcp(name, TCP_IDLE)}]}],
    }
