"""Why a task is as it is, or was.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from openecs import arn as arns
from openecs.model.history import HistoryEntry
from openecs.model.task import Task
from openecs.planning.target_verdict import TargetVerdict
from openecs.planning.why.answer import Answer, Line, duration, in_order, line_of, record_in
from openecs.planning.why.cause import end_of, exit_of, memory_limit, requested_by
from openecs.planning.why.targets import DRAINS, said_of


class TaskStory(NamedTuple):
    """What is known of a task."""

    #: As it is, or as it was when it stopped.
    task: Task
    entries: Sequence[HistoryEntry]
    #: History of its service and its deployment: what the scheduler was told.
    around: Sequence[HistoryEntry] = ()
    #: Changes of the container instances of its cluster.
    instances: Sequence[HistoryEntry] = ()
    #: What its load balancers say, if it has some.
    targets: TargetVerdict | None = None


def final_record(entries: Sequence[HistoryEntry]) -> Task | None:
    """The task as its last entry keeps it, for when its record is forgotten."""
    for entry in reversed(entries):
        if entry.kind == "stopped" and (task := record_in(entry, "task", Task)) is not None:
            return task
    return None


def why_remembered(task_arn: str, entries: Sequence[HistoryEntry]) -> Answer:
    """What single entries tell of a task whose record nobody can read any more."""
    summary = "its record is forgotten, or was written by another version of OpenECS; this is what is remembered"
    return Answer(
        subject="task", id=task_arn, status=None, summary=summary, timeline=in_order(line_of(e) for e in entries)
    )


def why_task(story: TaskStory) -> Answer:
    """The causal timeline of a task."""
    task = story.task
    return Answer(
        subject="task",
        id=task.arn,
        status=task.last_status,
        summary=_summary(story),
        now=() if task.stopped else tuple(_now(story)),
        timeline=in_order(_lines(story)),
    )


def _summary(story: TaskStory) -> str:
    task = story.task
    if task.stopped or task.desired_status == "STOPPED":
        state = "stopped" if task.stopped else "stopping"
        cause = end_of(task)
        limits = memory_limit(story.entries)
        if limits and "want of memory" in cause and "(limit" not in cause:
            cause += f" (limit {next(iter(limits.values()))} MiB)"
        asked = requested_by(story.entries)
        if asked is not None and "principal" in asked.facts:
            return f"{state} by {asked.facts['principal']} with {asked.facts['operation']}: {cause}"
        if task.stop_code == "ServiceSchedulerInitiated":
            return f"{state} by the service scheduler: {cause}"
        return f"{state}: {cause}"
    if task.waiting is not None or task.node_id is None:
        provider = f" of capacity provider {task.capacity_provider_name}" if task.capacity_provider_name else ""
        return f"waiting: no node{provider} has room for it yet"
    if task.last_status == "RUNNING":
        health = f", {task.health_status}" if task.health_status != "UNKNOWN" else ""
        return f"running on {_place(task)}{health}"
    return f"{task.last_status} on {_place(task)}: {_doing(task)}"


def _doing(task: Task) -> str:
    if task.connectivity == "DISCONNECTED":
        return "the agent of its node is not connected"
    if task.connectivity is None:
        return "the agent of its node has not taken it yet"
    if task.pull_started_at is not None and task.pull_stopped_at is None:
        return "its images are being pulled"
    return "its containers are being prepared"


def _now(story: TaskStory) -> Iterator[Line]:
    task = story.task
    if task.connectivity == "DISCONNECTED":
        yield Line(what="now", text="the agent of its node is not connected: what is said here may be old")
    if task.waiting is not None:
        wishes = [f"constraint {c.type} {c.expression or ''}".rstrip() for c in task.waiting.placement_constraints]
        needs = f"it needs {task.reservation.cpu} CPU units and {task.reservation.memory} MiB"
        yield Line(what="now", text=needs, details=tuple(wishes))
    if task.drains and task.desired_status == "STOPPED":
        yield Line(what="now", text=f"it drains: {DRAINS}")
    said = said_of(task, story.targets)
    if said is not None:
        yield Line(what="targets", text=f"it {said}")
    for container in task.containers:
        health = f", {container.health_status}" if container.has_health_check else ""
        yield Line(what="now", text=f"container {container.name} is {container.last_status}{health}")


def _lines(story: TaskStory) -> Iterator[Line]:
    task = story.task
    yield from _what_led_to(story)
    kinds = {entry.kind for entry in story.entries}
    if not kinds & {"placed", "waiting"}:
        yield Line(at=task.created_at, what="created", text=f"created; it ran on {_place(task)}")
    yield from _observed(task)
    for entry in story.entries:
        if entry.kind == "stopped" and task.stopped:
            continue  # The record tells it, below.
        yield line_of(entry)
    if task.stopped and task.stopped_at is not None:
        stopped = next((entry for entry in story.entries if entry.kind == "stopped"), None)
        text = stopped.text if stopped is not None else f"STOPPED ({task.stop_code}): {task.stopped_reason}"
        ends = tuple(f"container {c.name} {exit_of(c)}" for c in task.containers if c.exit_code is not None or c.reason)
        yield Line(at=task.stopped_at, what="stopped", text=text, details=ends)


def _observed(task: Task) -> Iterator[Line]:
    """What agents reported, off the record."""
    if task.pull_started_at is not None:
        ended = task.pull_stopped_at
        text = (
            "images are being pulled" if ended is None else f"images pulled in {duration(ended - task.pull_started_at)}"
        )
        if task.started_at is None and (task.stopped_reason or "").startswith("CannotPull"):
            text = f"pulling an image failed: {task.stopped_reason}"
        yield Line(at=ended if ended is not None else task.pull_started_at, what="pull", text=text)
    if task.started_at is not None:
        # It is reported a moment later; a short life may be over by then.
        started = min(task.started_at, task.execution_stopped_at or task.started_at)
        yield Line(at=started, what="started", text="RUNNING")
    if task.execution_stopped_at is not None:
        yield Line(at=task.execution_stopped_at, what="ended", text="an essential container ended")


def _what_led_to(story: TaskStory) -> Iterator[Line]:
    """Who changed the service before the task was started or stopped, and its instance."""
    task = story.task
    orders = [entry for entry in story.around if entry.kind in ("service-changed", "deployment")]
    told: list[HistoryEntry] = []
    told += [e for e in orders if e.kind == "service-changed" and e.at <= task.created_at][-1:]
    told += [e for e in orders if e.deployment_id == task.deployment_id and e.at <= task.created_at][:1]
    if task.stop_code == "ServiceSchedulerInitiated" and task.stopping_at is not None:
        later = [entry for entry in orders if task.created_at < entry.at <= task.stopping_at]
        told += later[-2:]
    end = task.stopping_at or task.stopped_at
    for entry in story.instances:
        if entry.facts.get("instance") == task.container_instance_arn and (
            entry.at >= task.created_at and (end is None or entry.at <= end)
        ):
            told.append(entry)
    yield from (line_of(entry) for entry in told)


def _place(task: Task) -> str:
    if task.container_instance_arn:
        return f"container instance {arns.short(task.container_instance_arn)}"
    return f"machine {task.node_id}" if task.node_id else "no node"
