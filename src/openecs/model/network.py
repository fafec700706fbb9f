"""The network that every region of an installation starts with.

A VPC with one subnet in each of three zones and one security group.  Their ids are derived
from account and region, so that they are the same in every installation of an account.
The regions share the installation's one address range, because their tasks run on the same
hosts: an address belongs to one task of one region at a time.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable

from openecs.model.record import Record

DEFAULT_RANGE = "10.208.0.0/16"
#: The first three quarters of the range are the default subnets of a region's zones.
ZONES = "abc"


class Subnet(Record, frozen=True, kw_only=True):
    """One subnet; ``cidr`` like ``10.208.0.0/18``."""

    id: str
    availability_zone: str
    cidr: str

    @property
    def gateway(self) -> str:
        """The gateway's address with the prefix length: ``10.208.0.1/18``."""
        network = ipaddress.IPv4Network(self.cidr)
        return f"{network.network_address + 1}/{network.prefixlen}"


class RegionNetwork(Record, frozen=True, kw_only=True):
    """The default network of one region as it is made: the names and blocks of its parts.

    State keeps the parts themselves, which users change and delete.
    """

    vpc_id: str
    cidr: str
    subnets: tuple[Subnet, ...]
    security_group_id: str
    internet_gateway_id: str
    dhcp_options_id: str


def derived_id(account: str, region: str, prefix: str, what: str) -> str:
    """The id of a part of a region's default network: always the same for the same part."""
    digest = hashlib.sha256(f"{account}/{region}/{what}".encode()).hexdigest()
    return f"{prefix}-0{digest[:16]}"


def region_network(
    account: str, region: str, cidr: str = DEFAULT_RANGE, make_id: Callable[[str, str], str] | None = None
) -> RegionNetwork:
    """The default network of a region in an installation with that address range.

    Its ids are derived ones unless ``make_id`` gives others, by prefix and name of the part.
    """

    def derived(prefix: str, what: str) -> str:
        return derived_id(account, region, prefix, what)

    make_id = make_id or derived
    blocks = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
    subnets = tuple(
        Subnet(id=make_id("subnet", zone), availability_zone=region + zone, cidr=str(block))
        for zone, block in zip(ZONES, blocks, strict=False)
    )
    return RegionNetwork(
        vpc_id=make_id("vpc", "default"),
        cidr=cidr,
        subnets=subnets,
        security_group_id=make_id("sg", "default"),
        internet_gateway_id=make_id("igw", "default"),
        dhcp_options_id=make_id("dopt", "default"),
    )


def public_pool(cidr: str = DEFAULT_RANGE) -> ipaddress.IPv4Network:
    """The part of an installation's range that public addresses come from: its last quarter."""
    return list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))[-1]
