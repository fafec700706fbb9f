"""AssociateVpcCidrBlock and DisassociateVpcCidrBlock: further blocks of addresses of a VPC."""

from __future__ import annotations

import ipaddress

import msgspec

from openecs.api.ec2 import cidr
from openecs.api.ec2.errors import missing, not_permitted, unsupported
from openecs.api.ec2.resources import VPC, new_id
from openecs.api.ec2.vpcs import refuse_overlap
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.route_table import Route
from openecs.model.vpc import CidrAssociation, Vpc
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

MAX_BLOCKS = 5


class VpcCidrs:
    """The operations on a VPC's blocks."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"AssociateVpcCidrBlock": self.associate, "DisassociateVpcCidrBlock": self.disassociate}

    def associate(self, call: Call, request: ec2.AssociateVpcCidrBlockRequest) -> ec2.AssociateVpcCidrBlockResult:
        """Add a block; every route table of the VPC gets its local route."""
        vpc: Vpc = VPC.find(self._state, call.region, request.vpc_id)
        if request.amazon_provided_ipv6_cidr_block or request.ipv6_cidr_block or request.ipv6_pool:
            raise unsupported("IPv6")
        if request.ipv6_ipam_pool_id or request.ipv6_netmask_length or request.ipv6_cidr_block_network_border_group:
            raise unsupported("IPv6")
        if request.ipv4_ipam_pool_id or request.ipv4_netmask_length:
            raise unsupported("IP address management (IPAM)")
        if request.cidr_block is None:
            raise missing("cidrBlock")
        network = cidr.block(request.cidr_block, "InvalidVpc.Range")
        refuse_overlap(self._state, self._networks, network)
        if len(vpc.cidrs) >= MAX_BLOCKS:
            raise AWSError(
                "CidrLimitExceeded", f"The VPC '{vpc.id}' has reached the limit of {MAX_BLOCKS} CIDR blocks."
            )
        block = CidrAssociation(id=new_id("vpc-cidr-assoc", call.ids), cidr=str(network))
        local = Route(destination=block.cidr, target="local", origin="CreateRouteTable")
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(vpc, cidrs=(*vpc.cidrs, block)))
            for table in self._state.route_tables.by("vpc", vpc.id):
                kept = tuple(route for route in table.routes if route.destination != block.cidr)
                tx.put(msgspec.structs.replace(table, routes=(local, *kept)))
        return ec2.AssociateVpcCidrBlockResult(vpc_id=vpc.id, cidr_block_association=_view(block, "associated"))

    def disassociate(
        self, call: Call, request: ec2.DisassociateVpcCidrBlockRequest
    ) -> ec2.DisassociateVpcCidrBlockResult:
        """Take a block away that no subnet has addresses of."""
        wanted = request.association_id
        vpcs = self._state.vpcs.by("region", call.region)
        found = next(((vpc, block) for vpc in vpcs for block in vpc.cidrs if block.id == wanted), None)
        if found is None:
            raise AWSError(
                "InvalidVpcCidrBlockAssociationID.NotFound",
                f"The vpc CIDR block association ID '{wanted}' does not exist",
            )
        vpc, block = found
        if block is vpc.cidrs[0]:
            raise not_permitted(
                f"The vpc CIDR block with association ID {wanted} may not be disassociated. "
                "It is the primary IPv4 CIDR block of the VPC"
            )
        network = ipaddress.IPv4Network(block.cidr)
        for subnet in self._state.subnets.by("vpc", vpc.id):
            if network.overlaps(ipaddress.IPv4Network(subnet.cidr)):
                raise AWSError(
                    "InvalidCidrBlock.InUse",
                    f"The vpc CIDR block with association ID {wanted} may not be disassociated. "
                    f"It is in use by the subnet {subnet.id}",
                )
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(vpc, cidrs=tuple(b for b in vpc.cidrs if b.id != wanted)))
            for table in self._state.route_tables.by("vpc", vpc.id):
                kept = tuple(r for r in table.routes if (r.destination, r.target) != (block.cidr, "local"))
                tx.put(msgspec.structs.replace(table, routes=kept))
        return ec2.DisassociateVpcCidrBlockResult(vpc_id=vpc.id, cidr_block_association=_view(block, "disassociated"))


def _view(block: CidrAssociation, state: ec2.VpcCidrBlockStateCode) -> ec2.VpcCidrBlockAssociation:
    return ec2.VpcCidrBlockAssociation(
        association_id=block.id, cidr_block=block.cidr, cidr_block_state=ec2.VpcCidrBlockState(state=state)
    )
