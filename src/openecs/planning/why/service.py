"""Why a service, or one of its deployments, is as it is.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from openecs import arn as arns
from openecs.model.history import HistoryEntry
from openecs.model.service import Deployment, Service
from openecs.model.task import STATUS_ORDER, Task
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import deployment_backoff, traffic_shift
from openecs.planning.target_verdict import TargetVerdict
from openecs.planning.why.answer import Answer, Failures, Line, details_of, duration, in_order, line_of, record_in
from openecs.planning.why.cause import end_of
from openecs.planning.why.targets import DRAINS, target_lines

#: Lines of a timeline, the newest, and ids of failed tasks of one cause.
LINES, TASKS = 60, 5
#: Lines about changes and deployments that are told beside the newest: what is asked for most.
ORDERS = 10
#: What was ordered, and what failed of it.
ORDER_KINDS, FAILURE_KINDS = ("service-changed", "deployment"), ("stopped",)


class ServiceStory(NamedTuple):
    """What is known of a service."""

    arn: str
    #: ``None`` when it is forgotten.
    service: Service | None
    #: Its tasks that are remembered.
    tasks: Sequence[Task]
    #: Its history, its failed tasks included.
    entries: Sequence[HistoryEntry]
    #: Task ARN → what its load balancers say, for tasks that have some.
    targets: Mapping[str, TargetVerdict] = MappingProxyType({})
    #: Where its newest deployment is with its traffic, while that is under way.
    shift: TrafficShift | None = None


def why_service(story: ServiceStory, now: float) -> Answer:
    """What a service waits for, how its deployments went and what fails."""
    service = story.service
    failures = _failures(story.entries)
    timeline = _timeline(story.entries)
    if service is None:
        summary = "it does not exist any more; this is what is remembered"
        return Answer(
            subject="service",
            id=story.arn,
            status=None,
            summary=summary,
            failures=failures,
            timeline=timeline,
        )
    current = tuple(_now(service, story, now))
    return Answer(
        subject="service",
        id=service.arn,
        status=service.status,
        summary=current[0].text,
        now=current[1:],
        failures=failures,
        timeline=timeline,
    )


def why_deployment(deployment_id: str, story: ServiceStory, now: float) -> Answer:
    """How one deployment goes or went, and what of it failed.  ``entries`` are the deployment's."""
    service = story.service
    deployment = service.deployment(deployment_id) if service is not None else None
    current: list[Line] = []
    summary = "it is over; this is what is remembered"
    last = next((e for e in reversed(story.entries) if e.kind == "deployment" and "deployment" in e.facts), None)
    if deployment is not None and service is not None:
        summary = _rollout(deployment)
        own = [task for task in story.tasks if task.deployment_id == deployment_id and not task.stopped]
        running = sum(task.last_status == "RUNNING" and task.desired_status == "RUNNING" for task in own)
        healthy = sum(task.health_status == "HEALTHY" for task in own)
        text = f"{running} of its tasks run, {healthy} of them HEALTHY by a health check; the service wants"
        current.append(Line(what="now", text=f"{text} {service.desired_count}"))
        others = sum(task.deployment_id != deployment_id and not task.stopped for task in story.tasks)
        if others:
            current.append(Line(what="now", text=f"{others} tasks of other deployments have not stopped"))
        if deployment.status == "PRIMARY":
            current += _shift_now(deployment, story)
        current += _tasks_now([task for task in story.tasks if task.deployment_id == deployment_id])
        current += target_lines([task for task in story.tasks if task.deployment_id == deployment_id], story.targets)
        current += _held_back(service, story, now, only=deployment_id)
        current += _unplaced(story)
    elif last is not None:
        kept = record_in(last, "deployment", Deployment)
        summary = f"{_rollout(kept) if kept is not None else last.text}; it is over"
    return Answer(
        subject="deployment",
        id=deployment_id,
        status=deployment.rollout_state if deployment else None,
        summary=summary,
        now=tuple(current),
        failures=_failures(story.entries),
        timeline=_timeline(story.entries),
    )


def _timeline(entries: Sequence[HistoryEntry]) -> tuple[Line, ...]:
    """The newest lines, and the newest orders however long ago; failed tasks are told in groups."""
    told = [entry for entry in entries if entry.kind not in FAILURE_KINDS]
    older = told[:-LINES]
    orders = [entry for entry in older if entry.kind in ORDER_KINDS][-ORDERS:]
    return in_order(line_of(entry) for entry in (*orders, *told[-LINES:]))


