"""Launching tasks: find nodes, write the records; what RunTask and services share.

Placement happens inside the caller's transaction, so that a reply or a service event tells
the truth about it.  Nothing here talks to agents: the gateway sees the new records.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from openecs.control.candidates import candidate, cluster_candidates, pool_candidates
from openecs.errors import Retryable, invalid_parameter
from openecs.ids import Ids
from openecs.model.cluster import Cluster
from openecs.model.network import RegionNetwork, region_network
from openecs.model.node import ContainerInstance
from openecs.model.resources import Resources
from openecs.model.tags import ResourceTags
from openecs.model.task import NetworkInterface, Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning import cluster_query
from openecs.planning.launch_requirements import required_attributes
from openecs.planning.new_task import new_interface, new_task
from openecs.planning.placement import Candidate, Demand, Rejection, Strategy, closest, place
from openecs.planning.reservation import task_reservation
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction

FARGATE_FULL = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
NO_ADDRESS = "RESOURCE:ENI"

#: What ECS does for services, and here for RunTask too, when nobody says otherwise.
DEFAULT_STRATEGY = (
    Strategy("spread", "attribute:ecs.availability-zone"),
    Strategy("spread", "instanceId"),
)


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to launch: ``count`` equal tasks of one definition in one cluster."""

    cluster: Cluster
    definition: TaskDefinition
    count: int
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"]
    group: str
    started_by: str | None = None
    service_arn: str | None = None
    deployment_id: str | None = None
    overrides: ecs.TaskOverride | None = None
    network_configuration: ecs.NetworkConfiguration | None = None
    placement_constraints: tuple[ecs.PlacementConstraint, ...] = ()
    placement_strategy: tuple[ecs.PlacementStrategy, ...] = ()
    platform_version: str | None = None
    tags: tuple[ecs.Tag, ...] = ()
    enable_execute_command: bool = False
    #: StartTask: exactly these container instances, one task each, no placement.
    container_instances: tuple[ContainerInstance, ...] = ()


class Launched(NamedTuple):
    """The tasks that found a node, already written, and why the others did not."""

    tasks: tuple[Task, ...]
    failures: tuple[ecs.Failure, ...]
    #: The candidate that came nearest, when something failed for want of a fitting node.
    nearest: Rejection | None


