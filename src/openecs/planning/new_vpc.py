"""The records that come with a VPC: its default group, default ACL and main route table.

``make_id`` gives the id of a part from its prefix and its name; ids are an input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from openecs.model.network import RegionNetwork
from openecs.model.network_acl import LAST_RULE, AclAssociation, AclEntry, NetworkAcl
from openecs.model.route_table import InternetGateway, Route, RouteTable, RouteTableAssociation
from openecs.model.security_group import SecurityGroup, SecurityGroupRule
from openecs.model.vpc import CidrAssociation, Vpc, VpcSubnet

MakeId = Callable[[str, str], str]

EVERYWHERE = "0.0.0.0/0"
DEFAULT_GROUP = "default"
DEFAULT_GROUP_DESCRIPTION = "default VPC security group"


def new_vpc(
    *, vpc_id: str, region: str, owner: str, cidr: str, dhcp_options_id: str, make_id: MakeId, is_default: bool = False
) -> Vpc:
    """A VPC with one block of addresses."""
    association = CidrAssociation(id=make_id("vpc-cidr-assoc", "first"), cidr=cidr)
    return Vpc(
        id=vpc_id,
        region=region,
        owner=owner,
        cidrs=(association,),
        is_default=is_default,
        dhcp_options_id=dhcp_options_id,
        enable_dns_hostnames=is_default,
    )


def companions(
    vpc: Vpc, make_id: MakeId, *, group_id: str, gateway_id: str | None = None
) -> tuple[list[Any], NetworkAcl]:
    """What every VPC has from its first moment, and its default ACL, which subnets are added to.

    With ``gateway_id`` the main route table leads to that internet gateway.
    """
    region, owner = vpc.region, vpc.owner
    group = SecurityGroup(
        id=group_id,
        region=region,
        owner=owner,
        vpc_id=vpc.id,
        name=DEFAULT_GROUP,
        description=DEFAULT_GROUP_DESCRIPTION,
    )
    among = SecurityGroupRule(
        id=make_id("sgr", "default ingress"),
        region=region,
        owner=owner,
        group_id=group.id,
        is_egress=False,
        protocol="-1",
        referenced_group_id=group.id,
    )
    out = everything_out(make_id("sgr", "default egress"), group)
    routes = [Route(destination=vpc.cidr, target="local", origin="CreateRouteTable")]
    if gateway_id is not None:
        routes.append(Route(destination=EVERYWHERE, target=gateway_id))
    table = RouteTable(
        id=make_id("rtb", "main"),
        region=region,
        owner=owner,
        vpc_id=vpc.id,
        routes=tuple(routes),
        associations=(RouteTableAssociation(id=make_id("rtbassoc", "main"), main=True),),
    )
    acl = NetworkAcl(
        id=make_id("acl", "default"),
        region=region,
        owner=owner,
        vpc_id=vpc.id,
        is_default=True,
        entries=in_order((*allow_all(), *deny_rest())),
    )
    return [group, among, out, table], acl


def everything_out(rule_id: str, group: SecurityGroup) -> SecurityGroupRule:
    """The rule that every new group has: whatever is in it may reach everything."""
    return SecurityGroupRule(
        id=rule_id,
        region=group.region,
        owner=group.owner,
        group_id=group.id,
        is_egress=True,
        protocol="-1",
        cidr_ipv4=EVERYWHERE,
    )


def in_order(entries: Iterable[AclEntry]) -> tuple[AclEntry, ...]:
    """Entries as replies list them: those for what leaves first, each kind by number."""
    return tuple(sorted(entries, key=lambda entry: (not entry.egress, entry.number)))


def allow_all() -> tuple[AclEntry, ...]:
    """What a default ACL has on top."""
    return tuple(
        AclEntry(number=100, egress=egress, action="allow", protocol="-1", cidr_ipv4=EVERYWHERE)
        for egress in (True, False)
    )


def deny_rest() -> tuple[AclEntry, ...]:
    """The last entries of every ACL, which nobody can take away."""
    return tuple(
        AclEntry(number=LAST_RULE, egress=egress, action="deny", protocol="-1", cidr_ipv4=EVERYWHERE)
        for egress in (True, False)
    )


def default_network(network: RegionNetwork, *, region: str, owner: str, make_id: MakeId) -> list[Any]:
    """All records of a region's default network."""
    vpc = new_vpc(
        vpc_id=network.vpc_id,
        region=region,
        owner=owner,
        cidr=network.cidr,
        dhcp_options_id=network.dhcp_options_id,
        make_id=make_id,
        is_default=True,
    )
    gateway = InternetGateway(id=network.internet_gateway_id, region=region, owner=owner, vpc_id=vpc.id)
    records, acl = companions(vpc, make_id, group_id=network.security_group_id, gateway_id=gateway.id)
    subnets = [default_subnet(vpc, subnet_id=s.id, zone=s.availability_zone, cidr=s.cidr) for s in network.subnets]
    associations = tuple(AclAssociation(id=make_id("aclassoc", s.availability_zone), subnet_id=s.id) for s in subnets)
    whole = NetworkAcl(
        id=acl.id,
        region=region,
        owner=owner,
        vpc_id=vpc.id,
        is_default=True,
        entries=acl.entries,
        associations=associations,
    )
    return [vpc, gateway, *records, whole, *subnets]


def default_subnet(vpc: Vpc, *, subnet_id: str, zone: str, cidr: str) -> VpcSubnet:
    """The default subnet of a zone."""
    return VpcSubnet(
        id=subnet_id,
        region=vpc.region,
        owner=vpc.owner,
        vpc_id=vpc.id,
        availability_zone=zone,
        cidr=cidr,
        default_for_az=True,
        map_public_ip_on_launch=True,
    )
