"""The network that every region of an installation starts with.

A VPC with one subnet in each of three zones and one security group.  Their ids are derived
from account and region, so they are the same after every restart without being stored.
The regions share the installation's one address range, because their tasks run on the same
hosts: an address belongs to one task of one region at a time.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from openecs.model.record import Record

DEFAULT_RANGE = "10.208.0.0/16"
#: Network, gateway, resolver, reserved: the first four addresses of a subnet, as on AWS.
RESERVED_ADDRESSES = 4


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
    """The default network of one region."""

    vpc_id: str
    subnets: tuple[Subnet, ...]
    security_group_id: str

    def subnet(self, subnet_id: str) -> Subnet | None:
        """The subnet of that id."""
        return next((s for s in self.subnets if s.id == subnet_id), None)

    def unknown_security_groups(self, ids: Iterable[str]) -> list[str]:
        """Those of the given security groups that do not exist."""
        return [group for group in ids if group != self.security_group_id]


def region_network(account: str, region: str, cidr: str = DEFAULT_RANGE) -> RegionNetwork:
    """The default network of a region in an installation with that address range."""

    def make_id(prefix: str, what: str) -> str:
        digest = hashlib.sha256(f"{account}/{region}/{what}".encode()).hexdigest()
        return f"{prefix}-0{digest[:16]}"

    blocks = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
    subnets = tuple(
        Subnet(id=make_id("subnet", zone), availability_zone=region + zone, cidr=str(block))
        for zone, block in zip("abc", blocks, strict=False)
    )
    return RegionNetwork(vpc_id=make_id("vpc", "default"), subnets=subnets, security_group_id=make_id("sg", "default"))
