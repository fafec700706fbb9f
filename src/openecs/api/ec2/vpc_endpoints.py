"""VPC endpoints: kept because AWS clients need them to exist; they have no effect.

On AWS an endpoint is a way to AWS's services that does not lead through the Internet.  Here
programs reach OpenECS's own endpoint from every subnet, and AWS's services, where they may, by
way of the Internet.  So an endpoint has no interface, no addresses and no DNS entries, and its
policy and security groups judge nothing.
"""

from __future__ import annotations

from typing import Any

from openecs.api.ec2 import endpoint_policy
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.client_tokens import made_before
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.endpoint_services import no_service, service_types
from openecs.api.ec2.errors import bad_value, missing, unsupported
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.interface_view import shown_groups
from openecs.api.ec2.prefix_lists import prefix_list_id
from openecs.api.ec2.resources import ROUTE_TABLE, SECURITY_GROUP, SUBNET, VPC, VPC_ENDPOINT, Kind, new_id
from openecs.api.ec2.unserved import refuse_set
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.vpc_extras import VpcEndpoint
from openecs.planning.new_vpc import DEFAULT_GROUP
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

#: The policy of an endpoint that was given none.
FULL_ACCESS = '{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'

_FIELDS: Fields[VpcEndpoint] = {
    "ip-address-type": lambda _: one("ipv4"),
    "service-name": lambda e: one(e.service_name),
    "service-region": lambda e: one(e.region),
    "vpc-id": lambda e: one(e.vpc_id),
    "vpc-endpoint-id": lambda e: one(e.id),
    "vpc-endpoint-state": lambda e: one(e.state),
    "vpc-endpoint-type": lambda e: one(e.endpoint_type),
}


