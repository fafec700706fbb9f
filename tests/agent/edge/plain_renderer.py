"""The least that makes Envoy serve an application load balancer: every request goes to one target group."""

from __future__ import annotations

from pathlib import Path

from openecs.agent.edge.envoy_bootstrap import file_source
from openecs.agent.edge.envoy_clusters import cluster_name, render_cluster, render_endpoints
from openecs.agent.edge.envoy_proxy import Rendered
from openecs.agent.edge.envoy_resources import Resources, file_name
from openecs.agent.edge.proxy import Serving

_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


def render(serving: Serving, xds: Path) -> Rendered:
    clusters, endpoints, routes, listeners, owners = {}, {}, {}, {}, {}
    for part in serving.parts:
        for arn, group in serving.groups.items():
            name = cluster_name(arn)
            clusters[name] = render_cluster(
                group, name, xds=xds, namespace=str(part.namespace), network=False, idle_seconds=60
            )
            endpoints[name] = render_endpoints(group, name, serving.routes[arn])
            routes["to-" + name] = {
                "name": "to-" + name,
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}],
                    }
                ],
            }
            for listener in part.document.listeners:
                addresses = [
                    {"address": one.address, "port_value": listener.port, "network_namespace_filepath": str(part.namespace)}
                    for one in part.document.interfaces
                ] + [{"address": serving.edge_address, "port_value": part.ports[listener.arn]}]  # fmt: skip
                for number, address in enumerate(addresses):
                    listeners[f"l{number}"] = _listener(f"l{number}", address, "to-" + name, xds)
                    owners[f"l{number}"] = part.arn
    return Rendered(
        Resources(clusters=clusters, endpoints=endpoints, routes=routes, listeners=listeners), {}, owners
    )


def _listener(name: str, address: dict[str, object], route: str, xds: Path) -> dict[str, object]:
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": route, "config_source": file_source(xds / file_name("routes", route))},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "address": {"socket_address": address},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
