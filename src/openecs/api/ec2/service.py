"""All of EC2 that is served: its handlers put together, each region's default network made first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openecs.api.ec2.absent import AbsentResources
from openecs.api.ec2.addresses import ElasticAddresses
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.dhcp_options import DhcpOptionSets
from openecs.api.ec2.dry_run import respected
from openecs.api.ec2.endpoint_services import EndpointServices
from openecs.api.ec2.group_lookup import GroupLookup
from openecs.api.ec2.instances import Instances
from openecs.api.ec2.internet_gateways import InternetGateways
from openecs.api.ec2.launch_templates import LaunchTemplates
from openecs.api.ec2.nat_gateways import NatGateways
from openecs.api.ec2.network_acls import NetworkAcls
from openecs.api.ec2.network_interfaces import NetworkInterfaces
from openecs.api.ec2.prefix_lists import PrefixLists
from openecs.api.ec2.regions import Regions
from openecs.api.ec2.route_associations import RouteAssociations
from openecs.api.ec2.route_tables import RouteTables
from openecs.api.ec2.routes import Routes
from openecs.api.ec2.security_group_rules import SecurityGroupRules
from openecs.api.ec2.security_groups import SecurityGroups
from openecs.api.ec2.subnets import Subnets
from openecs.api.ec2.tagging import Ec2Tagging
from openecs.api.ec2.vpc_cidrs import VpcCidrs
from openecs.api.ec2.vpc_endpoints import VpcEndpoints
from openecs.api.ec2.vpcs import Vpcs
from openecs.control.region_networks import RegionNetworks
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination


class Ec2:
    """The operations of EC2."""

    def __init__(self, state: State, pagination: Pagination, networks: RegionNetworks) -> None:
        self._networks = networks
        describer = Describer(state, pagination)
        lookup = GroupLookup(state, networks)
        self._parts: tuple[Handlers, ...] = (
            Vpcs(state, describer, networks).handlers(),
            VpcCidrs(state, networks).handlers(),
            Subnets(state, describer, networks).handlers(),
            SecurityGroups(state, describer, networks, lookup).handlers(),
            SecurityGroupRules(state, describer, lookup).handlers(),
            NetworkAcls(state, describer).handlers(),
            Ec2Tagging(state, describer).handlers(),
            ElasticAddresses(state, describer, networks).handlers(),
            InternetGateways(state, describer).handlers(),
            NatGateways(state, describer).handlers(),
            NetworkInterfaces(state, describer).handlers(),
            RouteTables(state, describer).handlers(),
            RouteAssociations(state).handlers(),
            Routes(state).handlers(),
            PrefixLists(describer).handlers(),
            VpcEndpoints(state, describer).handlers(),
            EndpointServices(describer).handlers(),
            LaunchTemplates(state, describer).handlers(),
            DhcpOptionSets(describer, networks).handlers(),
            Instances(state, describer).handlers(),
            Regions(networks).handlers(),
            AbsentResources().handlers(),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler.  Raises ``ValueError`` for two handlers of one operation."""
        merged: dict[str, Callable[[Call, Any], Any]] = {}
        for part in self._parts:
            twice = sorted(set(part) & set(merged))
            if twice:
                raise ValueError(f"two handlers for {', '.join(twice)}")
            merged |= part
        return prepared(respected(merged), self._networks)


def prepared(handlers: Handlers, networks: RegionNetworks) -> Handlers:
    """The handlers, before each of which the caller's region gets its default network."""
    return {name: _preparing(handler, networks) for name, handler in handlers.items()}


def _preparing(handler: Callable[[Call, Any], Any], networks: RegionNetworks) -> Callable[[Call, Any], Any]:
    def answer(call: Call, request: Any) -> Any:
        networks.ensure(call.region)
        return handler(call, request)

    return answer
