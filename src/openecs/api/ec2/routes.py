"""The routes of a route table.

Hosts know one decision per subnet: whether and how it reaches the outside of its VPC.  So a
route leads from everywhere (``0.0.0.0/0``, or ``::/0``, which no address of ours has) to an
internet gateway or a NAT gateway; every other route is refused.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from openecs.api.ec2.errors import bad_value, invalid_combination, invalid_value, missing, unsupported
from openecs.api.ec2.resources import INTERNET_GATEWAY, ROUTE_TABLE
from openecs.api.ec2.unserved import refuse_set
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.route_table import Route, RouteTable
from openecs.planning.new_vpc import EVERYWHERE
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

EVERYWHERE_V6 = "::/0"

#: Targets that a route can have on AWS and not here.
_OTHER_TARGETS = (
    "vpc_endpoint_id",
    "transit_gateway_id",
    "local_gateway_id",
    "carrier_gateway_id",
    "core_network_arn",
    "odb_network_arn",
    "egress_only_internet_gateway_id",
    "instance_id",
    "network_interface_id",
    "vpc_peering_connection_id",
)


class Routes:
    """CreateRoute, ReplaceRoute and DeleteRoute."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateRoute": self.create_route,
            "ReplaceRoute": self.replace_route,
            "DeleteRoute": self.delete_route,
        }

    def create_route(self, call: Call, request: ec2.CreateRouteRequest) -> ec2.CreateRouteResult:
        """Add a route; the same one again changes nothing."""
        table: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        route = self._wanted(call, table, request)
        known = _find(table, route.destination)
        if known is not None:
            if known.target == route.target:
                return ec2.CreateRouteResult(return_=True)
            raise AWSError("RouteAlreadyExists", f"The route identified by {route.destination} already exists.")
        with self._state.transaction() as tx:
            tx.put(changed(table, routes=(*table.routes, route)))
        return ec2.CreateRouteResult(return_=True)

    def replace_route(self, call: Call, request: ec2.ReplaceRouteRequest) -> None:
        """Lead a route somewhere else."""
        table: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        destination = _destination(request)
        known = _find(table, destination)
        if known is None:
            raise _no_route(table, destination, "InvalidParameterValue")
        if known.target == "local" or request.local_target:
            raise unsupported("Replacing the local route")
        route = self._wanted(call, table, request)
        with self._state.transaction() as tx:
            tx.put(changed(table, routes=tuple(route if each is known else each for each in table.routes)))

    def delete_route(self, call: Call, request: ec2.DeleteRouteRequest) -> None:
        """Take a route away; the local one stays for ever."""
        table: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        destination = _destination(request)
        known = _find(table, destination)
        if known is None:
            raise _no_route(table, destination, "InvalidRoute.NotFound")
        if known.target == "local":
            raise invalid_value(f"cannot remove local route {destination} in route table {table.id}")
        with self._state.transaction() as tx:
            tx.put(changed(table, routes=tuple(each for each in table.routes if each is not known)))

    def _wanted(self, call: Call, table: RouteTable, request: Any) -> Route:
        """The route that a request describes.  Raises EC2's errors for one that cannot be."""
        destination = _destination(request)
        refuse_set(request, *_OTHER_TARGETS)
        targets = [target for target in (request.gateway_id, request.nat_gateway_id) if target]
        if not targets:
            raise missing("gatewayId")
        if len(targets) > 1:
            raise invalid_combination("A route has exactly one target.")
        target = targets[0]
        if target == "local":
            raise bad_value(target, "gatewayId", "The local route is part of every route table.")
        if destination not in (EVERYWHERE, EVERYWHERE_V6):
            if any(_within(destination, route.destination) for route in table.routes if route.target == "local"):
                raise invalid_value(
                    f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's "
                    "CIDR blocks. This route can target only an interface or an instance."
                )
            raise unsupported(f"A route to {destination}, of which only {EVERYWHERE} leads out of a VPC,")
        if request.nat_gateway_id:
            self._check_nat(call, table, target, destination)
        else:
            self._check_internet(call, table, target)
        return Route(destination=destination, target=target)

    def _check_nat(self, call: Call, table: RouteTable, target: str, destination: str) -> None:
        gateway = self._state.nat_gateways.get(target)
        if gateway is None or gateway.region != call.region or gateway.state == "deleted":
            raise AWSError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{target}' does not exist")
        if gateway.vpc_id != table.vpc_id:
            raise invalid_value(f"route table {table.id} and NAT gateway {target} belong to different networks")
        if ":" in destination:
            raise unsupported("A NAT gateway for IPv6")

    def _check_internet(self, call: Call, table: RouteTable, target: str) -> None:
        if not target.startswith("igw-"):
            kind = target.partition("-")[0]
            if kind in ("vgw", "vpce", "nat", "eigw", "tgw"):
                raise unsupported(f"A route to {target} as its gateway")
        gateway = INTERNET_GATEWAY.find(self._state, call.region, target)
        if gateway.vpc_id != table.vpc_id:
            raise invalid_value(f"route table {table.id} and network gateway {target} belong to different networks")


def _destination(request: Any) -> str:
    """The destination as EC2 keeps it: without bits behind the prefix."""
    refuse_set(request, "destination_prefix_list_id")
    v4, v6 = request.destination_cidr_block, request.destination_ipv6_cidr_block
    if not v4 and not v6:
        raise missing("destinationCidrBlock")
    if v4 and v6:
        raise invalid_combination("A route has exactly one destination.")
    given, member = (v4, "destinationCidrBlock") if v4 else (v6, "destinationIpv6CidrBlock")
    try:
        if "/" not in given:
            raise ValueError(given)
        return str((ipaddress.IPv4Network if v4 else ipaddress.IPv6Network)(given, strict=False))
    except ValueError:
        raise bad_value(given, member, "This is not a valid CIDR block.") from None


def _within(destination: str, block: str) -> bool:
    if ":" in destination:
        return False
    return ipaddress.IPv4Network(destination).subnet_of(ipaddress.IPv4Network(block))


def _find(table: RouteTable, destination: str) -> Route | None:
    return next((route for route in table.routes if route.destination == destination), None)


def _no_route(table: RouteTable, destination: str, code: str) -> AWSError:
    words = (
        "There is no route defined for" if code == "InvalidParameterValue" else "no route with destination-cidr-block"
    )
    return AWSError(code, f"{words} {destination} in route table {table.id}")
