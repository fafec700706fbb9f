"""What the service planner looks at: a service, its tasks and facts about where they run.

``Census`` sorts the tasks once into the groups that the plan is made of.

A task is healthy when it is RUNNING and, if an essential container has a health check,
HEALTHY.  AWS lets tasks without health checks wait 40 seconds in RUNNING before they count;
here they count at once, which is what makes deployments quick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from openecs.model.service import Deployment, Service
from openecs.model.task import Task

_GOING_DOWN = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING"})
_DOWN = frozenset({"STOPPED", "DELETED"})


class ServiceSnapshot(NamedTuple):
    """Everything that ``service_plan.plan`` may know."""

    service: Service
    #: All remembered tasks of the service, STOPPED ones included.
    tasks: tuple[Task, ...]
    #: ARNs of container instances that are DRAINING (or gone): their tasks are replaced.
    draining_instances: frozenset[str] = frozenset()


@dataclass(slots=True)
class Group:
    """The tasks of one deployment, by what the planner may do with them."""

    deployment: Deployment
    #: Count towards ``minimumHealthyPercent`` and towards what is wanted.
    healthy: list[Task] = field(default_factory=list)
    #: On their way; count towards what is wanted.
    starting: list[Task] = field(default_factory=list)
    #: RUNNING on an instance that is drained: healthy, but to be replaced.
    leaving: list[Task] = field(default_factory=list)
    #: RUNNING and UNHEALTHY past the grace period: to be replaced.
    unhealthy: list[Task] = field(default_factory=list)
    #: Not healthy yet on an instance that is drained: stopped at once.
    stranded: list[Task] = field(default_factory=list)
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
        """Tasks that nobody told to stop."""
        return self.wanted + len(self.leaving) + len(self.unhealthy) + len(self.stranded)

    @property
    def existing(self) -> int:
        """Tasks that are not STOPPED: they still hold their resources."""
        return self.alive + len(self.stopping)

    @property
    def known(self) -> list[Task]:
        """Every remembered task of the deployment."""
        return [
            *self.healthy,
            *self.starting,
            *self.leaving,
            *self.unhealthy,
            *self.stranded,
            *self.stopping,
            *self.stopped,
        ]


@dataclass(slots=True)
class Census:
    """The tasks of a service by deployment."""

    #: In the order of ``Service.deployments``: newest first.
    groups: list[Group]
    #: Tasks of deployments that the service no longer has.
    orphans: Group
    #: When the next grace period of an UNHEALTHY task ends.
    grace_ends_at: float | None = None

    @property
    def everyone(self) -> list[Group]:
        """All groups, the orphans last."""
        return [*self.groups, self.orphans]


def take_census(snapshot: ServiceSnapshot, now: float) -> Census:
    """Sort the tasks of a snapshot."""
    service = snapshot.service
    groups = {deployment.id: Group(deployment) for deployment in service.deployments}
    nobody = Deployment(
        id="",
        status="INACTIVE",
        task_definition_arn="",
        created_at=0.0,
        updated_at=0.0,
        rollout_state="COMPLETED",
        rollout_state_reason="",
        launch_type="EC2",
    )
    census = Census(list(groups.values()), Group(nobody))
    grace = service.health_check_grace_period_seconds or 0
    draining = snapshot.draining_instances
    for task in snapshot.tasks:
        group = groups.get(task.deployment_id or "", census.orphans)
        if task.last_status in _DOWN:
            group.stopped.append(task)
            continue
        if task.desired_status == "STOPPED" or task.last_status in _GOING_DOWN:
            # A task that goes down by itself will report STOPPED; it counts for nothing any more.
            group.stopping.append(task)
            continue
        health = health_of(task)
        if health == "UNHEALTHY":
            grace_ends_at = (task.started_at or now) + grace
            if grace_ends_at <= now:
                group.unhealthy.append(task)
            else:
                group.starting.append(task)
                census.grace_ends_at = min(census.grace_ends_at or grace_ends_at, grace_ends_at)
        elif task.container_instance_arn in draining:
            (group.leaving if health == "HEALTHY" else group.stranded).append(task)
        elif health == "HEALTHY":
            group.healthy.append(task)
        else:
            group.starting.append(task)
    return census


def health_of(task: Task) -> str:
    """What a task that nobody told to stop counts as: HEALTHY, UNHEALTHY or UNKNOWN."""
    if task.last_status != "RUNNING":
        return "UNKNOWN"
    return task.health_status if has_health_check(task) else "HEALTHY"


def is_healthy(task: Task) -> bool:
    """Whether a task counts towards ``minimumHealthyPercent``."""
    return health_of(task) == "HEALTHY"


def has_health_check(task: Task) -> bool:
    """Whether an essential container has a health check: others do not decide about the task."""
    for container in task.containers:  # noqa: SIM110 -- half the time of any(), for every task of every plan
        if container.has_health_check and container.essential:
            return True
    return False
