"""Tasks that fail: how they are counted and how long the next launch waits.  Pure.

Two rules, both per deployment, so that a broken new revision never delays the replacement of
a task of the old one:

* Tasks that stop without ever reaching RUNNING count in ``failedTasks``, as on AWS: the
  number of failures since the last task that started.  The delay doubles per round, a round
  being as many failures as the service wants tasks, up to AWS's 27 minutes.
* Tasks that reach RUNNING and exit by themselves soon after are not throttled on AWS.  Here
  such a loop is slowed to one round a minute at most, because a container that exits at once
  would otherwise be replaced several times a second.

Counting is level-triggered: the number is read off the tasks that are remembered, so that a
failure is never counted twice and never lost with a restart.  As STOPPED tasks are forgotten
after an hour, the record keeps the highest number of a row of failures.  What happened before
``Deployment.updated_at``, the last change by a caller, does not count: an update starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openecs.model.service import Deployment
from openecs.model.task import Task

FIRST_DELAY = 1.0
MAXIMUM_DELAY = 27 * 60.0
#: From this round on the service says that it cannot consistently start tasks.
IMPAIRED_ROUNDS = 3

#: A task that exits by itself within this many seconds of RUNNING was short-lived.
SHORT_LIFE = 60.0
#: Short-lived tasks are forgotten after this many seconds without another one.
CRASH_MEMORY = 600.0
MAXIMUM_CRASH_DELAY = 60.0


class StartRecord(NamedTuple):
    """What is known about a deployment's starts."""

    #: Consecutive tasks that never reached RUNNING.
    failed_tasks: int
    first_running_at: float | None


def account(deployment: Deployment, tasks: Iterable[Task]) -> StartRecord:
    """``deployment``'s counters as its remembered tasks give them."""
    first_running_at = deployment.first_running_at
    last_start = (0.0, 0.0)
    failures: list[tuple[float, float]] = []
    for task in tasks:
        if task.started_at is not None:
            if first_running_at is None or task.started_at < first_running_at:
                first_running_at = task.started_at
            last_start = max(last_start, (task.started_at, task.created_at))
        elif failed_to_start(task) and (task.stopped_at or 0.0) >= deployment.updated_at:
            failures.append((task.stopped_at or 0.0, task.created_at))
    failed = sum(failure > last_start for failure in failures)
    if failed:
        failed = max(failed, deployment.failed_tasks)
    return StartRecord(failed, first_running_at)


def failed_to_start(task: Task) -> bool:
    """Whether a task ended before RUNNING without anybody having asked it to stop."""
    return task.stopped and task.started_at is None and not _stopped_on_request(task)


def rounds(failed_tasks: int, desired: int) -> int:
    """How many times as many tasks failed as the service wants, rounded up."""
    return -(-failed_tasks // max(desired, 1))


def not_before(deployment: Deployment, desired: int, tasks: Iterable[Task], now: float) -> float:
    """The time (epoch seconds) before which a deployment with these tasks starts no other.

    ``deployment`` has its counters up to date.
    """
    last_failure = last_crash = 0.0
    crashes = 0
    for task in tasks:
        if not task.stopped or task.stopped_at is None or task.stopped_at < deployment.updated_at:
            continue
        if failed_to_start(task):
            last_failure = max(last_failure, task.stopped_at)
        elif _short_lived(task) and task.stopped_at > now - CRASH_MEMORY:
            crashes += 1
            last_crash = max(last_crash, task.stopped_at)
    until = 0.0
    if deployment.failed_tasks and last_failure:
        until = last_failure + _delay(rounds(deployment.failed_tasks, desired), MAXIMUM_DELAY)
    # The first crash of each wanted task is replaced at once, as AWS does.
    crash_rounds = rounds(crashes, desired) - 1
    if crash_rounds > 0:
        until = max(until, last_crash + _delay(crash_rounds, MAXIMUM_CRASH_DELAY))
    return until


def _delay(number: int, maximum: float) -> float:
    """Seconds to wait after the ``number``-th round; the exponent is bounded, floats are not."""
    return min(FIRST_DELAY * 2.0 ** min(number - 1, 20), maximum)


def _short_lived(task: Task) -> bool:
    return (
        task.started_at is not None
        and task.stopped_at is not None
        and task.stopped_at - task.started_at < SHORT_LIFE
        and not _stopped_on_request(task)
    )


def _stopped_on_request(task: Task) -> bool:
    return task.stop_code in ("UserInitiated", "ServiceSchedulerInitiated")
