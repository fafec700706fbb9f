"""The packet filter of a host, from the documents that it has.  Pure.

One table per agent, named after its node, so that several agents of one host never touch each
other's rules; each has an opinion about its own interfaces only.

A packet of an interface meets, in this order: anti-spoofing (before connections are looked up),
network ACLs (stateless, at the edge of a subnet), known connections, the egress side of the
source's groups, the ingress side of the destination's groups.  Egress is decided on the source's
host and ingress on the destination's, by sets that hold the addresses of all hosts' interfaces.
Rules of groups and ACLs that no interface of this host uses are not loaded, and interfaces whose
ACL lets everything through are not led to it: most ACLs do, and it is the one thing that every packet meets.

Not filtered: what the host itself sends (the output hook is not used), its Docker networks and the
other hosts of the installation among it; and what interfaces ask of the resolver, the gateway's
ping, the metadata endpoint and the control plane.  Whatever an interface names that has not come
yet lets nothing through.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from openecs.acs.host_documents import (
    InterfaceDocument,
    NetworkAclDocument,
    SecurityGroupDocument,
)
from openecs.agent.network.frame import Documents, Parts, Surroundings, base_chains, surroundings
from openecs.agent.network.matches import acl_chain, group_chain, members, passes_all
from openecs.agent.network.ruleset import EMPTY, Chain, Map, Ruleset, Set
from openecs.agent.network.wiring import host_end


def table_name(node_id: str) -> str:
    """The name of an agent's table."""
    return f"openecs_{node_id[:12]}"


class _Listed(NamedTuple):
    """Ids of subnets whose ACL may drop what leaves them, and what comes into them."""

    outward: frozenset[str] = frozenset()
    inward: frozenset[str] = frozenset()


class Compiler:
    """Makes the rules of one node.  It keeps the parts of documents that have not changed."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._groups: dict[str, tuple[SecurityGroupDocument, tuple[str, ...], tuple[str, ...]]] = {}
        self._acls: dict[str, tuple[NetworkAclDocument, tuple[str, ...], tuple[str, ...]]] = {}
        #: Interfaces of this host with the subnets whose ACLs matter, and what follows from them alone.
        self._own: tuple[tuple[list[InterfaceDocument], _Listed], Parts] = (([], _Listed()), Parts())

    def compile(self, documents: Documents, around: Surroundings) -> Ruleset:
        """All rules as they should be."""
        own = [i for i in documents.interfaces.values() if i.node_id == self._node_id and i.address]
        if not own and not around.device:
            return EMPTY
        parts = Parts()
        listed = self._used_acls(parts, documents, {i.subnet_id for i in own})
        base_chains(parts, around, lists_out=bool(listed.outward), lists_in=bool(listed.inward))
        if (own, listed) != self._own[0] or not own:
            mine = Parts()
            _own_interfaces(mine, own, listed)
            self._own = ((own, listed), mine)
        parts.take(self._own[1])
        _ways_out(parts, documents, own)
        self._used_groups(parts, documents, {group for i in own for group in i.security_groups})
        surroundings(parts, documents, around)
        return Ruleset(parts.sets, parts.maps, parts.chains)

    def _used_groups(self, parts: Parts, documents: Documents, used: set[str]) -> None:
        referenced: set[str] = set()
        for group_id in used:
            document = documents.groups.get(group_id)
            ingress: tuple[str, ...] = ()
            egress: tuple[str, ...] = ()
            if document is not None:
                kept = self._groups.get(group_id)
                if kept is None or kept[0] is not document:
                    kept = self._groups[group_id] = (
                        document,
                        group_chain(document.ingress, "saddr", "accept"),
                        group_chain(document.egress, "daddr", "goto arrive"),
                    )
                _, ingress, egress = kept
                referenced.update(rule.group for rule in (*document.ingress, *document.egress) if rule.group)
            parts.chains[f"in_{group_id}"] = Chain(ingress)
            parts.chains[f"out_{group_id}"] = Chain(egress)
        for group_id in self._groups.keys() - documents.groups.keys():
            del self._groups[group_id]
        addresses: dict[str, set[str]] = {group_id: set() for group_id in referenced}
        if referenced:
            for interface in documents.interfaces.values():
                if not interface.address:
                    continue
                for group_id in interface.security_groups:
                    if group_id in addresses:
                        addresses[group_id].add(interface.address)
        for group_id, found in addresses.items():
            parts.sets[members(group_id)] = Set("ipv4_addr", frozenset(found))

    def _used_acls(self, parts: Parts, documents: Documents, subnets: set[str]) -> _Listed:
        """Make the ACLs' chains; the subnets for which they matter."""
        of_subnet = {subnet: key for key, acl in documents.acls.items() for subnet in acl.subnets if subnet in subnets}
        for acl_id in set(of_subnet.values()):
            document = documents.acls[acl_id]
            kept = self._acls.get(acl_id)
            if kept is None or kept[0] is not document:
                kept = self._acls[acl_id] = (
                    document,
                    acl_chain(document.ingress, "saddr"),
                    acl_chain(document.egress, "daddr"),
                )
            parts.chains[f"in_{acl_id}"] = Chain(kept[1])
            parts.chains[f"out_{acl_id}"] = Chain(kept[2])
        for acl_id in self._acls.keys() - documents.acls.keys():
            del self._acls[acl_id]
        outgoing, incoming = set(), set()
        for subnet_id in subnets:
            subnet, own_acl = documents.subnets.get(subnet_id), of_subnet.get(subnet_id)
            if subnet is None or own_acl is None:
                inward: tuple[str, ...] = ("drop",)
                outward: tuple[str, ...] = ("drop",)
            else:
                inward = (f"ip saddr {subnet.cidr} return", f"goto in_{own_acl}")
                outward = (f"ip daddr {subnet.cidr} return", f"goto out_{own_acl}")
            parts.chains[f"acl_in_{subnet_id}"] = Chain(inward)
            parts.chains[f"acl_out_{subnet_id}"] = Chain(outward)
            if subnet is None or own_acl is None or not passes_all(self._acls[own_acl][1]):
                incoming.add(subnet_id)
            if subnet is None or own_acl is None or not passes_all(self._acls[own_acl][2]):
                outgoing.add(subnet_id)
        return _Listed(frozenset(outgoing), frozenset(incoming))


