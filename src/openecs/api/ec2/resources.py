"""The kinds of EC2 resources: their ids, their names in tags, and what is said when one is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from openecs.api.ec2.errors import bad_value, unsupported
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.state.table import Table

_FORM = re.compile(r"([a-z]+)-[0-9a-z]{8,17}", re.ASCII)


class Kind(NamedTuple):
    """One kind of resource."""

    #: What comes before the dash of its ids.
    prefix: str
    #: Its name in tag specifications and in DescribeTags.
    resource_type: ec2.ResourceType
    #: Error codes: no such resource, no such form of id.
    not_found: str
    malformed: str
    #: The text of ``not_found``; ``{}`` is the id.
    absent: str
    table: Callable[[State], Table[Any]]

    def missing(self, resource_id: str) -> AWSError:
        """The error for an id that no resource has, or that cannot be one."""
        match = _FORM.fullmatch(resource_id)
        if match is None or match[1] != self.prefix:
            return AWSError(self.malformed, f'Invalid id: "{resource_id[:256]}" (expecting "{self.prefix}-...")')
        return AWSError(self.not_found, self.absent.format(resource_id))

    def find(self, state: State, region: str, resource_id: str) -> Any:
        """The record of that id in the region.  Raises the error of ``missing``."""
        record = self.table(state).get(resource_id)
        if record is None or record.region != region:
            raise self.missing(resource_id)
        return record


VPC = Kind(
    "vpc", "vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "The vpc ID '{}' does not exist", lambda s: s.vpcs
)
SUBNET = Kind(
    "subnet",
    "subnet",
    "InvalidSubnetID.NotFound",
    "InvalidSubnetID.Malformed",
    "The subnet ID '{}' does not exist",
    lambda s: s.subnets,
)
SECURITY_GROUP = Kind(
    "sg",
    "security-group",
    "InvalidGroup.NotFound",
    "InvalidGroupId.Malformed",
    "The security group '{}' does not exist",
    lambda s: s.security_groups,
)
SECURITY_GROUP_RULE = Kind(
    "sgr",
    "security-group-rule",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidSecurityGroupRuleId.Malformed",
    "The security group rule ID '{}' does not exist",
    lambda s: s.security_group_rules,
)
NETWORK_ACL = Kind(
    "acl",
    "network-acl",
    "InvalidNetworkAclID.NotFound",
    "InvalidNetworkAclId.Malformed",
    "The networkAcl ID '{}' does not exist",
    lambda s: s.network_acls,
)
ROUTE_TABLE = Kind(
    "rtb",
    "route-table",
    "InvalidRouteTableID.NotFound",
    "InvalidRouteTableId.Malformed",
    "The routeTable ID '{}' does not exist",
    lambda s: s.route_tables,
)
INTERNET_GATEWAY = Kind(
    "igw",
    "internet-gateway",
    "InvalidInternetGatewayID.NotFound",
    "InvalidInternetGatewayId.Malformed",
    "The internetGateway ID '{}' does not exist",
    lambda s: s.internet_gateways,
)
NAT_GATEWAY = Kind(
    "nat",
    "natgateway",
    "NatGatewayNotFound",
    "NatGatewayMalformed",
    "The Nat Gateway {} was not found",
    lambda s: s.nat_gateways,
)
ELASTIC_ADDRESS = Kind(
    "eipalloc",
    "elastic-ip",
    "InvalidAllocationID.NotFound",
    "InvalidAllocationID.Malformed",
    "The allocation ID '{}' does not exist",
    lambda s: s.elastic_addresses,
)
INTERFACE = Kind(
    "eni",
    "network-interface",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidNetworkInterfaceID.Malformed",
    "The networkInterface ID '{}' does not exist",
    lambda s: s.interfaces,
)
VPC_ENDPOINT = Kind(
    "vpce",
    "vpc-endpoint",
    "InvalidVpcEndpointId.NotFound",
    "InvalidVpcEndpointId.Malformed",
    "The Vpc Endpoint Id '{}' does not exist",
    lambda s: s.vpc_endpoints,
)
LAUNCH_TEMPLATE = Kind(
    "lt",
    "launch-template",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.Malformed",
    "The specified launch template, with template ID {}, does not exist.",
    lambda s: s.launch_templates,
)

KINDS: tuple[Kind, ...] = (
    VPC,
    SUBNET,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    NETWORK_ACL,
    ROUTE_TABLE,
    INTERNET_GATEWAY,
    NAT_GATEWAY,
    ELASTIC_ADDRESS,
    INTERFACE,
    VPC_ENDPOINT,
    LAUNCH_TEMPLATE,
)
_BY_PREFIX = {kind.prefix: kind for kind in KINDS}


def kind_of(resource_id: str) -> Kind:
    """The kind that an id is of.  Raises ``InvalidID`` for an id of none."""
    prefix = resource_id.partition("-")[0]
    if prefix == "i":
        raise unsupported("Tagging EC2 instances")
    kind = _BY_PREFIX.get(prefix)
    if kind is None:
        raise AWSError("InvalidID", f"The ID '{resource_id[:256]}' is not valid")
    return kind


def new_id(prefix: str, ids: Ids) -> str:
    """A fresh id in EC2's long form: ``vpc-0`` and 16 hexadecimal digits."""
    return f"{prefix}-0{ids.hex32()[:16]}"


def zone_id(region: str, zone: str) -> str:
    """The id of an availability zone, as AWS forms it: ``use1-az1`` for ``us-east-1a``.

    Which id a zone has differs between AWS's accounts; here ``a`` is always 1.
    """
    parts = region.split("-")
    short = "".join(part if at == 0 else part[:1] if at < len(parts) - 1 else part for at, part in enumerate(parts))
    letter = zone.removeprefix(region)
    number = "abcdefghijklmnopqrstuvwxyz".find(letter) + 1 if len(letter) == 1 else 0
    return f"{short}-az{number}" if number else f"{short}-{zone}"


def zone_named(region: str, name: str | None, by_id: str | None) -> str | None:
    """The zone that a request means, by name or by id; ``None`` when it names none.

    Raises InvalidParameterValue for a zone that the region does not have.
    """
    zones = [f"{region}{letter}" for letter in "abc"]
    if name is None and by_id is None:
        return None
    for zone in zones:
        if zone == name or (name is None and zone_id(region, zone) == by_id):
            return zone
    given, member = (name, "availabilityZone") if name is not None else (by_id, "availabilityZoneId")
    raise bad_value(
        given, member, f"Subnets can currently only be created in the following availability zones: {', '.join(zones)}."
    )


def arn(region: str, account: str, kind: Kind, resource_id: str) -> str:
    """The ARN of a resource."""
    return f"arn:aws:ec2:{region}:{account}:{kind.resource_type}/{resource_id}"
