"""What a plan asks for.  Every action says why, for events, stopped reasons, logs and `why`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from openecs.model.service import Service
from openecs.model.task import Task
from openecs.model.traffic_shift import TrafficShift
from openecs.planning.target_verdict import TargetFailure
from openecs.shapes import ecs

HEALTH_CHECK_REASON = "Task failed container health checks"
#: Followed by the ARN of the target group and a closing parenthesis.
TARGET_CHECK_REASON = "Task failed ELB health checks in (target-group "
UNREACHABLE_REASON = "Task was replaced because the agent of its container instance was not connected"


@dataclass(frozen=True, slots=True)
class Start:
    """Start ``count`` tasks of one deployment."""

    deployment_id: str
    count: int
    reason: str
    #: How many of them replace tasks that fail their health checks.
    replaces_unhealthy: int = 0
    #: Exactly these container instances (ARNs), one task each; empty: wherever placement says.
    container_instances: tuple[str, ...] = ()
    #: The availability zone in which zone rebalancing wants them.
    rebalance_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell one task to stop."""

    task_arn: str
    #: What DescribeTasks shows as ``stoppedReason``.
    stopped_reason: str
    reason: str
    #: Whether it runs now; pending and running tasks are told apart in events.
    running: bool
    stop_code: ecs.TaskStopCode = "ServiceSchedulerInitiated"
    #: The availability zone that zone rebalancing takes it from.
    rebalance_zone: str | None = None
    #: What its load balancer says of it, when that is why.
    target: TargetFailure | None = None

    @property
    def failed_health_checks(self) -> bool:
        return names_health_checks(self.stopped_reason)


@dataclass(frozen=True, slots=True)
class CompleteDeployment:
    """The PRIMARY deployment replaced everything else."""

    deployment_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailDeployment:
    """The PRIMARY deployment is given up, and what happens instead."""

    deployment_id: str
    reason: str
    #: The deployment that the service goes back to; ``None``: it launches nothing any more.
    rolls_back_to: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something to say in the service's events."""

    text: str


Action = Start | Stop | CompleteDeployment | FailDeployment | Event


class Plan(NamedTuple):
    """One step for one service."""

    #: The service's record as it is to be written; the same object when nothing changed.
    service: Service
    #: In the order in which they happen.
    actions: tuple[Action, ...]
    #: When to plan again even if nothing changes (epoch seconds).
    wake_at: float | None = None
    #: Of a service whose newest deployment shifts traffic: where that is to be now.
    shift: TrafficShift | None = None

    @property
    def starts(self) -> tuple[Start, ...]:
        return tuple(action for action in self.actions if isinstance(action, Start))

    @property
    def stops(self) -> tuple[Stop, ...]:
        return tuple(action for action in self.actions if isinstance(action, Stop))

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(action for action in self.actions if isinstance(action, Event))


def scale_in(task: Task, reason: str) -> Stop:
    """Stop a task that is not needed any more; AWS names the task's own deployment."""
    return Stop(
        task_arn=task.arn,
        stopped_reason=f"Scaling activity initiated by (deployment {task.deployment_id})",
        reason=reason,
        running=task.last_status == "RUNNING",
    )


def unhealthy(task: Task, reason: str, target: TargetFailure | None = None) -> Stop:
    """Stop a task that fails its containers' health checks, or as a ``target`` its load balancer's."""
    stopped_reason = HEALTH_CHECK_REASON if target is None else f"{TARGET_CHECK_REASON}{target.target_group_arn})"
    return Stop(task_arn=task.arn, stopped_reason=stopped_reason, reason=reason, running=True, target=target)


def names_health_checks(stopped_reason: str | None) -> bool:
    """Whether a task's ``stoppedReason`` says that health checks failed."""
    return stopped_reason is not None and (
        stopped_reason == HEALTH_CHECK_REASON or stopped_reason.startswith(TARGET_CHECK_REASON)
    )


def lost(task: Task) -> Stop:
    """Stop a task that was replaced because its agent is out of reach, for when that comes back."""
    return Stop(
        task_arn=task.arn,
        stopped_reason=UNREACHABLE_REASON,
        reason="its agent is out of reach and the service has enough tasks without it",
        running=task.last_status == "RUNNING",
        stop_code="InfrastructureHealth",
    )
