"""All load balancers of a host as Envoy's resources.  Pure.

One listener of a load balancer becomes one of Envoy's per address: each in the load balancer's
namespace, and one at the edge address in the host's own.  Target groups that do not cross zones
have a cluster per zone; requests that come in at the edge address may go to all zones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from openecs.acs.host_documents import BalancerListener, TargetGroupDocument
from openecs.agent.edge.envoy_actions import forwarded_groups, routing_action
from openecs.agent.edge.envoy_clusters import cluster_name, render_cluster, render_endpoints
from openecs.agent.edge.envoy_proxy import Rendered
from openecs.agent.edge.envoy_resources import Resource, Resources
from openecs.agent.edge.envoy_routes import render_routes
from openecs.agent.edge.listener_resources import Place, listener_resource, refusals, secret
from openecs.agent.edge.proxy import Part, Serving


def render(serving: Serving, xds: Path) -> Rendered:
    """The resources, what they leave out, and whose they are."""
    clusters: dict[str, Resource] = {}
    endpoints: dict[str, Resource] = {}
    routes: dict[str, Resource] = {}
    listeners: dict[str, Resource] = {}
    secrets: dict[str, Resource] = {}
    owners: dict[str, str] = {}
    problems: dict[str, tuple[str, ...]] = {}
    for part in serving.parts:
        groups = {arn: group for arn, group in serving.groups.items() if group.load_balancer_arn == part.arn}
        zones = sorted({interface.availability_zone for interface in part.document.interfaces})
        for arn, group in groups.items():
            for zone in ("", *(() if crosses_zones(part, group) else zones)):
                name = cluster_name(arn, zone)
                clusters[name] = render_cluster(
                    group,
                    name,
                    xds=xds,
                    namespace=str(part.namespace),
                    network=part.document.type == "network",
                    idle_seconds=int(part.document.attributes.get("idle_timeout.timeout_seconds") or 60),
                )
                endpoints[name] = render_endpoints(group, name, serving.routes.get(arn, {}), zone)
                owners[name] = part.arn
        said = list(refusals(part.document))
        for listener in part.document.listeners:
            found = _used(listener, groups)
            certificates = {
                arn: serving.certificates[arn] for arn in listener.certificates if arn in serving.certificates
            }
            missing = [arn for arn in listener.certificates if arn not in certificates]
            if missing or (listener.protocol in ("HTTPS", "TLS") and not certificates):
                said.append(
                    f"The listener {listener.arn} waits for certificates: {', '.join(missing) or 'it has none'}."
                )
                continue
            secrets |= {arn: secret(arn, certificate) for arn, certificate in certificates.items()}
            owners |= dict.fromkeys(certificates, part.arn)
            for place in _places(part, listener, serving.edge_address):
                name = f"{_short(listener.arn)}@{place.address}"
                if part.document.type == "application":
                    table, texts = render_routes(
                        name,
                        part.document,
                        listener,
                        groups,
                        cluster=functools.partial(_cluster, place, groups, part),
                        outer_port=functools.partial(_outer, place),
                    )
                    routes[name] = table
                    said += [text for text in texts if text not in said]
                try:
                    listeners[name] = listener_resource(
                        name,
                        part.document,
                        listener,
                        place,
                        groups=found,
                        certificates=certificates,
                        cluster=functools.partial(_cluster, place, groups, part),
                        xds=xds,
                    )
                except ValueError as error:
                    routes.pop(name, None)
                    said += [str(error)] if str(error) not in said else []
                owners[name] = part.arn
        problems[part.arn] = tuple(said)
    return Rendered(
        Resources(clusters=clusters, endpoints=endpoints, routes=routes, listeners=listeners, secrets=secrets),
        problems,
        owners,
    )


def crosses_zones(part: Part, group: TargetGroupDocument) -> bool:
    """Whether a target group's requests go to targets of all zones."""
    own = group.attributes.get("load_balancing.cross_zone.enabled", "use_load_balancer_configuration")
    if own in ("true", "false"):
        return own == "true"
    usual = "true" if part.document.type == "application" else "false"
    return part.document.attributes.get("load_balancing.cross_zone.enabled", usual) == "true"


def _outer(place: Place, port: int) -> int:
    return place.ports.get(port, port)


def _cluster(place: Place, groups: Mapping[str, TargetGroupDocument], part: Part, arn: str) -> str:
    group = groups.get(arn)
    return cluster_name(arn, "" if group is None or crosses_zones(part, group) else place.zone)


def _places(part: Part, listener: BalancerListener, edge_address: str) -> Iterable[Place]:
    for interface in part.document.interfaces:
        yield Place(interface.address, listener.port, str(part.namespace), interface.availability_zone, {})
    port = part.ports.get(listener.arn)
    if port is not None:
        outer = {one.port: part.ports[one.arn] for one in part.document.listeners if one.arn in part.ports}
        yield Place(edge_address, port, None, "", outer)


def _used(listener: BalancerListener, groups: Mapping[str, TargetGroupDocument]) -> tuple[TargetGroupDocument, ...]:
    arns: dict[str, None] = {}
    for rule in listener.rules:
        try:
            action = routing_action(rule.actions)
        except ValueError:
            continue
        if action.type == "forward":
            arns |= dict.fromkeys(arn for arn, _ in forwarded_groups(action))
    return tuple(groups[arn] for arn in arns if arn in groups)


def _short(listener_arn: str) -> str:
    return listener_arn.rpartition("listener/")[2]
