"""Network interfaces: all are shown, those that users made can be changed and deleted.

An interface that a user made lives on no host, because there is no instance to attach it to:
it holds an address of its subnet, and clients that expect it to exist find it.
"""

from __future__ import annotations

import ipaddress

from msgspec.structs import replace

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import bad_value, invalid_combination, invalid_value, not_permitted, unsupported
from openecs.api.ec2.interface_records import attachment_id, region_interfaces
from openecs.api.ec2.interface_view import interface_fields, shown_groups, shown_interface
from openecs.api.ec2.resources import INTERFACE, SECURITY_GROUP, SUBNET
from openecs.api.ec2.unserved import refuse_set
from openecs.control.interfaces import make_interface
from openecs.errors import AWSError
from openecs.model.network_interface import Interface
from openecs.model.record import changed
from openecs.model.vpc import RESERVED_ADDRESSES, VpcSubnet
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class NetworkInterfaces:
    """The operations on network interfaces."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateNetworkInterface": self.create,
            "DescribeNetworkInterfaces": self.describe,
            "DescribeNetworkInterfaceAttribute": self.describe_attribute,
            "ModifyNetworkInterfaceAttribute": self.modify_attribute,
            "DetachNetworkInterface": self.detach,
            "DeleteNetworkInterface": self.delete,
        }

    def create(self, call: Call, request: ec2.CreateNetworkInterfaceRequest) -> ec2.CreateNetworkInterfaceResult:
        """Make an interface with one address of the subnet."""
        refuse_set(
            request, "ipv4_prefixes", "ipv4_prefix_count", "ipv6_prefixes", "ipv6_prefix_count", "enable_primary_ipv6",
            "connection_tracking_specification", "operator", "secondary_private_ip_address_count", "ipv6_addresses",
            "ipv6_address_count",
        )  # fmt: skip
        if request.interface_type is not None:
            raise unsupported(f"The interface type {request.interface_type}")
        subnet: VpcSubnet = SUBNET.find(self._state, call.region, request.subnet_id)
        groups = self._groups(call, request.groups or (), subnet.vpc_id)
        tags = tagging.at_creation(request.tag_specifications, INTERFACE)
        token = request.client_token
        for known in self._state.interfaces.by("subnet", subnet.id) if token else ():
            if known.client_token == token:
                return ec2.CreateNetworkInterfaceResult(
                    network_interface=shown_interface(self._state, known), client_token=token
                )
        address = self._address(request, subnet)
        made = make_interface(
            self._state, subnet, groups=groups, description=request.description or "", ids=call.ids, now=call.now,
            address=address,
        )  # fmt: skip
        if made is None:
            raise AWSError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of "
                "addresses.",
            )
        made = changed(made, client_token=token)
        with self._state.transaction() as tx:
            tx.put(made)
            tagging.give(tx, self._state, made.id, tags.get(INTERFACE.resource_type, ()))
        return ec2.CreateNetworkInterfaceResult(
            network_interface=shown_interface(self._state, made), client_token=token
        )

    def describe(
        self, call: Call, request: ec2.DescribeNetworkInterfacesRequest
    ) -> ec2.DescribeNetworkInterfacesResult:
        """The interfaces of the region, those of tasks and load balancers among them."""
        page, token = self._describer.select(
            call,
            INTERFACE,
            region_interfaces(self._state, call.region),
            interface_fields(self._state),
            ids=request.network_interface_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        shown = tuple(shown_interface(self._state, interface) for interface in page)
        return ec2.DescribeNetworkInterfacesResult(network_interfaces=shown, next_token=token)

    def describe_attribute(
        self, call: Call, request: ec2.DescribeNetworkInterfaceAttributeRequest
    ) -> ec2.DescribeNetworkInterfaceAttributeResult:
        """One attribute of an interface."""
        interface = self._find(call, request.network_interface_id)
        answer = ec2.DescribeNetworkInterfaceAttributeResult(network_interface_id=interface.id)
        match request.attribute:
            case "description":
                return replace(answer, description=ec2.AttributeValue(value=interface.description))
            case "groupSet":
                return replace(answer, groups=shown_groups(self._state, interface.security_groups))
            case "sourceDestCheck":
                checked = ec2.AttributeBooleanValue(value=interface.source_dest_check)
                return replace(answer, source_dest_check=checked)
            case "attachment":
                return replace(answer, attachment=shown_interface(self._state, interface).attachment)
            case None:
                raise AWSError("MissingParameter", "The request must contain the parameter attribute")
            case other:
                raise unsupported(f"The attribute {other}")

    def modify_attribute(self, call: Call, request: ec2.ModifyNetworkInterfaceAttributeRequest) -> None:
        """Change one attribute of an interface that a user made."""
        refuse_set(
            request, "ena_srd_specification", "enable_primary_ipv6", "connection_tracking_specification",
            "associate_public_ip_address", "associated_subnet_ids", "attachment",
        )  # fmt: skip
        interface = self._own(call, request.network_interface_id)
        wanted = [v for v in (request.description, request.source_dest_check, request.groups) if v is not None]
        if len(wanted) != 1:
            raise invalid_combination("Exactly one attribute can be changed at a time.")
        if request.description is not None:
            interface = changed(interface, description=request.description.value or "")
        elif request.source_dest_check is not None:
            if request.source_dest_check.value is None:
                raise AWSError("MissingParameter", "The request must contain the parameter SourceDestCheck.Value")
            interface = changed(interface, source_dest_check=request.source_dest_check.value)
        else:
            if not request.groups:
                raise bad_value("", "securityGroupId", "An interface has one security group at least.")
            groups = self._groups(call, request.groups, interface.vpc_id)
            interface = changed(interface, security_groups=groups)
        with self._state.transaction() as tx:
            tx.put(interface)

    def detach(self, call: Call, request: ec2.DetachNetworkInterfaceRequest) -> None:
        """Refused: what is attached belongs to a task, a load balancer or a gateway."""
        for interface in region_interfaces(self._state, call.region):
            if attachment_id(interface) == request.attachment_id:
                raise not_permitted(f"You are not allowed to manage '{interface.requester_id}' attachments.")
        message = f"The attachment ID '{request.attachment_id[:256]}' does not exist"
        raise AWSError("InvalidAttachmentID.NotFound", message)

    def delete(self, call: Call, request: ec2.DeleteNetworkInterfaceRequest) -> None:
        """Delete an interface that nothing uses; its elastic address stays with its owner."""
        interface = self._find(call, request.network_interface_id)
        if interface.status == "in-use":
            raise invalid_value(f"Network interface '{interface.id}' is currently in use.")
        interface = self._own(call, interface.id)
        with self._state.transaction() as tx:
            address = self._state.elastic_addresses.get(interface.allocation_id or "")
            if address is not None:
                tx.put(changed(address, association_id=None, network_interface_id=None, private_ip=None))
            tx.delete(interface)
            tagging.forget(tx, self._state, interface.id)

    def _find(self, call: Call, interface_id: str) -> Interface:
        for interface in region_interfaces(self._state, call.region):
            if interface.id == interface_id:
                return interface
        raise INTERFACE.missing(interface_id)

    def _own(self, call: Call, interface_id: str) -> Interface:
        """An interface that a user made.  Raises OperationNotPermitted for those of services."""
        interface = self._find(call, interface_id)
        if interface.requester_id is not None:
            text = f"You do not have permission to change {interface.id}, which is managed by {interface.requester_id}."
            raise not_permitted(text)
        return interface

    def _groups(self, call: Call, groups: tuple[str, ...], vpc_id: str) -> tuple[str, ...]:
        for group_id in groups:
            group = SECURITY_GROUP.find(self._state, call.region, group_id)
            if group.vpc_id != vpc_id:
                text = f"Security group {group_id} and the subnet belong to different networks."
                raise AWSError("InvalidParameter", text)
        return tuple(dict.fromkeys(groups))

    def _address(self, request: ec2.CreateNetworkInterfaceRequest, subnet: VpcSubnet) -> str | None:
        """The address that the request names; ``None`` when it names none."""
        named = [request.private_ip_address] if request.private_ip_address else []
        named += [each.private_ip_address for each in request.private_ip_addresses or () if each.private_ip_address]
        if len(set(named)) > 1:
            raise unsupported("A second address of an interface")
        if not named:
            return None
        try:
            address = ipaddress.IPv4Address(named[0])
        except ValueError:
            raise bad_value(named[0], "privateIpAddress", "This is not a valid IP address.") from None
        network = ipaddress.IPv4Network(subnet.cidr)
        if address not in network:
            raise invalid_value("Address does not fall within the subnet's address range")
        if int(address) - int(network.network_address) < RESERVED_ADDRESSES or address == network.broadcast_address:
            raise invalid_value("Address is in subnet's reserved address range")
        if str(address) in self._state.addresses:
            raise AWSError("InvalidIPAddress.InUse", f"Address {address} is in use.")
        return str(address)
