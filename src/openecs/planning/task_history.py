"""What history says of a task's change: from the records before and after to entries.  Pure.

A normal task's life makes at most three entries: placed, asked to stop, stopped.  The last one
carries the whole final record, so that everything stays readable after the task is forgotten.
Only a task that failed is found by its service and deployment too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from openecs import arn as arns
from openecs.model.history import Actor, HistoryEntry
from openecs.model.task import Task
from openecs.planning import task_failures

#: Stop codes that no request led to: the task's own end.
OWN_ENDS = ("EssentialContainerExited", "TaskFailedToStart")
SCHEDULER = "the service scheduler"


def entries(
    old: Task | None,
    new: Task | None,
    *,
    because: tuple[str, Mapping[str, Any]] | None,
    actor: Actor | None,
    now: float,
) -> Iterator[HistoryEntry]:
    """What one committed change of a task is worth remembering.

    ``because`` is what the change's maker said about it, text and facts; ``actor`` whoever
    called, if the change answers a call.
    """
    if new is None or new is old:
        return
    said, facts = because or ("", {})
    if new.node_id is not None and (old is None or old.node_id is None):
        yield _placed(new, said, facts, actor, now)
    elif old is None and not new.stopped:
        text = f"waits for capacity of {new.capacity_provider_name or 'its cluster'}; {_started_by(new, said, actor)}"
        yield HistoryEntry(at=now, kind="waiting", text=text, task_arn=new.arn, facts=dict(facts))
    if new.protected_until is not None and (old is None or old.protected_until != new.protected_until):
        yield HistoryEntry(
            at=now,
            kind="protected",
            text=f"protected from scale-in{_by(actor)}",
            task_arn=new.arn,
            facts={"until": new.protected_until},
        )
    if new.health_status == "UNHEALTHY" and (old is None or old.health_status != "UNHEALTHY"):
        sick = [c.name for c in new.containers if c.health_status == "UNHEALTHY"]
        text = f"UNHEALTHY: the health check of {', '.join(sick)} fails"
        yield HistoryEntry(at=now, kind="unhealthy", text=text, task_arn=new.arn, facts={"containers": sick})
    asked = _asked_now(old, new)
    if new.stopped and (old is None or not old.stopped):
        yield _stopped(new, said if asked else "", facts if asked else {}, actor if asked else None, now)
    elif asked:
        yield _stop_requested(new, said, facts, actor, now)


def failed(task: Task) -> bool:
    """Whether a stopped task is worth finding by its service: it failed or was lost, nobody was done with it."""
    return task_failures.failed_health_checks(task) or task.stop_code not in (
        "UserInitiated",
        "ServiceSchedulerInitiated",
    )


def _asked_now(old: Task | None, new: Task) -> bool:
    """Whether this change is somebody's request that the task stop."""
    return (
        new.desired_status == "STOPPED"
        and (old is None or old.desired_status != "STOPPED")
        and new.stop_code is not None
        and new.stop_code not in OWN_ENDS
    )


def _placed(task: Task, said: str, facts: Mapping[str, Any], actor: Actor | None, now: float) -> HistoryEntry:
    where = f"machine {task.node_id}"
    if task.container_instance_arn:
        where = f"container instance {arns.short(task.container_instance_arn)}"
    text = f"placed on {where}"
    if task.availability_zone:
        text += f" in {task.availability_zone}"
    text += f"; {_started_by(task, said, actor)}"
    return HistoryEntry(at=now, kind="placed", text=text, task_arn=task.arn, facts={**facts, "node": task.node_id})


def _started_by(task: Task, said: str, actor: Actor | None) -> str:
    if task.deployment_id is not None:
        return f"started by {SCHEDULER} for deployment {task.deployment_id}{': ' + said if said else ''}"
    return f"started{_by(actor)}{': ' + said if said else ''}"


def _stop_requested(task: Task, said: str, facts: Mapping[str, Any], actor: Actor | None, now: float) -> HistoryEntry:
    text = f"asked to stop{_requester(task, said, actor)}: {task.stopped_reason}"
    return HistoryEntry(
        at=now,
        kind="stop-requested",
        text=text,
        task_arn=task.arn,
        facts={**facts, **_who(actor), "stopCode": task.stop_code},
    )


def _stopped(task: Task, said: str, facts: Mapping[str, Any], actor: Actor | None, now: float) -> HistoryEntry:
    text = f"STOPPED ({task.stop_code}): {task.stopped_reason}"
    if actor is not None or said:
        # It was stopped and declared STOPPED at once, because nobody would report on it.
        text += f"; stopped{_requester(task, said, actor)}"
    failure = failed(task)
    return HistoryEntry(
        at=now,
        kind="stopped",
        text=text,
        task_arn=task.arn,
        service_arn=task.service_arn if failure else None,
        deployment_id=task.deployment_id if failure else None,
        facts={**facts, **_who(actor), "task": _without_values(task)},
    )


def _without_values(task: Task) -> Task:
    """The task without the values of environment variables that its overrides set: they may be secrets."""
    if task.overrides is None or not task.overrides.container_overrides:
        return task
    kept = tuple(
        override
        if override.environment is None
        else replace(override, environment=tuple(replace(pair, value=None) for pair in override.environment))
        for override in task.overrides.container_overrides
    )
    return replace(task, overrides=replace(task.overrides, container_overrides=kept))


def _requester(task: Task, said: str, actor: Actor | None) -> str:
    who = _by(actor)
    if not who and task.stop_code == "ServiceSchedulerInitiated":
        who = f" by {SCHEDULER}"
    return f"{who} ({said})" if said else who


def _by(actor: Actor | None) -> str:
    return f" by {actor.principal} with {actor.operation}" if actor else ""


def _who(actor: Actor | None) -> dict[str, Any]:
    return {"principal": actor.principal, "operation": actor.operation} if actor else {}
