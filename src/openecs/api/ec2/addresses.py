"""Elastic IP addresses: of the installation's own pool of public addresses.

They are public as far as an installation's own hosts are: those reach them, the Internet does not.
"""

from __future__ import annotations

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import bad_value, missing, not_permitted, unsupported
from openecs.api.ec2.filters import Fields, matching, one
from openecs.api.ec2.interface_records import region_interfaces
from openecs.api.ec2.resources import ELASTIC_ADDRESS, INTERFACE, new_id
from openecs.api.ec2.unserved import refuse_set
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.network_interface import Interface
from openecs.model.record import changed
from openecs.model.route_table import ElasticAddress
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class ElasticAddresses:
    """The operations on elastic addresses."""

    def __init__(self, state: State, describer: Describer, networks: RegionNetworks) -> None:
        self._state = state
        self._describer = describer
        self._networks = networks

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "AllocateAddress": self.allocate,
            "DescribeAddresses": self.describe,
            "DescribeAddressesAttribute": self.describe_attribute,
            "AssociateAddress": self.associate,
            "DisassociateAddress": self.disassociate,
            "ReleaseAddress": self.release,
        }

    def allocate(self, call: Call, request: ec2.AllocateAddressRequest) -> ec2.AllocateAddressResult:
        """Take an address from the pool."""
        refuse_set(request, "address", "customer_owned_ipv4_pool", "ipam_pool_id")
        if request.domain == "standard":
            raise unsupported("An address outside of VPCs (the domain 'standard')")
        if request.public_ipv4_pool not in (None, "amazon"):
            raise unsupported(f"The address pool {request.public_ipv4_pool}")
        if request.network_border_group not in (None, call.region):
            raise bad_value(request.network_border_group, "networkBorderGroup", f"The group here is {call.region}.")
        tags = tagging.at_creation(request.tag_specifications, ELASTIC_ADDRESS)
        public_ip = self._state.addresses.next_public(self._networks.public_pool)
        if public_ip is None:
            raise AWSError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        address = ElasticAddress(
            allocation_id=new_id(ELASTIC_ADDRESS.prefix, call.ids),
            region=call.region,
            owner=call.account,
            public_ip=public_ip,
        )
        with self._state.transaction() as tx:
            tx.put(address)
            tagging.give(tx, self._state, address.key, tags.get(ELASTIC_ADDRESS.resource_type, ()))
        return ec2.AllocateAddressResult(
            allocation_id=address.allocation_id,
            public_ipv4_pool="amazon",
            network_border_group=call.region,
            domain="vpc",
            public_ip=public_ip,
        )

    def describe(self, call: Call, request: ec2.DescribeAddressesRequest) -> ec2.DescribeAddressesResult:
        """The region's elastic addresses, all in one reply, as on AWS."""
        by_ip = {address.public_ip: address for address in self._state.elastic_addresses.by("region", call.region)}
        chosen = dict.fromkeys(by_ip.values()) if not request.public_ips and not request.allocation_ids else {}
        for public_ip in request.public_ips or ():
            if public_ip not in by_ip:
                raise _no_address(public_ip)
            chosen[by_ip[public_ip]] = None
        for allocation_id in request.allocation_ids or ():
            chosen[ELASTIC_ADDRESS.find(self._state, call.region, allocation_id)] = None
        found = matching(chosen, request.filters, _fields(call.region), lambda a: tagging.tags_of(self._state, a.key))
        return ec2.DescribeAddressesResult(addresses=tuple(self._shown(address) for address in found))

    def describe_attribute(
        self, call: Call, request: ec2.DescribeAddressesAttributeRequest
    ) -> ec2.DescribeAddressesAttributeResult:
        """The addresses without names of their own in DNS: none can be given here."""
        known = self._state.elastic_addresses.by("region", call.region)
        for allocation_id in request.allocation_ids or ():
            ELASTIC_ADDRESS.find(self._state, call.region, allocation_id)
        chosen = [a for a in known if not request.allocation_ids or a.allocation_id in request.allocation_ids]
        page, token = self._describer.page(
            call,
            chosen,
            key=lambda address: address.allocation_id,
            scope=request.allocation_ids,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        shown = tuple(ec2.AddressAttribute(public_ip=a.public_ip, allocation_id=a.allocation_id) for a in page)
        return ec2.DescribeAddressesAttributeResult(addresses=shown, next_token=token)

    def associate(self, call: Call, request: ec2.AssociateAddressRequest) -> ec2.AssociateAddressResult:
        """Give an address to an interface that a user made."""
        refuse_set(request, "instance_id")
        if not request.network_interface_id:
            raise missing("networkInterfaceId")
        address = self._find(call, request.allocation_id, request.public_ip)
        interface = self._interface(call, request.network_interface_id)
        if request.private_ip_address not in (None, interface.private_ip):
            text = f"is not assigned to interface {interface.id}"
            raise AWSError("InvalidParameterValue", f"Address {request.private_ip_address} {text}")
        if address.network_interface_id == interface.id and address.association_id:
            return ec2.AssociateAddressResult(association_id=address.association_id)
        again = bool(request.allow_reassociation)
        if address.association_id is not None and not again:
            raise _taken(address.allocation_id, address.association_id)
        if interface.association_id is not None and not again:
            raise _taken(interface.id, interface.association_id)
        association_id = new_id("eipassoc", call.ids)
        with self._state.transaction() as tx:
            if address.network_interface_id is not None:
                before = self._interface(call, address.network_interface_id)
                tx.put(changed(before, public_ip=None, allocation_id=None, association_id=None))
            other = self._state.elastic_addresses.get(interface.allocation_id or "")
            if other is not None:
                tx.put(changed(other, association_id=None, network_interface_id=None, private_ip=None))
            tx.put(
                changed(
                    address,
                    association_id=association_id,
                    network_interface_id=interface.id,
                    private_ip=interface.private_ip,
                )
            )
            tx.put(
                changed(
                    interface,
                    public_ip=address.public_ip,
                    allocation_id=address.allocation_id,
                    association_id=association_id,
                )
            )
        return ec2.AssociateAddressResult(association_id=association_id)

    def disassociate(self, call: Call, request: ec2.DisassociateAddressRequest) -> None:
        """Take an address from its interface; the address stays allocated."""
        known = self._state.elastic_addresses.by("region", call.region)
        if request.association_id:
            address = next((a for a in known if a.association_id == request.association_id), None)
            if address is None:
                message = f"The association ID '{request.association_id[:256]}' does not exist"
                raise AWSError("InvalidAssociationID.NotFound", message)
        else:
            address = self._find(call, None, request.public_ip)
            if address.association_id is None:
                return
        interface = self._interface(call, address.network_interface_id or "")
        with self._state.transaction() as tx:
            tx.put(changed(address, association_id=None, network_interface_id=None, private_ip=None))
            tx.put(changed(interface, public_ip=None, allocation_id=None, association_id=None))

    def release(self, call: Call, request: ec2.ReleaseAddressRequest) -> None:
        """Give an address that nothing uses back to the pool."""
        address = self._find(call, request.allocation_id, request.public_ip)
        if address.association_id is not None:
            raise AWSError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
        with self._state.transaction() as tx:
            tx.delete(address)
            tagging.forget(tx, self._state, address.key)

    def _find(self, call: Call, allocation_id: str | None, public_ip: str | None) -> ElasticAddress:
        if allocation_id:
            found: ElasticAddress = ELASTIC_ADDRESS.find(self._state, call.region, allocation_id)
            return found
        if not public_ip:
            raise missing("allocationId")
        for address in self._state.elastic_addresses.by("region", call.region):
            if address.public_ip == public_ip:
                return address
        raise _no_address(public_ip)

    def _interface(self, call: Call, interface_id: str) -> Interface:
        """An interface that users may give addresses to."""
        for interface in region_interfaces(self._state, call.region):
            if interface.id == interface_id:
                if interface.requester_id is not None:
                    raise not_permitted(f"You are not allowed to manage '{interface.requester_id}' attachments.")
                return interface
        raise INTERFACE.missing(interface_id)

    def _shown(self, address: ElasticAddress) -> ec2.Address:
        interface = self._state.interfaces.get(address.network_interface_id or "")
        return ec2.Address(
            allocation_id=address.allocation_id,
            association_id=address.association_id,
            domain="vpc",
            network_interface_id=address.network_interface_id,
            network_interface_owner_id=interface.owner if interface is not None else None,
            private_ip_address=address.private_ip,
            public_ip=address.public_ip,
            public_ipv4_pool="amazon",
            network_border_group=address.region,
            subnet_id=interface.subnet_id if interface is not None else None,
            tags=tagging.shown(self._state, address.key),
        )


def _fields(region: str) -> Fields[ElasticAddress]:
    return {
        "allocation-id": lambda a: one(a.allocation_id),
        "association-id": lambda a: one(a.association_id),
        "domain": lambda _: one("vpc"),
        "instance-id": lambda _: (),
        "network-border-group": lambda _: one(region),
        "network-interface-id": lambda a: one(a.network_interface_id),
        "network-interface-owner-id": lambda a: one(a.owner if a.network_interface_id else None),
        "private-ip-address": lambda a: one(a.private_ip),
        "public-ip": lambda a: one(a.public_ip),
    }


def _no_address(public_ip: str) -> AWSError:
    return AWSError("InvalidAddress.NotFound", f"Address '{public_ip[:64]}' not found.")


def _taken(what: str, association_id: str) -> AWSError:
    message = f"resource {what} is already associated with associate-id {association_id}"
    return AWSError("Resource.AlreadyAssociated", message)
