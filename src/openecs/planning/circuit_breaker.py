"""The deployment circuit breaker: what it counts and when it trips.  Pure.

While a deployment is IN_PROGRESS three kinds of task failure count: tasks that never reached
RUNNING, tasks that the scheduler stopped because their health checks failed, and tasks that
reached RUNNING and exited by themselves.  AWS leaves out the third kind, so that a container
that crashes right after its start never fails a deployment there.

For the same reason a task without health checks has to prove itself: while the deployment is
IN_PROGRESS and the breaker is on, it counts as healthy ``PROOF_PERIOD`` seconds after RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.service import Deployment, FailureCount, Service
from openecs.model.task import Task
from openecs.planning import task_failures
from openecs.shapes import ecs

#: Seconds for which a task without health checks runs before it counts as healthy.
PROOF_PERIOD = 10.0

DEFAULT_PERCENT = 50
MINIMUM_BOUNDED = 3
MAXIMUM_BOUNDED = 200


def enabled(service: Service) -> bool:
    """Whether the circuit breaker of a service is on."""
    breaker = service.deployment_configuration.deployment_circuit_breaker
    return breaker is not None and breaker.enable


def rolls_back(service: Service) -> bool:
    """Whether the service goes back to the last completed deployment when the breaker trips."""
    breaker = service.deployment_configuration.deployment_circuit_breaker
    return breaker is not None and breaker.enable and breaker.rollback


def proves_tasks(service: Service, deployment: Deployment) -> bool:
    """Whether tasks of a deployment without health checks have to run for the proof period.

    Those of a deployment that a newer one replaces do not: they serve as they are.
    """
    return deployment.rollout_state == "IN_PROGRESS" and deployment.status == "PRIMARY" and enabled(service)


def threshold(configuration: ecs.DeploymentConfiguration, desired: int) -> int:
    """With how many failures a deployment of ``desired`` tasks fails; at least one."""
    breaker = configuration.deployment_circuit_breaker
    given = breaker.threshold_configuration if breaker else None
    if given is None:
        return _bounded(_percent(desired, DEFAULT_PERCENT))
    if given.type == "COUNT":
        return max(given.value, 1)
    share = _percent(desired, given.value)
    return _bounded(share) if given.type == "BOUNDED_PERCENT" else max(share, 1)


def is_failure(task: Task) -> bool:
    """Whether an ended task counts."""
    return task_failures.failed_to_start(task) or task_failures.exited(task) or task_failures.failed_health_checks(task)


def count(
    service: Service, deployment: Deployment, stopped: Iterable[Task], known: Iterable[Task], now: float
) -> FailureCount:
    """``deployment.breaker`` brought up to date with the remembered tasks."""
    times = [task.stopped_at or 0.0 for task in stopped if is_failure(task)]
    mark = deployment.breaker
    if not times and not mark.count:
        return mark
    breaker = service.deployment_configuration.deployment_circuit_breaker
    if breaker is not None and breaker.reset_on_healthy_task is False:
        return task_failures.advance(mark, times, now=now)
    times_healthy = (became_healthy(task, balanced=bool(deployment.load_balancers)) for task in known)
    healthy_at = max((at for at in times_healthy if at <= now), default=float("-inf"))
    return task_failures.advance(mark, times, now=now, reset_at=healthy_at)


def counted_up_to(stopped: Iterable[Task], now: float) -> FailureCount:
    """A count of zero that leaves out everything that failed until ``now``."""
    times = [task.stopped_at or 0.0 for task in stopped if is_failure(task)]
    return FailureCount(until=now, at_until=times.count(now), ahead=sum(at > now for at in times))


def became_healthy(task: Task, *, balanced: bool = False) -> float:
    """When a task reached a healthy state first, in epoch seconds; infinity if it never did.

    ``balanced``: it is a target of load balancers, whose health checks have to pass too.
    """
    if task.started_at is None or (balanced and task.targets_healthy_at is None):
        return float("inf")
    for container in task.containers:
        if container.has_health_check and container.essential:
            return float("inf") if task.healthy_at is None else max(task.healthy_at, task.targets_healthy_at or 0.0)
    if balanced:
        return task.targets_healthy_at or 0.0
    proven_at = task.started_at + PROOF_PERIOD
    ended_at = task.stopping_at or task.stopped_at
    return float("inf") if ended_at is not None and ended_at < proven_at else proven_at


def _percent(desired: int, percent: int) -> int:
    return -(-desired * percent // 100)


def _bounded(share: int) -> int:
    return min(max(share, MINIMUM_BOUNDED), MAXIMUM_BOUNDED)
