"""What load balancers have to do with how tasks are.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from openecs import arn as arns
from openecs.model.task import Task
from openecs.planning.target_verdict import TargetVerdict
from openecs.planning.why.answer import Line

#: How a task that was told to stop and still gets requests is described.
DRAINS = "its agent is told when nothing is in flight to it any more and no name leads to it"


def said_of(task: Task, verdict: TargetVerdict | None) -> str | None:
    """What keeps a RUNNING task from being healthy as a target; ``None`` when nothing does.

    ``verdict`` is ``None`` for tasks that have to do with no load balancer.
    """
    if verdict is None or task.last_status != "RUNNING" or task.desired_status != "RUNNING":
        return None
    if verdict.failure is not None:
        failure = verdict.failure
        group = group_name(failure.target_group_arn)
        return f"is unhealthy in target group {group} (port {failure.port}): {failure.reason}"
    if verdict.health == "UNKNOWN":
        return "runs and is not healthy in all its target groups yet"
    return None


def target_lines(tasks: Sequence[Task], targets: Mapping[str, TargetVerdict]) -> Iterator[Line]:
    """A line for every task that its load balancers do not hold to be healthy."""
    for task in tasks:
        said = said_of(task, targets.get(task.arn))
        if said is not None:
            yield Line(what="targets", text=f"task {arns.short(task.arn)} {said}")


def group_name(target_group_arn: str) -> str:
    """The name in a target group's ARN."""
    parts = target_group_arn.split("/")
    return parts[1] if len(parts) > 2 else target_group_arn
