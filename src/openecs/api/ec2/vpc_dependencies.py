"""What keeps VPCs, subnets and security groups from being deleted."""

from __future__ import annotations

from openecs.model.security_group import SecurityGroup
from openecs.model.vpc import Vpc, VpcSubnet
from openecs.planning.new_vpc import DEFAULT_GROUP
from openecs.state.state import State


def of_vpc(state: State, vpc: Vpc) -> bool:
    """Whether something is in the VPC that did not come with it."""
    return bool(
        state.subnets.count("vpc", vpc.id)
        or state.interfaces.count("vpc", vpc.id)
        or state.internet_gateways.count("vpc", vpc.id)
        or state.vpc_endpoints.count("vpc", vpc.id)
        or state.load_balancers.count("vpc", vpc.id)
        or any(gateway.state not in ("deleted", "failed") for gateway in state.nat_gateways.by("vpc", vpc.id))
        or any(group.name != DEFAULT_GROUP for group in state.security_groups.by("vpc", vpc.id))
        or any(not acl.is_default for acl in state.network_acls.by("vpc", vpc.id))
        or any(not any(a.main for a in table.associations) for table in state.route_tables.by("vpc", vpc.id))
    )


def of_subnet(state: State, subnet: VpcSubnet) -> bool:
    """Whether an interface, a gateway or an endpoint is in the subnet."""
    return bool(
        state.addresses.used(subnet.id)
        or any(gateway.state not in ("deleted", "failed") for gateway in state.nat_gateways.by("subnet", subnet.id))
        or any(subnet.id in endpoint.subnet_ids for endpoint in state.vpc_endpoints.by("vpc", subnet.vpc_id))
    )


def of_group(state: State, group: SecurityGroup) -> bool:
    """Whether an interface has the group, or a rule of another group names it."""
    if any(rule.group_id != group.id for rule in state.security_group_rules.by("referenced", group.id)):
        return True
    if any(group.id in interface.security_groups for interface in state.interfaces.by("vpc", group.vpc_id)):
        return True
    if any(group.id in balancer.security_groups for balancer in state.load_balancers.by("vpc", group.vpc_id)):
        return True
    if any(group.id in endpoint.security_group_ids for endpoint in state.vpc_endpoints.by("vpc", group.vpc_id)):
        return True
    return any(
        task.eni is not None and not task.stopped and group.id in task.eni.security_groups for task in state.tasks
    )