def _own_interfaces(parts: Parts, own: list[InterfaceDocument], listed: _Listed) -> None:
    """Which chains the packets of each interface go through."""
    names = {i.address: host_end(i.address) for i in own}
    ends: dict[tuple[str, tuple[str, ...]], str] = {}
    leaving: dict[str, str] = {}
    arriving: dict[str, str] = {}
    out_acl: dict[str, str] = {}
    in_acl: dict[str, str] = {}
    for interface in own:
        name = f'"{names[interface.address]}"'
        kind = (interface.subnet_id, tuple(sorted(set(interface.security_groups))))
        end = ends.get(kind)
        if end is None:
            end = ends[kind] = _digest(kind)
            _ends(parts, end, *kind)
        leaving[name] = f"goto from_{end}"
        arriving[name] = f"goto to_{end}"
        if interface.subnet_id in listed.outward:
            out_acl[name] = f"jump acl_out_{interface.subnet_id}"
        if interface.subnet_id in listed.inward:
            in_acl[name] = f"jump acl_in_{interface.subnet_id}"
    parts.sets["mine"] = Set("ifname", frozenset(leaving))
    checked = [i for i in own if i.source_dest_check]
    parts.sets["checked"] = Set("ifname", frozenset(f'"{names[i.address]}"' for i in checked))
    parts.sets["sources"] = Set("ifname . ipv4_addr", frozenset(f'"{names[i.address]}" . {i.address}' for i in checked))
    verdict = "ifname : verdict"
    parts.maps["leaving"] = Map(verdict, leaving)
    parts.maps["arriving"] = Map(verdict, arriving)
    parts.maps["acl_out"] = Map(verdict, out_acl)
    parts.maps["acl_in"] = Map(verdict, in_acl)
    parts.maps["public"] = Map("ipv4_addr : ipv4_addr", {i.public_address: i.address for i in own if i.public_address})


def _ways_out(parts: Parts, documents: Documents, own: list[InterfaceDocument]) -> None:
    """What the route tables of the interfaces' subnets let out."""
    for subnet_id in {i.subnet_id for i in own}:
        parts.chains[f"leave_{subnet_id}"] = Chain(_leave(subnet_id, documents))
    used = {documents.subnets[i.subnet_id].vpc_id for i in own if i.subnet_id in documents.subnets}
    for vpc_id in used:
        if vpc_id in documents.vpcs and _shared(vpc_id, documents):
            # Public addresses are reached from everywhere, as on AWS.
            reached = {i.address for i in documents.interfaces.values() if i.vpc_id == vpc_id}
            reached |= {i.public_address or "" for i in documents.interfaces.values()}
            parts.sets[_inside(vpc_id)] = Set("ipv4_addr", frozenset(reached - {""}))


def _digest(kind: tuple[str, tuple[str, ...]]) -> str:
    return hashlib.blake2s(repr(kind).encode(), digest_size=6).hexdigest()


def _ends(parts: Parts, end: str, subnet_id: str, groups: tuple[str, ...]) -> None:
    """The chains of interfaces that share a subnet and groups.

    Only network load balancers and NAT gateways may be in no group; nothing is filtered for them, as on AWS.
    """
    otherwise = ("drop", "drop") if groups else ("goto arrive", "accept")
    parts.chains[f"from_{end}"] = Chain((f"jump leave_{subnet_id}", *(f"jump out_{g}" for g in groups), otherwise[0]))
    parts.chains[f"to_{end}"] = Chain((*(f"jump in_{g}" for g in groups), otherwise[1]))


def _leave(subnet_id: str, documents: Documents) -> tuple[str, ...]:
    """What the subnet's route table lets out: ``return`` goes on to the groups."""
    subnet = documents.subnets.get(subnet_id)
    vpc = documents.vpcs.get(subnet.vpc_id) if subnet is not None else None
    if subnet is None or vpc is None:
        return ("drop",)
    rules = [f"ip daddr {cidr} drop" for cidr in subnet.blackholes]
    if _shared(subnet.vpc_id, documents):
        # The default VPCs of all regions lie in one range: there the interfaces tell which is whose.
        rules.append(f"ip daddr @{_inside(subnet.vpc_id)} return")
    else:
        rules += [f"ip daddr {cidr} return" for cidr in vpc.cidrs]
    rules += ["ip daddr @vpcs drop", "ip daddr @hosts return", "ct original ip daddr @hosts return"]
    return (*rules, "return" if subnet.egress != "none" else "drop")


def _shared(vpc_id: str, documents: Documents) -> bool:
    """Whether another VPC has the same addresses."""
    own = set(documents.vpcs[vpc_id].cidrs)
    return any(key != vpc_id and not own.isdisjoint(vpc.cidrs) for key, vpc in documents.vpcs.items())


def _inside(vpc_id: str) -> str:
    """The name of the set of what can be reached within a VPC that shares its addresses with others."""
    return f"in_{vpc_id}"
