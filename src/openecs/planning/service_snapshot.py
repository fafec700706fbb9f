"""What the service planner looks at: a service, its tasks and facts about where they run.

``Census`` sorts the tasks once into the groups that the plan is made of.

A task is healthy when it is RUNNING and, if an essential container has a health check,
HEALTHY; one of a deployment with load balancers has to be healthy as a target in all its target
groups too.  AWS lets tasks without health checks wait 40 seconds in RUNNING before they count;
here they count at once, which is what makes deployments quick, except while a deployment is
proved by the circuit breaker (``circuit_breaker.PROOF_PERIOD``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Literal, NamedTuple

from openecs.ids import Ids
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import circuit_breaker
from openecs.planning.service_places import DaemonInstance, Zones
from openecs.planning.target_verdict import NOT_REGISTERED, TargetFailure, TargetVerdict
from openecs.shapes import ecs

_GOING_DOWN = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING"})
_DOWN = frozenset({"STOPPED", "DELETED"})


class TrafficView(NamedTuple):
    """A service deployment that shifts traffic, and how far the load balancers are."""

    shift: TrafficShift
    #: As the deployment began with it.
    configuration: ecs.DeploymentConfiguration
    #: For the pause hooks that are reached.
    ids: Ids
    #: All load balancers route as the shift says.
    applied: bool = True
    #: There is a rule for test traffic.
    tests: bool = False


class ServiceSnapshot(NamedTuple):
    """Everything that ``service_plan.plan`` may know."""

    service: Service
    #: All remembered tasks of the service, STOPPED ones included.
    tasks: tuple[Task, ...]
    #: ARNs of container instances that are DRAINING (or gone): their tasks are replaced.
    draining_instances: frozenset[str] = frozenset()
    #: The cluster's container instances; filled in for DAEMON services only.
    daemon_instances: tuple[DaemonInstance, ...] = ()
    #: Filled in for services with availability zone rebalancing only.
    zones: Zones = Zones()
    #: Node id → what is free of the resource that the service's strategy packs; filled in for
    #: services with such a strategy only (``service_victims.packing``).
    room_left: Mapping[str, int] = MappingProxyType({})
    #: What StopServiceDeployment asked for of the service deployment that is under way.
    stop_requested: Literal["ABORT", "ROLLBACK"] | None = None
    #: Names of alarms that are in ALARM.
    alarms_in_alarm: frozenset[str] = frozenset()
    #: Seconds for which the service's alarms need to watch what a deployment has started.
    alarm_bake: float = 0.0
    #: Seconds for which a task's agent may be out of reach; ``None`` for ever.
    lost_after: float | None = None
    #: Task ARN → what its load balancers say of it; filled in for services with load balancers only.
    #: A task of such a deployment that is not in it is not registered everywhere yet.
    targets: Mapping[str, TargetVerdict] = MappingProxyType({})
    #: Set when the newest service deployment shifts traffic, or did so until it was over.
    traffic: TrafficView | None = None


@dataclass(slots=True)
class Group:
    """The tasks of one deployment, by what the planner may do with them."""

    deployment: Deployment
    #: Count towards ``minimumHealthyPercent`` and towards what is wanted.
    healthy: list[Task] = field(default_factory=list)
    #: On their way, or RUNNING and not proved yet; count towards what is wanted.
    starting: list[Task] = field(default_factory=list)
    #: RUNNING on an instance that is drained: healthy, but to be replaced.
    leaving: list[Task] = field(default_factory=list)
    #: RUNNING and UNHEALTHY past the grace period: to be replaced.
    unhealthy: list[Task] = field(default_factory=list)
    #: RUNNING on an instance that is drained and not healthy, or not yet: to be replaced as far
    #: as the percentages allow, and counting for nothing meanwhile.
    unready: list[Task] = field(default_factory=list)
    #: Not RUNNING yet on an instance that is drained: stopped at once.
    stranded: list[Task] = field(default_factory=list)
    #: Out of reach for too long: they count for nothing and are told to stop when the service has
    #: what it wants without them.  Until then they count again as soon as their agent is back.
    lost: list[Task] = field(default_factory=list)
    #: Told to stop and out of reach for too long: nobody knows when they will be STOPPED.
    adrift: list[Task] = field(default_factory=list)
    #: Told to stop, not STOPPED yet.
    stopping: list[Task] = field(default_factory=list)
    stopped: list[Task] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """Tasks that serve, or will, as this deployment's share."""
        return len(self.healthy) + len(self.starting)

    @property
    def serving(self) -> int:
        """Tasks that are healthy now, wherever they run."""
        return len(self.healthy) + len(self.leaving)

    @property
    def alive(self) -> int:
        """Tasks that nobody told to stop and that can be reached."""
        return self.wanted + len(self.leaving) + len(self.unready) + len(self.unhealthy) + len(self.stranded)

    @property
    def existing(self) -> int:
        """Tasks that are not STOPPED: they still hold their resources where they can be reached."""
        return self.alive + len(self.stopping)

    @property
    def known(self) -> list[Task]:
        """Every remembered task of the deployment."""
        return list(self.each())

    def up(self) -> Iterator[Task]:
        """The tasks that nobody told to stop."""
        return chain(self.healthy, self.starting, self.leaving, self.unready, self.unhealthy, self.stranded, self.lost)

    def each(self) -> Iterator[Task]:
        """Every remembered task of the deployment, without a copy."""
        return chain(self.up(), self.adrift, self.stopping, self.stopped)


