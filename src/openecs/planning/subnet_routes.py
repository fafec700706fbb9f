"""What a subnet's route table means for a host: whether it leads outside, and what it drops.  Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal, NamedTuple

from openecs.model.route_table import InternetGateway, NatGateway, RouteTable

DEFAULT_ROUTE = "0.0.0.0/0"


class SubnetRoutes(NamedTuple):
    """Where the default route leads, and destinations that lead nowhere."""

    egress: Literal["internet", "nat", "none"]
    blackholes: tuple[str, ...] = ()


def subnet_routes(
    subnet_id: str,
    tables: Iterable[RouteTable],
    internet_gateways: Iterable[InternetGateway],
    nat_gateways: Iterable[NatGateway],
) -> SubnetRoutes:
    """The meaning of a subnet's routes; tables and gateways are those of its VPC.

    A default route leads outside through an internet gateway that is attached to the VPC, or
    through a public NAT gateway that is available and whose own subnet leads to the internet.
    """
    tables = tuple(tables)
    internet = {gateway.id for gateway in internet_gateways}
    nat = {gateway.id: gateway for gateway in nat_gateways if gateway.state == "available"}
    table = table_of(subnet_id, tables)
    if table is None:
        return SubnetRoutes("none")
    egress: Literal["internet", "nat", "none"] = "none"
    blackholes = []
    for route in table.routes:
        if route.target == "local" or not _is_ipv4(route.destination):
            continue
        if route.destination != DEFAULT_ROUTE:
            if route.target not in internet and route.target not in nat:
                blackholes.append(route.destination)
        elif route.target in internet:
            egress = "internet"
        elif route.target in nat and _works(nat[route.target], tables, internet):
            egress = "nat"
    return SubnetRoutes(egress, tuple(sorted(blackholes)))


def table_of(subnet_id: str, tables: Iterable[RouteTable]) -> RouteTable | None:
    """The subnet's route table: that which names it, or the VPC's main one."""
    main = None
    for table in tables:
        for association in table.associations:
            if association.subnet_id == subnet_id:
                return table
            if association.main:
                main = table
    return main


def _works(gateway: NatGateway, tables: Iterable[RouteTable], internet: set[str]) -> bool:
    table = table_of(gateway.subnet_id, tables)
    if gateway.connectivity_type != "public" or table is None:
        return False
    return any(route.destination == DEFAULT_ROUTE and route.target in internet for route in table.routes)


def _is_ipv4(destination: str) -> bool:
    try:
        ipaddress.IPv4Network(destination)
    except ValueError:
        return False
    return True