def _now(service: Service, story: ServiceStory, now: float) -> Iterator[Line]:
    """The present: first the one sentence."""
    live = [task for task in story.tasks if not task.stopped]
    running = sum(task.last_status == "RUNNING" and task.desired_status == "RUNNING" for task in live)
    counts = f"{running} of {service.desired_count} tasks run"
    primary = service.primary
    held = list(_held_back(service, story, now))
    unplaced = list(_unplaced(story))
    as_targets = list(target_lines(live, story.targets))
    shifting = list(_shift_now(primary, story)) if primary is not None else []
    if service.status == "INACTIVE":
        yield Line(what="now", text="it was deleted")
    elif service.status == "DRAINING":
        yield Line(what="now", text=f"it is being deleted: {len(live)} tasks have not stopped yet")
    elif service.steady:
        yield Line(what="now", text=f"steady: {counts}, nothing is to be done")
    elif held:
        yield Line(what="now", text=f"{counts}; {held[0].text}")
    elif unplaced:
        yield Line(what="now", text=f"{counts}; waiting: {unplaced[0].text}")
    elif primary is not None and primary.rollout_state == "FAILED":
        yield Line(what="now", text=f"{counts}; its deployment FAILED: {primary.rollout_state_reason}")
    elif running < service.desired_count:
        yield Line(what="now", text=f"{counts}; the others are on their way")
    elif as_targets:
        yield Line(what="now", text=f"{counts}; waiting: {as_targets[0].text}")
    elif shifting:
        yield Line(what="now", text=f"{counts}; {shifting[0].text}")
    elif primary is not None and primary.rollout_state == "IN_PROGRESS":
        yield Line(what="now", text=f"{counts}; deployment {primary.id} is in progress")
    elif running == len(live) == service.desired_count and primary is not None and primary.crashes.count:
        ended = f"{primary.crashes.count} tasks in a row ended soon after they ran"
        yield Line(what="now", text=f"{counts}; steady if they go on: {ended}")
    else:
        yield Line(what="now", text=f"{counts}; {len(live) - running} tasks are still to stop")
    for deployment in service.deployments:
        yield Line(what="now", text=f"{deployment.status} deployment {deployment.id}: {_rollout(deployment)}")
    yield from shifting
    yield from _tasks_now(live)
    yield from as_targets
    yield from held
    yield from unplaced


def _rollout(deployment: Deployment) -> str:
    rolls_back = (
        f" (rolls back {deployment.rolls_back})"
        if deployment.rolls_back and deployment.rollout_state != "COMPLETED"
        else ""
    )
    name = arns.short(deployment.task_definition_arn)
    return f"{deployment.rollout_state}{rolls_back}, of {name}: {deployment.rollout_state_reason}"


def _shift_now(primary: Deployment, story: ServiceStory) -> Iterator[Line]:
    """The stage of a deployment that shifts traffic, and what it waits for there."""
    shift = story.shift
    if shift is None or primary.rollout_state != "IN_PROGRESS":
        return
    if primary.rolls_back is not None:
        text = f"deployment {primary.id} has all traffic again and waits until {primary.rolls_back} is gone"
        yield Line(what="traffic", text=text)
        return
    text = f"deployment {primary.id} is in lifecycle stage {shift.stage}: {traffic_shift.waits_for(shift)}"
    shares = f"production traffic {shift.production:g} %, test traffic {shift.test:g} %"
    yield Line(what="traffic", text=f"{text} ({shares})")


def _tasks_now(tasks: Sequence[Task]) -> Iterator[Line]:
    """Tasks that are neither up and well nor gone, by what they do."""
    for task in tasks:
        if task.stopped:
            continue
        task_id = arns.short(task.arn)
        if task.desired_status == "STOPPED":
            drains = f"; {DRAINS}" if task.drains else ""
            yield Line(what="now", text=f"task {task_id} is {task.last_status}: {task.stopped_reason}{drains}")
        elif task.health_status == "UNHEALTHY":
            yield Line(what="now", text=f"task {task_id} is UNHEALTHY")
        elif STATUS_ORDER[task.last_status] < STATUS_ORDER["RUNNING"]:
            place = "waits for capacity" if task.node_id is None else f"is {task.last_status}"
            yield Line(what="now", text=f"task {task_id} {place}")


def _held_back(service: Service, story: ServiceStory, now: float, only: str | None = None) -> Iterator[Line]:
    """Deployments that start nothing for a while because their tasks fail."""
    causes = {"never-started": "failed before they ran", "exited-early": "ended soon after they ran"}
    for held in deployment_backoff.back_off_state(service, story.tasks, now):
        if only in (None, held.deployment_id):
            yield Line(
                what="back-off",
                text=f"back-off: the next start of {held.deployment_id} is in {duration(held.until - now)}, because "
                f"{held.failures} tasks in a row {causes[held.cause]}",
            )


def _unplaced(story: ServiceStory) -> Iterator[Line]:
    """Why the last try to place a task found no node, unless one was placed since."""
    tries = [entry for entry in story.entries if entry.kind == "not-placed"]
    if not tries:
        return
    last = tries[-1]
    placed_since = any(
        task.created_at > last.at and task.deployment_id in (None, last.deployment_id) and task.node_id is not None
        for task in story.tasks
    )
    if story.service is not None and not story.service.steady and not placed_since:
        yield Line(what="not-placed", text=last.text, details=tuple(details_of(last.facts)))


def _failures(entries: Sequence[HistoryEntry]) -> tuple[Failures, ...]:
    """Failed tasks by cause, the newest cause first."""
    found: dict[str, list[tuple[float, str]]] = {}
    for entry in entries:
        if entry.kind == "stopped" and entry.task_arn is not None:
            task = record_in(entry, "task", Task)
            cause = entry.text if task is None else end_of(task)
            found.setdefault(cause, []).append((entry.at, arns.short(entry.task_arn)))
    grouped = [
        Failures(
            cause=cause,
            count=len(tasks),
            last_at=max(at for at, _ in tasks),
            tasks=tuple(task_id for _, task_id in sorted(tasks, reverse=True)[:TASKS]),
        )
        for cause, tasks in found.items()
    ]
    return tuple(sorted(grouped, key=lambda group: -group.last_at))
