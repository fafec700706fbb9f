"""What hosts are told of networks: made from state, sent by the host board.

All hosts get all of it: a packet's way is decided on both of its ends.  An interface of a task is
told from its placement until the task is STOPPED.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from openecs.acs.host_board import HostBoard, Placed
from openecs.acs.host_documents import (
    AclRule,
    GroupRule,
    InterfaceDocument,
    NetworkAclDocument,
    PeerDocument,
    SecurityGroupDocument,
    SubnetDocument,
    VpcDocument,
)
from openecs.control.hosts import tunnel_address
from openecs.model.network_acl import LAST_RULE, AclEntry
from openecs.model.security_group import SecurityGroupRule
from openecs.model.task import Task
from openecs.planning.subnet_routes import SubnetRoutes, subnet_routes
from openecs.state.state import State
from openecs.state.store import Notice


class NetworkDocuments:
    """A source of documents.  ``vni`` is the installation's VXLAN network, 1 to 2**24 - 1."""

    kinds = frozenset({"peer", "vpc", "subnet", "interface", "security-group", "network-acl"})

    def __init__(self, state: State, vni: int) -> None:
        self._state = state
        self._vni = vni
        #: Id of a task's interface → the task's ARN.
        self._tasks: dict[str, str] = {}
        for task in state.tasks:
            self.note_task(task)

    def note_task(self, task: Task, *, gone: bool = False) -> None:
        """Remember whose interface it is, for as long as there is a document of it."""
        if task.eni is None:
            return
        if task.stopped or gone:
            self._tasks.pop(task.eni.eni_id, None)
        else:
            self._tasks[task.eni.eni_id] = task.arn

    def keys(self, kind: str) -> Iterable[str]:
        """The keys of all documents of a kind."""
        state = self._state
        match kind:
            case "peer":
                return [host.node_id for host in state.hosts]
            case "vpc":
                return [vpc.id for vpc in state.vpcs]
            case "subnet":
                return [subnet.id for subnet in state.subnets]
            case "interface":
                return [*self._tasks, *(interface.id for interface in state.interfaces)]
            case "security-group":
                return [group.id for group in state.security_groups]
            case _:
                return [acl.id for acl in state.network_acls]

    def render(self, kind: str, key: str) -> Placed | None:
        """The document as it should be now."""
        make = {
            "peer": self._peer,
            "vpc": self._vpc,
            "subnet": self._subnet,
            "interface": self._interface,
            "security-group": self._group,
            "network-acl": self._acl,
        }[kind]
        document = make(key)
        return Placed(document) if document is not None else None

    def _peer(self, node_id: str) -> PeerDocument | None:
        host = self._state.hosts.get(node_id)
        if host is None or node_id not in self._state.nodes or host.network_problem or not _reachable(host.address):
            return None
        return PeerDocument(address=host.address, overlay=host.overlay, vni=self._vni, tunnel=tunnel_address(host))

    def _vpc(self, vpc_id: str) -> VpcDocument | None:
        vpc = self._state.vpcs.get(vpc_id)
        if vpc is None:
            return None
        return VpcDocument(
            cidrs=tuple(each.cidr for each in vpc.cidrs), resolver=vpc.resolver, dns_support=vpc.enable_dns_support
        )

    def _subnet(self, subnet_id: str) -> SubnetDocument | None:
        subnet = self._state.subnets.get(subnet_id)
        if subnet is None:
            return None
        routes = self._routes(subnet_id, subnet.vpc_id)
        return SubnetDocument(
            vpc_id=subnet.vpc_id,
            cidr=subnet.cidr,
            gateway=subnet.gateway,
            egress=routes.egress,
            blackholes=routes.blackholes,
        )

    def _routes(self, subnet_id: str, vpc_id: str) -> SubnetRoutes:
        state = self._state
        return subnet_routes(
            subnet_id,
            state.route_tables.by("vpc", vpc_id),
            state.internet_gateways.by("vpc", vpc_id),
            state.nat_gateways.by("vpc", vpc_id),
        )

    def _interface(self, interface_id: str) -> InterfaceDocument | None:
        task = self._state.tasks.get(self._tasks.get(interface_id, ""))
        if task is not None:
            eni = task.eni
            if eni is None or task.stopped or task.node_id is None:
                return None
            subnet = self._state.subnets.get(eni.subnet_id)
            return InterfaceDocument(
                vpc_id=eni.vpc_id or (subnet.vpc_id if subnet is not None else ""),
                subnet_id=eni.subnet_id,
                address=eni.private_ipv4_address,
                node_id=task.node_id,
                security_groups=eni.security_groups,
                public_address=eni.public_ip,
            )
        interface = self._state.interfaces.get(interface_id)
        if interface is None:
            return None
        return InterfaceDocument(
            vpc_id=interface.vpc_id,
            subnet_id=interface.subnet_id,
            address=interface.private_ip,
            node_id=interface.node_id or "",
            security_groups=interface.security_groups,
            public_address=interface.public_ip,
            source_dest_check=interface.source_dest_check,
        )

    def _group(self, group_id: str) -> SecurityGroupDocument | None:
        group = self._state.security_groups.get(group_id)
        if group is None:
            return None
        rules = self._state.security_group_rules.by("group", group_id)
        return SecurityGroupDocument(
            vpc_id=group.vpc_id,
            ingress=tuple(_group_rule(r) for r in rules if not r.is_egress and _is_ipv4(r)),
            egress=tuple(_group_rule(r) for r in rules if r.is_egress and _is_ipv4(r)),
        )

    def _acl(self, acl_id: str) -> NetworkAclDocument | None:
        acl = self._state.network_acls.get(acl_id)
        if acl is None:
            return None
        return NetworkAclDocument(
            vpc_id=acl.vpc_id,
            subnets=tuple(each.subnet_id for each in acl.associations),
            ingress=_acl_rules(entry for entry in acl.entries if not entry.egress),
            egress=_acl_rules(entry for entry in acl.entries if entry.egress),
        )


