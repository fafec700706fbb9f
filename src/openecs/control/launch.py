"""Launching tasks: find nodes, write the records; what RunTask and services share.

Placement happens inside the caller's transaction, so that a reply or a service event tells
the truth about it.  Nothing here talks to agents: the gateway sees the new records.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from openecs.control.task_demand import fargate_demand, task_demand
from openecs.errors import Retryable, invalid_parameter
from openecs.ids import Ids
from openecs.model.capacity_provider import FARGATE_PROVIDERS
from openecs.model.cluster import Cluster
from openecs.model.network import RegionNetwork, Subnet, region_network
from openecs.model.node import ContainerInstance
from openecs.model.resources import Resources
from openecs.model.service import ImagePin
from openecs.model.tags import ResourceTags
from openecs.model.task import NetworkInterface, Task, Waiting
from openecs.model.task_definition import TaskDefinition
from openecs.planning import image_pins, placement_history
from openecs.planning.new_task import new_interface, new_task, twin
from openecs.planning.placement import Candidate, Demand, Rejection, Scope, closest, explain
from openecs.planning.provider_shares import shares
from openecs.planning.reservation import task_reservation
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction

FARGATE_FULL = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
NO_ADDRESS = "RESOURCE:ENI"
#: Tasks of one cluster that may wait for capacity at a time.
MAX_WAITING = 500
#: Up to so many nodes, history says of every placement what spoke against each other one.
EXPLAINED = 50
TOO_MANY_WAITING = "You've reached the limit on the number of tasks that can be in the PROVISIONING state in a cluster."


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
    #: Image digests that the deployment has settled.
    pins: tuple[ImagePin, ...] = ()
    #: Spreads the tasks over capacity providers; ``launch_type`` is then what these give.
    capacity_provider_strategy: tuple[ecs.CapacityProviderStrategyItem, ...] = ()
    #: The one provider that a part of the tasks comes from; set by the launcher.
    capacity_provider: str | None = None
    #: StartTask: exactly these container instances, one task each, no placement.
    container_instances: tuple[ContainerInstance, ...] = ()


class PlacementFacts(NamedTuple):
    """Why a task is where it is."""

    task_arn: str
    node_id: str
    #: ``None`` in the Fargate pool.
    container_instance_arn: str | None
    availability_zone: str | None
    #: The strategies that decided, like ``spread(attribute:ecs.availability-zone)``.
    strategies: tuple[str, ...]
    #: How many nodes fitted, of how many that the task could choose from or not.
    fitting: int
    offered: int


class Launched(NamedTuple):
    """The tasks, already written: those that found a node, and those of an Auto Scaling group
    provider that wait for one; and why there are not more."""

    tasks: tuple[Task, ...]
    failures: tuple[ecs.Failure, ...]
    #: The candidate that came nearest, when something failed for want of a fitting node.
    nearest: Rejection | None
    #: How many of the tasks wait for capacity.
    waiting: int = 0
    #: Of the tasks that found a node, in their order.
    facts: tuple[PlacementFacts, ...] = ()
    #: Every node's reason, when something failed for want of a fitting node.
    rejections: tuple[Rejection, ...] = ()


class Launcher:
    """Places and writes tasks.  ``rng`` serves the random placement strategy."""

    def __init__(self, state: State, networks: RegionNetworks, rng: random.Random) -> None:
        self._state = state
        self._networks = networks
        self._rng = rng
        self._paused_until = 0.0

    @property
    def networks(self) -> RegionNetworks:
        """The networks that tasks are launched into."""
        return self._networks

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
        if not spec.capacity_provider_strategy:
            return self._launch(tx, spec, now=now, ids=ids)
        parts = [
            self._launch(tx, msgspec.structs.replace(spec, count=count, capacity_provider=name), now=now, ids=ids)
            for name, count in shares(spec.capacity_provider_strategy, spec.count, self._there(spec)).items()
        ]
        return Launched(
            tuple(task for part in parts for task in part.tasks),
            tuple(failure for part in parts for failure in part.failures),
            next((part.nearest for part in parts if part.nearest is not None), None),
            sum(part.waiting for part in parts),
            tuple(fact for part in parts for fact in part.facts),
            tuple(rejection for part in parts for rejection in part.rejections),
        )

    def place_waiting(self, tx: Transaction, tasks: Sequence[Task], *, ids: Ids) -> int:
        """Put as many as fit of these tasks, which wait for the same capacity, on nodes.

        They are equal but for their names: same definition, overrides, group and wishes.
        Returns how many found a node: the first ones.
        """
        like = tasks[0]
        cluster = self._state.clusters.get(like.cluster_arn)
        definition = self._state.task_definitions.get(like.task_definition_arn)
        wishes = like.waiting
        if cluster is None or definition is None or wishes is None:
            raise LookupError(f"{like.arn} cannot be placed: it does not wait, or its cluster or definition is gone")
        spec = LaunchSpec(
            cluster=cluster,
            definition=definition,
            count=len(tasks),
            launch_type=like.launch_type,
            group=like.group,
            overrides=like.overrides,
            network_configuration=wishes.network_configuration,
            placement_constraints=wishes.placement_constraints,
            placement_strategy=wishes.placement_strategy,
            capacity_provider=like.capacity_provider_name,
        )
        scope = self._scope(spec)
        offer = self._state.fleet.offer(scope)
        view = offer.view(scope, self._demand(spec, like.reservation), self._rng)
        for placed, task in enumerate(tasks):
            chosen = offer.best(view)
            where = self._location(spec, chosen, ids) if chosen else None
            if where is None:
                return placed
            tx.because(task.arn, "capacity has come", fitting=view.fitting, offered=len(offer))
            containers = image_pins.settled(task.containers, self._pins(task))
            tx.put(
                msgspec.structs.replace(task, waiting=None, containers=containers, version=task.version + 1, **where)
            )
        return len(tasks)

    def _pins(self, task: Task) -> tuple[ImagePin, ...]:
        """The image digests that the task's deployment has settled."""
        service = self._state.services.get(task.service_arn or "")
        deployments = service.deployments if service else ()
        return next((d.pins for d in deployments if d.id == task.deployment_id), ())

    def _there(self, spec: LaunchSpec) -> dict[str, int]:
        """Tasks that are there of the same deployment (or, standalone, of the same group), by provider."""
        owner = spec.deployment_id or spec.group
        return {
            item.capacity_provider: self._state.tasks.count(
                "provided", (spec.cluster.arn, owner, item.capacity_provider)
            )
            for item in spec.capacity_provider_strategy
        }

    def _wait(self, tx: Transaction, spec: LaunchSpec, reservation: Resources, now: float, ids: Ids) -> Task:
        """Write one task that waits until its capacity provider has room for it."""
        task = msgspec.structs.replace(
            self._new(spec, reservation, now, ids),
            waiting=Waiting(
                placement_constraints=spec.placement_constraints,
                placement_strategy=spec.placement_strategy,
                network_configuration=spec.network_configuration,
            ),
        )
        return self._put(tx, spec, task)

    def _launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched:
        """Write tasks of one launch type or capacity provider."""
        may_wait = spec.capacity_provider is not None and spec.capacity_provider not in FARGATE_PROVIDERS
        reservation = task_reservation(spec.definition.definition, spec.overrides)
        demand = self._demand(spec, reservation)
        if spec.container_instances:
            return self._start_on(tx, spec, demand, now, ids)
        scope = self._scope(spec)
        offer = self._state.fleet.offer(scope)
        view = offer.view(scope, demand, self._rng)
        tasks: list[Task] = []
        facts: list[PlacementFacts] = []
        against: dict[str, Any] = {}
        names = demand.strategy_names
        missing = no_address = 0
        while len(tasks) < spec.count:
            chosen = offer.best(view)
            if chosen is None:
                # What does not fit now does not fit the rest of the tasks either.
                missing = spec.count - len(tasks)
                break
            fitting = view.fitting
            if not facts and fitting < len(offer) <= EXPLAINED:
                named = placement_history.NAMED_FOR_ONE
                against = placement_history.against(offer.explain(view), reservation, named=named)
            task = self._write(tx, spec, chosen, demand, now, ids, tasks[-1] if tasks else None)
            if task is None:
                no_address = spec.count - len(tasks)
                break
            tasks.append(task)
            facts.append(_facts(task, names, fitting, len(offer)))
            why = placement_history.chosen(names, fitting=fitting, offered=len(offer), against=against)
            tx.because(task.arn, "", **why)
        rejections: tuple[Rejection, ...] = ()
        if missing:
            if not may_wait and spec.launch_type != "FARGATE" and not offer.candidates(scope):
                empty = "No Container Instances were found in your cluster."
                self._note_failures(tx, spec, reservation, (), empty, missing, now)
                raise invalid_parameter(empty)
            rejections = offer.explain(view)
        waiting = 0
        if may_wait and missing:
            waiting = min(missing, max(MAX_WAITING - self._state.tasks.count("unplaced", spec.cluster.arn), 0))
            waiters = [self._wait(tx, spec, reservation, now, ids) for _ in range(waiting)]
            tasks += waiters
            against = placement_history.against(rejections, reservation, named=placement_history.NAMED_FOR_ONE)
            for task in waiters:
                tx.because(task.arn, "", **against)
            failures = [ecs.Failure(arn=spec.cluster.arn, reason=TOO_MANY_WAITING)] * (missing - waiting)
        else:
            failures = [*self._failures(spec, rejections, missing)]
        failures += [ecs.Failure(arn=spec.cluster.arn, reason=NO_ADDRESS)] * no_address
        if failures:
            self._note_failures(tx, spec, reservation, rejections, failures[0].reason, spec.count - len(tasks), now)
        return Launched(tuple(tasks), tuple(failures), closest(rejections), waiting, tuple(facts), rejections)

    def _start_on(self, tx: Transaction, spec: LaunchSpec, demand: Demand, now: float, ids: Ids) -> Launched:
        tasks: list[Task] = []
        failures: list[ecs.Failure] = []
        facts: list[PlacementFacts] = []
        rejections: list[Rejection] = []
        for instance in spec.container_instances:
            candidate = self._state.fleet.instance(instance)
            reason = explain(demand, candidate) if candidate else "INACTIVE"
            if candidate is None or reason is not None:
                failures.append(ecs.Failure(arn=instance.arn, reason=reason))
                if candidate is not None and reason is not None:
                    rejections.append(Rejection(candidate, reason))
                continue
            task = self._write(tx, spec, candidate, demand, now, ids, tasks[-1] if tasks else None)
            if task is None:
                failures.append(ecs.Failure(arn=instance.arn, reason=NO_ADDRESS))
                continue
            tasks.append(task)
            facts.append(_facts(task, (), 1, 1))
        if failures:
            self._note_failures(tx, spec, demand.resources, rejections, failures[0].reason, len(failures), now)
        return Launched(tuple(tasks), tuple(failures), None, 0, tuple(facts), tuple(rejections))

    @staticmethod
    def _note_failures(
        tx: Transaction,
        spec: LaunchSpec,
        needed: Resources,
        rejections: Sequence[Rejection],
        reason: str | None,
        missing: int,
        now: float,
    ) -> None:
        """Leave in history why not every task of a service was launched; others' callers are told."""
        if spec.service_arn is not None:
            tx.note(
                placement_history.not_placed(
                    service_arn=spec.service_arn,
                    deployment_id=spec.deployment_id,
                    missing=missing,
                    needed=needed,
                    rejections=rejections,
                    reason=reason or "",
                    now=now,
                )
            )

    def _write(
        self,
        tx: Transaction,
        spec: LaunchSpec,
        chosen: Candidate,
        demand: Demand,
        now: float,
        ids: Ids,
        like: Task | None,
    ) -> Task | None:
        """Write one task onto the chosen node; ``None`` when its subnets are full.

        ``like`` is a task that the same launch wrote before.
        """
        where = self._location(spec, chosen, ids)
        if where is None:
            return None
        if like is not None:
            return self._put(tx, spec, twin(like, ids, **where))
        return self._put(tx, spec, msgspec.structs.replace(self._new(spec, demand.resources, now, ids), **where))

    def _location(self, spec: LaunchSpec, chosen: Candidate, ids: Ids) -> dict[str, Any] | None:
        """Members of a task that say where it runs; ``None`` when its subnets are full."""
        zone = chosen.facts.attributes.get("ecs.availability-zone")
        eni: NetworkInterface | None = None
        if spec.definition.definition.network_mode == "awsvpc":
            eni = self._interface(spec, zone, ids)
            if eni is None:
                return None
            if spec.launch_type == "FARGATE":
                subnet = self._networks.of(spec.cluster.region).subnet(eni.subnet_id)
                zone = subnet.availability_zone if subnet else zone
        return {
            "node_id": chosen.node_id,
            "container_instance_arn": chosen.container_instance_arn,
            "availability_zone": zone,
            "eni": eni,
            # With an interface to prepare a task is PROVISIONING first; others wait for the agent.
            "last_status": "PROVISIONING" if eni else "PENDING",
        }

    @staticmethod
    def _new(spec: LaunchSpec, reservation: Resources, now: float, ids: Ids) -> Task:
        """A PROVISIONING task without a place."""
        task = new_task(
            cluster=spec.cluster,
            definition=spec.definition,
            launch_type=spec.launch_type,
            group=spec.group,
            reservation=reservation,
            now=now,
            ids=ids,
            started_by=spec.started_by,
            service_arn=spec.service_arn,
            deployment_id=spec.deployment_id,
            overrides=spec.overrides,
            platform_version=spec.platform_version,
            pins=spec.pins,
        )
        return msgspec.structs.replace(
            task,
            enable_execute_command=spec.enable_execute_command,
            capacity_provider_name=spec.capacity_provider,
        )

    @staticmethod
    def _put(tx: Transaction, spec: LaunchSpec, task: Task) -> Task:
        tx.put(task)
        if spec.tags:
            tx.put(ResourceTags(arn=task.arn, tags=spec.tags))
        return task

    def _interface(self, spec: LaunchSpec, zone: str | None, ids: Ids) -> NetworkInterface | None:
        network = self._networks.of(spec.cluster.region)
        wanted = _awsvpc(spec)
        # A subnet of the node's own zone first, then whatever the caller allows.
        for subnet in sorted(self._subnets(spec), key=lambda s: s.availability_zone != zone):
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

    def _subnets(self, spec: LaunchSpec) -> list[Subnet]:
        network = self._networks.of(spec.cluster.region)
        return [s for s in (network.subnet(i) for i in _awsvpc(spec).subnets) if s is not None]

    def _demand(self, spec: LaunchSpec, reservation: Resources) -> Demand:
        shape = spec.definition.definition
        if spec.launch_type != "FARGATE":
            constraints, strategies = spec.placement_constraints, spec.placement_strategy
            return task_demand(shape, spec.overrides, reservation, spec.group, constraints, strategies)
        subnets = self._subnets(spec) if shape.network_mode == "awsvpc" else ()
        zones = [subnet.availability_zone for subnet in subnets]
        return fargate_demand(shape, spec.overrides, reservation, spec.cluster.arn, spec.group, zones)

    def _scope(self, spec: LaunchSpec) -> Scope:
        if spec.launch_type == "FARGATE" or spec.capacity_provider is None:
            return Scope(spec.cluster.arn, spec.launch_type)
        # A provider that is gone has no instances, not all of them.
        return Scope(spec.cluster.arn, spec.launch_type, self._group(spec) or "")

    def _group(self, spec: LaunchSpec) -> str | None:
        """Name of the Auto Scaling group that the launch's capacity provider stands for."""
        found = self._state.capacity_providers.by("region", spec.cluster.region)
        return next((p.group_name for p in found if p.name == spec.capacity_provider and p.status == "ACTIVE"), None)

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


def _awsvpc(spec: LaunchSpec) -> ecs.AwsVpcConfiguration:
    wanted = spec.network_configuration.awsvpc_configuration if spec.network_configuration else None
    assert wanted is not None  # noqa: S101 -- validation refuses awsvpc without it
    return wanted


def _facts(task: Task, strategies: tuple[str, ...], fitting: int, offered: int) -> PlacementFacts:
    assert task.node_id is not None  # noqa: S101 -- it was just placed
    return PlacementFacts(
        task_arn=task.arn,
        node_id=task.node_id,
        container_instance_arn=task.container_instance_arn,
        availability_zone=task.availability_zone,
        strategies=strategies,
        fitting=fitting,
        offered=offered,
    )


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
