"""Security groups: making, showing and deleting them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from openecs.api.ec2 import group_rules, vpc_dependencies
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use, invalid_value, missing
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.group_lookup import GroupLookup
from openecs.api.ec2.resources import SECURITY_GROUP, VPC, arn, new_id
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.security_group import SecurityGroup, SecurityGroupRule
from openecs.model.vpc import Vpc
from openecs.planning.new_vpc import DEFAULT_GROUP, everything_out
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.state.table import Keyed
from openecs.wire.call import Call, Handlers

_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
_CHARACTERS = (
    "Character sets beyond ASCII are not supported."
    " Use up to 255 characters of a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$*"
)


class SecurityGroups:
    """The operations on security groups."""

    def __init__(self, state: State, describer: Describer, networks: RegionNetworks, lookup: GroupLookup) -> None:
        self._state = state
        self._describer = describer
        self._networks = networks
        self._lookup = lookup
        self._fields: Fields[SecurityGroup] = {
            "description": lambda g: one(g.description),
            "group-id": lambda g: one(g.id),
            "group-name": lambda g: one(g.name),
            "owner-id": lambda g: one(g.owner),
            "vpc-id": lambda g: one(g.vpc_id),
            **self._rule_fields("ip-permission", egress=False),
            **self._rule_fields("egress.ip-permission", egress=True),
        }
        self._vpc_fields: Fields[SecurityGroup] = {
            "group-id": lambda g: one(g.id),
            "group-name": lambda g: one(g.name),
            "description": lambda g: one(g.description),
            "owner-id": lambda g: one(g.owner),
            "primary-vpc-id": lambda g: one(g.vpc_id),
        }

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateSecurityGroup": self.create_security_group,
            "DeleteSecurityGroup": self.delete_security_group,
            "DescribeSecurityGroups": self.describe_security_groups,
            "DescribeSecurityGroupReferences": self.describe_references,
            "DescribeStaleSecurityGroups": self.describe_stale,
            "GetSecurityGroupsForVpc": self.get_for_vpc,
        }

    def create_security_group(
        self, call: Call, request: ec2.CreateSecurityGroupRequest
    ) -> ec2.CreateSecurityGroupResult:
        """A group that nothing may reach and that may reach everything."""
        # As on AWS, spaces at the end are not part of the name.
        name, description = request.group_name.rstrip(" "), request.description
        _check_texts(name, description)
        vpc = self._vpc(call, request.vpc_id)
        tags = tagging.at_creation(request.tag_specifications, SECURITY_GROUP)
        if any(group.name.casefold() == name.casefold() for group in self._state.security_groups.by("vpc", vpc.id)):
            raise AWSError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc.id}'")
        group = SecurityGroup(
            id=new_id("sg", call.ids),
            region=call.region,
            owner=call.account,
            vpc_id=vpc.id,
            name=name,
            description=description,
            created_at=call.now,
        )
        with self._state.transaction() as tx:
            tx.put(group)
            tx.put(everything_out(new_id("sgr", call.ids), group))
            tagging.give(tx, self._state, group.id, tags.get("security-group", ()))
        return ec2.CreateSecurityGroupResult(
            group_id=group.id,
            security_group_arn=arn(group.region, group.owner, SECURITY_GROUP, group.id),
            tags=tagging.shown(self._state, group.id),
        )

    def delete_security_group(
        self, call: Call, request: ec2.DeleteSecurityGroupRequest
    ) -> ec2.DeleteSecurityGroupResult:
        """Delete a group that no interface has and no rule of another group names."""
        state = self._state
        group = self._lookup.named(call, request.group_id, request.group_name)
        if group.name == DEFAULT_GROUP:
            raise AWSError(
                "CannotDelete", f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user'
            )
        if vpc_dependencies.of_group(state, group):
            raise in_use(f"resource {group.id} has a dependent object")
        with state.transaction() as tx:
            parts: tuple[Keyed, ...] = (*state.security_group_rules.by("group", group.id), group)
            for part in parts:
                tx.delete(part)
                tagging.forget(tx, state, part.key)
        return ec2.DeleteSecurityGroupResult(return_=True, group_id=group.id)

    def describe_security_groups(
        self, call: Call, request: ec2.DescribeSecurityGroupsRequest
    ) -> ec2.DescribeSecurityGroupsResult:
        """The region's groups with their rules."""
        named = [self._lookup.by_name(call.region, name).id for name in request.group_names or ()]
        ids = (*(request.group_ids or ()), *named)
        page, token = self._describer.select(
            call,
            SECURITY_GROUP,
            self._state.security_groups.by("region", call.region),
            self._fields,
            ids=ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeSecurityGroupsResult(
            security_groups=tuple(self._view(group) for group in page), next_token=token
        )

    def describe_references(
        self, call: Call, request: ec2.DescribeSecurityGroupReferencesRequest
    ) -> ec2.DescribeSecurityGroupReferencesResult:
        """VPCs on the other side of a peering that name the groups: there is no peering, so none."""
        for group_id in request.group_id:
            self._lookup.by_id(call.region, group_id)
        return ec2.DescribeSecurityGroupReferencesResult(security_group_reference_set=())

    def describe_stale(
        self, call: Call, request: ec2.DescribeStaleSecurityGroupsRequest
    ) -> ec2.DescribeStaleSecurityGroupsResult:
        """Groups with rules that name a deleted group: such rules keep the group from being deleted, so none."""
        VPC.find(self._state, call.region, request.vpc_id)
        return ec2.DescribeStaleSecurityGroupsResult(stale_security_group_set=())

    def get_for_vpc(self, call: Call, request: ec2.GetSecurityGroupsForVpcRequest) -> ec2.GetSecurityGroupsForVpcResult:
        """The groups that interfaces of a VPC can have: its own."""
        vpc: Vpc = VPC.find(self._state, call.region, request.vpc_id)
        page, token = self._describer.select(
            call,
            SECURITY_GROUP,
            self._state.security_groups.by("vpc", vpc.id),
            self._vpc_fields,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        groups = tuple(
            ec2.SecurityGroupForVpc(
                group_id=g.id,
                group_name=g.name,
                description=g.description,
                owner_id=g.owner,
                primary_vpc_id=g.vpc_id,
                tags=tagging.shown(self._state, g.id),
            )
            for g in page
        )
        return ec2.GetSecurityGroupsForVpcResult(security_group_for_vpcs=groups, next_token=token)

    def _vpc(self, call: Call, vpc_id: str | None) -> Vpc:
        if vpc_id is not None:
            found: Vpc = VPC.find(self._state, call.region, vpc_id)
            return found
        home = self._networks.default_vpc(call.region)
        if home is None:
            raise AWSError("VPCIdNotSpecified", "No default VPC for this user")
        return home

    def _rules(self, group: SecurityGroup, *, egress: bool) -> Iterable[SecurityGroupRule]:
        rules = self._state.security_group_rules.by("group", group.id)
        return (rule for rule in rules if rule.is_egress == egress)

    def _rule_fields(self, prefix: str, *, egress: bool) -> Fields[SecurityGroup]:
        def rules(group: SecurityGroup) -> list[SecurityGroupRule]:
            return list(self._rules(group, egress=egress))

        def names(group: SecurityGroup) -> list[str | None]:
            peers = (self._state.security_groups.get(r.referenced_group_id or "") for r in rules(group))
            return [peer.name for peer in peers if peer is not None]

        return {
            f"{prefix}.cidr": lambda g: [r.cidr_ipv4 for r in rules(g)],
            f"{prefix}.ipv6-cidr": lambda g: [r.cidr_ipv6 for r in rules(g)],
            f"{prefix}.from-port": lambda g: [str(r.from_port) for r in rules(g) if r.protocol != "-1"],
            f"{prefix}.to-port": lambda g: [str(r.to_port) for r in rules(g) if r.protocol != "-1"],
            f"{prefix}.protocol": lambda g: [r.protocol for r in rules(g)],
            f"{prefix}.group-id": lambda g: [r.referenced_group_id for r in rules(g)],
            f"{prefix}.group-name": names,
            f"{prefix}.prefix-list-id": lambda g: [r.prefix_list_id for r in rules(g)],
            f"{prefix}.user-id": lambda g: [r.owner for r in rules(g) if r.referenced_group_id],
        }

    def _view(self, group: SecurityGroup) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            group_id=group.id,
            security_group_arn=arn(group.region, group.owner, SECURITY_GROUP, group.id),
            group_name=group.name,
            description=group.description,
            owner_id=group.owner,
            vpc_id=group.vpc_id,
            ip_permissions=group_rules.permissions(self._rules(group, egress=False)),
            ip_permissions_egress=group_rules.permissions(self._rules(group, egress=True)),
            tags=tagging.shown(self._state, group.id),
        )


def _check_texts(name: str, description: str) -> None:
    if not name:
        raise missing("groupName")
    if not description:
        raise missing("GroupDescription")
    for text, member in ((name, "groupName"), (description, "GroupDescription")):
        if not _TEXT.fullmatch(text):
            raise invalid_value(f"Value ({text[:256]}) for parameter {member} is invalid. {_CHARACTERS}")
    if name.casefold() == DEFAULT_GROUP:
        raise invalid_value(f"Cannot use reserved security group name: {name}")
    if name.casefold().startswith("sg-"):
        raise invalid_value(f"Invalid value '{name}' for groupName. Group names may not be in the format sg-*.")
