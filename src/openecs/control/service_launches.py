"""Carrying out a plan's starts and stops of tasks, and the words for what came of it.

Not a decision maker: which tasks and why is the planner's business, which node the launcher's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import structlog

from openecs import arn as arns
from openecs.control import launch_failures
from openecs.control.daemon_instances import DaemonInstances
from openecs.control.launch_spec import Launched, LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.control.service_zones import ServiceZones
from openecs.control.target_departure import begin_draining
from openecs.control.waiting_services import Shortage
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.model import tag_rules
from openecs.model.cluster import Cluster
from openecs.model.fargate import LATEST_PLATFORM_VERSION
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.model.task_state import request_stop
from openecs.planning import service_events, zone_events
from openecs.planning.reservation import task_reservation
from openecs.planning.service_actions import Start, Stop
from openecs.planning.task_set_plan import speaker
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction

logger = structlog.get_logger("openecs.control")


#: Tasks that one step starts at most: others get their turn before the next step, which
#: the step's own changes bring about.
MAX_STARTS = 250


def looks_again(start: Start) -> bool:
    """Whether the next step has to follow even if this start found no room and changed nothing.

    What found no room is remembered where the planner chose the place, and it chooses anew.
    """
    return start.rebalance_zone is not None or len(start.container_instances) > MAX_STARTS


class Launches(Protocol):
    """What services need of ``openecs.control.launch.Launcher``."""

    @property
    def networks(self) -> RegionNetworks: ...

    def launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched: ...


class ServiceLaunches:
    """Starts and stops tasks of services inside the caller's transaction."""

    def __init__(
        self, state: State, launcher: Launches, ids: Ids, *, daemons: DaemonInstances, zones: ServiceZones
    ) -> None:
        self._state = state
        self._launcher = launcher
        self._ids = ids
        self._daemons = daemons
        self._zones = zones

    def start(self, tx: Transaction, service: Service, start: Start, now: float) -> tuple[list[str], Shortage | None]:
        """Launch tasks; returns what to say, and what is lacking for those that have to be tried again."""
        deployment = next(d for d in service.deployments if d.id == start.deployment_id)
        cluster = self._state.clusters.get(service.cluster_arn)
        definition = self._state.task_definitions.get(deployment.task_definition_arn)
        if cluster is None or definition is None:
            raise LookupError(f"{service.arn} needs {service.cluster_arn} and {deployment.task_definition_arn}")
        spec = self._spec(service, deployment, cluster, definition, start)
        if start.container_instances:
            named = {instance.arn for instance in spec.container_instances}
            gone = [arn for arn in start.container_instances[:MAX_STARTS] if arn not in named]
            if gone:
                self._daemons.refuse(service, gone, now)
            if not named:
                # A launch that names no instance would go anywhere.
                logger.info("service.instances_gone", service=service.name, instances=gone)
                return [], None
        try:
            launched = self._launcher.launch(tx, spec, now=now, ids=self._ids)
        except AWSError as refusal:
            logger.info("service.launch_refused", service=service.name, code=refusal.code, error=refusal.message)
            # Where the place was the planner's choice, it would choose the same one again at once.
            if start.rebalance_zone is not None:
                self._zones.refuse(service, start.rebalance_zone, now)
            self._daemons.refuse(service, start.container_instances[:MAX_STARTS], now)
            lacking = Shortage(deployment.launch_type == "FARGATE", elsewhere=True)
            return [service_events.launch_refused(service.name, refusal.message)], lacking
        logger.info(
            "service.start",
            service=service.name,
            deployment=deployment.id,
            wanted=start.count,
            started=len(launched.tasks),
            reason=start.reason,
        )
        for task in launched.tasks:
            tx.because(task.arn, start.reason)
        texts, complete = self._say_started(service, deployment, start, launched, now)
        return texts, None if complete else _shortage(spec, launched)

    def stop(self, tx: Transaction, service: Service, stops: Iterable[Stop], now: float) -> list[str]:
        """Tell tasks to stop; returns what to say about it."""
        running: dict[str, list[str]] = {}
        rebalanced: dict[str, list[str]] = {}
        texts: list[str] = []
        told: list[Task] = []
        pending = 0
        for stop in stops:
            task = self._state.tasks.get(stop.task_arn)
            if task is None:
                continue
            tx.because(task.arn, stop.reason)
            tx.put(request_stop(task, now=now, stop_code=stop.stop_code, reason=stop.stopped_reason))
            task_id = arns.short(stop.task_arn)
            said_by = speaker(service, task.deployment_id or "")
            told.append(task)
            if stop.target is not None:
                texts.append(service_events.unhealthy_target(said_by, task_id, stop.target))
            elif stop.failed_health_checks:
                texts.append(service_events.failed_health_checks(said_by, task_id))
            if stop.rebalance_zone is not None:
                rebalanced.setdefault(stop.rebalance_zone, []).append(task_id)
            elif stop.running:
                running.setdefault(said_by, []).append(task_id)
            else:
                pending += 1
            logger.info("service.stop", service=service.name, task=task_id, reason=stop.reason)
        for said_by, task_ids in running.items():
            texts += service_events.stopped_running(said_by, task_ids)
        texts += [zone_events.stopped(service.name, zone, ids) for zone, ids in rebalanced.items()]
        if pending:
            texts.append(service_events.stopped_pending(service.name, pending))
        return texts + begin_draining(self._state, tx, service, told, now)

    def _spec(
        self, service: Service, deployment: Deployment, cluster: Cluster, definition: TaskDefinition, start: Start
    ) -> LaunchSpec:
        instances = [self._state.container_instances.get(arn) for arn in start.container_instances[:MAX_STARTS]]
        spec = LaunchSpec(
            cluster=cluster,
            definition=definition,
            count=min(start.count, MAX_STARTS),
            launch_type=deployment.launch_type,
            # Named instances leave nothing for a strategy to choose.
            capacity_provider_strategy=() if instances else deployment.capacity_provider_strategy,
            group=f"service:{service.name}",
            started_by=deployment.id,
            service_arn=service.arn,
            deployment_id=deployment.id,
            network_configuration=deployment.network_configuration,
            placement_constraints=service.placement_constraints,
            placement_strategy=service.placement_strategy,
            platform_version=LATEST_PLATFORM_VERSION if deployment.launch_type == "FARGATE" else None,
            tags=self._tags(service, cluster, definition),
            enable_execute_command=service.enable_execute_command,
            container_instances=tuple(instance for instance in instances if instance is not None),
            pins=deployment.pins,
            connect=deployment.connect,
        )
        return self._zones.within(spec, start.rebalance_zone) if start.rebalance_zone else spec

    def _tags(self, service: Service, cluster: Cluster, definition: TaskDefinition) -> tuple[ecs.Tag, ...]:
        source = {"SERVICE": service.arn, "TASK_DEFINITION": definition.arn}.get(service.propagate_tags)
        found = self._state.tags.get(source) if source else None
        tags = found.tags if found else ()
        if not service.enable_ecs_managed_tags:
            return tags
        managed = (
            ecs.Tag(key="aws:ecs:clusterName", value=cluster.name),
            ecs.Tag(key="aws:ecs:serviceName", value=service.name),
        )
        return tag_rules.merge(managed, tags)

    def _say_started(
        self, service: Service, deployment: Deployment, start: Start, launched: Launched, now: float
    ) -> tuple[list[str], bool]:
        """The events for a launch, and whether every task found a node."""
        task_ids = [arns.short(task.arn) for task in launched.tasks]
        complete = not launched.failures
        if start.rebalance_zone:
            texts = [zone_events.started(service.name, start.rebalance_zone, task_ids)] if task_ids else []
            if not complete or launched.waiting:
                self._zones.refuse(service, start.rebalance_zone, now)
                fargate = deployment.launch_type == "FARGATE"
                texts.append(zone_events.unable_to_place(service.name, start.rebalance_zone, fargate=fargate))
            # The zone is remembered as full; waiting for room in others would not help it.
            return texts, True
        said_by = speaker(service, deployment.id)
        texts = service_events.started(said_by, task_ids, replaced_unhealthy=start.replaces_unhealthy)
        if not complete or launched.waiting:
            texts.append(_unable_to_place(service, deployment, launched))
        if start.container_instances:
            full = [failure.arn for failure in launched.failures if failure.arn is not None]
            self._daemons.refuse(service, full, now)
            return texts, True
        return texts, complete


def _shortage(spec: LaunchSpec, launched: Launched) -> Shortage:
    """What those tasks lacked that were not started."""
    needs = task_reservation(spec.definition.definition)
    # What is said of the cluster is no node's business.
    elsewhere = any(failure.arn == spec.cluster.arn for failure in launched.failures)
    return Shortage(spec.launch_type == "FARGATE", needs.cpu, needs.memory, elsewhere)


def _unable_to_place(service: Service, deployment: Deployment, launched: Launched) -> str:
    nearest = launched.nearest
    if any(failure.reason == launch_failures.TOO_MANY_WAITING for failure in launched.failures):
        return service_events.too_many_waiting(service.name)
    if launched.waiting and nearest is None:
        return service_events.launch_refused(service.name, service_events.NO_INSTANCES_OF_PROVIDER)
    if deployment.launch_type == "FARGATE" or nearest is None:
        failure = launched.failures[0]
    else:
        failure = ecs.Failure(arn=nearest.candidate.arn, reason=nearest.reason)
    return service_events.unable_to_place(
        service.name, failure, fargate=deployment.launch_type == "FARGATE", cluster_arn=service.cluster_arn
    )
