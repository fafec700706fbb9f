"""VPCs: making, showing, changing and deleting them."""

from __future__ import annotations

import ipaddress

import msgspec

from openecs.api.ec2 import cidr, vpc_dependencies
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use, invalid_combination, missing, unsupported
from openecs.api.ec2.filters import Fields, always, nothing, one
from openecs.api.ec2.resources import VPC, new_id
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.vpc import Vpc
from openecs.planning.new_vpc import companions, new_vpc
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.state.table import Keyed
from openecs.wire.call import Call, Handlers

_FIELDS: Fields[Vpc] = {
    **dict.fromkeys(("cidr", "cidr-block", "cidrBlock"), lambda v: one(v.cidr)),
    "cidr-block-association.association-id": lambda v: [block.id for block in v.cidrs],
    "cidr-block-association.cidr-block": lambda v: [block.cidr for block in v.cidrs],
    "cidr-block-association.state": always("associated"),
    **dict.fromkeys(("dhcp-options-id", "dhcpOptionsId"), lambda v: one(v.dhcp_options_id)),
    "ipv6-cidr-block-association.association-id": nothing,
    "ipv6-cidr-block-association.ipv6-cidr-block": nothing,
    "ipv6-cidr-block-association.ipv6-pool": nothing,
    "ipv6-cidr-block-association.state": nothing,
    **dict.fromkeys(("is-default", "isDefault"), lambda v: one(v.is_default)),
    "owner-id": lambda v: one(v.owner),
    "state": always("available"),
    "vpc-id": lambda v: one(v.id),
}


