"""Which ended tasks count as failures of their deployment, and counting them exactly.  Pure.

Counting is level-triggered: it reads the tasks that are remembered, and a ``FailureCount`` marks
up to where they were counted.  So no failure counts twice, none is lost with a restart, and the
count stays right after STOPPED tasks were forgotten.

What nobody can blame on the deployment is no failure: tasks that a caller or the scheduler
stopped, and tasks that were lost with their machine or interrupted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from openecs.model.record import changed
from openecs.model.service import FailureCount
from openecs.model.task import Task
from openecs.planning.service_actions import names_health_checks

_BLAMELESS = frozenset(
    {"UserInitiated", "ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth"}
)
_NEVER = float("-inf")


def failed_to_start(task: Task) -> bool:
    """Whether a task ended before RUNNING without anybody having asked it to stop."""
    return task.stopped and task.started_at is None and task.stop_code not in _BLAMELESS


def exited(task: Task) -> bool:
    """Whether a task reached RUNNING and then ended by itself, whatever its exit code."""
    return task.stopped and task.started_at is not None and task.stop_code not in _BLAMELESS


def failed_health_checks(task: Task) -> bool:
    """Whether the scheduler stopped a task because its health checks failed."""
    return task.stopped and names_health_checks(task.stopped_reason)


def advance(
    mark: FailureCount,
    times: Iterable[float],
    *,
    now: float,
    since: float = _NEVER,
    reset_at: float = _NEVER,
    memory: float = float("inf"),
) -> FailureCount:
    """``mark`` after the failures that are remembered; the same object when nothing is new.

    ``times`` are when they ended, in any order.  Failures before ``since`` do not count, those
    up to ``reset_at`` are made good by then, and a pause of more than ``memory`` seconds between
    two failures makes good what was before it.

    Whatever ended after ``now`` ended by a clock that was set back since, and was counted then.
    """
    ordered = sorted(times)
    past = bisect_right(ordered, now)
    count, until, at_until = mark.count, mark.until, mark.at_until
    if until > now:
        until, at_until = now, past - bisect_left(ordered, now)
        ahead, passed = len(ordered) - past, 0
    else:
        ahead = min(mark.ahead, len(ordered) - past)
        passed = mark.ahead - ahead
    if count and (until < since or until <= reset_at):
        count = 0
    seen = 0
    for at in ordered[:past]:
        if at < until:
            continue
        if at > until:
            if at - until > memory:
                count = 0
            until, at_until, seen = at, 0, 0
        seen += 1
        if seen <= at_until:
            continue
        at_until = seen
        if passed:
            # The clock has come to it a second time.
            passed -= 1
        else:
            count = 0 if at < since or at <= reset_at else count + 1
    return changed(mark, count=count, until=until, at_until=at_until, ahead=ahead)
