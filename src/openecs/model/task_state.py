"""The life of a task: how requests to stop and agents' reports change it.  Pure.

* ``request_stop``: the control plane wants the task to stop.
* ``acknowledge``: the agent has the newest order for the task.
* ``apply_report``: the agent observed something.
* ``declare_stopped``: nobody will ever report on the task again.
* ``apply_health``, ``apply_connectivity``: what the telemetry and the link tell.

The status never goes back and STOPPED is final.  Every function returns the same record when
nothing changed; otherwise ``version`` is one higher, because AWS sends an event then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from openecs.model import task_container_state
from openecs.model.task import STATUS_ORDER, NetworkInterface, Task, TaskContainer, TaskStatus
from openecs.model.task_report import TaskReport
from openecs.shapes import ecs

Health = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]

ESSENTIAL_EXITED = "Essential container in task exited"
FAILED_TO_START = "Task failed to start"

_RUNNING = STATUS_ORDER["RUNNING"]
_STOPPING = STATUS_ORDER["STOPPING"]
#: Worst first.
_HEALTH_ORDER: tuple[Health, ...] = ("UNHEALTHY", "UNKNOWN", "HEALTHY")


def request_stop(task: Task, *, now: float, stop_code: ecs.TaskStopCode, reason: str) -> Task:
    """The task with its desired status STOPPED.  A task already asked to stop is unchanged:
    the first reason stays.

    A task that no node knows of is STOPPED at once.  A RUNNING task is DEACTIVATING until its
    agent has the order; one that has not reached RUNNING keeps its status until then.
    """
    if task.stopped or task.desired_status == "STOPPED":
        return task
    if task.node_id is None:
        return declare_stopped(task, now=now, stop_code=stop_code, reason=reason, containers_stopped=True)
    status: TaskStatus = "DEACTIVATING" if task.last_status == "RUNNING" else task.last_status
    return _changed(
        task,
        desired_status="STOPPED",
        last_status=status,
        stopping_at=now,
        stop_code=stop_code,
        stopped_reason=reason[:1024],
    )


def acknowledge(task: Task, desired_status: str, *, now: float) -> Task:
    """The task after its agent acknowledged an order with that desired status.

    PROVISIONING becomes PENDING (the agent has it now); a task that is to stop is STOPPING.
    """
    if task.stopped or desired_status != task.desired_status:
        return task
    status = task.last_status
    if desired_status == "STOPPED":
        if STATUS_ORDER[status] < _STOPPING:
            status = "STOPPING"
    elif status == "PROVISIONING":
        status = "PENDING"
    return _changed(task, last_status=status, **_connected(task, now))


def declare_stopped(
    task: Task, *, now: float, stop_code: ecs.TaskStopCode, reason: str, containers_stopped: bool = False
) -> Task:
    """The task STOPPED without an agent's word, because none will come any more.

    Containers keep what was last seen of them, unless none was ever started.
    """
    if task.stopped:
        return task
    containers = task.containers
    if containers_stopped:
        containers = tuple(msgspec.structs.replace(c, last_status="STOPPED") for c in containers)
    return _changed(
        task,
        desired_status="STOPPED",
        last_status="STOPPED",
        containers=containers,
        stopping_at=task.stopping_at or now,
        stopped_at=now,
        waiting=None,
        stop_code=task.stop_code or stop_code,
        stopped_reason=task.stopped_reason or reason[:1024],
        eni=_interface(task.eni, "DELETED"),
    )


def apply_report(task: Task, report: TaskReport, now: float) -> Task:
    """The task after an agent's report, which may be a repetition of an older one."""
    if task.stopped:
        return task
    containers = _merge_containers(task.containers, report)
    observed: dict[str, Any] = {
        "containers": containers,
        "pull_started_at": _first(task.pull_started_at, report.pull_started_at),
        "pull_stopped_at": _latest(task.pull_stopped_at, report.pull_stopped_at),
        "execution_stopped_at": _first(task.execution_stopped_at, report.execution_stopped_at),
        **_connected(task, now),
    }
    if task.eni is not None and task.eni.attachment_id in report.attached:
        observed["eni"] = _interface(task.eni, "ATTACHED")
    if report.status == "STOPPED":
        return _changed(task, **(observed | _stopped(task, report, containers, now)))
    return _changed(task, **(observed | _progress(task, report, containers, now)))


def apply_health(task: Task, containers: Mapping[str, Health], *, now: float) -> Task:
    """The task after its agent told the health of containers, by name.

    Only containers with a health check of their task definition have a health.
    """
    if task.stopped:
        return task
    merged = tuple(
        msgspec.structs.replace(c, health_status=containers[c.name])
        if c.has_health_check and c.name in containers
        else c
        for c in task.containers
    )
    health = task_health(merged)
    healthy_at = now if health == "HEALTHY" and task.healthy_at is None else task.healthy_at
    return _changed(task, containers=merged, health_status=health, healthy_at=healthy_at)


def apply_connectivity(task: Task, connectivity: Literal["CONNECTED", "DISCONNECTED"], *, now: float) -> Task:
    """The task after the link to its agent came or went; its status stays what it was."""
    if task.stopped or task.connectivity == connectivity:
        return task
    if connectivity == "CONNECTED":
        return _changed(task, connectivity=connectivity, connectivity_at=now, unreachable_since=None)
    return _changed(task, connectivity=connectivity, unreachable_since=now)


