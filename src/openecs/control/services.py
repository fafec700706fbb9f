"""The service reconciler's shell: read a snapshot, ask the planner, write what it says.

Everything of one step happens in one transaction: tasks that found a node, stops, the
service's record and the events that tell about it.  What was decided, and why, is in
``openecs.planning.service_plan``.

A service that found no node for a task waits without polling: it is looked at again when a
node joins, changes or gets something back from a task that stopped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import msgspec
import structlog

from openecs import arn as arns
from openecs.clock import Clock
from openecs.control.launch import Launched, LaunchSpec
from openecs.control.loop import After, Done, Loop, Result
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.model import tag_rules
from openecs.model.cluster import Cluster
from openecs.model.fargate import LATEST_PLATFORM_VERSION
from openecs.model.service import Deployment, Service, ServiceEvents
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.model.task_state import request_stop
from openecs.planning import service_events
from openecs.planning.service_actions import Plan, Start, Stop
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

logger = structlog.get_logger("openecs.control")


#: Tasks that one step starts at most: others get their turn before the next step, which
#: the step's own changes bring about.
MAX_STARTS = 250


class Launches(Protocol):
    """What services need of ``openecs.control.launch.Launcher``."""

    def launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched: ...


class ServiceController:
    """Reconciles services.  Keys are service ARNs."""

    def __init__(self, state: State, launcher: Launches, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._launcher = launcher
        self._clock = clock
        self._ids = ids
        #: Services with tasks that found no node.  Only a hint of whom to wake: after a
        #: restart every service is looked at anyway.
        self._waiting: dict[str, None] = {}

    def loop(
        self,
        *,
        time: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> Loop:
        """The loop that runs this controller, woken by every change that matters to it."""
        loop = Loop("services", self.reconcile, time=time, sleep=sleep, jitter=jitter, resync=self._all)
        store = self._state.store
        loop.watch(store, "service", lambda notice: (notice.key,))
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "container_instance", self._instance_changed)
        loop.watch(store, "node", lambda _: tuple(self._waiting))
        return loop

    def reconcile(self, key: str) -> Result:
        """Take one step for one service."""
        service = self._state.services.get(key)
        if service is None or service.status == "INACTIVE":
            self._waiting.pop(key, None)
            return Done()
        now = self._clock.now()
        tasks = self._state.tasks.by("service", key)
        step = plan(ServiceSnapshot(service, tasks, self._draining(tasks)), now)
        if step.actions or step.service is not service:
            self._apply(service, step, now)
        if not step.starts:
            self._waiting.pop(key, None)
        return Done() if step.wake_at is None else After(max(step.wake_at - now, 0.001))

    def _apply(self, before: Service, step: Plan, now: float) -> None:
        service = step.service
        with self._state.transaction() as tx:
            texts: list[str] = []
            unplaced = False
            for start in step.starts:
                said, complete = self._start(tx, service, start, now)
                texts += said
                unplaced = unplaced or not complete
            texts += self._stop(tx, service, step.stops, now)
            texts += [event.text for event in step.events]
            if service is not before:
                tx.put(service)
            self._say(tx, service, texts, now)
        if unplaced:
            self._waiting[service.arn] = None
        else:
            self._waiting.pop(service.arn, None)

    def _start(self, tx: Transaction, service: Service, start: Start, now: float) -> tuple[list[str], bool]:
        """Launch tasks; returns what to say and whether all of them found a node."""
        deployment = next(d for d in service.deployments if d.id == start.deployment_id)
        cluster = self._state.clusters.get(service.cluster_arn)
        definition = self._state.task_definitions.get(deployment.task_definition_arn)
        if cluster is None or definition is None:
            raise LookupError(f"{service.arn} needs {service.cluster_arn} and {deployment.task_definition_arn}")
        spec = self._spec(service, deployment, cluster, definition, min(start.count, MAX_STARTS))
        try:
            launched = self._launcher.launch(tx, spec, now=now, ids=self._ids)
        except AWSError as refusal:
            logger.info("service.launch_refused", service=service.name, code=refusal.code, error=refusal.message)
            return [service_events.launch_refused(service.name, refusal.message)], False
        logger.info(
            "service.start",
            service=service.name,
            deployment=deployment.id,
            wanted=start.count,
            started=len(launched.tasks),
            reason=start.reason,
        )
        texts = service_events.started(
            service.name,
            [arns.short(task.arn) for task in launched.tasks],
            replaced_unhealthy=start.replaces_unhealthy,
        )
        if launched.failures:
            texts.append(_unable_to_place(service, deployment, launched))
        return texts, not launched.failures

    def _spec(
        self, service: Service, deployment: Deployment, cluster: Cluster, definition: TaskDefinition, count: int
    ) -> LaunchSpec:
        return LaunchSpec(
            cluster=cluster,
            definition=definition,
            count=count,
            launch_type=deployment.launch_type,
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
        )

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

    def _stop(self, tx: Transaction, service: Service, stops: Iterable[Stop], now: float) -> list[str]:
        """Tell tasks to stop; returns what to say about it."""
        running: list[str] = []
        sick: list[str] = []
        pending = 0
        for stop in stops:
            task = self._state.tasks.get(stop.task_arn)
            if task is None:
                continue
            tx.put(request_stop(task, now=now, stop_code=stop.stop_code, reason=stop.stopped_reason))
            task_id = arns.short(stop.task_arn)
            if stop.failed_health_checks:
                sick.append(task_id)
            if stop.running:
                running.append(task_id)
            else:
                pending += 1
            logger.info("service.stop", service=service.name, task=task_id, reason=stop.reason)
        texts = [service_events.failed_health_checks(service.name, task_id) for task_id in sick]
        texts += service_events.stopped_running(service.name, running)
        if pending:
            texts.append(service_events.stopped_pending(service.name, pending))
        return texts

    def _say(self, tx: Transaction, service: Service, texts: Iterable[str], now: float) -> None:
        record = self._state.service_events.get(service.arn) or ServiceEvents(service_arn=service.arn)
        events = service_events.append(record.events, texts, now=now, ids=self._ids)
        if events != record.events:
            tx.put(msgspec.structs.replace(record, events=events))

    def _draining(self, tasks: Iterable[Task]) -> frozenset[str]:
        """The container instances of live tasks that are not ACTIVE any more."""
        instances = {task.container_instance_arn for task in tasks if not task.stopped}
        draining = set()
        for arn in instances:
            instance = self._state.container_instances.get(arn) if arn else None
            if instance is not None and instance.status != "ACTIVE":
                draining.add(instance.arn)
        return frozenset(draining)

    def _all(self) -> Iterable[str]:
        return [service.arn for service in self._state.services if service.status != "INACTIVE"]

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        old: Task | None = notice.old
        new: Task | None = notice.new
        keys: list[str] = []
        task = new or old
        if task is not None and task.service_arn is not None and _matters(old, new):
            keys.append(task.service_arn)
        if self._waiting and old is not None and not old.stopped and (new is None or new.stopped):
            keys.extend(self._waiting)
        return keys

    def _instance_changed(self, notice: Notice) -> Iterable[str]:
        if notice.old is not None and notice.new is not None and notice.old.status == notice.new.status:
            return tuple(self._waiting)
        tasks = self._state.tasks.by("container_instance", notice.key)
        affected = [task.service_arn for task in tasks if task.service_arn and not task.stopped]
        return [*affected, *self._waiting]


def _matters(old: Task | None, new: Task | None) -> bool:
    """Whether a task's change can change the plan of its service."""
    if new is None:
        # Forgetting a STOPPED task changes nothing; nobody may forget another.
        return old is not None and not old.stopped
    return (
        old is None
        or old.last_status != new.last_status
        or old.desired_status != new.desired_status
        or old.health_status != new.health_status
    )


def _unable_to_place(service: Service, deployment: Deployment, launched: Launched) -> str:
    nearest = launched.nearest
    if deployment.launch_type == "FARGATE" or nearest is None:
        failure = launched.failures[0]
    else:
        failure = ecs.Failure(arn=nearest.candidate.arn, reason=nearest.reason)
    return service_events.unable_to_place(
        service.name, failure, fargate=deployment.launch_type == "FARGATE", cluster_arn=service.cluster_arn
    )
