"""Which ended tasks count as failures of their deployment, and counting them exactly.  Pure.

Counting is level-triggered: it reads the tasks that are remembered, and a ``FailureCount`` marks
up to where they were counted.  So no failure counts twice, none is lost with a restart, and the
count stays right after STOPPED tasks were forgotten.

What nobody can blame on the deployment is no failure: tasks that a caller or the scheduler
stopped, and tasks that were lost with their machine or interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.model.service import FailureCount
from openecs.model.task import Task
from openecs.planning.service_actions import HEALTH_CHECK_REASON

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
    return task.stopped and task.stopped_reason == HEALTH_CHECK_REASON


def advance(
    mark: FailureCount,
    times: Iterable[float],
    *,
    since: float = _NEVER,
    reset_at: float = _NEVER,
    memory: float = float("inf"),
) -> FailureCount:
    """``mark`` after the failures that are remembered; the same object when nothing is new.

    ``times`` are when they ended, in any order.  Failures before ``since`` do not count, those
    up to ``reset_at`` are made good by then, and a pause of more than ``memory`` seconds between
    two failures makes good what was before it.
    """
    count, until, at_until = mark.count, mark.until, mark.at_until
    if count and (until < since or until <= reset_at):
        count = 0
    seen = 0
    for at in sorted(times):
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
        count = 0 if at < since or at <= reset_at else count + 1
    if (count, until, at_until) == (mark.count, mark.until, mark.at_until):
        return mark
    return msgspec.structs.replace(mark, count=count, until=until, at_until=at_until)