def task_health(containers: tuple[TaskContainer, ...]) -> Health:
    """The worst health among the essential containers that have a health check."""
    checked = {c.health_status for c in containers if c.essential and c.has_health_check}
    return next((health for health in _HEALTH_ORDER if health in checked), "UNKNOWN")


def _merge_containers(containers: tuple[TaskContainer, ...], report: TaskReport) -> tuple[TaskContainer, ...]:
    """Agents also report containers of their own (``~internal~ecs~pause``): those are left out."""
    if not report.containers:
        return containers
    by_name = {c.name: c for c in containers}
    for said in report.containers:
        if said.name in by_name:
            by_name[said.name] = task_container_state.merge(by_name[said.name], said)
    return tuple(by_name.values())


def _progress(task: Task, report: TaskReport, containers: tuple[TaskContainer, ...], now: float) -> dict[str, Any]:
    """What a report changes that leaves the task alive."""
    changes: dict[str, Any] = {}
    order = STATUS_ORDER[task.last_status]
    if report.status == "PENDING" and order < STATUS_ORDER["ACTIVATING"]:
        changes["last_status"] = "ACTIVATING"
    elif report.status == "RUNNING" and order < _RUNNING:
        changes |= {"last_status": "RUNNING", "started_at": task.started_at or now}
        if task.eni is not None:
            changes["eni"] = _interface(task.eni, "ATTACHED")
    elif report.status == "RUNNING" and task.started_at is None:
        changes["started_at"] = now
    if "last_status" in changes and changes["last_status"] == "RUNNING" and task.desired_status == "STOPPED":
        # It came up while the order to stop was on its way.
        changes["last_status"] = "STOPPING"
    if task.desired_status == "RUNNING" and any(c.essential and c.last_status == "STOPPED" for c in containers):
        # The agent stops the rest by itself and says so later; what ended is known now.
        code, reason = _why(report, containers, started=report.status == "RUNNING" or _started(task, containers))
        changes |= {"desired_status": "STOPPED", "last_status": "STOPPING", "stopping_at": now}
        if reason != FAILED_TO_START:
            # Without a reason yet it comes with the agent's last word: volumes, limits or network failed.
            changes |= {"stop_code": code, "stopped_reason": reason}
    if task.eni is not None and all(c.last_status == "STOPPED" for c in containers):
        # Nothing runs any more, and the agent takes the network interface down before it says STOPPED.
        changes["last_status"] = "DEPROVISIONING"
    return changes


def _stopped(task: Task, report: TaskReport, containers: tuple[TaskContainer, ...], now: float) -> dict[str, Any]:
    """What the agent's STOPPED changes: the final state."""
    started = _started(task, containers)
    changes: dict[str, Any] = {
        "desired_status": "STOPPED",
        "last_status": "STOPPED",
        "stopping_at": task.stopping_at or now,
        "stopped_at": now,
        "eni": _interface(task.eni, "DELETED"),
    }
    if started and task.started_at is None:
        # It was over before its RUNNING was reported; it cannot have begun after its end.
        changes["started_at"] = min(now, report.execution_stopped_at or now)
    if task.stop_code is None:
        changes["stop_code"], changes["stopped_reason"] = _why(report, containers, started=started)
    changes["containers"] = tuple(
        c if c.last_status == "STOPPED" else msgspec.structs.replace(c, last_status="STOPPED") for c in containers
    )
    return changes


def _started(task: Task, containers: tuple[TaskContainer, ...]) -> bool:
    """Whether the task ever was RUNNING: reported so, or every essential container ran."""
    if task.started_at is not None:
        return True
    return all(task_container_state.ran(c) for c in containers if c.essential)


def _why(report: TaskReport, containers: tuple[TaskContainer, ...], *, started: bool) -> tuple[ecs.TaskStopCode, str]:
    """The stop code and reason of a task that nobody asked to stop."""
    if not started:
        essential = [c.reason for c in containers if c.reason and c.essential and not task_container_state.ran(c)]
        others = [c.reason for c in containers if c.reason and not c.essential]
        if (
            not report.reason
            and not essential
            and any(c.essential and task_container_state.ended(c) for c in containers)
        ):
            # It came to its own end before the others had started; nothing had failed to start.
            return "EssentialContainerExited", ESSENTIAL_EXITED
        reason = next(iter([*filter(None, (report.reason,)), *essential, *others]), FAILED_TO_START)
        return "TaskFailedToStart", reason[:1024]
    if any(c.essential and c.last_status == "STOPPED" for c in containers) or not report.reason:
        return "EssentialContainerExited", ESSENTIAL_EXITED
    return "EssentialContainerExited", report.reason[:1024]


def _connected(task: Task, now: float) -> dict[str, Any]:
    """Whoever reports is connected."""
    if task.connectivity == "CONNECTED":
        return {}
    return {"connectivity": "CONNECTED", "connectivity_at": now, "unreachable_since": None}


def _interface(eni: NetworkInterface | None, status: Literal["ATTACHED", "DELETED"]) -> NetworkInterface | None:
    return None if eni is None else msgspec.structs.replace(eni, status=status)


def _first(known: float | None, said: float | None) -> float | None:
    return said if known is None else known


def _latest(known: float | None, said: float | None) -> float | None:
    return said if known is None else known if said is None else max(known, said)


def _changed(task: Task, **changes: Any) -> Task:
    changed = msgspec.structs.replace(task, **changes)
    if changed == task:
        return task
    return msgspec.structs.replace(changed, version=task.version + 1)
