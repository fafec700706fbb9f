"""How long a deployment whose tasks fail waits before its next launch.  Pure.

Two rules, both per deployment, so that a broken new revision never delays the replacement of
a task of the old one:

* Tasks that stop without ever reaching RUNNING count in ``failedTasks``, as on AWS: the
  number of failures since the last task that started.  The delay doubles per round, a round
  being as many failures as the service wants tasks, up to AWS's 27 minutes.
* Tasks that reach RUNNING and exit by themselves soon after, or are stopped because their
  health checks never succeeded or soon failed again, are not throttled on AWS.  Here the first
  round is replaced at once; from the second on the delay doubles, up to five minutes.  Ten
  minutes without such an end make good what was before.

What happened before ``Deployment.updated_at``, the last change by a caller, does not count: an
update of the service starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from openecs.model.record import changed
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.planning import task_failures
from openecs.planning.service_actions import TARGET_CHECK_REASON

FIRST_DELAY = 1.0
MAXIMUM_DELAY = 27 * 60.0
#: From this round on the service says that it cannot consistently start tasks.
IMPAIRED_ROUNDS = 3

#: A task that exits by itself within this many seconds of RUNNING was short-lived.
SHORT_LIFE = 60.0
#: One whose health checks fail within this many seconds of the first that succeeded was not
#: healthy for long: noticing takes a few checks, a minute and a half with AWS's defaults.
SHORT_HEALTH = 300.0
#: Seconds without a short-lived task after which earlier ones are forgotten.
STABLE_PERIOD = 600.0
MAXIMUM_CRASH_DELAY = 300.0


class BackOff(NamedTuple):
    """Why a deployment starts nothing at present, as facts for people and programs."""

    deployment_id: str
    cause: Literal["never-started", "exited-early"]
    #: Failures in a row that led to it.
    failures: int
    #: Length in seconds.
    delay: float
    #: Epoch seconds.
    until: float


def account(deployment: Deployment, stopped: Iterable[Task], known: Iterable[Task], now: float) -> Deployment:
    """``deployment`` with its counters as its remembered tasks give them.

    ``stopped`` are those of the tasks in ``known`` that are STOPPED.  Times after ``now`` are of
    a clock that was set back since: they make nothing good that fails from now on.
    """
    failures: list[float] = []
    crashes: list[float] = []
    for task in stopped:
        if task_failures.failed_to_start(task):
            failures.append(task.stopped_at or 0.0)
        elif _short_lived(task):
            crashes.append(task.stopped_at or 0.0)
    since = deployment.updated_at if deployment.updated_at <= now else float("-inf")
    start_failures = deployment.start_failures
    start_failures = deployment.start_failures
    first_running_at = deployment.first_running_at
    if failures or start_failures.count or first_running_at is None:
        starts = [task.started_at for task in known if task.started_at is not None]
        if starts and first_running_at is None:
            first_running_at = min(starts)
        start_failures = task_failures.advance(
            start_failures,
            failures,
            now=now,
            since=since,
            reset_at=max((at for at in starts if at <= now), default=float("-inf")),
        )
    return changed(
        deployment,
        failed_tasks=start_failures.count,
        start_failures=start_failures,
        crashes=task_failures.advance(deployment.crashes, crashes, now=now, since=since, memory=STABLE_PERIOD),
        first_running_at=first_running_at,
    )


def rounds(failures: int, desired: int) -> int:
    """How many times as many tasks failed as the service wants, rounded up."""
    return -(-failures // max(desired, 1))


def state(deployment: Deployment, desired: int, now: float) -> BackOff | None:
    """What holds a deployment back now, if anything does; its counters are up to date."""
    longest: BackOff | None = None
    for back_off in (_never_started(deployment, desired), _exited_early(deployment, desired)):
        if back_off is not None and back_off.until > now and (longest is None or back_off.until > longest.until):
            longest = back_off
    return longest


def calm_at(deployment: Deployment, desired: int) -> float:
    """When (epoch seconds) tasks that replaced short-lived ones have outlived these; 0 without back-off.

    Its counters are up to date.
    """
    looping = rounds(deployment.crashes.count, desired) > 1
    return deployment.crashes.until + SHORT_LIFE if looping else 0.0


def back_off_state(service: Service, tasks: Iterable[Task], now: float) -> tuple[BackOff, ...]:
    """What holds the deployments of a service back now, for ``openecs why``.

    ``tasks`` are all remembered tasks of the service.
    """
    by_deployment: dict[str | None, list[Task]] = {}
    for task in tasks:
        by_deployment.setdefault(task.deployment_id, []).append(task)
    found = []
    for deployment in service.deployments:
        known = by_deployment.get(deployment.id, [])
        current = account(deployment, [task for task in known if task.stopped], known, now)
        back_off = state(current, service.desired_count, now)
        if back_off is not None:
            found.append(back_off)
    return tuple(found)


def _never_started(deployment: Deployment, desired: int) -> BackOff | None:
    mark = deployment.start_failures
    if not mark.count:
        return None
    delay = _delay(rounds(mark.count, desired), MAXIMUM_DELAY)
    return BackOff(deployment.id, "never-started", mark.count, delay, mark.until + delay)


def _exited_early(deployment: Deployment, desired: int) -> BackOff | None:
    mark = deployment.crashes
    # The first crash of each wanted task is replaced at once, as AWS does.
    number = rounds(mark.count, desired) - 1
    if number <= 0:
        return None
    delay = _delay(number, MAXIMUM_CRASH_DELAY)
    return BackOff(deployment.id, "exited-early", mark.count, delay, mark.until + delay)


def _delay(number: int, maximum: float) -> float:
    """Seconds to wait after the ``number``-th round; the exponent is bounded, floats are not."""
    return min(FIRST_DELAY * 2.0 ** min(number - 1, 20), maximum)


def _short_lived(task: Task) -> bool:
    if task.started_at is None or task.stopped_at is None:
        return False
    if task_failures.failed_health_checks(task):
        of_targets = (task.stopped_reason or "").startswith(TARGET_CHECK_REASON)
        healthy_at = task.targets_healthy_at if of_targets else task.healthy_at
        return healthy_at is None or task.stopped_at - healthy_at < SHORT_HEALTH
    return task_failures.exited(task) and task.stopped_at - task.started_at < SHORT_LIFE
