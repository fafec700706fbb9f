"""Subnets, addresses and security groups of load balancers: checking what was asked, making interfaces."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from openecs.api.elbv2 import errors
from openecs.control.interfaces import make_interface
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.load_balancer import BalancerZone, LoadBalancer
from openecs.model.network_interface import Interface
from openecs.model.record import changed
from openecs.model.route_table import ElasticAddress
from openecs.model.vpc import RESERVED_ADDRESSES, VpcSubnet
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call

MOST_GROUPS = 5


class Wanted(NamedTuple):
    """A subnet that a load balancer is to be in."""

    subnet: VpcSubnet
    allocation_id: str | None = None
    private_address: str | None = None


def wanted_subnets(
    state: State,
    call: Call,
    subnets: Iterable[str] | None,
    mappings: Iterable[elbv2.SubnetMapping] | None,
    *,
    kind: str,
    scheme: str,
) -> tuple[Wanted, ...]:
    """What was asked for, checked.  Raises AWS's refusals."""
    if subnets and mappings:
        raise errors.validation_error("'Subnets' and 'SubnetMappings' cannot be specified at the same time")
    asked = [elbv2.SubnetMapping(subnet_id=subnet) for subnet in subnets or ()] or list(mappings or ())
    if not asked:
        raise errors.validation_error("At least one subnet must be specified")
    found = tuple(_wanted(state, call, mapping, kind, scheme) for mapping in asked)
    zones = [wanted.subnet.availability_zone for wanted in found]
    if kind == "application" and len(set(zones)) < 2:
        raise errors.validation_error("At least two subnets in two different Availability Zones must be specified")
    if len(set(zones)) < len(zones):
        raise errors.invalid_configuration(
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
        )
    vpcs = {wanted.subnet.vpc_id for wanted in found}
    if len(vpcs) > 1:
        raise errors.invalid_configuration("All subnets must be in the same VPC")
    vpc = vpcs.pop()
    if scheme == "internet-facing" and not state.internet_gateways.by("vpc", vpc):
        raise AWSError("InvalidSubnet", f"VPC {vpc} has no internet gateway")
    return found


def _wanted(state: State, call: Call, mapping: elbv2.SubnetMapping, kind: str, scheme: str) -> Wanted:
    subnet = state.subnets.get(mapping.subnet_id or "")
    if subnet is None or subnet.region != call.region:
        raise errors.subnet_not_found(mapping.subnet_id or "")
    if mapping.i_pv6_address or mapping.source_nat_ipv6_prefix:
        raise errors.not_supported("IPv6 addresses of load balancers are")
    if (mapping.allocation_id or mapping.private_i_pv4_address) and kind != "network":
        raise errors.validation_error("You cannot specify addresses for the subnets of an application load balancer")
    if mapping.allocation_id:
        if scheme != "internet-facing":
            raise errors.validation_error("You cannot specify an allocation ID for an internal load balancer")
        address = state.elastic_addresses.get(mapping.allocation_id)
        if address is None or address.region != call.region:
            raise AWSError("AllocationIdNotFound", f"The allocation ID '{mapping.allocation_id}' does not exist")
    if mapping.private_i_pv4_address and scheme != "internal":
        raise errors.validation_error(
            "You can specify a private address for the subnets of internal load balancers only"
        )
    if mapping.private_i_pv4_address:
        _check_address(subnet, mapping.private_i_pv4_address)
    return Wanted(subnet, mapping.allocation_id, mapping.private_i_pv4_address)


def _check_address(subnet: VpcSubnet, text: str) -> None:
    """Raise unless the text is an address of the subnet that an interface can have."""
    network = ipaddress.IPv4Network(subnet.cidr)
    try:
        place = int(ipaddress.IPv4Address(text)) - int(network.network_address)
    except ValueError:
        raise errors.validation_error(f"The private address '{text}' is not a valid IPv4 address") from None
    if not RESERVED_ADDRESSES <= place < network.num_addresses - 1:
        raise errors.invalid_configuration(f"The private address '{text}' is not in the subnet '{subnet.id}'")


def checked_groups(state: State, call: Call, groups: Iterable[str], vpc_id: str) -> tuple[str, ...]:
    """The security groups, which must exist in the VPC."""
    chosen = tuple(dict.fromkeys(groups))
    if len(chosen) > MOST_GROUPS:
        raise errors.invalid_configuration(f"A load balancer can have at most {MOST_GROUPS} security groups")
    for group_id in chosen:
        group = state.security_groups.get(group_id)
        if group is None or group.region != call.region:
            raise AWSError("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise errors.invalid_configuration(
                f"One or more security groups are invalid: '{group_id}' is not in the VPC '{vpc_id}'"
            )
    return chosen


def default_groups(state: State, vpc_id: str) -> tuple[str, ...]:
    """The default security group of a VPC."""
    return tuple(group.id for group in state.security_groups.by("vpc", vpc_id) if group.name == "default")


def enter_subnet(tx: Transaction, state: State, call: Call, balancer: LoadBalancer, wanted: Wanted) -> BalancerZone:
    """Give the load balancer an interface in a subnet."""
    subnet = wanted.subnet
    interface = make_interface(
        state,
        subnet,
        groups=balancer.security_groups,
        description=f"ELB {balancer_arns.full_name(balancer.arn)}",
        ids=call.ids,
        owner_arn=balancer.arn,
        requester="amazon-elb",
        now=call.now,
        address=wanted.private_address,
        interface_type="interface" if balancer.type == "application" else "network_load_balancer",
        default_group=False,
    )
    if interface is None and wanted.private_address is not None:
        raise errors.invalid_configuration(
            f"The private address '{wanted.private_address}' is not available in the subnet '{subnet.id}'"
        )
    if interface is None:
        raise AWSError("InvalidSubnet", f"Not enough IP space available in {subnet.id}")
    if wanted.allocation_id is not None:
        interface = _associate(tx, state, call, interface, wanted.allocation_id)
    tx.put(interface)
    return BalancerZone(
        subnet_id=subnet.id,
        availability_zone=subnet.availability_zone,
        interface_id=interface.id,
        allocation_id=wanted.allocation_id,
        chosen_address=wanted.private_address is not None,
    )


def leave_subnet(tx: Transaction, state: State, zone: BalancerZone) -> None:
    """Take the interface in a subnet away; an elastic address is free again."""
    interface = state.interfaces.get(zone.interface_id)
    if interface is None:
        return
    address = state.elastic_addresses.get(interface.allocation_id or "")
    if address is not None:
        tx.put(changed(address, association_id=None, network_interface_id=None, private_ip=None))
    tx.delete(interface)


def _associate(tx: Transaction, state: State, call: Call, interface: Interface, allocation_id: str) -> Interface:
    address: ElasticAddress | None = state.elastic_addresses.get(allocation_id)
    if address is None or address.association_id is not None:
        raise errors.in_use(f"The allocation ID '{allocation_id}' is already in use")
    association = f"eipassoc-0{call.ids.hex32()[:16]}"
    tx.put(
        changed(address, association_id=association, network_interface_id=interface.id, private_ip=interface.private_ip)
    )
    return changed(interface, public_ip=address.public_ip, allocation_id=allocation_id, association_id=association)
