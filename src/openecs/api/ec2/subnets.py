"""Subnets: making, showing, changing and deleting them."""

from __future__ import annotations

import ipaddress
from collections import Counter

import msgspec

from openecs.api.ec2 import cidr, vpc_dependencies
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use, invalid_combination, missing, unsupported
from openecs.api.ec2.filters import Fields, always, nothing, one
from openecs.api.ec2.resources import SUBNET, VPC, arn, new_id, zone_id, zone_named
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.network import ZONES
from openecs.model.network_acl import AclAssociation
from openecs.model.vpc import RESERVED_ADDRESSES, Vpc, VpcSubnet
from openecs.planning.new_vpc import default_subnet
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers


class Subnets:
    """The operations on subnets."""

    def __init__(self, state: State, describer: Describer, networks: RegionNetworks) -> None:
        self._state = state
        self._describer = describer
        self._networks = networks
        self._fields: Fields[VpcSubnet] = {
            **dict.fromkeys(("availability-zone", "availabilityZone"), lambda s: one(s.availability_zone)),
            **dict.fromkeys(
                ("availability-zone-id", "availabilityZoneId"), lambda s: one(zone_id(s.region, s.availability_zone))
            ),
            "available-ip-address-count": lambda s: one(self.free(s)),
            **dict.fromkeys(("cidr-block", "cidr", "cidrBlock"), lambda s: one(s.cidr)),
            "customer-owned-ipv4-pool": nothing,
            **dict.fromkeys(("default-for-az", "defaultForAz"), lambda s: one(s.default_for_az)),
            "enable-dns64": always("false"),
            "enable-lni-at-device-index": nothing,
            "ipv6-cidr-block-association.ipv6-cidr-block": nothing,
            "ipv6-cidr-block-association.association-id": nothing,
            "ipv6-cidr-block-association.state": nothing,
            "ipv6-native": always("false"),
            "map-customer-owned-ip-on-launch": always("false"),
            "map-public-ip-on-launch": lambda s: one(s.map_public_ip_on_launch),
            "outpost-arn": nothing,
            "owner-id": lambda s: one(s.owner),
            "private-dns-name-options-on-launch.hostname-type": lambda s: one(s.private_dns_hostname_type),
            "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": (
                lambda s: one(s.resource_name_dns_a_record)
            ),
            "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": always("false"),
            "state": always("available"),
            "subnet-arn": lambda s: one(arn(s.region, s.owner, SUBNET, s.id)),
            "subnet-id": lambda s: one(s.id),
            "vpc-id": lambda s: one(s.vpc_id),
        }

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateSubnet": self.create_subnet,
            "CreateDefaultSubnet": self.create_default_subnet,
            "DescribeSubnets": self.describe_subnets,
            "ModifySubnetAttribute": self.modify_subnet_attribute,
            "DeleteSubnet": self.delete_subnet,
        }

    def free(self, subnet: VpcSubnet) -> int:
        """How many addresses of the subnet no interface has.

        The default subnets of all regions share their addresses, because they share the hosts.
        """
        used = self._state.addresses.used(subnet.id)
        if subnet.default_for_az:
            used = sum(self._state.addresses.used(s.id) for s in self._state.subnets if s.cidr == subnet.cidr)
        return int(ipaddress.IPv4Network(subnet.cidr).num_addresses - RESERVED_ADDRESSES - 1 - used)

    def create_subnet(self, call: Call, request: ec2.CreateSubnetRequest) -> ec2.CreateSubnetResult:
        """A subnet in one of the VPC's blocks."""
        vpc: Vpc = VPC.find(self._state, call.region, request.vpc_id)
        if request.ipv6_cidr_block or request.ipv6_native or request.ipv6_ipam_pool_id or request.ipv6_netmask_length:
            raise unsupported("IPv6")
        if request.ipv4_ipam_pool_id or request.ipv4_netmask_length:
            raise unsupported("IP address management (IPAM)")
        if request.outpost_arn:
            raise unsupported("An Outpost")
        if request.cidr_block is None:
            raise missing("cidrBlock")
        tags = tagging.at_creation(request.tag_specifications, SUBNET)
        zone = zone_named(call.region, request.availability_zone, request.availability_zone_id)
        network = cidr.block(request.cidr_block, "InvalidSubnet.Range")
        self._check_place(vpc, network)
        subnet = VpcSubnet(
            id=new_id("subnet", call.ids),
            region=call.region,
            owner=call.account,
            vpc_id=vpc.id,
            availability_zone=zone or self._emptiest_zone(vpc),
            cidr=str(network),
            created_at=call.now,
        )
        with self._state.transaction() as tx:
            self._put_new(tx, call, subnet)
            tagging.give(tx, self._state, subnet.id, tags.get("subnet", ()))
        return ec2.CreateSubnetResult(subnet=self._view(subnet))

    def create_default_subnet(
        self, call: Call, request: ec2.CreateDefaultSubnetRequest
    ) -> ec2.CreateDefaultSubnetResult:
        """The default subnet of a zone again, after it was deleted."""
        if request.ipv6_native:
            raise unsupported("IPv6")
        zone = zone_named(call.region, request.availability_zone, request.availability_zone_id)
        if zone is None:
            raise missing("availabilityZone")
        vpc = self._networks.default_vpc(call.region)
        if vpc is None:
            raise AWSError("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
        inside = self._state.subnets.by("vpc", vpc.id)
        if any(s.default_for_az and s.availability_zone == zone for s in inside):
            raise AWSError("DefaultSubnetAlreadyExistsInAvailabilityZone", f"'{zone}' already has a default subnet.")
        block = next(s.cidr for s in self._networks.plan(call.region).subnets if s.availability_zone == zone)
        self._check_place(vpc, ipaddress.IPv4Network(block))
        subnet = default_subnet(vpc, subnet_id=new_id("subnet", call.ids), zone=zone, cidr=block)
        with self._state.transaction() as tx:
            self._put_new(tx, call, subnet)
        return ec2.CreateDefaultSubnetResult(subnet=self._view(subnet))

    def describe_subnets(self, call: Call, request: ec2.DescribeSubnetsRequest) -> ec2.DescribeSubnetsResult:
        """The region's subnets."""
        page, token = self._describer.select(
            call,
            SUBNET,
            self._state.subnets.by("region", call.region),
            self._fields,
            ids=request.subnet_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeSubnetsResult(subnets=tuple(self._view(subnet) for subnet in page), next_token=token)

    def modify_subnet_attribute(self, call: Call, request: ec2.ModifySubnetAttributeRequest) -> None:
        """Change the one attribute that the request names."""
        subnet: VpcSubnet = SUBNET.find(self._state, call.region, request.subnet_id)
        names = [name for name in request.__struct_fields__ if name != "subnet_id"]
        given = [name for name in names if getattr(request, name) is not None]
        if len(given) != 1:
            raise invalid_combination("Exactly one attribute of the subnet must be given.")
        (name,) = given
        changed = _change(subnet, request, name)
        if changed != subnet:
            with self._state.transaction() as tx:
                tx.put(changed)

    def delete_subnet(self, call: Call, request: ec2.DeleteSubnetRequest) -> None:
        """Delete a subnet without interfaces; its associations go with it."""
        state = self._state
        subnet: VpcSubnet = SUBNET.find(state, call.region, request.subnet_id)
        if vpc_dependencies.of_subnet(state, subnet):
            raise in_use(f"The subnet '{subnet.id}' has dependencies and cannot be deleted.")
        with state.transaction() as tx:
            tx.delete(subnet)
            tagging.forget(tx, state, subnet.id)
            for acl in state.network_acls.by("vpc", subnet.vpc_id):
                kept = tuple(a for a in acl.associations if a.subnet_id != subnet.id)
                if kept != acl.associations:
                    tx.put(msgspec.structs.replace(acl, associations=kept))
            for table in state.route_tables.by("vpc", subnet.vpc_id):
                left = tuple(a for a in table.associations if a.subnet_id != subnet.id)
                if left != table.associations:
                    tx.put(msgspec.structs.replace(table, associations=left))

    def _check_place(self, vpc: Vpc, network: ipaddress.IPv4Network) -> None:
        if not any(network.subnet_of(ipaddress.IPv4Network(block.cidr)) for block in vpc.cidrs):
            raise AWSError("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
        inside = (ipaddress.IPv4Network(s.cidr) for s in self._state.subnets.by("vpc", vpc.id))
        if cidr.overlapping(network, inside) is not None:
            raise AWSError("InvalidSubnet.Conflict", f"The CIDR '{network}' conflicts with another subnet")
        if network.overlaps(self._networks.public_pool):
            raise AWSError(
                "InvalidSubnet.Conflict",
                f"The CIDR '{network}' conflicts with {self._networks.public_pool}, "
                "the installation's public addresses.",
            )

    def _emptiest_zone(self, vpc: Vpc) -> str:
        counts = Counter(s.availability_zone for s in self._state.subnets.by("vpc", vpc.id))
        return min((f"{vpc.region}{letter}" for letter in ZONES), key=lambda zone: (counts[zone], zone))

    def _put_new(self, tx: Transaction, call: Call, subnet: VpcSubnet) -> None:
        tx.put(subnet)
        acl = next(acl for acl in self._state.network_acls.by("vpc", subnet.vpc_id) if acl.is_default)
        association = AclAssociation(id=new_id("aclassoc", call.ids), subnet_id=subnet.id)
        tx.put(msgspec.structs.replace(acl, associations=(*acl.associations, association)))

    def _view(self, subnet: VpcSubnet) -> ec2.Subnet:
        return ec2.Subnet(
            subnet_id=subnet.id,
            subnet_arn=arn(subnet.region, subnet.owner, SUBNET, subnet.id),
            owner_id=subnet.owner,
            vpc_id=subnet.vpc_id,
            state="available",
            cidr_block=subnet.cidr,
            availability_zone=subnet.availability_zone,
            availability_zone_id=zone_id(subnet.region, subnet.availability_zone),
            available_ip_address_count=self.free(subnet),
            default_for_az=subnet.default_for_az,
            map_public_ip_on_launch=subnet.map_public_ip_on_launch,
            map_customer_owned_ip_on_launch=False,
            assign_ipv6_address_on_creation=False,
            ipv6_cidr_block_association_set=(),
            ipv6_native=False,
            enable_dns64=False,
            private_dns_name_options_on_launch=ec2.PrivateDnsNameOptionsOnLaunch(
                hostname_type=_hostname_type(subnet.private_dns_hostname_type),
                enable_resource_name_dns_a_record=subnet.resource_name_dns_a_record,
                enable_resource_name_dns_aaaa_record=False,
            ),
            block_public_access_states=ec2.BlockPublicAccessStates(internet_gateway_block_mode="off"),
            tags=tagging.shown(self._state, subnet.id),
        )


def _hostname_type(kept: str) -> ec2.HostnameType:
    return "resource-name" if kept == "resource-name" else "ip-name"


def _change(subnet: VpcSubnet, request: ec2.ModifySubnetAttributeRequest, name: str) -> VpcSubnet:
    if name == "private_dns_hostname_type_on_launch":
        wanted = request.private_dns_hostname_type_on_launch or "ip-name"
        return msgspec.structs.replace(subnet, private_dns_hostname_type=wanted)
    value = getattr(request, name)
    if not isinstance(value, ec2.AttributeBooleanValue):
        raise unsupported(f"The subnet attribute {name}")
    if value.value is None:
        raise missing("Value")
    match name:
        case "map_public_ip_on_launch":
            return msgspec.structs.replace(subnet, map_public_ip_on_launch=value.value)
        case "enable_resource_name_dns_a_record_on_launch":
            return msgspec.structs.replace(subnet, resource_name_dns_a_record=value.value)
        case _ if not value.value:
            # What is refused below is off in every subnet.
            return subnet
        case "assign_ipv6_address_on_creation" | "enable_dns64" | "enable_resource_name_dns_aaaa_record_on_launch":
            raise unsupported("IPv6")
        case _:
            raise unsupported(f"The subnet attribute {name}")
