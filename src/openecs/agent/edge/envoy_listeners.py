"""Listeners: where a load balancer is reached, by which protocol, with which certificates.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from openecs.acs.host_documents import BalancerDocument, BalancerListener
from openecs.agent.edge.envoy_access_format import access_log
from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_counters import count_failures
from openecs.agent.edge.envoy_pages import local_replies
from openecs.agent.edge.envoy_resources import Resource, file_name
from openecs.model.tls_policy import DEFAULT_POLICY, TLS_POLICIES

_TYPE = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_VERSIONS = {"TLSv1": "TLSv1_0", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}
#: What AWS's names of ALPN policies offer, the preferred first.
_ALPN = {
    "HTTP1Only": ["http/1.1", "http/1.0"],
    "HTTP2Only": ["h2"],
    "HTTP2Optional": ["http/1.1", "http/1.0", "h2"],
    "HTTP2Preferred": ["h2", "http/1.1", "http/1.0"],
    "None": [],
}


#: Seconds without a datagram after which a flow is forgotten, as on AWS.
UDP_IDLE_SECONDS = 120

#: Datagrams of every length; Envoy drops those of more than 1,500 bytes otherwise.
_WHOLE = {"max_rx_datagram_size": 65_535}


class Bind(NamedTuple):
    """An address of a listener; ``namespace`` is the path of a network namespace, ``None`` for the host's own."""

    address: str
    port: int
    namespace: str | None = None


class Log(NamedTuple):
    """Where requests are written down."""

    #: What Envoy writes to.
    file: str
    #: Where their lines are to be kept at last, relative to the folder of access logs.
    folder: str


def http_listener(
    name: str,
    binds: Sequence[Bind],
    balancer: BalancerDocument,
    listener: BalancerListener,
    *,
    xds: Path,
    routes: str,
    filters: list[Resource],
    log: Log | None,
) -> Resource:
    """A listener of an application load balancer; ``routes`` is the name of its route table."""
    attributes = balancer.attributes
    secure = listener.protocol == "HTTPS"
    http2 = secure and attributes.get("routing.http2.enabled", "true") == "true"
    idle = f"{attributes.get('idle_timeout.timeout_seconds') or 60}s"
    server = listener.attributes.get("routing.http.response.server.enabled", "true") == "true"
    manager: dict[str, Any] = {
        "@type": _MANAGER,
        "stat_prefix": name,
        "codec_type": "AUTO" if http2 else "HTTP1",
        "rds": {"route_config_name": routes, "config_source": file_source(xds / file_name("routes", routes))},
        "http_filters": filters,
        "use_remote_address": True,
        "skip_xff_append": True,
        # No client is trusted with headers that steer Envoy.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "max_request_headers_kb": 64,
        "stream_idle_timeout": idle,
        "request_headers_timeout": idle,
        "common_http_protocol_options": {
            "idle_timeout": idle,
            "max_connection_duration": f"{attributes.get('client_keep_alive.seconds') or 3600}s",
        },
        "http1_safe_max_connection_duration": True,
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": balancer.dns_name},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": local_replies(server=server),
    }
    if attributes.get("routing.http.preserve_host_header.enabled") != "true":
        # Routes put back the one by which the client came; redirects want the name alone.
        manager["strip_any_host_port"] = True
    if attributes.get("routing.http.drop_invalid_header_fields.enabled") == "true":
        manager["early_header_mutation_extensions"] = [_drop_invalid_headers()]
    manager["access_log"] = [count_failures()]
    if log is not None:
        manager["access_log"].append(access_log(log.file, log.folder, listener))
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if secure:
        chain["transport_socket"] = _tls(listener, xds, ["h2", "http/1.1"] if http2 else ["http/1.1"])
    # Named, so that its counters are found: failed TLS handshakes are counted nowhere else.
    return {**_addresses(name, binds), "stat_prefix": name, "filter_chains": [chain]}


