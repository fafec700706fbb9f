"""The part of a host's packet filter that is the same for every interface: hooks, order, translation.  Pure.

``rules`` has the parts that follow from groups, lists and subnets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openecs.acs.host_documents import (
    InterfaceDocument,
    NetworkAclDocument,
    SecurityGroupDocument,
    SubnetDocument,
    VpcDocument,
)
from openecs.agent.network.ruleset import Chain, Map, Set
from openecs.agent.network.wiring import PREFIX

#: The port of VXLAN, as IANA has it.
VXLAN_PORT = 4789
METADATA = "169.254.170.2"
#: The resolver's address for containers that are in no VPC.
LOCAL_RESOLVER = "169.254.169.253"


class Published(NamedTuple):
    """A port of this host that leads to an interface."""

    address: str
    protocol: str
    host_port: int
    port: int


class Surroundings(NamedTuple):
    """What the filter needs to know of the host beside documents."""

    #: Addresses of the installation's hosts, this one's among them.
    hosts: frozenset[str] = frozenset()
    #: Addresses from which the other hosts themselves speak to interfaces here.
    speakers: frozenset[str] = frozenset()
    #: Name and VNI of the VXLAN device; empty without one.
    device: str = ""
    vni: int = 0
    #: Names of the host's bridges that lead to containers only.
    bridges: frozenset[str] = frozenset()
    #: Addresses and ports of the control plane.
    endpoints: frozenset[tuple[str, int]] = frozenset()
    published: frozenset[Published] = frozenset()
    metadata_port: int = 80


class Documents(NamedTuple):
    """Key → document of the kinds that the filter is made of."""

    vpcs: Mapping[str, VpcDocument]
    subnets: Mapping[str, SubnetDocument]
    interfaces: Mapping[str, InterfaceDocument]
    groups: Mapping[str, SecurityGroupDocument]
    acls: Mapping[str, NetworkAclDocument]


class Parts:
    """A ruleset that is being put together."""

    def __init__(self) -> None:
        self.sets: dict[str, Set] = {}
        self.maps: dict[str, Map] = {}
        self.chains: dict[str, Chain] = {}

    def take(self, other: Parts) -> None:
        """Have what the other has too."""
        self.sets |= other.sets
        self.maps |= other.maps
        self.chains |= other.chains


def base_chains(parts: Parts, around: Surroundings, *, lists_out: bool, lists_in: bool) -> None:
    """The hooks, and the order in which a packet meets what decides about it.

    ``lists_out``, ``lists_in``: whether there are interfaces that ``acl_out`` or ``acl_in`` lead to a list.
    """
    acl_out = ("iifname vmap @acl_out",) if lists_out else ()
    acl_in = ("oifname vmap @acl_in",) if lists_in else ()
    # In each rule what is cheap or seldom true comes first: every packet of a task meets all of them.
    from_hosts = ["iifname @bridges oifname @mine accept"]
    to_hosts = ["oifname @bridges iifname @mine ct state established,related accept"]
    if around.speakers:
        from_hosts.append("ip saddr @speakers oifname @mine iifname != @mine accept")
        to_hosts.append("ip daddr @speakers iifname @mine oifname != @mine ct state established,related accept")
        to_hosts.append("ip daddr @speakers iifname @mine drop")
    tunnel: tuple[str, ...] = ()
    # Who has the address of an interface comes from where that interface is, and from nowhere else.
    forged = [f'ip saddr @vpcs iifname != "{PREFIX}*" fib saddr oifname "{PREFIX}*" drop']
    if around.device:
        forged += [
            f'ip saddr {block} iifname != "{around.device}" fib saddr oifname "{around.device}" drop'
            for block in ("@vpcs", "@speakers")
        ]
        # Nobody but the installation's hosts puts packets into its tunnel.
        tunnel = (f"udp dport {VXLAN_PORT} @th,96,24 {around.vni} ip saddr != @hosts drop",)
    parts.chains |= {
        "early": Chain(
            (
                "meta nfproto ipv6 iifname @mine drop",
                "ip daddr 127.0.0.0/8 iifname @mine drop",
                "iifname . ip saddr @sources accept",
                "iifname @checked drop",
                *forged,
            ),
            "type filter hook prerouting priority raw; policy accept;",
        ),
        "forwarded": Chain(
            (
                "iifname != @mine oifname != @mine accept",
                *from_hosts,
                *to_hosts,
                *acl_out,
                *acl_in,
                "ct state established,related accept",
                "ct state invalid drop",
                "ip daddr . tcp dport @endpoints iifname @mine goto arrive",
                "iifname vmap @leaving",
                "goto arrive",
            ),
            "type filter hook forward priority filter - 1; policy accept;",
        ),
        "received": Chain(
            (
                *tunnel,
                "ip daddr @inner jump inner",
                "iifname != @mine accept",
                "ip daddr . meta l4proto . th dport @services accept",
                "icmp type echo-request ip daddr @answering accept",
                "ip daddr . tcp dport @endpoints accept",
                "ct state established,related accept",
                "ct state invalid drop",
                *acl_out,
                "iifname vmap @leaving",
            ),
            "type filter hook input priority filter - 1; policy accept;",
        ),
        # Machines around the host may route these addresses to it.  Interfaces of other agents count as well.
        "inner": Chain(
            ('iifname "lo" return', f'iifname "{PREFIX}*" return', "iifname @bridges return", "drop"),
        ),
        "arrive": Chain(("oifname vmap @arriving", "accept")),
    }


def surroundings(parts: Parts, documents: Documents, around: Surroundings) -> None:
    """What is around the interfaces: networks, hosts, services; and the translation of addresses."""
    vpcs = frozenset(cidr for vpc in documents.vpcs.values() for cidr in vpc.cidrs)
    egress = frozenset(s.cidr for s in documents.subnets.values() if s.egress != "none")
    resolvers = {v.resolver for v in documents.vpcs.values()} | {LOCAL_RESOLVER}
    services = {f"{address} . {protocol} . 53" for address in resolvers for protocol in ("tcp", "udp")}
    services.add(f"{METADATA} . tcp . {around.metadata_port}")
    gateways = {s.gateway.split("/", 1)[0] for s in documents.subnets.values()}
    parts.sets |= {
        "vpcs": Set("ipv4_addr", vpcs, interval=True),
        "egress": Set("ipv4_addr", egress, interval=True),
        "subnets": Set("ipv4_addr", frozenset(s.cidr for s in documents.subnets.values()), interval=True),
        "hosts": Set("ipv4_addr", around.hosts),
        "speakers": Set("ipv4_addr", around.speakers),
        "services": Set("ipv4_addr . inet_proto . inet_service", frozenset(services)),
        "bridges": Set("ifname", frozenset(f'"{name}"' for name in around.bridges)),
        # Of the host's addresses those that are there for what runs on it.
        "inner": Set("ipv4_addr", frozenset(resolvers | {METADATA})),
        "answering": Set("ipv4_addr", frozenset(gateways | resolvers)),
        "endpoints": Set(
            "ipv4_addr . inet_service", frozenset(f"{address} . {port}" for address, port in around.endpoints)
        ),
    }
    own_ports = [
        f"meta l4proto {p.protocol} th dport {p.host_port} dnat ip to {p.address}:{p.port}"
        for p in sorted(around.published)
    ]
    if own_ports:
        parts.chains["published"] = Chain(tuple(own_ports))
    here = ("fib daddr type local jump published",) if own_ports else ()
    elsewhere = f'oifname != "{PREFIX}*" oifname != "lo"' + (f' oifname != "{around.device}"' if around.device else "")
    parts.chains |= {
        "inbound": Chain(
            ("dnat ip to ip daddr map @public", *here), "type nat hook prerouting priority dstnat; policy accept;"
        ),
        "locally": Chain(
            ("dnat ip to ip daddr map @public", *here), "type nat hook output priority -100; policy accept;"
        ),
        "outbound": Chain(
            (
                f"{elsewhere} ip saddr @egress ip daddr != @vpcs masquerade",
                f"{elsewhere} ip saddr @subnets ip daddr @hosts masquerade",
                f"{elsewhere} ip saddr @subnets ip daddr . tcp dport @endpoints masquerade",
                "ip saddr 127.0.0.0/8 oifname @mine masquerade",
            ),
            "type nat hook postrouting priority srcnat; policy accept;",
        ),
    }
