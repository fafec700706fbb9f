"""Network ACLs: making, showing and deleting them, their entries and the subnets they apply to."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.api.ec2 import acl_entries
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.client_tokens import made_before
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use, invalid_value
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.resources import NETWORK_ACL, VPC, new_id
from openecs.errors import AWSError
from openecs.model.network_acl import AclAssociation, AclEntry, NetworkAcl
from openecs.planning.new_vpc import deny_rest, in_order
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_FIELDS: Fields[NetworkAcl] = {
    "association.association-id": lambda a: [x.id for x in a.associations],
    "association.network-acl-id": lambda a: [a.id for _ in a.associations],
    "association.subnet-id": lambda a: [x.subnet_id for x in a.associations],
    "default": lambda a: one(a.is_default),
    "entry.cidr": lambda a: [e.cidr_ipv4 for e in a.entries],
    "entry.ipv6-cidr": lambda a: [e.cidr_ipv6 for e in a.entries],
    "entry.egress": lambda a: [t for e in a.entries for t in one(e.egress)],
    "entry.icmp.code": lambda a: [t for e in a.entries for t in one(e.icmp_code)],
    "entry.icmp.type": lambda a: [t for e in a.entries for t in one(e.icmp_type)],
    "entry.port-range.from": lambda a: [t for e in a.entries for t in one(e.from_port)],
    "entry.port-range.to": lambda a: [t for e in a.entries for t in one(e.to_port)],
    "entry.protocol": lambda a: [t for e in a.entries for t in acl_entries.protocol_names(e.protocol)],
    "entry.rule-action": lambda a: [e.action for e in a.entries],
    "entry.rule-number": lambda a: [str(e.number) for e in a.entries],
    "network-acl-id": lambda a: one(a.id),
    "owner-id": lambda a: one(a.owner),
    "vpc-id": lambda a: one(a.vpc_id),
}


class NetworkAcls:
    """The operations on network ACLs."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateNetworkAcl": self.create_network_acl,
            "DeleteNetworkAcl": self.delete_network_acl,
            "DescribeNetworkAcls": self.describe_network_acls,
            "CreateNetworkAclEntry": self.create_entry,
            "ReplaceNetworkAclEntry": self.replace_entry,
            "DeleteNetworkAclEntry": self.delete_entry,
            "ReplaceNetworkAclAssociation": self.replace_association,
        }

    def create_network_acl(self, call: Call, request: ec2.CreateNetworkAclRequest) -> ec2.CreateNetworkAclResult:
        """An ACL that denies everything and applies to no subnet yet.

        A repeated request with the same token gets the ACL that the first one made.
        """
        VPC.find(self._state, call.region, request.vpc_id)
        tags = tagging.at_creation(request.tag_specifications, NETWORK_ACL)
        token = request.client_token
        known = made_before(
            self._state.network_acls.by("region", call.region), token, lambda a: a.vpc_id == request.vpc_id
        )
        if known is not None:
            return ec2.CreateNetworkAclResult(network_acl=self._view(known), client_token=token)
        acl = NetworkAcl(
            id=new_id("acl", call.ids),
            region=call.region,
            owner=call.account,
            vpc_id=request.vpc_id,
            entries=deny_rest(),
            client_token=token,
        )
        with self._state.transaction() as tx:
            tx.put(acl)
            tagging.give(tx, self._state, acl.id, tags.get("network-acl", ()))
        return ec2.CreateNetworkAclResult(network_acl=self._view(acl), client_token=token)

    def delete_network_acl(self, call: Call, request: ec2.DeleteNetworkAclRequest) -> None:
        """Delete an ACL that applies to no subnet."""
        acl = self._find(call, request.network_acl_id)
        if acl.is_default:
            raise invalid_value(f"cannot delete default network ACL {acl.id}")
        if acl.associations:
            raise in_use(f"The networkAcl '{acl.id}' has dependencies and cannot be deleted.")
        with self._state.transaction() as tx:
            tx.delete(acl)
            tagging.forget(tx, self._state, acl.id)

    def describe_network_acls(
        self, call: Call, request: ec2.DescribeNetworkAclsRequest
    ) -> ec2.DescribeNetworkAclsResult:
        """The region's ACLs."""
        page, token = self._describer.select(
            call,
            NETWORK_ACL,
            self._state.network_acls.by("region", call.region),
            _FIELDS,
            ids=request.network_acl_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeNetworkAclsResult(network_acls=tuple(self._view(acl) for acl in page), next_token=token)

    def create_entry(self, call: Call, request: ec2.CreateNetworkAclEntryRequest) -> None:
        """Add a rule."""
        acl = self._find(call, request.network_acl_id)
        entry = acl_entries.entry(request)
        if _entry(acl, entry.number, egress=entry.egress) is not None:
            raise AWSError(
                "NetworkAclEntryAlreadyExists", f"The network acl entry identified by {entry.number} already exists."
            )
        self._put(acl, (*acl.entries, entry))

    def replace_entry(self, call: Call, request: ec2.ReplaceNetworkAclEntryRequest) -> None:
        """Put another rule in a rule's place."""
        acl = self._find(call, request.network_acl_id)
        entry = acl_entries.entry(request)
        old = _existing(acl, entry.number, egress=entry.egress)
        self._put(acl, [entry if e is old else e for e in acl.entries])

    def delete_entry(self, call: Call, request: ec2.DeleteNetworkAclEntryRequest) -> None:
        """Take a rule away."""
        acl = self._find(call, request.network_acl_id)
        acl_entries.check_number(request.rule_number)
        old = _existing(acl, request.rule_number, egress=request.egress)
        self._put(acl, [e for e in acl.entries if e is not old])

    def replace_association(
        self, call: Call, request: ec2.ReplaceNetworkAclAssociationRequest
    ) -> ec2.ReplaceNetworkAclAssociationResult:
        """Have another ACL of the VPC apply to a subnet."""
        wanted = request.association_id
        acls = self._state.network_acls.by("region", call.region)
        found = next(((acl, x) for acl in acls for x in acl.associations if x.id == wanted), None)
        if found is None:
            raise AWSError("InvalidAssociationID.NotFound", f"The association ID '{wanted}' does not exist")
        old, association = found
        target = self._find(call, request.network_acl_id)
        if target.vpc_id != old.vpc_id:
            raise invalid_value(
                f"Network ACL {target.id} and subnet {association.subnet_id} belong to different networks."
            )
        new = AclAssociation(id=new_id("aclassoc", call.ids), subnet_id=association.subnet_id)
        with self._state.transaction() as tx:
            left = tuple(x for x in old.associations if x is not association)
            tx.put(msgspec.structs.replace(old, associations=left))
            now = self._find(call, target.id)
            tx.put(msgspec.structs.replace(now, associations=(*now.associations, new)))
        return ec2.ReplaceNetworkAclAssociationResult(new_association_id=new.id)

    def _find(self, call: Call, acl_id: str) -> NetworkAcl:
        acl: NetworkAcl = NETWORK_ACL.find(self._state, call.region, acl_id)
        return acl

    def _put(self, acl: NetworkAcl, entries: Iterable[AclEntry]) -> None:
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(acl, entries=in_order(entries)))

    def _view(self, acl: NetworkAcl) -> ec2.NetworkAcl:
        return ec2.NetworkAcl(
            network_acl_id=acl.id,
            vpc_id=acl.vpc_id,
            owner_id=acl.owner,
            is_default=acl.is_default,
            entries=tuple(acl_entries.view(entry) for entry in acl.entries),
            associations=tuple(
                ec2.NetworkAclAssociation(network_acl_association_id=x.id, network_acl_id=acl.id, subnet_id=x.subnet_id)
                for x in acl.associations
            ),
            tags=tagging.shown(self._state, acl.id),
        )


def _entry(acl: NetworkAcl, number: int, *, egress: bool) -> AclEntry | None:
    return next((e for e in acl.entries if (e.number, e.egress) == (number, egress)), None)


def _existing(acl: NetworkAcl, number: int, *, egress: bool) -> AclEntry:
    found = _entry(acl, number, egress=egress)
    if found is None:
        raise AWSError(
            "InvalidNetworkAclEntry.NotFound",
            f"The {'egress' if egress else 'ingress'} entry with number {number} in network ACL '{acl.id}' "
            "does not exist",
        )
    return found
