"""One of Envoy's listeners, and the certificates that it shows.  Pure.  Raises ``ValueError`` with a
sentence for what is not done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from openecs.acs.host_documents import BalancerDocument, BalancerListener, CertificateDocument, TargetGroupDocument
from openecs.agent.edge.envoy_actions import forwarded_groups, routing_action
from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_filters import http_filters
from openecs.agent.edge.envoy_match import needs_source
from openecs.agent.edge.envoy_pages import local_replies
from openecs.agent.edge.envoy_resources import Resource, file_name
from openecs.model.tls_policy import DEFAULT_POLICY, TLS_POLICIES

_TYPE = "type.googleapis.com/envoy.extensions"


class Place(NamedTuple):
    """Where a listener is: ``namespace`` ``None`` is the host's own; ``zone`` empty stands for all."""

    address: str
    port: int
    namespace: str | None
    zone: str
    #: Port of a listener → the port at which clients of this place reach it, where that differs.
    ports: Mapping[int, int]


def refusals(balancer: BalancerDocument) -> Iterable[str]:
    """Sentences for settings of the load balancer that are not done."""
    if balancer.attributes.get("access_logs.s3.enabled") == "true":
        yield "Access logs are not written by this host."
    if balancer.attributes.get("connection_logs.s3.enabled") == "true":
        yield "Connection logs are not written by this host."
    if balancer.attributes.get("routing.http.drop_invalid_header_fields.enabled") == "true":
        yield "Header fields that are not valid are not dropped by this host."


def secret(arn: str, certificate: CertificateDocument) -> Resource:
    """A certificate with its key."""
    return {
        "name": arn,
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate.chain},
            "private_key": {"inline_string": certificate.private_key},
        },
    }


def listener_resource(
    name: str,
    balancer: BalancerDocument,
    listener: BalancerListener,
    place: Place,
    *,
    groups: Iterable[TargetGroupDocument],
    certificates: Mapping[str, CertificateDocument],
    cluster: Callable[[str], str],
    xds: Path,
) -> Resource:
    """The listener at one place."""
    address: Resource = {"address": place.address, "port_value": place.port}
    if place.namespace is not None:
        address["network_namespace_filepath"] = place.namespace
    if listener.protocol in ("UDP", "TCP_UDP"):
        raise ValueError(f"Listeners for {listener.protocol} are not done.")
    if balancer.type == "application":
        filters = [_manager(name, balancer, listener, groups, xds)]
    else:
        filters = [_stream(name, listener, cluster)]
    found: Resource = {"name": name, "address": {"socket_address": address}, "filter_chains": _chains(
        filters, listener, certificates, xds, application=balancer.type == "application"
    )}  # fmt: skip
    if certificates:
        kind = f"{_TYPE}.filters.listener.tls_inspector.v3.TlsInspector"
        found["listener_filters"] = [{"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": kind}}]
    return found


def _chains(
    filters: list[Resource],
    listener: BalancerListener,
    certificates: Mapping[str, CertificateDocument],
    xds: Path,
    *,
    application: bool,
) -> list[Resource]:
    """One chain without TLS; else one per certificate, for its names, and the first for all others."""
    if listener.protocol not in ("HTTPS", "TLS"):
        return [{"filters": filters}]
    chains: list[Resource] = []
    claimed: set[str] = set()
    for position, (arn, certificate) in enumerate(certificates.items()):
        names = [name for name in certificate.names if name not in claimed]
        claimed.update(names)
        tls = _tls(arn, listener, xds, application=application)
        if names:
            chains.append({"filter_chain_match": {"server_names": names}, "filters": filters, "transport_socket": tls})
        if position == 0:
            chains.append({"filters": filters, "transport_socket": tls})
    return chains


_STRICTEST = "ELBSecurityPolicy-TLS13-1-3-2021-06"
#: What Envoy calls the versions of TLS.
_VERSIONS = {"TLSv1": "TLSv1_0", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}


def _tls(arn: str, listener: BalancerListener, xds: Path, *, application: bool) -> Resource:
    # A policy of a newer control plane is answered with the strictest that is known.
    policy = TLS_POLICIES.get(
        listener.ssl_policy or DEFAULT_POLICY, TLS_POLICIES["ELBSecurityPolicy-TLS13-1-3-2021-06"]
    )
    parameters: Resource = {
        "tls_minimum_protocol_version": _VERSIONS[policy.protocols[0]],
        "tls_maximum_protocol_version": _VERSIONS[policy.protocols[-1]],
    }
    if policy.tls12_ciphers:
        parameters["cipher_suites"] = list(policy.tls12_ciphers)
    source = file_source(xds / file_name("secrets", arn))
    common: Resource = {
        "tls_params": parameters,
        "tls_certificate_sds_secret_configs": [{"name": arn, "sds_config": source}],
    }
    if application:
        common["alpn_protocols"] = ["h2", "http/1.1"]
    kind = f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext"
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": kind, "common_tls_context": common}}


def _manager(
    name: str, balancer: BalancerDocument, listener: BalancerListener, groups: Iterable[TargetGroupDocument], xds: Path
) -> Resource:
    attributes = balancer.attributes
    mode = attributes.get("routing.http.xff_header_processing.mode", "append")
    shows_server = listener.attributes.get("routing.http.response.server.enabled", "true") == "true"
    manager: Resource = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": file_source(xds / file_name("routes", name))},
        "http_filters": http_filters(groups, by_source=any(needs_source(rule.conditions) for rule in listener.rules)),
        "use_remote_address": mode != "preserve",
        "skip_xff_append": mode == "preserve",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_replies(server=shows_server),
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "stream_idle_timeout": f"{attributes.get('idle_timeout.timeout_seconds') or 60}s",
        "common_http_protocol_options": {"idle_timeout": f"{attributes.get('client_keep_alive.seconds') or 3600}s"},
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _stream(name: str, listener: BalancerListener, cluster: Callable[[str], str]) -> Resource:
    groups = forwarded_groups(routing_action(listener.rules[-1].actions)) if listener.rules else ()
    used = [(arn, weight) for arn, weight in groups if weight or len(groups) == 1]
    if not used:
        raise ValueError(f"The listener {listener.arn} forwards to no target group.")
    proxy: Resource = {
        "@type": f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "idle_timeout": f"{listener.attributes.get('tcp.idle_timeout.seconds') or 350}s",
        "hash_policy": [{"source_ip": {}}],
    }
    if len(used) == 1:
        proxy["cluster"] = cluster(used[0][0])
    else:
        proxy["weighted_clusters"] = {"clusters": [{"name": cluster(arn), "weight": weight} for arn, weight in used]}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
