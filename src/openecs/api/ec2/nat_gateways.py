"""NAT gateways: what gives subnets a way out that nobody outside can use to come in.

Every host does the work of every gateway for its own tasks, so a gateway is there at once.
Packets leave with the address of their host, not with the gateway's elastic one.
"""

from __future__ import annotations

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.client_tokens import made_before
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import missing, unsupported
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.resources import ELASTIC_ADDRESS, NAT_GATEWAY, SUBNET, new_id
from openecs.api.ec2.unserved import refuse_set
from openecs.control.interfaces import make_interface
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.route_table import NatGateway
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers

#: Seconds for which a deleted gateway is still shown.
SHOWN_AFTER_END = 3600.0
REQUESTER = "amazon-nat-gateway"

_FIELDS: Fields[NatGateway] = {
    "nat-gateway-id": lambda g: one(g.id),
    "state": lambda g: one(g.state),
    "subnet-id": lambda g: one(g.subnet_id),
    "vpc-id": lambda g: one(g.vpc_id),
}


class NatGateways:
    """CreateNatGateway, DescribeNatGateways and DeleteNatGateway."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateNatGateway": self.create,
            "DescribeNatGateways": self.describe,
            "DeleteNatGateway": self.delete,
        }

    def create(self, call: Call, request: ec2.CreateNatGatewayRequest) -> ec2.CreateNatGatewayResult:
        """Make a public gateway with the elastic address that the request names."""
        if request.connectivity_type == "private":
            raise unsupported("A private NAT gateway")
        if request.availability_mode == "regional":
            raise unsupported("A regional NAT gateway")
        refuse_set(
            request, "vpc_id", "availability_zone_addresses", "private_ip_address", "secondary_allocation_ids",
            "secondary_private_ip_addresses", "secondary_private_ip_address_count",
        )  # fmt: skip
        if not request.subnet_id:
            raise missing("subnetId")
        subnet = SUBNET.find(self._state, call.region, request.subnet_id)
        tags = tagging.at_creation(request.tag_specifications, NAT_GATEWAY)
        token = request.client_token
        known = made_before(
            self._state.nat_gateways.by("region", call.region),
            token,
            lambda g: (g.subnet_id, g.allocation_id) == (subnet.id, request.allocation_id),
        )
        if known is not None:
            return ec2.CreateNatGatewayResult(nat_gateway=self._shown(known), client_token=token)
        if not request.allocation_id:
            text = (
                "The request must include the AllocationId parameter. Add the required parameter and retry the request."
            )
            raise AWSError("MissingParameter", text)
        address = ELASTIC_ADDRESS.find(self._state, call.region, request.allocation_id)
        if address.association_id is not None:
            text = f"Elastic IP address [{address.allocation_id}] is already associated"
            raise AWSError("Resource.AlreadyAssociated", text)
        if not self._state.internet_gateways.by("vpc", subnet.vpc_id):
            message = f"Network {subnet.vpc_id} has no Internet gateway attached"
            raise AWSError("Gateway.NotAttached", message)
        gateway_id = new_id(NAT_GATEWAY.prefix, call.ids)
        interface = make_interface(
            self._state, subnet, description=f"Interface for NAT Gateway {gateway_id}", ids=call.ids, now=call.now,
            owner_arn=f"arn:aws:ec2:{call.region}:{call.account}:natgateway/{gateway_id}", requester=REQUESTER,
            interface_type="nat_gateway", default_group=False,
        )  # fmt: skip
        if interface is None:
            message = f"Subnet {subnet.id} has insufficient free addresses to create this NAT gateway"
            raise AWSError("InsufficientFreeAddressesInSubnet", message)
        association_id = new_id("eipassoc", call.ids)
        gateway = NatGateway(
            id=gateway_id,
            region=call.region,
            owner=call.account,
            vpc_id=subnet.vpc_id,
            subnet_id=subnet.id,
            created_at=call.now,
            network_interface_id=interface.id,
            private_ip=interface.private_ip,
            allocation_id=address.allocation_id,
            public_ip=address.public_ip,
            association_id=association_id,
            client_token=token,
        )
        with self._state.transaction() as tx:
            self._forget_old(tx, call)
            tx.put(gateway)
            tx.put(
                changed(
                    interface,
                    source_dest_check=False,
                    public_ip=address.public_ip,
                    allocation_id=address.allocation_id,
                    association_id=association_id,
                )
            )
            tx.put(
                changed(
                    address,
                    association_id=association_id,
                    network_interface_id=interface.id,
                    private_ip=interface.private_ip,
                )
            )
            tagging.give(tx, self._state, gateway.id, tags.get(NAT_GATEWAY.resource_type, ()))
        return ec2.CreateNatGatewayResult(nat_gateway=self._shown(gateway), client_token=token)

    def describe(self, call: Call, request: ec2.DescribeNatGatewaysRequest) -> ec2.DescribeNatGatewaysResult:
        """The region's gateways, and for an hour those that were deleted."""
        page, token = self._describer.select(
            call,
            NAT_GATEWAY,
            [g for g in self._state.nat_gateways.by("region", call.region) if not _is_old(g, call.now)],
            _FIELDS,
            ids=request.nat_gateway_ids,
            filters=request.filter,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeNatGatewaysResult(nat_gateways=tuple(map(self._shown, page)), next_token=token)

    def delete(self, call: Call, request: ec2.DeleteNatGatewayRequest) -> ec2.DeleteNatGatewayResult:
        """Delete a gateway; its elastic address stays allocated, routes to it become black holes."""
        gateway: NatGateway = NAT_GATEWAY.find(self._state, call.region, request.nat_gateway_id)
        if _is_old(gateway, call.now):
            raise NAT_GATEWAY.missing(gateway.id)
        if gateway.state == "deleted":
            return ec2.DeleteNatGatewayResult(nat_gateway_id=gateway.id)
        with self._state.transaction() as tx:
            self._forget_old(tx, call)
            tx.put(changed(gateway, state="deleted", deleted_at=call.now, client_token=None))
            interface = self._state.interfaces.get(gateway.network_interface_id)
            if interface is not None:
                tx.delete(interface)
            address = self._state.elastic_addresses.get(gateway.allocation_id or "")
            if address is not None:
                tx.put(changed(address, association_id=None, network_interface_id=None, private_ip=None))
        return ec2.DeleteNatGatewayResult(nat_gateway_id=gateway.id)

    def _forget_old(self, tx: Transaction, call: Call) -> None:
        for gateway in self._state.nat_gateways.by("region", call.region):
            if _is_old(gateway, call.now):
                tx.delete(gateway)
                tagging.forget(tx, self._state, gateway.id)

    def _shown(self, gateway: NatGateway) -> ec2.NatGateway:
        subnet = self._state.subnets.get(gateway.subnet_id)
        address = ec2.NatGatewayAddress(
            allocation_id=gateway.allocation_id,
            network_interface_id=gateway.network_interface_id,
            private_ip=gateway.private_ip,
            public_ip=gateway.public_ip,
            association_id=gateway.association_id,
            is_primary=True,
            status="succeeded",
            availability_zone=subnet.availability_zone if subnet is not None else None,
        )
        return ec2.NatGateway(
            create_time=gateway.created_at,
            delete_time=gateway.deleted_at,
            nat_gateway_addresses=(address,),
            nat_gateway_id=gateway.id,
            state=gateway.state,
            subnet_id=gateway.subnet_id,
            vpc_id=gateway.vpc_id,
            tags=tagging.shown(self._state, gateway.id),
            connectivity_type=gateway.connectivity_type,
            availability_mode="zonal",
        )


def _is_old(gateway: NatGateway, now: float) -> bool:
    return gateway.deleted_at is not None and gateway.deleted_at + SHOWN_AFTER_END < now
