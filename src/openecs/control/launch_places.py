"""Where the tasks of a launch may go, and what a task gets at the place that was chosen for it.

What is asked of placement, among which nodes, and the network interface of an awsvpc task.
Nothing is written here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from openecs.control.launch_spec import LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.control.task_demand import fargate_demand, task_demand
from openecs.ids import Ids
from openecs.model.resources import Resources
from openecs.model.task import NetworkInterface
from openecs.model.vpc import VpcSubnet
from openecs.planning.launch_requirements import SERVICE_CONNECT
from openecs.planning.new_task import new_interface
from openecs.planning.placement import Candidate, Demand, Scope
from openecs.shapes import ecs
from openecs.state.state import State


class LaunchPlaces:
    """Turns a launch into questions to placement, and placement's answer into a task's members."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks

    def demand(self, spec: LaunchSpec, reservation: Resources) -> Demand:
        """What each task of the launch asks of a node."""
        demand = self._demand(spec, reservation)
        if spec.connect is None:
            return demand
        return dataclasses.replace(demand, required_attributes=demand.required_attributes | {SERVICE_CONNECT})

    def _demand(self, spec: LaunchSpec, reservation: Resources) -> Demand:
        shape = spec.definition.definition
        if spec.launch_type != "FARGATE":
            constraints, strategies = spec.placement_constraints, spec.placement_strategy
            return task_demand(shape, spec.overrides, reservation, spec.group, constraints, strategies)
        subnets = self._subnets(spec) if shape.network_mode == "awsvpc" else ()
        zones = [subnet.availability_zone for subnet in subnets]
        return fargate_demand(shape, spec.overrides, reservation, spec.cluster.arn, spec.group, zones)

    def check(self, spec: LaunchSpec) -> None:
        """Raise ECS's error when a subnet or security group of the launch was deleted."""
        if spec.definition.definition.network_mode == "awsvpc":
            wanted = _awsvpc(spec)
            self._networks.check(spec.cluster.region, wanted.subnets, wanted.security_groups or ())

    def scope(self, spec: LaunchSpec) -> Scope:
        """Among which nodes the launch may choose."""
        if spec.launch_type == "FARGATE" or spec.capacity_provider is None:
            return Scope(spec.cluster.arn, spec.launch_type)
        # A provider that is gone has no instances, not all of them.
        return Scope(spec.cluster.arn, spec.launch_type, self._group(spec) or "")

    def location(self, spec: LaunchSpec, chosen: Candidate, ids: Ids) -> dict[str, Any] | None:
        """Members of a task that say where it runs; ``None`` when its subnets are full."""
        zone = chosen.facts.attributes.get("ecs.availability-zone")
        eni: NetworkInterface | None = None
        if spec.definition.definition.network_mode == "awsvpc":
            eni = self._interface(spec, zone, ids)
            if eni is None:
                return None
            if spec.launch_type == "FARGATE":
                subnet = self._state.subnets.get(eni.subnet_id)
                zone = subnet.availability_zone if subnet else zone
        return {
            "node_id": chosen.node_id,
            "container_instance_arn": chosen.container_instance_arn,
            "availability_zone": zone,
            "eni": eni,
            # With an interface to prepare a task is PROVISIONING first; others wait for the agent.
            "last_status": "PROVISIONING" if eni else "PENDING",
        }

    def _group(self, spec: LaunchSpec) -> str | None:
        """Name of the Auto Scaling group that the launch's capacity provider stands for."""
        found = self._state.capacity_providers.by("region", spec.cluster.region)
        return next((p.group_name for p in found if p.name == spec.capacity_provider and p.status == "ACTIVE"), None)

    def _interface(self, spec: LaunchSpec, zone: str | None, ids: Ids) -> NetworkInterface | None:
        wanted = _awsvpc(spec)
        public = wanted.assign_public_ip == "ENABLED"
        public_ip = self._state.addresses.next_public(self._networks.public_pool) if public else None
        if public and public_ip is None:
            return None
        # A subnet of the node's own zone first, then whatever the caller allows.
        for subnet in sorted(self._subnets(spec), key=lambda s: s.availability_zone != zone):
            address = self._state.addresses.next_free(subnet)
            if address is not None:
                return new_interface(
                    subnet=subnet,
                    address=address,
                    security_groups=wanted.security_groups or (self._networks.default_group(subnet.vpc_id),),
                    assign_public_ip=public,
                    public_ip=public_ip,
                    ids=ids,
                )
        return None

    def _subnets(self, spec: LaunchSpec) -> list[VpcSubnet]:
        region = spec.cluster.region
        return [s for s in (self._networks.subnet(region, i) for i in _awsvpc(spec).subnets) if s is not None]


def _awsvpc(spec: LaunchSpec) -> ecs.AwsVpcConfiguration:
    wanted = spec.network_configuration.awsvpc_configuration if spec.network_configuration else None
    assert wanted is not None  # noqa: S101 -- validation refuses awsvpc without it
    return wanted