@dataclass(slots=True)
class Census:
    """The tasks of a service by deployment."""

    #: In the order of ``Service.deployments``: newest first.
    groups: list[Group]
    #: Tasks of deployments that the service no longer has.
    orphans: Group
    #: When the next grace period of an UNHEALTHY task ends.
    grace_ends_at: float | None = None
    #: When the next task that has to prove itself has done so.
    proof_ends_at: float | None = None
    #: When the next task that cannot be reached counts as lost.
    lost_at: float | None = None
    #: Task ARN → what its load balancer found, of UNHEALTHY tasks that are so for that reason.
    target_failures: dict[str, TargetFailure] = field(default_factory=dict)

    @property
    def everyone(self) -> list[Group]:
        """All groups, the orphans last."""
        return [*self.groups, self.orphans]

    @property
    def primary(self) -> Group | None:
        """The tasks of the PRIMARY deployment, if there is one."""
        return next((group for group in self.groups if group.deployment.status == "PRIMARY"), None)


_NOBODY = Deployment(
    id="",
    status="INACTIVE",
    task_definition_arn="",
    created_at=0.0,
    updated_at=0.0,
    rollout_state="COMPLETED",
    rollout_state_reason="",
    launch_type="EC2",
)


def take_census(snapshot: ServiceSnapshot, now: float) -> Census:
    """Sort the tasks of a snapshot."""
    service = snapshot.service
    groups: dict[str | None, Group] = {deployment.id: Group(deployment) for deployment in service.deployments}
    orphans = Group(_NOBODY)
    census = Census(list(groups.values()), orphans)
    # A DAEMON task belongs to its instance: no other can take its place.
    lost_after = snapshot.lost_after if service.scheduling_strategy == "REPLICA" else None
    sorter = _Sorter(census, snapshot, lost_after, now)
    # Most tasks of a large service are RUNNING ones of few deployments, without anything
    # special about them: this loop does those by itself.  Tasks of one deployment have one task
    # definition, so the first of them tells whether any has health checks.
    plain: dict[str | None, int] = {}
    draining = snapshot.draining_instances
    targets = snapshot.targets
    for task in snapshot.tasks:
        deployment_id = task.deployment_id
        group = groups.get(deployment_id, orphans)
        if (
            task.last_status == "RUNNING"
            and task.desired_status == "RUNNING"
            and task.unreachable_since is None
            and (not draining or task.container_instance_arn not in draining)
        ):
            simple = plain.get(deployment_id)
            if simple is None:
                simple = plain[deployment_id] = _kind_of(task, group.deployment, snapshot)
            if simple == _PLAIN or (simple == _CHECKED and task.health_status == "HEALTHY" and has_health_check(task)):
                group.healthy.append(task)
                continue
            if simple == _BALANCED:
                verdict = targets.get(task.arn)
                if verdict is not None and verdict.health == "HEALTHY" and health_of(task) == "HEALTHY":
                    group.healthy.append(task)
                    continue
        sorter.sort(task, group)
    return census


#: What makes a RUNNING task healthy: nothing more, its containers' health checks or a proof
#: period, its load balancers too.
_PLAIN, _CHECKED, _BALANCED = range(3)


