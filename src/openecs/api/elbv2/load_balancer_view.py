"""Load balancers as the API shows them."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

from openecs.model.load_balancer import BalancerZone, LoadBalancer
from openecs.shapes import elbv2
from openecs.state.state import State


def hosted_zone_id(region: str, kind: str) -> str:
    """The id of the zone of a region's names: clients want one, and it is always the same."""
    digest = hashlib.sha256(f"elb/{region}/{kind}".encode()).digest()
    return "Z" + base64.b32encode(digest).decode()[:13]


def load_balancer_view(state: State, balancer: LoadBalancer) -> elbv2.LoadBalancer:
    """One load balancer."""
    return elbv2.LoadBalancer(
        load_balancer_arn=balancer.arn,
        dns_name=balancer.dns_name,
        canonical_hosted_zone_id=hosted_zone_id(balancer.region, balancer.type),
        created_time=balancer.created_at,
        load_balancer_name=balancer.name,
        scheme=balancer.scheme,
        vpc_id=balancer.vpc_id,
        state=elbv2.LoadBalancerState(code=balancer.state, reason=balancer.reason or None),
        type=balancer.type,
        availability_zones=zones_view(state, balancer),
        # Network load balancers without groups have no such member.
        security_groups=balancer.security_groups or (() if balancer.type == "application" else None),
        ip_address_type="ipv4",
        enforce_security_group_inbound_rules_on_private_link_traffic=inbound_rules(balancer),
    )


def inbound_rules(balancer: LoadBalancer) -> Literal["on"] | None:
    """AWS's default where groups filter at all; there are no private links to which it would matter."""
    return "on" if balancer.type == "network" and balancer.security_groups else None


def zones_view(state: State, balancer: LoadBalancer) -> tuple[elbv2.AvailabilityZone, ...]:
    """Its subnets with the addresses that the user chose for them."""
    return tuple(
        elbv2.AvailabilityZone(
            zone_name=zone.availability_zone,
            subnet_id=zone.subnet_id,
            load_balancer_addresses=_addresses(state, balancer, zone),
        )
        for zone in balancer.zones
    )


def _addresses(state: State, balancer: LoadBalancer, zone: BalancerZone) -> tuple[elbv2.LoadBalancerAddress, ...]:
    interface = state.interfaces.get(zone.interface_id)
    if interface is None or balancer.type != "network":
        return ()
    if zone.allocation_id is not None:
        return (elbv2.LoadBalancerAddress(ip_address=interface.public_ip, allocation_id=zone.allocation_id),)
    if zone.chosen_address:
        return (elbv2.LoadBalancerAddress(private_i_pv4_address=interface.private_ip),)
    return ()
