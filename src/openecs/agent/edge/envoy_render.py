"""Everything that this host's Envoy should serve, made from documents.  Pure.

What Envoy cannot do comes out as sentences, one load balancer at a time; it is never left out in
silence.  Which target gets requests is an input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerListener,
    CertificateDocument,
    TargetGroupDocument,
)
from openecs.agent.edge.datagram_rules import has_udp
from openecs.agent.edge.envoy_actions import forwarded_groups, weighted_groups
from openecs.agent.edge.envoy_clusters import (
    UDP_SUFFIX,
    cluster_name,
    inward_cluster,
    render_cluster,
    render_endpoints,
)
from openecs.agent.edge.envoy_filters import http_filters
from openecs.agent.edge.envoy_limits import balancer_problems, group_problems
from openecs.agent.edge.envoy_listeners import Bind, Log, http_listener, secret_name, tcp_listener, udp_listener
from openecs.agent.edge.envoy_match import needs_source
from openecs.agent.edge.envoy_resources import Resource, Resources
from openecs.agent.edge.envoy_routes import keeps_host, render_routes
from openecs.agent.edge.routing import Route, Target
from openecs.agent.edge.zones import crosses_zones
from openecs.model.tls_policy import DEFAULT_POLICY, TLS_POLICIES

_log = structlog.get_logger("openecs.agent")


@dataclass(frozen=True)
class Place:
    """Where the part of a load balancer lives on this host."""

    #: Path of its network namespace; ``None``: the host's own.
    namespace: str | None = None
    #: Listener ARN → address and port at which it is reached from outside its network.
    endpoints: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    #: Where requests are written down; ``None``: they are not.
    log: Log | None = None


@dataclass(frozen=True)
class Rendered:
    """The configuration, and what it lacks."""

    resources: Resources
    #: Load balancer ARN → sentences.
    problems: Mapping[str, tuple[str, ...]]
    #: Name of an Envoy listener, or of a certificate for one → ARNs of the load balancer and the listener.
    listeners: Mapping[str, tuple[str, str]]
    #: Load balancers of which nothing is there.
    failed: frozenset[str] = frozenset()


def render(
    balancers: Mapping[str, BalancerDocument],
    groups: Mapping[str, TargetGroupDocument],
    certificates: Mapping[str, CertificateDocument],
    routes: Mapping[str, Mapping[Target, Route]],
    places: Mapping[str, Place],
    *,
    xds: Path,
    weights: Mapping[str, Mapping[Target, int]] = {},
) -> Rendered:
    """Render all load balancers of this host.

    Mappings go from ARNs; ``routes`` from a target group's to what becomes of each target, ``weights``
    to those of its targets where they differ.  A load balancer without a place is not served.
    """
    found, failed = _Found(xds), set[str]()
    for arn in sorted(balancers):
        if arn in places:
            try:
                own = _Found(xds)
                _Balancer(arn, balancers[arn], groups, certificates, routes, weights, places[arn], own).render()
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                # A document that nobody thought of concerns its own load balancer only.
                _log.exception("a load balancer cannot be put into Envoy's words", load_balancer=arn)
                found.problems[arn] = [f"It cannot be put into Envoy's words: {error!r}."]
                failed.add(arn)
            else:
                found.take(own)
    resources = Resources(found.clusters, found.endpoints, found.routes, found.listeners, found.secrets)
    problems = {arn: tuple(dict.fromkeys(sentences)) for arn, sentences in found.problems.items() if sentences}
    return Rendered(resources, problems, found.owners, frozenset(failed))


@dataclass
class _Found:
    """What has been rendered so far."""

    xds: Path
    clusters: dict[str, Resource] = field(default_factory=dict)
    endpoints: dict[str, Resource] = field(default_factory=dict)
    routes: dict[str, Resource] = field(default_factory=dict)
    listeners: dict[str, Resource] = field(default_factory=dict)
    secrets: dict[str, Resource] = field(default_factory=dict)
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def take(self, other: _Found) -> None:
        """Add what has been rendered elsewhere."""
        self.clusters |= other.clusters
        self.endpoints |= other.endpoints
        self.routes |= other.routes
        self.listeners |= other.listeners
        self.secrets |= other.secrets
        self.owners |= other.owners
        self.problems |= other.problems


@dataclass(frozen=True)
class _Variant:
    """One way into a listener: by the addresses of a zone, of all zones, or from outside."""

    label: str
    #: Targets of this zone only, where a target group wants it so; empty for all.
    zone: str
    binds: tuple[Bind, ...]
    outside: bool = False


@dataclass(frozen=True)
class _Balancer:
    arn: str
    document: BalancerDocument
    groups: Mapping[str, TargetGroupDocument]
    certificates: Mapping[str, CertificateDocument]
    states: Mapping[str, Mapping[Target, Route]]
    weights: Mapping[str, Mapping[Target, int]]
    place: Place
    found: _Found

    def render(self) -> None:
        problems = self.found.problems.setdefault(self.arn, [])
        problems += balancer_problems(self.document)
        used: set[str] = set()
        for listener in self.document.listeners:
            groups = _groups_of(listener)
            used.update(groups)
            problem = self._lacking(listener)
            if problem:
                problems.append(problem)
                continue
            try:
                for variant in self._variants(listener, groups):
                    self._listener(listener, groups, variant)
            except ValueError as error:
                problems.append(f"Listener {listener.arn}: {error}")
        for arn in sorted(used):
            if arn in self.groups:
                problems += group_problems(self.groups[arn], self.document)

    def _lacking(self, listener: BalancerListener) -> str:
        """Why a listener cannot be served at all."""
        if listener.protocol not in {"HTTPS", "TLS"}:
            return ""
        if not listener.certificates:
            return f"Listener {listener.arn} has no certificate."
        if (listener.ssl_policy or DEFAULT_POLICY) not in TLS_POLICIES:
            return f"Listener {listener.arn}: the security policy {listener.ssl_policy} is not done."
        missing = [arn for arn in listener.certificates if arn not in self.certificates]
        return f"Certificate {missing[0]} has not come to this host yet." if missing else ""

    def _variants(self, listener: BalancerListener, groups: tuple[str, ...]) -> Iterator[_Variant]:
        zoned = any(arn in self.groups and not crosses_zones(self.groups[arn], self.document) for arn in groups)
        zones = sorted({interface.availability_zone for interface in self.document.interfaces}) if zoned else [""]
        for zone in zones:
            binds = tuple(
                Bind(interface.address, listener.port, self.place.namespace)
                for interface in self.document.interfaces
                if zone in {"", interface.availability_zone}
            )
            if binds:
                yield _Variant(zone or "all", zone, binds)
        outside = self.place.endpoints.get(listener.arn)
        if outside is not None:
            yield _Variant("outside", "", (Bind(*outside),), outside=True)

    def _listener(self, listener: BalancerListener, groups: tuple[str, ...], variant: _Variant) -> None:
        name = f"{listener.arn.rpartition('listener/')[2]}@{variant.label}"
        if has_udp(listener):
            self._datagrams(f"{name}{UDP_SUFFIX}", listener, variant)
            if listener.protocol == "UDP":
                return
        for arn in groups:
            self._cluster(arn, variant.zone)
        if listener.protocol in {"HTTP", "HTTPS"}:
            self._http(name, listener, groups, variant)
        else:
            self._stream(name, listener, variant)
        for arn in listener.certificates if listener.protocol in {"HTTPS", "TLS"} else ():
            secret = secret_name(arn, listener.arn)
            self.found.secrets[secret] = _secret(secret, self.certificates[arn])
            self.found.owners[secret] = (self.arn, listener.arn)

    def _add(self, listener: BalancerListener, resource: Resource) -> None:
        self.found.listeners[resource["name"]] = resource
        self.found.owners[resource["name"]] = (self.arn, listener.arn)

    def _http(self, name: str, listener: BalancerListener, groups: tuple[str, ...], variant: _Variant) -> None:
        ports = {
            found.port: self.place.endpoints[found.arn][1]
            for found in self.document.listeners
            if variant.outside and found.arn in self.place.endpoints
        }
        table, problems = render_routes(
            name,
            self.document,
            listener,
            self.groups,
            cluster=lambda arn: self._cluster_name(arn, variant.zone),
            outer_port=lambda port: ports.get(port, port),
        )
        self.found.problems[self.arn] += problems
        self.found.routes[name] = table
        filters = http_filters(
            (self.groups[arn] for arn in groups if arn in self.groups),
            by_source=any(needs_source(rule.conditions) for rule in listener.rules),
            rewrites=keeps_host(self.document) or any(rule.transforms for rule in listener.rules),
        )
        self._add(
            listener,
            http_listener(
                name,
                variant.binds,
                self.document,
                listener,
                xds=self.found.xds,
                routes=name,
                filters=filters,
                log=self.place.log,
            ),
        )

    def _stream(self, name: str, listener: BalancerListener, variant: _Variant) -> None:
        weighted = [
            (self._cluster_name(arn, variant.zone), weight, arn)
            for arn, weight in weighted_groups(listener.rules)
            if weight > 0 and arn in self.groups
        ]
        if not weighted:
            # Nothing accepts connections: on AWS they are refused when no target group has weight.
            return
        sticky = any(self.groups[arn].attributes.get("stickiness.enabled") == "true" for _, _, arn in weighted)
        resource = tcp_listener(
            name,
            variant.binds,
            listener,
            [(cluster, weight) for cluster, weight, _ in weighted],
            xds=self.found.xds,
            sticky=sticky,
            log=self.place.log if listener.protocol == "TLS" else None,
        )
        self._add(listener, resource)

    def _datagrams(self, name: str, listener: BalancerListener, variant: _Variant) -> None:
        """The way in from outside.  Inside its network the kernel carries datagrams: ``datagram_rules``."""
        own = [(interface.address, listener.port) for interface in self.document.interfaces]
        if not variant.outside or not own:
            return
        self._add(listener, udp_listener(name, variant.binds, name))
        self.found.clusters[name] = inward_cluster(name, own)
        self.found.owners[name] = (self.arn, listener.arn)

    def _cluster_name(self, arn: str, zone: str) -> str:
        group = self.groups.get(arn)
        keep = zone if group is not None and zone and not crosses_zones(group, self.document) else ""
        return cluster_name(arn, keep)

    def _cluster(self, arn: str, zone: str) -> None:
        group = self.groups.get(arn)
        name = self._cluster_name(arn, zone)
        if group is None or name in self.found.clusters:
            return
        keep = name.rpartition("@")[2] if "@" in name else ""
        self.found.clusters[name] = render_cluster(
            group,
            name,
            xds=self.found.xds,
            namespace=self.place.namespace,
            network=self.document.type == "network",
            idle_seconds=int(self.document.attributes.get("idle_timeout.timeout_seconds") or 60),
        )
        self.found.endpoints[name] = render_endpoints(
            group, name, self.states.get(arn, {}), keep, self.weights.get(arn, {})
        )


def _groups_of(listener: BalancerListener) -> tuple[str, ...]:
    """ARNs of the target groups that a listener forwards to, with or without weight, each once."""
    found = {
        arn: None
        for rule in listener.rules
        for action in rule.actions
        if action.type == "forward"
        for arn, _ in forwarded_groups(action)
    }
    return tuple(found)


def _secret(name: str, certificate: CertificateDocument) -> Resource:
    return {
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate.chain},
            "private_key": {"inline_string": certificate.private_key},
        },
    }
