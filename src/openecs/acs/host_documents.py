"""What hosts are told besides tasks: networks, names, load balancers.  And what they tell back.

An extension of our own to the agent protocol.  The control plane keeps a set of documents for
every host and sends what changed; a host keeps the newest of each on disk, so that networks,
names and load balancers work on while the control plane is away or the agent starts anew.
Documents say what should be; reports say what is.

A document has a kind and a key.  A host gets all documents of its audience; it must take any
document at any time and in any order: one may name another that has not come yet, or is gone.
Structures only: no transport, no I/O.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.shapes import elbv2


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every document and report."""


# --- networks ---------------------------------------------------------------------------------


class PeerDocument(Document, frozen=True, kw_only=True):
    """Kind ``peer``, key: node id.  A host that has interfaces of VPCs."""

    #: The address at which the other hosts reach it.
    address: str
    #: How packets for its interfaces get there.
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: VXLAN network of the installation.
    vni: int = 0
    #: Address of its own with which the host speaks to interfaces of other hosts.
    tunnel: str = ""


class VpcDocument(Document, frozen=True, kw_only=True):
    """Kind ``vpc``, key: VPC id."""

    cidrs: tuple[str, ...]
    #: Address of the VPC's resolver, answered by every host itself.
    resolver: str
    dns_support: bool = True


class SubnetDocument(Document, frozen=True, kw_only=True):
    """Kind ``subnet``, key: subnet id."""

    vpc_id: str
    cidr: str
    #: Address and prefix length: ``10.0.1.1/24``.
    gateway: str
    #: What the default route of its route table leads to; ``none``: nothing outside the VPC is reached.
    egress: Literal["internet", "nat", "none"] = "none"
    #: Destinations that its route table drops.
    blackholes: tuple[str, ...] = ()


class InterfaceDocument(Document, frozen=True, kw_only=True):
    """Kind ``interface``, key: network interface id.  Interfaces of all hosts, tasks' and others."""

    vpc_id: str
    subnet_id: str
    address: str
    #: The host on which it lives; empty while it lives on none.
    node_id: str = ""
    security_groups: tuple[str, ...] = ()
    #: An address outside the VPC that is its too.
    public_address: str | None = None
    source_dest_check: bool = True


class GroupRule(Document, frozen=True, kw_only=True):
    """One rule of a security group; exactly one of ``cidr`` and ``group`` is set."""

    #: ``-1``, ``tcp``, ``udp``, ``icmp`` or a protocol number.
    protocol: str
    #: Ports, or ICMP type and code; -1 for all.
    from_port: int = -1
    to_port: int = -1
    cidr: str | None = None
    group: str | None = None


class SecurityGroupDocument(Document, frozen=True, kw_only=True):
    """Kind ``security-group``, key: group id.  IPv4 rules only: interfaces have no IPv6 address."""

    vpc_id: str
    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] = ()


class AclRule(Document, frozen=True, kw_only=True):
    """One entry of a network ACL, in the order of its number."""

    number: int
    allow: bool
    protocol: str
    cidr: str
    #: Ports, or ICMP type and code; -1 for all.
    from_port: int = -1
    to_port: int = -1


class NetworkAclDocument(Document, frozen=True, kw_only=True):
    """Kind ``network-acl``, key: ACL id."""

    vpc_id: str
    subnets: tuple[str, ...] = ()
    ingress: tuple[AclRule, ...] = ()
    egress: tuple[AclRule, ...] = ()


# --- names ------------------------------------------------------------------------------------


class ZoneDocument(Document, frozen=True, kw_only=True):
    """Kind ``zone``, key: ``scope/name``; ``scope`` is a VPC id or ``*`` for every network.

    Names of the zone that have no document do not exist; the resolver does not ask elsewhere.
    """

    name: str
    scope: str
    #: Seconds for which "no such name" may be remembered.
    soa_ttl: int = 60


class ServiceTarget(Document, frozen=True, kw_only=True):
    """Value of an SRV record."""

    port: int
    #: Fully qualified; an A record of its own tells its address.
    target: str
    priority: int = 1
    weight: int = 1


