"""VPCs and their subnets as state keeps them.

The addresses of one installation are one space: its hosts route each address to one interface,
so two VPCs of it never overlap (``model.network`` says where the default VPCs lie).
"""

from __future__ import annotations

import ipaddress

from openecs.model.record import Record

#: Network, gateway, resolver, reserved: the first four addresses of a subnet, as on AWS.
RESERVED_ADDRESSES = 4


class CidrAssociation(Record, frozen=True, kw_only=True):
    """One CIDR block of a VPC; the first one is the VPC's own."""

    id: str
    cidr: str


class Vpc(Record, frozen=True, kw_only=True):
    """One VPC."""

    id: str
    region: str
    owner: str
    #: The first is the one that the VPC was made with.
    cidrs: tuple[CidrAssociation, ...]
    is_default: bool = False
    instance_tenancy: str = "default"
    dhcp_options_id: str = ""
    enable_dns_support: bool = True
    enable_dns_hostnames: bool = False
    enable_network_address_usage_metrics: bool = False
    created_at: float = 0.0

    @property
    def key(self) -> str:
        return self.id

    @property
    def cidr(self) -> str:
        """The VPC's first CIDR block."""
        return self.cidrs[0].cidr

    @property
    def resolver(self) -> str:
        """The address at which the VPC's resolver answers on every host: the network's base plus two."""
        return str(ipaddress.IPv4Network(self.cidr).network_address + 2)


class VpcSubnet(Record, frozen=True, kw_only=True):
    """One subnet of a VPC."""

    id: str
    region: str
    owner: str
    vpc_id: str
    availability_zone: str
    cidr: str
    default_for_az: bool = False
    map_public_ip_on_launch: bool = False
    private_dns_hostname_type: str = "ip-name"
    resource_name_dns_a_record: bool = False
    created_at: float = 0.0

    @property
    def key(self) -> str:
        return self.id

    @property
    def gateway(self) -> str:
        """The gateway's address with the prefix length: ``10.208.0.1/18``."""
        network = ipaddress.IPv4Network(self.cidr)
        return f"{network.network_address + 1}/{network.prefixlen}"


class RegionSetup(Record, frozen=True, kw_only=True):
    """What a region was given once: a default network that was deleted does not come back by itself."""

    region: str

    @property
    def key(self) -> str:
        return self.region