class VpcEndpoints:
    """The operations on VPC endpoints."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateVpcEndpoint": self.create,
            "DescribeVpcEndpoints": self.describe,
            "ModifyVpcEndpoint": self.modify,
            "DeleteVpcEndpoints": self.delete,
        }

    def create(self, call: Call, request: ec2.CreateVpcEndpointRequest) -> ec2.CreateVpcEndpointResult:
        """Keep an endpoint to one of AWS's services."""
        refuse_set(request, "dns_options", "subnet_configurations", "service_network_arn", "resource_configuration_arn")
        if request.ip_address_type not in (None, "ipv4"):
            raise unsupported(f"The IP address type {request.ip_address_type}")
        if request.service_region not in (None, call.region):
            raise unsupported("An endpoint to a service of another region")
        vpc = VPC.find(self._state, call.region, request.vpc_id)
        kind = request.vpc_endpoint_type or "Gateway"
        name = request.service_name
        if not name:
            raise missing("serviceName")
        kinds = service_types(call.region).get(name)
        if kinds is None:
            raise no_service(name)
        if kind not in kinds:
            raise AWSError(
                "InvalidParameter", f"Endpoint type ({kind}) does not match available service types ({list(kinds)})."
            )
        known = made_before(
            self._state.vpc_endpoints.by("region", call.region),
            request.client_token,
            lambda e: (e.vpc_id, e.service_name, e.endpoint_type) == (vpc.id, name, kind),
        )
        if known is not None:
            return ec2.CreateVpcEndpointResult(vpc_endpoint=self._shown(known), client_token=request.client_token)
        self._check_kind(
            kind,
            tables=request.route_table_ids,
            subnets=request.subnet_ids,
            groups=request.security_group_ids,
            private_dns=request.private_dns_enabled,
        )
        groups = self._ids(call, SECURITY_GROUP, request.security_group_ids, vpc.id)
        if kind == "Interface" and not groups:
            groups = tuple(g.id for g in self._state.security_groups.by("vpc", vpc.id) if g.name == DEFAULT_GROUP)
        endpoint = VpcEndpoint(
            id=new_id(VPC_ENDPOINT.prefix, call.ids),
            region=call.region,
            owner=call.account,
            vpc_id=vpc.id,
            service_name=name,
            endpoint_type=kind,
            created_at=call.now,
            policy_document=_policy(request.policy_document) or FULL_ACCESS,
            route_table_ids=self._ids(call, ROUTE_TABLE, request.route_table_ids, vpc.id),
            subnet_ids=self._ids(call, SUBNET, request.subnet_ids, vpc.id),
            security_group_ids=groups,
            private_dns_enabled=bool(request.private_dns_enabled),
            client_token=request.client_token,
        )
        self._check_routes(endpoint, endpoint.route_table_ids)
        tags = tagging.at_creation(request.tag_specifications, VPC_ENDPOINT)
        with self._state.transaction() as tx:
            tx.put(endpoint)
            tagging.give(tx, self._state, endpoint.id, tags.get(VPC_ENDPOINT.resource_type, ()))
        return ec2.CreateVpcEndpointResult(vpc_endpoint=self._shown(endpoint), client_token=request.client_token)

    def describe(self, call: Call, request: ec2.DescribeVpcEndpointsRequest) -> ec2.DescribeVpcEndpointsResult:
        """The region's endpoints."""
        page, token = self._describer.select(
            call,
            VPC_ENDPOINT,
            self._state.vpc_endpoints.by("region", call.region),
            _FIELDS,
            ids=request.vpc_endpoint_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeVpcEndpointsResult(vpc_endpoints=tuple(map(self._shown, page)), next_token=token)

    def modify(self, call: Call, request: ec2.ModifyVpcEndpointRequest) -> ec2.ModifyVpcEndpointResult:
        """Change what an endpoint names."""
        refuse_set(request, "dns_options", "subnet_configurations")
        if request.ip_address_type not in (None, "ipv4"):
            raise unsupported(f"The IP address type {request.ip_address_type}")
        endpoint: VpcEndpoint = VPC_ENDPOINT.find(self._state, call.region, request.vpc_endpoint_id)
        self._check_kind(
            endpoint.endpoint_type,
            tables=request.add_route_table_ids or request.remove_route_table_ids,
            subnets=request.add_subnet_ids or request.remove_subnet_ids,
            groups=request.add_security_group_ids or request.remove_security_group_ids,
            private_dns=request.private_dns_enabled,
        )
        tables = self._ids(call, ROUTE_TABLE, request.add_route_table_ids, endpoint.vpc_id)
        subnets = self._ids(call, SUBNET, request.add_subnet_ids, endpoint.vpc_id)
        groups = self._ids(call, SECURITY_GROUP, request.add_security_group_ids, endpoint.vpc_id)
        self._check_routes(endpoint, tuple(at for at in tables if at not in endpoint.route_table_ids))
        given = _policy(request.policy_document) or endpoint.policy_document
        policy = FULL_ACCESS if request.reset_policy else given
        dns = endpoint.private_dns_enabled if request.private_dns_enabled is None else request.private_dns_enabled
        endpoint = changed(
            endpoint,
            policy_document=policy,
            route_table_ids=_edited(endpoint.route_table_ids, tables, request.remove_route_table_ids),
            subnet_ids=_edited(endpoint.subnet_ids, subnets, request.remove_subnet_ids),
            security_group_ids=_edited(endpoint.security_group_ids, groups, request.remove_security_group_ids),
            private_dns_enabled=dns,
        )
        with self._state.transaction() as tx:
            tx.put(endpoint)
        return ec2.ModifyVpcEndpointResult(return_=True)

    def delete(self, call: Call, request: ec2.DeleteVpcEndpointsRequest) -> ec2.DeleteVpcEndpointsResult:
        """Delete endpoints; those that there are not are named in the reply."""
        failed = []
        with self._state.transaction() as tx:
            for endpoint_id in dict.fromkeys(request.vpc_endpoint_ids):
                endpoint = self._state.vpc_endpoints.get(endpoint_id)
                if endpoint is None or endpoint.region != call.region:
                    error = VPC_ENDPOINT.missing(endpoint_id)
                    item = ec2.UnsuccessfulItemError(code=error.code, message=error.message)
                    failed.append(ec2.UnsuccessfulItem(error=item, resource_id=endpoint_id))
                    continue
                tx.delete(endpoint)
                tagging.forget(tx, self._state, endpoint_id)
        return ec2.DeleteVpcEndpointsResult(unsuccessful=tuple(failed))

    def _check_kind(self, kind: str, *, tables: Any, subnets: Any, groups: Any, private_dns: bool | None) -> None:
        if kind == "Gateway":
            for given, name in ((subnets, "Subnet IDs"), (groups, "Security group IDs"), (private_dns, "Private DNS")):
                if given:
                    raise AWSError("InvalidParameter", f"{name} are only supported for Interface type VPC Endpoints.")
        elif tables:
            raise AWSError("InvalidParameter", "Route table IDs are only supported for Gateway type VPC Endpoint.")

    def _check_routes(self, endpoint: VpcEndpoint, tables: tuple[str, ...]) -> None:
        """A table leads to a service by one endpoint only."""
        for other in self._state.vpc_endpoints.by("vpc", endpoint.vpc_id):
            if other.id == endpoint.id or other.service_name != endpoint.service_name:
                continue
            for table_id in tables:
                if table_id in other.route_table_ids:
                    at = prefix_list_id(endpoint.region, endpoint.service_name)
                    text = f"route table {table_id} already has a route with destination-prefix-list-id {at}"
                    raise AWSError("RouteAlreadyExists", text)

    def _ids(self, call: Call, kind: Kind, wanted: tuple[str, ...] | None, vpc_id: str) -> tuple[str, ...]:
        for resource_id in wanted or ():
            if kind.find(self._state, call.region, resource_id).vpc_id != vpc_id:
                raise bad_value(resource_id, kind.resource_type, f"It does not belong to {vpc_id}.")
        return tuple(dict.fromkeys(wanted or ()))

    def _shown(self, endpoint: VpcEndpoint) -> ec2.VpcEndpoint:
        groups = shown_groups(self._state, endpoint.security_group_ids)
        return ec2.VpcEndpoint(
            vpc_endpoint_id=endpoint.id,
            vpc_endpoint_type=endpoint.endpoint_type,
            vpc_id=endpoint.vpc_id,
            service_name=endpoint.service_name,
            state=endpoint.state,
            policy_document=endpoint.policy_document,
            route_table_ids=endpoint.route_table_ids,
            subnet_ids=endpoint.subnet_ids,
            groups=tuple(ec2.SecurityGroupIdentifier(group_id=g.group_id, group_name=g.group_name) for g in groups),
            ip_address_type="ipv4",
            private_dns_enabled=endpoint.private_dns_enabled,
            requester_managed=False,
            network_interface_ids=(),
            dns_entries=(),
            creation_timestamp=endpoint.created_at,
            tags=tagging.shown(self._state, endpoint.id),
            owner_id=endpoint.owner,
            service_region=endpoint.region,
        )


def _policy(text: str | None) -> str | None:
    """The policy that a request gives, if any; a blank one is none."""
    return endpoint_policy.checked(text) if text else None


def _edited(old: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(each for each in dict.fromkeys((*old, *added)) if each not in (removed or ()))