class NameDocument(Document, frozen=True, kw_only=True):
    """Kind ``name``, key: ``scope/name``.  All records of one name, lower case, no final dot."""

    name: str
    scope: str
    ttl: int = 60
    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    srv: tuple[ServiceTarget, ...] = ()
    #: Other names that this one stands for: one of them at random in each answer.
    cnames: tuple[str, ...] = ()
    #: Other names of this installation whose A records are this one's too, lower case, no final dot.
    aliases: tuple[str, ...] = ()
    #: ``multivalue``: up to eight of them, in changing order; ``weighted``: one at random.
    routing: Literal["multivalue", "weighted"] = "multivalue"


# --- load balancers ---------------------------------------------------------------------------


class BalancerInterface(Document, frozen=True, kw_only=True):
    """An address of a load balancer; the interface has its own document."""

    #: The host on which it lives: every host of the load balancer is told of all of them.
    node_id: str = ""
    interface_id: str
    subnet_id: str
    availability_zone: str
    address: str
    mac_address: str = ""


class BalancerRule(Document, frozen=True, kw_only=True):
    """A listener's rule; priority 0 stands for the default one, which is last and has no conditions."""

    arn: str
    priority: int
    conditions: tuple[elbv2.RuleCondition, ...] = ()
    actions: tuple[elbv2.Action, ...] = ()
    transforms: tuple[elbv2.RuleTransform, ...] = ()


class BalancerListener(Document, frozen=True, kw_only=True):
    """One listener with its rules in the order in which they are tried."""

    arn: str
    port: int
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
    rules: tuple[BalancerRule, ...]
    #: ARNs, the default first.
    certificates: tuple[str, ...] = ()
    ssl_policy: str | None = None
    alpn_policy: tuple[str, ...] = ()
    #: Complete: defaults filled in.
    attributes: dict[str, str] = {}


class BalancerDocument(Document, frozen=True, kw_only=True):
    """Kind ``balancer``, key: load balancer ARN.  Only for hosts that run a part of it."""

    name: str
    type: Literal["application", "network"]
    scheme: Literal["internet-facing", "internal"]
    vpc_id: str
    dns_name: str
    #: Those on all hosts; a host runs those with its own node id.
    interfaces: tuple[BalancerInterface, ...]
    #: Those on all hosts.
    addresses: tuple[str, ...]
    listeners: tuple[BalancerListener, ...] = ()
    #: Complete: defaults filled in.
    attributes: dict[str, str] = {}
    #: Another one whenever a listener or rule is; the host says which one is in force.
    revision: str = ""
    #: A GET, HEAD or OPTIONS request whose target is lost before it answers goes to another target.
    retries_safe: bool = True


class TargetEntry(Document, frozen=True, kw_only=True):
    """One target: where it is and whether it is leaving."""

    id: str
    port: int
    #: IP address: the target's own, or its host's for instances; empty when it is not known (``unused``).
    address: str
    availability_zone: str = ""
    registered_at: float = 0.0
    draining_since: float | None = None


class HealthCheckDocument(Document, frozen=True, kw_only=True):
    """How a target group's targets are probed; times in seconds."""

    protocol: Literal["HTTP", "HTTPS", "TCP"]
    enabled: bool = True
    port: str = "traffic-port"
    path: str = "/"
    interval: float = 30.0
    timeout: float = 5.0
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    #: HTTP codes (``200-299,301``), or gRPC codes for the protocol version GRPC; empty for TCP.
    matcher: str = ""


class TargetGroupDocument(Document, frozen=True, kw_only=True):
    """Kind ``target-group``, key: ARN.  Only for hosts that run a load balancer that uses it."""

    name: str
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
    port: int
    target_type: Literal["ip", "instance"]
    #: The load balancer that uses it.
    load_balancer_arn: str
    health_check: HealthCheckDocument
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] = "HTTP1"
    targets: tuple[TargetEntry, ...] = ()
    #: Complete: defaults filled in.
    attributes: dict[str, str] = {}
    #: Probe every second until the first pass, then at the configured interval.
    fast_probes: bool = True
    #: Draining ends as soon as no request is in flight.
    fast_drain: bool = True