def tcp_listener(
    name: str,
    binds: Sequence[Bind],
    listener: BalancerListener,
    clusters: Sequence[tuple[str, int]],
    *,
    xds: Path,
    sticky: bool,
    log: Log | None,
) -> Resource:
    """A TCP or TLS listener of a network load balancer; ``clusters`` with their weights."""
    proxy: dict[str, Any] = {
        "@type": f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "idle_timeout": f"{listener.attributes.get('tcp.idle_timeout.seconds') or 350}s",
        "max_connect_attempts": 3,
    }
    if len(clusters) == 1:
        proxy["cluster"] = clusters[0][0]
    else:
        weighted = [{"name": cluster, "weight": weight} for cluster, weight in clusters]
        proxy["weighted_clusters"] = {"clusters": weighted}
    if sticky:
        proxy["hash_policy"] = [{"source_ip": {}}]
    if log is not None:
        proxy["access_log"] = [access_log(log.file, log.folder, listener)]
    chain: dict[str, Any] = {"filters": [{"name": "tcp", "typed_config": proxy}]}
    if listener.protocol == "TLS":
        chain["transport_socket"] = _tls(listener, xds, _ALPN.get((*listener.alpn_policy, "None")[0], []))
    return {**_addresses(name, binds), "stat_prefix": name, "filter_chains": [chain]}


def udp_listener(name: str, binds: Sequence[Bind], cluster: str) -> Resource:
    """A listener for datagrams from outside a network load balancer's network."""
    route = f"{_TYPE}.filters.udp.udp_proxy.v3.Route"
    proxy: dict[str, Any] = {
        "@type": f"{_TYPE}.filters.udp.udp_proxy.v3.UdpProxyConfig",
        "stat_prefix": name,
        "idle_timeout": f"{UDP_IDLE_SECONDS}s",
        "upstream_socket_config": _WHOLE,
        "matcher": {
            "on_no_match": {
                "action": {"name": "route", "typed_config": {"@type": route, "cluster": cluster}},
            }
        },
    }
    return {
        **_addresses(name, binds, protocol="UDP"),
        "udp_listener_config": {"downstream_socket_config": _WHOLE},
        "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy}],
    }


def _addresses(name: str, binds: Sequence[Bind], *, protocol: str = "TCP") -> Resource:
    found = [_address(bind, protocol) for bind in binds]
    listener: dict[str, Any] = {"name": name, "address": found[0]}
    if found[1:]:
        listener["additional_addresses"] = [{"address": address} for address in found[1:]]
    return listener


def _address(bind: Bind, protocol: str) -> Resource:
    socket: dict[str, Any] = {"protocol": protocol, "address": bind.address, "port_value": bind.port}
    if bind.namespace is not None:
        socket["network_namespace_filepath"] = bind.namespace
    return {"socket_address": socket}


def secret_name(certificate_arn: str, listener_arn: str) -> str:
    """Name of a certificate's secret, without characters that statistics change.

    Each listener has its own: one that Envoy does not take concerns nobody else.
    """
    name = f"{certificate_arn.rpartition('/')[2]}@{listener_arn.rpartition('listener/')[2]}"
    return name.replace(":", "_").replace(".", "_")


def _tls(listener: BalancerListener, xds: Path, alpn: list[str]) -> Resource:
    policy = TLS_POLICIES[listener.ssl_policy or DEFAULT_POLICY]
    parameters: dict[str, Any] = {
        "tls_minimum_protocol_version": _VERSIONS[policy.protocols[0]],
        "tls_maximum_protocol_version": _VERSIONS[policy.protocols[-1]],
    }
    if policy.tls12_ciphers:
        parameters["cipher_suites"] = list(policy.tls12_ciphers)
    secrets = [secret_name(arn, listener.arn) for arn in listener.certificates]
    context = {
        "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": parameters,
            "alpn_protocols": alpn,
            # The first is for clients that ask for no name, or for one that no certificate has.
            "tls_certificate_sds_secret_configs": [
                {"name": name, "sds_config": file_source(xds / file_name("secrets", name))} for name in secrets
            ],
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _drop_invalid_headers() -> Resource:
    """Names of headers may have letters, digits and hyphens, as AWS has it."""
    matcher = {"safe_regex": {"regex": "[^:]*[^-A-Za-z0-9:].*"}}
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"{_TYPE}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"remove_on_match": {"key_matcher": matcher}}],
        },
    }
