"""UpdateTaskProtection and GetTaskProtection: what the service scheduler may not stop for a while.

Protection is a time on the task's record; it ends by itself when the time has come, so nothing
has to be cleared.  The service planners honour it; users, failed health checks and lost
machines end a protected task all the same, as on AWS.
"""

from __future__ import annotations

import msgspec

from openecs.api.ecs import lookup
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers

MAX_UPDATED, MAX_SHOWN = 10, 100
#: Minutes.
DEFAULT_PERIOD, LONGEST_PERIOD = 120, 2880

NOT_OF_A_SERVICE = "The task is not part of a service; only tasks that a service manages can be protected."
GOING_DOWN = "The task is stopping or has stopped."
BLOCKED = (
    "The service has more protected tasks than its desired count. Wait until their protection expires, end the "
    "protection of some of them, or raise the desired count."
)


class TaskProtection:
    """The two operations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {"GetTaskProtection": self.get, "UpdateTaskProtection": self.update}

    def get(self, call: Call, request: ecs.GetTaskProtectionRequest) -> ecs.GetTaskProtectionResponse:
        """The protection of up to 100 tasks of services."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        shown: list[ecs.ProtectedTask] = []
        failures: list[ecs.Failure] = []
        for reference in _references(request.tasks, MAX_SHOWN):
            task = self._find(call, cluster, reference)
            if isinstance(task, ecs.Failure):
                failures.append(task)
            else:
                shown.append(_view(task, call.now))
        return ecs.GetTaskProtectionResponse(protected_tasks=tuple(shown), failures=tuple(failures))

    def update(self, call: Call, request: ecs.UpdateTaskProtectionRequest) -> ecs.UpdateTaskProtectionResponse:
        """Protect up to 10 tasks for some minutes from now, or end their protection."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        references = _references(request.tasks, MAX_UPDATED)
        minutes = DEFAULT_PERIOD if request.expires_in_minutes is None else request.expires_in_minutes
        if not 1 <= minutes <= LONGEST_PERIOD:
            raise invalid_parameter(f"expiresInMinutes must be between 1 and {LONGEST_PERIOD}.")
        until = call.now + minutes * 60.0 if request.protection_enabled else None
        shown: list[ecs.ProtectedTask] = []
        failures: list[ecs.Failure] = []
        found = [self._find(call, cluster, reference) for reference in references]
        with self._state.transaction() as tx:
            for task in found:
                outcome = task if isinstance(task, ecs.Failure) else self._set(tx, task, until, call.now)
                if isinstance(outcome, ecs.Failure):
                    failures.append(outcome)
                else:
                    shown.append(_view(outcome, call.now))
        return ecs.UpdateTaskProtectionResponse(protected_tasks=tuple(shown), failures=tuple(failures))

    def _set(self, tx: Transaction, task: Task, until: float | None, now: float) -> Task | ecs.Failure:
        if task.desired_status == "STOPPED" or task.stopped:
            return ecs.Failure(arn=task.arn, reason="TASK_NOT_VALID", detail=GOING_DOWN)
        if until is not None and self._blocked(task, now):
            return ecs.Failure(arn=task.arn, reason="DEPLOYMENT_BLOCKED", detail=BLOCKED)
        # The version stays: it counts the changes that AWS announces as events of the task, and
        # neither these nor DescribeTasks show protection.
        changed = msgspec.structs.replace(task, protected_until=until)
        if changed != task:
            tx.put(changed)
        return changed

    def _blocked(self, task: Task, now: float) -> bool:
        """Whether the task's service is held up by more protected tasks than it wants at all.

        A DAEMON service has no count of its own that could be exceeded.
        """
        service = self._state.services.get(task.service_arn or "")
        if service is None or service.scheduling_strategy == "DAEMON":
            return False
        protected = sum(
            1
            for other in self._state.tasks.by("service", service.arn)
            if other.protected(now) and other.desired_status == "RUNNING"
        )
        return protected > service.desired_count

    def _find(self, call: Call, cluster: Cluster, reference: str) -> Task | ecs.Failure:
        """The task of a service, or why it is none.  Raises when the caller may not ask about it."""
        arn = lookup.task_arn(cluster, reference)
        _require_own(call, arn)
        task = lookup.task(self._state, cluster, reference)
        if task is None:
            return ecs.Failure(arn=arn, reason="MISSING")
        if task.service_arn is None:
            return ecs.Failure(arn=arn, reason="TASK_NOT_VALID", detail=NOT_OF_A_SERVICE)
        return task


def _references(tasks: tuple[str, ...] | None, most: int) -> tuple[str, ...]:
    if not tasks:
        raise invalid_parameter("Tasks cannot be empty.")
    if len(tasks) > most:
        raise invalid_parameter(f"Tasks can have at most {most} items.")
    return tuple(dict.fromkeys(tasks))


def _require_own(call: Call, task_arn: str) -> None:
    """A task's own keys speak for that task only: there are no policies that could say more."""
    principal = call.principal
    if principal.kind == "root" or principal.task_arn == task_arn:
        return
    raise AWSError(
        "AccessDeniedException",
        f"User: {principal.arn} is not authorized to perform: {call.service}:{call.operation} on resource: {task_arn}",
    )


def _view(task: Task, now: float) -> ecs.ProtectedTask:
    protected = task.protected(now)
    return ecs.ProtectedTask(
        task_arn=task.arn,
        protection_enabled=protected,
        expiration_date=task.protected_until if protected else None,
    )