def _kind_of(task: Task, deployment: Deployment, snapshot: ServiceSnapshot) -> int:
    """What makes the tasks of a deployment healthy; ``task`` is one of them."""
    if deployment.load_balancers or (snapshot.targets and deployment is _NOBODY):
        return _BALANCED
    if has_health_check(task) or circuit_breaker.proves_tasks(snapshot.service, deployment):
        return _CHECKED
    return _PLAIN


class _Sorter:
    """Puts one task into its list."""

    def __init__(self, census: Census, snapshot: ServiceSnapshot, lost_after: float | None, now: float) -> None:
        service = snapshot.service
        self._census = census
        self._service = service
        self._grace = service.health_check_grace_period_seconds or 0
        self._draining = snapshot.draining_instances
        self._targets = snapshot.targets
        self._lost_after = lost_after
        self._now = now

    def sort(self, task: Task, group: Group) -> None:
        """Append ``task`` to the list of ``group`` that it belongs into."""
        if task.last_status in _DOWN:
            group.stopped.append(task)
            return
        if self._is_lost(task):
            (group.adrift if task.desired_status == "STOPPED" else group.lost).append(task)
            return
        if task.desired_status == "STOPPED" or task.last_status in _GOING_DOWN:
            # A task that goes down by itself will report STOPPED; it counts for nothing any more.
            group.stopping.append(task)
            return
        health = health_of(task)
        census = self._census
        verdict = self._verdict(task, group)
        spared_until = 0.0
        if verdict is not None and health != "UNHEALTHY":
            spared_until = verdict.spared_until
            if verdict.health == "UNHEALTHY":
                health = "UNHEALTHY"
            elif verdict.health == "UNKNOWN":
                health = "UNKNOWN"
        if health == "UNHEALTHY":
            grace_ends_at = max((task.started_at or self._now) + self._grace, spared_until)
            if grace_ends_at <= self._now:
                group.unhealthy.append(task)
                if verdict is not None and verdict.failure is not None and health_of(task) != "UNHEALTHY":
                    census.target_failures[task.arn] = verdict.failure
                return
            health = "UNKNOWN"
            census.grace_ends_at = min(census.grace_ends_at or grace_ends_at, grace_ends_at)
        if health == "HEALTHY" and verdict is None and not has_health_check(task):
            proof_ends_at = self._proof_ends_at(task, group)
            if proof_ends_at > self._now:
                health = "UNKNOWN"
                census.proof_ends_at = min(census.proof_ends_at or proof_ends_at, proof_ends_at)
        if task.container_instance_arn in self._draining:
            if health == "HEALTHY":
                group.leaving.append(task)
            else:
                (group.unready if task.last_status == "RUNNING" else group.stranded).append(task)
        elif health == "HEALTHY":
            group.healthy.append(task)
        else:
            group.starting.append(task)

    def _verdict(self, task: Task, group: Group) -> TargetVerdict | None:
        """What load balancers say of a RUNNING task; ``None`` if it has to do with none."""
        if task.last_status != "RUNNING":
            return None
        if group.deployment.load_balancers:
            return self._targets.get(task.arn, NOT_REGISTERED)
        return self._targets.get(task.arn) if group.deployment is _NOBODY else None

    def _is_lost(self, task: Task) -> bool:
        """Whether a task's agent is out of reach for too long."""
        if task.unreachable_since is None or self._lost_after is None:
            return False
        lost_at = task.unreachable_since + self._lost_after
        if lost_at <= self._now:
            return True
        self._census.lost_at = min(self._census.lost_at or lost_at, lost_at)
        return False

    def _proof_ends_at(self, task: Task, group: Group) -> float:
        """When a RUNNING task without health checks has proved itself."""
        if not circuit_breaker.proves_tasks(self._service, group.deployment):
            return 0.0
        return (task.started_at or self._now) + circuit_breaker.PROOF_PERIOD


def health_of(task: Task) -> str:
    """What a task that nobody told to stop counts as: HEALTHY, UNHEALTHY or UNKNOWN."""
    if task.last_status != "RUNNING":
        return "UNKNOWN"
    return task.health_status if has_health_check(task) else "HEALTHY"


def has_health_check(task: Task) -> bool:
    """Whether an essential container has a health check: others do not decide about the task."""
    for container in task.containers:  # noqa: SIM110 -- half the time of any(), for every task of every plan
        if container.has_health_check and container.essential:
            return True
    return False