class Vpcs:
    """The operations on VPCs."""

    def __init__(self, state: State, describer: Describer, networks: RegionNetworks) -> None:
        self._state = state
        self._describer = describer
        self._networks = networks

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateVpc": self.create_vpc,
            "CreateDefaultVpc": self.create_default_vpc,
            "DescribeVpcs": self.describe_vpcs,
            "DeleteVpc": self.delete_vpc,
            "DescribeVpcAttribute": self.describe_vpc_attribute,
            "ModifyVpcAttribute": self.modify_vpc_attribute,
        }

    def create_vpc(self, call: Call, request: ec2.CreateVpcRequest) -> ec2.CreateVpcResult:
        """A VPC with its default group, default ACL and main route table."""
        _refuse_ipv6(request)
        if request.instance_tenancy not in (None, "default"):
            raise unsupported(f"The instance tenancy '{request.instance_tenancy}'")
        if request.vpc_encryption_control is not None:
            raise unsupported("VPC encryption control")
        if request.cidr_block is None:
            raise missing("cidrBlock")
        network = cidr.block(request.cidr_block, "InvalidVpc.Range")
        refuse_overlap(self._state, self._networks, network)
        tags = tagging.at_creation(request.tag_specifications, VPC)

        def make_id(prefix: str, what: str) -> str:
            del what
            return new_id(prefix, call.ids)

        vpc = new_vpc(
            vpc_id=new_id("vpc", call.ids),
            region=call.region,
            owner=call.account,
            cidr=str(network),
            dhcp_options_id=self._networks.plan(call.region).dhcp_options_id,
            make_id=make_id,
        )
        vpc = msgspec.structs.replace(vpc, created_at=call.now)
        records, acl = companions(vpc, make_id, group_id=new_id("sg", call.ids))
        with self._state.transaction() as tx:
            for record in (vpc, *records, acl):
                tx.put(record)
            tagging.give(tx, self._state, vpc.id, tags.get("vpc", ()))
        return ec2.CreateVpcResult(vpc=self._view(vpc))

    def create_default_vpc(self, call: Call, request: ec2.CreateDefaultVpcRequest) -> ec2.CreateDefaultVpcResult:
        """A new default VPC after the first one was deleted."""
        del request  # it has no members but DryRun
        if self._networks.default_vpc(call.region) is not None:
            raise AWSError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
        with self._state.transaction() as tx:
            vpc = self._networks.make(tx, call.region, call.ids)
        return ec2.CreateDefaultVpcResult(vpc=self._view(vpc))

    def describe_vpcs(self, call: Call, request: ec2.DescribeVpcsRequest) -> ec2.DescribeVpcsResult:
        """The region's VPCs."""
        page, token = self._describer.select(
            call,
            VPC,
            self._state.vpcs.by("region", call.region),
            _FIELDS,
            ids=request.vpc_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeVpcsResult(vpcs=tuple(self._view(vpc) for vpc in page), next_token=token)

    def delete_vpc(self, call: Call, request: ec2.DeleteVpcRequest) -> None:
        """Delete a VPC that nothing is left in but what came with it."""
        state = self._state
        vpc: Vpc = VPC.find(state, call.region, request.vpc_id)
        if vpc_dependencies.of_vpc(state, vpc):
            raise in_use(f"The vpc '{vpc.id}' has dependencies and cannot be deleted.")
        groups = state.security_groups.by("vpc", vpc.id)
        rules = [rule for group in groups for rule in state.security_group_rules.by("group", group.id)]
        acls = state.network_acls.by("vpc", vpc.id)
        tables = state.route_tables.by("vpc", vpc.id)
        with state.transaction() as tx:
            parts: tuple[Keyed, ...] = (*rules, *groups, *acls, *tables, vpc)
            for part in parts:
                tx.delete(part)
                tagging.forget(tx, state, part.key)

    def describe_vpc_attribute(
        self, call: Call, request: ec2.DescribeVpcAttributeRequest
    ) -> ec2.DescribeVpcAttributeResult:
        """One attribute of a VPC."""
        vpc: Vpc = VPC.find(self._state, call.region, request.vpc_id)
        match request.attribute:
            case "enableDnsSupport":
                support = ec2.AttributeBooleanValue(value=vpc.enable_dns_support)
                return ec2.DescribeVpcAttributeResult(vpc_id=vpc.id, enable_dns_support=support)
            case "enableDnsHostnames":
                names = ec2.AttributeBooleanValue(value=vpc.enable_dns_hostnames)
                return ec2.DescribeVpcAttributeResult(vpc_id=vpc.id, enable_dns_hostnames=names)
            case _:
                metrics = ec2.AttributeBooleanValue(value=vpc.enable_network_address_usage_metrics)
                return ec2.DescribeVpcAttributeResult(vpc_id=vpc.id, enable_network_address_usage_metrics=metrics)

    def modify_vpc_attribute(self, call: Call, request: ec2.ModifyVpcAttributeRequest) -> None:
        """Change the one attribute that the request names."""
        vpc: Vpc = VPC.find(self._state, call.region, request.vpc_id)
        given = [
            value
            for value in (
                request.enable_dns_hostnames,
                request.enable_dns_support,
                request.enable_network_address_usage_metrics,
            )
            if value is not None
        ]
        if len(given) != 1 or given[0].value is None:
            raise invalid_combination("Exactly one attribute of the VPC must be given, with a value.")
        wanted = given[0].value
        if request.enable_dns_support is not None and not wanted:
            raise unsupported("A VPC without DNS support (enableDnsSupport=false)")
        if request.enable_network_address_usage_metrics is not None and wanted:
            raise unsupported("Network address usage metrics (enableNetworkAddressUsageMetrics=true)")
        if request.enable_dns_hostnames is not None and wanted != vpc.enable_dns_hostnames:
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(vpc, enable_dns_hostnames=wanted))

    def _view(self, vpc: Vpc) -> ec2.Vpc:
        return ec2.Vpc(
            vpc_id=vpc.id,
            owner_id=vpc.owner,
            state="available",
            cidr_block=vpc.cidr,
            cidr_block_association_set=tuple(
                ec2.VpcCidrBlockAssociation(
                    association_id=block.id,
                    cidr_block=block.cidr,
                    cidr_block_state=ec2.VpcCidrBlockState(state="associated"),
                )
                for block in vpc.cidrs
            ),
            is_default=vpc.is_default,
            instance_tenancy="default",
            dhcp_options_id=vpc.dhcp_options_id,
            block_public_access_states=ec2.BlockPublicAccessStates(internet_gateway_block_mode="off"),
            tags=tagging.shown(self._state, vpc.id),
        )


def refuse_overlap(state: State, networks: RegionNetworks, network: ipaddress.IPv4Network) -> None:
    """Raise InvalidVpc.Range when an address of the block may belong to another VPC.

    Hosts route every address to one interface, so the VPCs of all regions share one space.
    """
    if network.overlaps(networks.range):
        raise AWSError(
            "InvalidVpc.Range",
            f"The CIDR '{network}' overlaps {networks.range}, the addresses of the default VPCs. The VPCs of one "
            "OpenECS installation share its hosts, so no two of them can have the same addresses.",
        )
    for vpc in state.vpcs:
        taken = cidr.overlapping(network, (ipaddress.IPv4Network(block.cidr) for block in vpc.cidrs))
        if taken is not None:
            raise AWSError(
                "InvalidVpc.Range",
                f"The CIDR '{network}' overlaps {taken} of {vpc.id} in {vpc.region}. The VPCs of one OpenECS "
                "installation share its hosts, so no two of them can have the same addresses.",
            )


def _refuse_ipv6(request: ec2.CreateVpcRequest) -> None:
    if request.amazon_provided_ipv6_cidr_block or request.ipv6_cidr_block or request.ipv6_pool:
        raise unsupported("IPv6")
    if request.ipv6_ipam_pool_id or request.ipv6_netmask_length or request.ipv6_cidr_block_network_border_group:
        raise unsupported("IPv6")
    if request.ipv4_ipam_pool_id or request.ipv4_netmask_length:
        raise unsupported("IP address management (IPAM)")