class Launcher:
    """Places and writes tasks.  ``rng`` serves the random placement strategy."""

    def __init__(self, state: State, networks: RegionNetworks, rng: random.Random) -> None:
        self._state = state
        self._networks = networks
        self._rng = rng
        self._paused_until = 0.0

    def pause(self, *, until: float) -> None:
        """Launch nothing before that time: the installation is being shut down with its tasks.

        Who waits for them to stop says it again and again; when nobody does, it ends by itself.
        """
        self._paused_until = until

    def resume(self) -> None:
        """Launch again."""
        self._paused_until = 0.0

    def paused(self, now: float) -> bool:
        """Whether nothing is launched."""
        return now < self._paused_until

    def launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched:
        """Write the tasks that fit.  Raises ``AWSError`` when the cluster has no instances,
        ``Retryable`` while launching is paused."""
        if self.paused(now):
            raise Retryable("the installation is being shut down")
        reservation = task_reservation(spec.definition.definition, spec.overrides)
        demand = self._demand(spec, reservation)
        if spec.container_instances:
            return self._start_on(tx, spec, demand, now, ids)
        candidates = self._candidates(spec)
        if not candidates and spec.launch_type != "FARGATE":
            raise invalid_parameter("No Container Instances were found in your cluster.")
        tasks: list[Task] = []
        rejections: tuple[Rejection, ...] = ()
        missing = no_address = 0
        for decision in place(demand, spec.count, candidates, self._rng):
            if decision.chosen is None:
                rejections, missing = decision.rejections, missing + 1
                continue
            task = self._write(tx, spec, decision.chosen, demand, now, ids)
            if task is None:
                no_address += 1
            else:
                tasks.append(task)
        failures = [*self._failures(spec, rejections, missing)]
        failures += [ecs.Failure(arn=spec.cluster.arn, reason=NO_ADDRESS)] * no_address
        return Launched(tuple(tasks), tuple(failures), closest(rejections))

    def _start_on(self, tx: Transaction, spec: LaunchSpec, demand: Demand, now: float, ids: Ids) -> Launched:
        tasks: list[Task] = []
        failures: list[ecs.Failure] = []
        for instance in spec.container_instances:
            node = self._state.nodes.get(instance.node_id)
            candidates = [candidate(self._state, node, instance)] if node else []
            decision = place(demand, 1, candidates, self._rng)[0]
            task = self._write(tx, spec, decision.chosen, demand, now, ids) if decision.chosen else None
            if task is not None:
                tasks.append(task)
                continue
            reason = decision.rejections[0].reason if decision.rejections else NO_ADDRESS
            failures.append(ecs.Failure(arn=instance.arn, reason=reason))
        return Launched(tuple(tasks), tuple(failures), None)

    def _write(
        self, tx: Transaction, spec: LaunchSpec, chosen: Candidate, demand: Demand, now: float, ids: Ids
    ) -> Task | None:
        """Write one task onto the chosen node; ``None`` when its subnets are full."""
        zone = chosen.facts.attributes.get("ecs.availability-zone")
        eni: NetworkInterface | None = None
        if spec.definition.definition.network_mode == "awsvpc":
            eni = self._interface(spec, zone, ids)
            if eni is None:
                return None
            if spec.launch_type == "FARGATE":
                subnet = self._networks.of(spec.cluster.region).subnet(eni.subnet_id)
                zone = subnet.availability_zone if subnet else zone
        task = new_task(
            cluster=spec.cluster,
            definition=spec.definition,
            launch_type=spec.launch_type,
            group=spec.group,
            reservation=demand.resources,
            now=now,
            ids=ids,
            started_by=spec.started_by,
            service_arn=spec.service_arn,
            deployment_id=spec.deployment_id,
            overrides=spec.overrides,
            platform_version=spec.platform_version,
            eni=eni,
        )
        # With an interface to prepare a task is PROVISIONING first; others wait for the agent.
        task = msgspec.structs.replace(
            task,
            node_id=chosen.node_id,
            container_instance_arn=chosen.container_instance_arn,
            availability_zone=zone,
            last_status="PROVISIONING" if eni else "PENDING",
            enable_execute_command=spec.enable_execute_command,
        )
        tx.put(task)
        if spec.tags:
            tx.put(ResourceTags(arn=task.arn, tags=spec.tags))
        return task

    def _interface(self, spec: LaunchSpec, zone: str | None, ids: Ids) -> NetworkInterface | None:
        network = self._networks.of(spec.cluster.region)
        wanted = spec.network_configuration.awsvpc_configuration if spec.network_configuration else None
        assert wanted is not None  # noqa: S101 -- validation refuses awsvpc without it
        subnets = [s for s in (network.subnet(i) for i in wanted.subnets) if s is not None]
        # A subnet of the node's own zone first, then whatever the caller allows.
        for subnet in sorted(subnets, key=lambda s: s.availability_zone != zone):
            address = self._state.addresses.next_free(subnet)
            if address is not None:
                return new_interface(
                    subnet=subnet,
                    address=address,
                    security_groups=wanted.security_groups or (network.security_group_id,),
                    assign_public_ip=wanted.assign_public_ip == "ENABLED",
                    region=spec.cluster.region,
                    ids=ids,
                )
        return None

    def _demand(self, spec: LaunchSpec, reservation: Resources) -> Demand:
        shape = spec.definition.definition
        platform = shape.runtime_platform.cpu_architecture if shape.runtime_platform else None
        constraints = [(c.type, c.expression) for c in spec.placement_constraints]
        constraints += [(c.type, c.expression) for c in shape.placement_constraints or ()]
        strategies = tuple(Strategy(s.type or "random", s.field or "") for s in spec.placement_strategy)
        return Demand(
            group=spec.group,
            resources=reservation,
            required_attributes=required_attributes(shape, spec.overrides),
            architecture=platform.lower() if platform else None,
            constraints=tuple(cluster_query.parse(text or "") for kind, text in constraints if kind == "memberOf"),
            distinct_instance=any(kind == "distinctInstance" for kind, _ in constraints),
            strategies=strategies or DEFAULT_STRATEGY,
        )

    def _candidates(self, spec: LaunchSpec) -> Sequence[Candidate]:
        if spec.launch_type == "FARGATE":
            return pool_candidates(self._state)
        return cluster_candidates(self._state, spec.cluster.arn, spec.launch_type)

    @staticmethod
    def _failures(spec: LaunchSpec, rejections: tuple[Rejection, ...], missing: int) -> Iterable[ecs.Failure]:
        if not missing:
            return ()
        if spec.launch_type == "FARGATE":
            nearest = closest(rejections)
            detail = f"{len(rejections)} nodes in the Fargate pool"
            if nearest is not None:
                detail += f"; the closest one: {nearest.reason}"
            return [ecs.Failure(reason=FARGATE_FULL, detail=detail)] * missing
        return [ecs.Failure(arn=r.candidate.arn, reason=r.reason) for r in rejections]


class RegionNetworks:
    """The default network of every region, made when it is first asked for."""

    def __init__(self, account: str, cidr: str) -> None:
        self._account = account
        self._cidr = cidr
        self._networks: dict[str, RegionNetwork] = {}

    def of(self, region: str) -> RegionNetwork:
        """The default network of a region."""
        network = self._networks.get(region)
        if network is None:
            network = self._networks[region] = region_network(self._account, region, self._cidr)
        return network

    def gateway(self, region: str, subnet_id: str) -> str | None:
        """Address and prefix length of a subnet's gateway, ``None`` for an unknown subnet."""
        subnet = self.of(region).subnet(subnet_id)
        return subnet.gateway if subnet else None
