"""Network interfaces as replies show them, and the filters that look at them."""

from __future__ import annotations

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.interface_records import attachment_id, private_dns_name
from openecs.api.ec2.resources import zone_id
from openecs.model.network_interface import Interface
from openecs.shapes import ec2
from openecs.state.state import State


def shown_interface(state: State, interface: Interface) -> ec2.NetworkInterface:
    """One interface as DescribeNetworkInterfaces shows it."""
    association = shown_association(interface)
    name = private_dns_name(interface)
    return ec2.NetworkInterface(
        network_interface_id=interface.id,
        association=association,
        attachment=_attachment(interface),
        availability_zone=interface.availability_zone,
        availability_zone_id=zone_id(interface.region, interface.availability_zone),
        description=interface.description,
        groups=shown_groups(state, interface.security_groups),
        interface_type=interface.interface_type,
        ipv6_addresses=(),
        mac_address=interface.mac_address,
        owner_id=interface.owner,
        private_dns_name=name,
        private_ip_address=interface.private_ip,
        private_ip_addresses=(
            ec2.NetworkInterfacePrivateIpAddress(
                association=association,
                primary=True,
                private_dns_name=name,
                private_ip_address=interface.private_ip,
            ),
        ),
        requester_id=interface.requester_id,
        requester_managed=interface.requester_id is not None,
        source_dest_check=interface.source_dest_check,
        status=interface.status,
        subnet_id=interface.subnet_id,
        tag_set=tagging.shown(state, interface.id),
        vpc_id=interface.vpc_id,
        operator=ec2.OperatorResponse(managed=False),
    )


def shown_association(interface: Interface) -> ec2.NetworkInterfaceAssociation | None:
    """The public address of an interface; one without an elastic address belongs to Amazon."""
    if interface.public_ip is None:
        return None
    return ec2.NetworkInterfaceAssociation(
        allocation_id=interface.allocation_id,
        association_id=interface.association_id,
        ip_owner_id=interface.owner if interface.allocation_id else "amazon",
        public_dns_name="",
        public_ip=interface.public_ip,
    )


def shown_groups(state: State, group_ids: tuple[str, ...]) -> tuple[ec2.GroupIdentifier, ...]:
    """Security groups by id and name."""
    groups = []
    for group_id in group_ids:
        group = state.security_groups.get(group_id)
        groups.append(ec2.GroupIdentifier(group_id=group_id, group_name=group.name if group is not None else None))
    return tuple(groups)


def _attachment(interface: Interface) -> ec2.NetworkInterfaceAttachment | None:
    at = attachment_id(interface)
    if at is None:
        return None
    return ec2.NetworkInterfaceAttachment(
        attachment_id=at,
        attach_time=interface.created_at,
        delete_on_termination=interface.interface_type == "interface",
        device_index=1,
        network_card_index=0,
        instance_owner_id=interface.requester_id or interface.owner,
        status="attached",
    )


def _attached(interface: Interface, value: object) -> tuple[str | None, ...]:
    return one(value if interface.status == "in-use" else None)


def interface_fields(state: State) -> Fields[Interface]:
    """The filters of DescribeNetworkInterfaces."""

    def group_names(interface: Interface) -> list[str | None]:
        groups = (state.security_groups.get(group_id) for group_id in interface.security_groups)
        return [group.name for group in groups if group is not None]

    def ip_owner(interface: Interface) -> tuple[str | None, ...]:
        association = shown_association(interface)
        return one(association.ip_owner_id if association else None)

    return {
        "addresses.association.owner-id": ip_owner,
        "addresses.association.public-ip": lambda i: one(i.public_ip),
        "addresses.primary": lambda _: one("true"),
        "addresses.private-ip-address": lambda i: one(i.private_ip),
        "association.allocation-id": lambda i: one(i.allocation_id),
        "association.association-id": lambda i: one(i.association_id),
        "association.ip-owner-id": ip_owner,
        "association.public-dns-name": lambda _: (),
        "association.public-ip": lambda i: one(i.public_ip),
        "attachment.attach-time": lambda i: _attached(i, i.created_at),
        "attachment.attachment-id": lambda i: one(attachment_id(i)),
        "attachment.delete-on-termination": lambda i: _attached(i, value=i.interface_type == "interface"),
        "attachment.device-index": lambda i: _attached(i, 1),
        "attachment.instance-id": lambda _: (),
        "attachment.instance-owner-id": lambda i: _attached(i, i.requester_id or i.owner),
        "attachment.status": lambda i: _attached(i, "attached"),
        "availability-zone": lambda i: one(i.availability_zone),
        "availability-zone-id": lambda i: one(zone_id(i.region, i.availability_zone)),
        "description": lambda i: one(i.description),
        "group-id": lambda i: i.security_groups,
        "group-name": group_names,
        "interface-type": lambda i: one(i.interface_type),
        "ipv6-addresses.ipv6-address": lambda _: (),
        "mac-address": lambda i: one(i.mac_address),
        "network-interface-id": lambda i: one(i.id),
        "operator.managed": lambda _: one("false"),
        "operator.principal": lambda _: (),
        "owner-id": lambda i: one(i.owner),
        "private-dns-name": lambda i: one(private_dns_name(i)),
        "private-ip-address": lambda i: one(i.private_ip),
        "requester-id": lambda i: one(i.requester_id),
        "requester-managed": lambda i: one(i.requester_id is not None),
        "source-dest-check": lambda i: one(i.source_dest_check),
        "status": lambda i: one(i.status),
        "subnet-id": lambda i: one(i.subnet_id),
        "vpc-id": lambda i: one(i.vpc_id),
    }
