"""Route tables: made, shown, deleted.  Their routes and associations have modules of their own."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.client_tokens import made_before
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use
from openecs.api.ec2.filters import Field, Fields, one
from openecs.api.ec2.prefix_lists import prefix_list_id
from openecs.api.ec2.resources import ROUTE_TABLE, VPC, new_id
from openecs.model.route_table import Route, RouteTable, RouteTableAssociation
from openecs.planning.route_targets import is_active
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class RouteTables:
    """The operations on route tables as wholes."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateRouteTable": self.create_route_table,
            "DescribeRouteTables": self.describe_route_tables,
            "DeleteRouteTable": self.delete_route_table,
        }

    def create_route_table(self, call: Call, request: ec2.CreateRouteTableRequest) -> ec2.CreateRouteTableResult:
        """Make a route table that leads within its VPC only."""
        vpc = VPC.find(self._state, call.region, request.vpc_id)
        tags = tagging.at_creation(request.tag_specifications, ROUTE_TABLE)
        token = request.client_token
        known = made_before(self._state.route_tables.by("region", call.region), token, lambda t: t.vpc_id == vpc.id)
        if known is not None:
            return ec2.CreateRouteTableResult(route_table=self._shown(known), client_token=token)
        table = RouteTable(
            id=new_id(ROUTE_TABLE.prefix, call.ids),
            region=call.region,
            owner=call.account,
            vpc_id=vpc.id,
            routes=tuple(
                Route(destination=block.cidr, target="local", origin="CreateRouteTable") for block in vpc.cidrs
            ),
            client_token=token,
        )
        with self._state.transaction() as tx:
            tx.put(table)
            tagging.give(tx, self._state, table.id, tags.get(ROUTE_TABLE.resource_type, ()))
        return ec2.CreateRouteTableResult(route_table=self._shown(table), client_token=token)

    def describe_route_tables(
        self, call: Call, request: ec2.DescribeRouteTablesRequest
    ) -> ec2.DescribeRouteTablesResult:
        """The route tables of the region."""
        page, token = self._describer.select(
            call,
            ROUTE_TABLE,
            self._state.route_tables.by("region", call.region),
            self._fields(),
            ids=request.route_table_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeRouteTablesResult(route_tables=tuple(map(self._shown, page)), next_token=token)

    def delete_route_table(self, call: Call, request: ec2.DeleteRouteTableRequest) -> None:
        """Delete a route table that no subnet uses."""
        table: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        endpoints = self._state.vpc_endpoints.by("vpc", table.vpc_id)
        if table.associations or any(table.id in endpoint.route_table_ids for endpoint in endpoints):
            raise in_use(f"The routeTable '{table.id}' has dependencies and cannot be deleted.")
        with self._state.transaction() as tx:
            tx.delete(table)
            tagging.forget(tx, self._state, table.id)

    def _shown(self, table: RouteTable) -> ec2.RouteTable:
        return ec2.RouteTable(
            route_table_id=table.id,
            vpc_id=table.vpc_id,
            owner_id=table.owner,
            associations=tuple(_association(table, each) for each in table.associations),
            propagating_vgws=(),
            routes=tuple(self._routes(table)),
            tags=tagging.shown(self._state, table.id),
        )

    def _routes(self, table: RouteTable) -> Iterable[ec2.Route]:
        for route in table.routes:
            v6 = ":" in route.destination
            nat = route.target.startswith("nat-")
            yield ec2.Route(
                destination_cidr_block=None if v6 else route.destination,
                destination_ipv6_cidr_block=route.destination if v6 else None,
                gateway_id=None if nat else route.target,
                nat_gateway_id=route.target if nat else None,
                origin=route.origin,
                state="active" if is_active(self._state_of(route.target), table.vpc_id) else "blackhole",
            )
        # The routes of gateway endpoints are theirs: they come and go with the endpoint.
        for endpoint in self._state.vpc_endpoints.by("vpc", table.vpc_id):
            if table.id in endpoint.route_table_ids:
                yield ec2.Route(
                    destination_prefix_list_id=prefix_list_id(endpoint.region, endpoint.service_name),
                    gateway_id=endpoint.id,
                    origin="CreateRoute",
                    state="active",
                )

    def _state_of(self, target: str) -> object:
        if target == "local":
            return target
        return self._state.internet_gateways.get(target) or self._state.nat_gateways.get(target)

    def _fields(self) -> Fields[RouteTable]:
        def routes(name: str) -> Field[RouteTable]:
            def texts(table: RouteTable) -> Iterable[str | None]:
                return [getattr(route, name) for route in self._routes(table)]

            return texts

        return {
            "association.gateway-id": lambda t: [a.gateway_id for a in t.associations],
            "association.main": lambda t: [str(a.main).lower() for a in t.associations],
            "association.route-table-association-id": lambda t: [a.id for a in t.associations],
            "association.route-table-id": lambda t: [t.id for _ in t.associations],
            "association.subnet-id": lambda t: [a.subnet_id for a in t.associations],
            "owner-id": lambda t: one(t.owner),
            "route-table-id": lambda t: one(t.id),
            "vpc-id": lambda t: one(t.vpc_id),
            "route.destination-cidr-block": routes("destination_cidr_block"),
            "route.destination-ipv6-cidr-block": routes("destination_ipv6_cidr_block"),
            "route.destination-prefix-list-id": routes("destination_prefix_list_id"),
            "route.egress-only-internet-gateway-id": routes("egress_only_internet_gateway_id"),
            "route.gateway-id": routes("gateway_id"),
            "route.instance-id": routes("instance_id"),
            "route.nat-gateway-id": routes("nat_gateway_id"),
            "route.network-interface-id": routes("network_interface_id"),
            "route.origin": routes("origin"),
            "route.state": routes("state"),
            "route.transit-gateway-id": routes("transit_gateway_id"),
            "route.vpc-peering-connection-id": routes("vpc_peering_connection_id"),
        }


def _association(table: RouteTable, association: RouteTableAssociation) -> ec2.RouteTableAssociation:
    return ec2.RouteTableAssociation(
        main=association.main,
        route_table_association_id=association.id,
        route_table_id=table.id,
        subnet_id=association.subnet_id,
        gateway_id=association.gateway_id,
        association_state=ec2.RouteTableAssociationState(state="associated"),
    )