class NetworkChanges:
    """Tells the host board which documents to look at again.  Subscribes at construction."""

    def __init__(self, state: State, documents: NetworkDocuments, changed: Callable[[str, str], None]) -> None:
        self._state = state
        self._documents = documents
        self._changed = changed
        subscribe = state.store.subscribe
        subscribe("task", self._task)
        subscribe("host", lambda n: changed("peer", n.key))
        subscribe("node", self._node)
        subscribe("vpc", lambda n: changed("vpc", n.key))
        subscribe("subnet", lambda n: changed("subnet", n.key))
        subscribe("interface", lambda n: changed("interface", n.key))
        subscribe("security_group", lambda n: changed("security-group", n.key))
        subscribe("security_group_rule", lambda n: changed("security-group", (n.new or n.old).group_id))
        subscribe("network_acl", lambda n: changed("network-acl", n.key))
        for table in ("route_table", "internet_gateway", "nat_gateway"):
            subscribe(table, self._routes)

    def _task(self, notice: Notice) -> None:
        """On the way of every change of every task: most are none to its interface."""
        old, new = notice.old, notice.new
        record = new or old
        if record.eni is None:
            return
        if (
            old is not None
            and new is not None
            and old.node_id == new.node_id
            and old.eni is new.eni
            and old.stopped == new.stopped
        ):
            return
        self._documents.note_task(record, gone=new is None)
        self._changed("interface", record.eni.eni_id)

    def _node(self, notice: Notice) -> None:
        if notice.old is None or notice.new is None:
            self._changed("peer", notice.key)

    def _routes(self, notice: Notice) -> None:
        vpcs = {record.vpc_id for record in (notice.old, notice.new) if record is not None and record.vpc_id}
        for vpc_id in vpcs:
            for subnet in self._state.subnets.by("vpc", vpc_id):
                self._changed("subnet", subnet.id)


def attach(board: HostBoard, state: State, vni: int) -> None:
    """Have the board serve the documents of networks and hear of what changes them."""
    documents = NetworkDocuments(state, vni)
    board.add_source(documents)
    NetworkChanges(state, documents, board.changed)


def _reachable(address: str) -> bool:
    """Whether other hosts could reach it at all."""
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


def _is_ipv4(rule: SecurityGroupRule) -> bool:
    """Interfaces have IPv4 addresses only, and prefix lists are those of services that are not here."""
    return rule.cidr_ipv4 is not None or rule.referenced_group_id is not None


def _group_rule(rule: SecurityGroupRule) -> GroupRule:
    return GroupRule(
        protocol=rule.protocol,
        from_port=rule.from_port,
        to_port=rule.to_port,
        cidr=rule.cidr_ipv4,
        group=rule.referenced_group_id,
    )


def _acl_rules(entries: Iterable[AclEntry]) -> tuple[AclRule, ...]:
    rules = []
    for entry in sorted(entries, key=lambda e: e.number):
        if entry.cidr_ipv4 is None or entry.number >= LAST_RULE:
            continue  # What no rule decides is denied anyway.
        first, last = (entry.from_port, entry.to_port)
        if entry.protocol in ("1", "icmp"):
            first, last = (entry.icmp_type, entry.icmp_code)
        rules.append(
            AclRule(
                number=entry.number,
                allow=entry.action == "allow",
                protocol=entry.protocol,
                cidr=entry.cidr_ipv4,
                from_port=-1 if first is None else first,
                to_port=-1 if last is None else last,
            )
        )
    return tuple(rules)