class CertificateDocument(Document, frozen=True, kw_only=True):
    """Kind ``certificate``, key: ARN.  Only for hosts that run a listener that uses it."""

    #: PEM: the certificate, then its chain.
    chain: str
    private_key: str
    #: Names it is for, lower case; ``*.example.com`` for a wildcard.
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"CertificateDocument(names={self.names!r})"


# --- Service Connect --------------------------------------------------------------------------


class ConnectTarget(Document, frozen=True, kw_only=True):
    """A task behind an endpoint."""

    address: str
    port: int
    availability_zone: str = ""
    #: It gets nothing new.
    draining: bool = False
    #: In which of two places it is: a deployment that shifts traffic starts its tasks in the other one.
    alternate: bool = False


class ConnectTest(Document, frozen=True, kw_only=True):
    """Which requests are test traffic, and where they go."""

    header: str
    #: The header's exact value; ``None``: any.
    value: str | None = None
    alternate: bool = False


class ConnectDocument(Document, frozen=True, kw_only=True):
    """Kind ``connect``, key: ``namespace id/discovery name``.  Only for hosts with tasks in the namespace."""

    targets: tuple[ConnectTarget, ...] = ()
    #: Thousandths of the production traffic that go to the alternate targets; the others get the rest.
    alternate_share: int = 0
    #: ``None``: there is no test traffic now.
    test: ConnectTest | None = None
    #: Stands for the two above; hosts report the one that is in force.
    routing: str = ""
    #: Seconds; ``None`` for the default of the protocol, 0 for none.
    idle_timeout: int | None = None
    request_timeout: int | None = None


#: Kind → structure, for everything that goes to hosts.
DOCUMENTS: dict[str, type[Document]] = {
    "peer": PeerDocument,
    "vpc": VpcDocument,
    "subnet": SubnetDocument,
    "interface": InterfaceDocument,
    "security-group": SecurityGroupDocument,
    "network-acl": NetworkAclDocument,
    "zone": ZoneDocument,
    "name": NameDocument,
    "balancer": BalancerDocument,
    "target-group": TargetGroupDocument,
    "certificate": CertificateDocument,
    "connect": ConnectDocument,
}


# --- reports ----------------------------------------------------------------------------------


class HostReport(Document, frozen=True, kw_only=True):
    """Kind ``host``, key: empty.  What the host is able to do."""

    address: str
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: Why it has no awsvpc interfaces, or runs no load balancers; empty when it does.
    network_problem: str = ""
    balancer_problem: str = ""
    edge_address: str = "127.0.0.1"


class BalancerReport(Document, frozen=True, kw_only=True):
    """Kind ``balancer``, key: ARN.  The part of a load balancer that runs on this host."""

    ready: bool
    problem: str = ""
    #: Listener ARN → ``address:port`` at which it is reached from outside the VPC.
    endpoints: dict[str, str] = {}
    #: ``BalancerDocument.revision`` of what is in force; empty while nothing is.
    applied: str = ""


class TargetView(Document, frozen=True, kw_only=True):
    """One target as this host sees it."""

    id: str
    port: int
    state: Literal["initial", "healthy", "unhealthy", "draining", "unavailable"]
    reason: elbv2.TargetHealthReasonEnum | None = None
    description: str | None = None
    #: It is draining, and nothing of this host is in flight to it any more.
    drained: bool = False


class TargetsReport(Document, frozen=True, kw_only=True):
    """Kind ``targets``, key: target group ARN.  All its targets as this host sees them."""

    targets: tuple[TargetView, ...]


class ConnectReport(Document, frozen=True, kw_only=True):
    """Kind ``connect``, key: ``namespace id/discovery name``.  An endpoint as this host sees it."""

    #: ``address:port`` of those that drain, and to which nothing of this host is in flight any more.
    drained: tuple[str, ...] = ()
    #: ``ConnectDocument.routing`` of what is in force for all tasks of the host; empty while nothing is.
    routing: str = ""


REPORTS: dict[str, type[Document]] = {
    "host": HostReport,
    "balancer": BalancerReport,
    "targets": TargetsReport,
    "connect": ConnectReport,
}
