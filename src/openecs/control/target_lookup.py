"""Questions about targets that need several tables: who serves them, where they are, how they are."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from openecs.model.load_balancer import LoadBalancer
from openecs.model.node import ContainerInstance
from openecs.model.target_group import Target, TargetGroup
from openecs.model.vpc import VpcSubnet
from openecs.planning import balancer_attributes
from openecs.planning.target_state import INVALID_STATE, NOT_REGISTERED, TargetCondition, condition
from openecs.state.state import State


class TargetLookup:
    """Reads state; keeps nothing."""

    def __init__(self, state: State) -> None:
        self._state = state

    def load_balancer(self, target_group_arn: str) -> LoadBalancer | None:
        """The load balancer that uses a target group."""
        arn = self._state.balancer_usage.load_balancer(target_group_arn)
        return self._state.load_balancers.get(arn) if arn is not None else None

    def hosts(self, target_group_arn: str) -> frozenset[str]:
        """The nodes on which the load balancer of a target group has interfaces."""
        arn = self._state.balancer_usage.load_balancer(target_group_arn)
        return self.hosts_of(arn) if arn is not None else frozenset()

    def hosts_of(self, load_balancer_arn: str) -> frozenset[str]:
        """The nodes on which a load balancer has interfaces."""
        interfaces = self._state.interfaces.by("owner", load_balancer_arn)
        return frozenset(i.node_id for i in interfaces if i.node_id is not None)

    def ready_hosts(self, target_group_arn: str) -> frozenset[str]:
        """Those of them that say that they run it."""
        arn = self._state.balancer_usage.load_balancer(target_group_arn)
        if arn is None:
            return frozenset()
        ready = {host.node_id for host in self._state.balancer_hosts.by("load_balancer", arn) if host.ready}
        return self.hosts_of(arn) & ready

    def condition(self, target: Target) -> TargetCondition:
        """The state of a target as DescribeTargetHealth shows it."""
        group = self._state.target_groups.get(target.target_group_arn)
        if group is None or target.key not in self._state.targets:
            return NOT_REGISTERED
        verdict = condition(
            target,
            self._state.target_health.get(target.key),
            in_use=self._state.balancer_usage.load_balancer(group.arn) is not None,
            hosts=self.ready_hosts(group.arn),
        )
        if verdict.state in ("draining", "unused") or self.address(group, target):
            return verdict
        return INVALID_STATE

    def address(self, group: TargetGroup, target: Target) -> str:
        """The IP address of a target; empty when its instance has none (any more)."""
        if group.target_type == "ip":
            return target.id
        instance = self.instance(group.region, target.id)
        host = self._state.hosts.get(instance.node_id) if instance is not None else None
        return host.address if host is not None else ""

    def instance(self, region: str, target_id: str) -> ContainerInstance | None:
        """The container instance of a target id: an EC2 instance's, or its own where it is none."""
        table = self._state.container_instances
        known = (*table.by("ec2_instance", target_id), *table.by("short_id", target_id))
        return next((each for each in known if each.region == region and each.status != "INACTIVE"), None)

    def zone(self, group: TargetGroup, target: Target) -> str:
        """The availability zone of a target: as registered, its subnet's or its host's; empty when none is known."""
        if target.availability_zone is not None:
            return target.availability_zone
        if group.target_type == "ip":
            subnet = self.subnet(group, target.id)
            return subnet.availability_zone if subnet is not None else ""
        instance = self.instance(group.region, target.id)
        node = self._state.nodes.get(instance.node_id) if instance is not None else None
        return (node.availability_zone or "") if node is not None else ""

    def subnet(self, group: TargetGroup, address: str) -> VpcSubnet | None:
        """The subnet of the group's VPC that an address is in."""
        return next((s for s in self._state.subnets.by("vpc", group.vpc_id) if within(address, s.cidr)), None)

    def deregistration_delay(self, target_group_arn: str) -> float:
        """Seconds for which a target of the group may drain."""
        group = self._state.target_groups.get(target_group_arn)
        if group is None:
            return 0.0
        known = balancer_attributes.of_target_group(group.protocol)
        return float(balancer_attributes.effective(known, group.attributes)["deregistration_delay.timeout_seconds"])


def within(address: str, cidr: str) -> bool:
    """Whether an IPv4 address is in a block."""
    return ipaddress.IPv4Address(address) in _network(cidr)


#: A block is looked at for every target of every group in its VPC.
_network = lru_cache(maxsize=1024)(ipaddress.IPv4Network)
