"""What hosts are told of load balancers: made from state, sent by the host board.

Kinds ``balancer``, ``target-group`` and ``certificate`` go to the hosts on which the load
balancer has interfaces; ``zone`` and ``name`` are the DNS names of load balancers, for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openecs.acs.host_board import HostBoard, Placed
from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    CertificateDocument,
    HealthCheckDocument,
    NameDocument,
    TargetEntry,
    TargetGroupDocument,
    ZoneDocument,
)
from openecs.control.balancer_revision import routing_revision
from openecs.control.target_lookup import TargetLookup
from openecs.model import balancer_arns
from openecs.model.load_balancer import DNS_ZONE, Certificate, Listener, LoadBalancer
from openecs.model.target_group import HealthCheck
from openecs.planning import balancer_attributes as attributes
from openecs.state.balancer_usage import named_groups
from openecs.state.state import State
from openecs.state.store import Notice

#: Names are answered in every network.
_EVERYWHERE = "*"


class BalancerDocuments:
    """A source of documents.  ``open_key`` opens a sealed private key."""

    kinds = frozenset({"balancer", "target-group", "certificate", "zone", "name"})

    def __init__(
        self,
        state: State,
        open_key: Callable[[str], str],
        *,
        fast_probes: bool = True,
        fast_drain: bool = True,
        retries_safe: bool = True,
    ) -> None:
        self._state = state
        self._open_key = open_key
        self._fast_probes = fast_probes
        self._fast_drain = fast_drain
        self._retries_safe = retries_safe
        self._lookup = TargetLookup(state)

    def keys(self, kind: str) -> Iterable[str]:
        """The keys of all documents of a kind."""
        state = self._state
        match kind:
            case "balancer":
                return [balancer.arn for balancer in state.load_balancers]
            case "target-group":
                return [group.arn for group in state.target_groups]
            case "certificate":
                return [certificate.arn for certificate in state.certificates]
            case "zone":
                return [f"{_EVERYWHERE}/{DNS_ZONE}"]
            case _:
                return [name_key(balancer) for balancer in state.load_balancers]

    def render(self, kind: str, key: str) -> Placed | None:
        """The document as it should be now."""
        match kind:
            case "balancer":
                return self._balancer(key)
            case "target-group":
                return self._target_group(key)
            case "certificate":
                return self._certificate(key)
            case "zone":
                document = ZoneDocument(name=DNS_ZONE, scope=_EVERYWHERE)
                return Placed(document) if key == f"{_EVERYWHERE}/{DNS_ZONE}" else None
            case _:
                return self._name(key)

    def _balancer(self, arn: str) -> Placed | None:
        balancer = self._state.load_balancers.get(arn)
        hosts = self._lookup.hosts_of(arn)
        if balancer is None or not hosts:
            return None
        interfaces = sorted(self._state.interfaces.by("owner", arn), key=lambda i: (i.availability_zone, i.id))
        listeners = sorted(self._state.listeners.by("load_balancer", arn), key=lambda x: (x.port, x.arn))
        known = attributes.of_load_balancer(balancer.type, balancer.scheme)
        document = BalancerDocument(
            name=balancer.name,
            type=balancer.type,
            scheme=balancer.scheme,
            vpc_id=balancer.vpc_id,
            dns_name=balancer.dns_name,
            interfaces=tuple(
                BalancerInterface(
                    node_id=each.node_id,
                    interface_id=each.id,
                    subnet_id=each.subnet_id,
                    availability_zone=each.availability_zone,
                    address=each.private_ip,
                    mac_address=each.mac_address,
                )
                for each in interfaces
                if each.node_id is not None
            ),
            addresses=tuple(each.private_ip for each in interfaces),
            listeners=tuple(self._listener(listener) for listener in listeners),
            attributes=attributes.effective(known, balancer.attributes),
            revision=routing_revision(self._state, arn),
            retries_safe=self._retries_safe,
        )
        return Placed(document, hosts)

    def _listener(self, listener: Listener) -> BalancerListener:
        rules = sorted(self._state.listener_rules.by("listener", listener.arn), key=lambda rule: rule.priority)
        default = BalancerRule(
            arn=balancer_arns.default_rule(listener.arn), priority=0, actions=listener.default_actions
        )
        return BalancerListener(
            arn=listener.arn,
            port=listener.port,
            protocol=listener.protocol,
            rules=(
                *(
                    BalancerRule(
                        arn=rule.arn,
                        priority=rule.priority,
                        conditions=rule.conditions,
                        actions=rule.actions,
                        transforms=rule.transforms,
                    )
                    for rule in rules
                ),
                default,
            ),
            certificates=tuple(dict.fromkeys(listener.certificates)),
            ssl_policy=listener.ssl_policy,
            alpn_policy=listener.alpn_policy,
            attributes=attributes.effective(attributes.of_listener(listener.protocol), listener.attributes),
        )

    def _target_group(self, arn: str) -> Placed | None:
        group = self._state.target_groups.get(arn)
        balancer = self._lookup.load_balancer(arn)
        hosts = self._lookup.hosts(arn)
        if group is None or balancer is None or not hosts:
            return None
        targets = sorted(self._state.targets.by("target_group", arn), key=lambda t: (t.registered_at, t.id, t.port))
        document = TargetGroupDocument(
            name=group.name,
            protocol=group.protocol,
            port=group.port,
            target_type=group.target_type,
            load_balancer_arn=balancer.arn,
            health_check=_health_check(group.health_check),
            protocol_version=group.protocol_version or "HTTP1",
            targets=tuple(
                TargetEntry(
                    id=target.id,
                    port=target.port,
                    address=self._lookup.address(group, target),
                    availability_zone=self._lookup.zone(group, target),
                    registered_at=target.registered_at,
                    draining_since=target.draining_since,
                )
                for target in targets
            ),
            attributes=attributes.effective(attributes.of_target_group(group.protocol), group.attributes),
            fast_probes=self._fast_probes,
            fast_drain=self._fast_drain,
        )
        return Placed(document, hosts)

    def _certificate(self, arn: str) -> Placed | None:
        certificate = self._state.certificates.get(arn)
        listeners = self._state.balancer_usage.listeners(arn)
        hosts = frozenset[str]().union(
            *(self._lookup.hosts_of(balancer_arns.load_balancer_of(listener)) for listener in listeners)
        )
        if certificate is None or not hosts:
            return None
        document = CertificateDocument(
            chain=_chain(certificate),
            private_key=self._open_key(certificate.sealed_private_key.decode()),
            names=tuple(dict.fromkeys((certificate.domain_name, *certificate.alternative_names))),
        )
        return Placed(document, hosts)

    def _name(self, key: str) -> Placed | None:
        scope, _, name = key.partition("/")
        if scope != _EVERYWHERE or not name.endswith(f".{DNS_ZONE}"):
            return None
        balancer = next((b for b in self._state.load_balancers if b.dns_name.lower() == name), None)
        if balancer is None:
            return None
        return Placed(NameDocument(name=name, scope=_EVERYWHERE, a=self._answers(balancer)))

    def _answers(self, balancer: LoadBalancer) -> tuple[str, ...]:
        """The addresses that serve on hosts whose agents are here; while no agent is, all that serve; else all."""
        ready = [host for host in self._state.balancer_hosts.by("load_balancer", balancer.arn) if host.ready]
        chosen = {host.node_id for host in ready if not host.missed} or {host.node_id for host in ready}
        interfaces = self._state.interfaces.by("owner", balancer.arn)
        serving = sorted(i.private_ip for i in interfaces if i.node_id in chosen)
        return tuple(serving or sorted(i.private_ip for i in interfaces))


class BalancerChanges:
    """Tells the host board which documents to look at again.  Subscribes at construction."""

    def __init__(self, state: State, changed: Callable[[str, str], None]) -> None:
        self._state = state
        self._changed = changed
        subscribe = state.store.subscribe
        subscribe("load_balancer", lambda n: self._balancer(n.key, n))
        subscribe("interface", self._interface)
        subscribe("listener", lambda n: self._part(n, "default_actions"))
        subscribe("listener_rule", lambda n: self._part(n, "actions"))
        subscribe("certificate", lambda n: changed("certificate", n.key))
        subscribe("target_group", lambda n: changed("target-group", n.key))
        subscribe("target", lambda n: changed("target-group", (n.new or n.old).target_group_arn))
        subscribe("balancer_host", self._host_of_balancer)
        subscribe("host", self._host)
        subscribe("container_instance", self._instance)

    def _balancer(self, arn: str, notice: Notice | None = None) -> None:
        self._changed("balancer", arn)
        balancer = self._state.load_balancers.get(arn) or (notice.old if notice is not None else None)
        if balancer is not None:
            self._changed("name", name_key(balancer))

    def _interface(self, notice: Notice) -> None:
        """The hosts of a load balancer may be others now: they need all that it uses."""
        arn = (notice.new or notice.old).owner_arn
        if arn is None:
            return
        self._balancer(arn)
        for group in self._state.balancer_usage.target_groups(arn):
            self._changed("target-group", group)
        for listener in self._state.listeners.by("load_balancer", arn):
            for certificate in listener.certificates:
                self._changed("certificate", certificate)

    def _part(self, notice: Notice, actions: str) -> None:
        self._balancer(balancer_arns.load_balancer_of(notice.key))
        for record in (notice.old, notice.new):
            if record is None:
                continue
            for group in named_groups(getattr(record, actions)):
                self._changed("target-group", group)
            for certificate in record.certificates if isinstance(record, Listener) else ():
                self._changed("certificate", certificate)

    def _host_of_balancer(self, notice: Notice) -> None:
        balancer = self._state.load_balancers.get((notice.new or notice.old).load_balancer_arn)
        if balancer is not None:
            self._changed("name", name_key(balancer))

    def _host(self, notice: Notice) -> None:
        old, new = notice.old, notice.new
        if old is None or new is None or old.address != new.address:
            self._instances()

    def _instance(self, notice: Notice) -> None:
        old, new = notice.old, notice.new
        if old is None or new is None or (old.status == "INACTIVE") != (new.status == "INACTIVE"):
            self._instances()

    def _instances(self) -> None:
        """The address of an instance may be another one."""
        for group in self._state.target_groups:
            if group.target_type == "instance":
                self._changed("target-group", group.arn)


def attach(board: HostBoard, documents: BalancerDocuments, state: State) -> None:
    """Have the board serve ``documents`` and hear of what changes them."""
    board.add_source(documents)
    BalancerChanges(state, board.changed)


def name_key(balancer: LoadBalancer) -> str:
    """The key of the DNS name of a load balancer."""
    return f"{_EVERYWHERE}/{balancer.dns_name.lower()}"


def _chain(certificate: Certificate) -> str:
    parts = (certificate.certificate.strip(), certificate.certificate_chain.strip())
    return "".join(f"{part}\n" for part in parts if part)


def _health_check(check: HealthCheck) -> HealthCheckDocument:
    return HealthCheckDocument(
        protocol=check.protocol,
        enabled=check.enabled,
        port=check.port,
        path=check.path or "/",
        interval=float(check.interval),
        timeout=float(check.timeout),
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
        matcher=check.matcher or "",
    )
