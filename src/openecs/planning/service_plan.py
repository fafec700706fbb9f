"""What to do next for one service: ``plan(snapshot, now) -> Plan``.  Pure.

Handles REPLICA services with the ECS deployment controller and rolling updates.  Other
strategies and controllers are refused when a service is created; they get planners of their
own beside ``deployment_rolling``.

A deployment is COMPLETED, and the service steady, when the PRIMARY deployment has exactly the
desired number of healthy tasks and every task of other deployments was told to stop.  A
deployment that was left IN_PROGRESS by a newer one keeps that state until it is gone.
"""

from __future__ import annotations

import msgspec

from openecs.model.service import Deployment, Service
from openecs.model.task import STATUS_ORDER
from openecs.planning import deployment_backoff as backoff
from openecs.planning import service_events
from openecs.planning.deployment_bounds import bounds
from openecs.planning.deployment_rolling import Step, step
from openecs.planning.service_actions import Action, CompleteDeployment, Event, Plan, scale_in
from openecs.planning.service_snapshot import Census, Group, ServiceSnapshot, take_census


def plan(snapshot: ServiceSnapshot, now: float) -> Plan:
    """The next step for the service of ``snapshot``."""
    service = snapshot.service
    if service.status == "INACTIVE":
        return Plan(service, ())
    census = take_census(snapshot, now)
    if service.status == "DRAINING":
        return _drain(service, census, now)
    if service.scheduling_strategy != "REPLICA":
        raise ValueError(f"no planner for scheduling strategy {service.scheduling_strategy}")
    return _replicate(service, census, now)


def rollout_in_progress(deployment_id: str) -> str:
    """``rolloutStateReason`` of a deployment that is under way."""
    return f"ECS deployment {deployment_id} in progress."


def rollout_completed(deployment_id: str) -> str:
    """``rolloutStateReason`` of a deployment that is complete."""
    return f"ECS deployment {deployment_id} completed."


def _drain(service: Service, census: Census, now: float) -> Plan:
    """A deleted service stops everything and is INACTIVE once all of it is on its way down."""
    stops = [
        scale_in(task, "the service is being deleted")
        for group in census.everyone
        for tasks in (group.healthy, group.starting, group.leaving, group.unhealthy, group.stranded)
        for task in tasks
    ]
    still_up = any(
        STATUS_ORDER[task.last_status] < STATUS_ORDER["STOPPING"]
        for group in census.everyone
        for task in group.stopping
    )
    if not stops and not still_up:
        # The last deployment stays in the record: DescribeServices goes on to show what it ran.
        last = next((d for d in service.deployments if d.status == "PRIMARY"), service.deployments[0])
        service = msgspec.structs.replace(
            service,
            status="INACTIVE",
            deployments=(msgspec.structs.replace(last, status="INACTIVE", updated_at=now),),
            deleted_at=now,
            steady=False,
        )
    return Plan(service, tuple(stops))


def _replicate(service: Service, census: Census, now: float) -> Plan:
    primary = next(group for group in census.groups if group.deployment.status == "PRIMARY")
    desired = service.desired_count
    impaired = False
    held_back: dict[str, float] = {}
    updated: dict[str, Deployment] = {}
    for group in census.groups:
        deployment = _account(group)
        updated[deployment.id] = deployment
        until = backoff.not_before(deployment, desired, group.stopped, now)
        if until > now:
            held_back[deployment.id] = until
        impaired = impaired or (
            deployment.failed_tasks > group.deployment.failed_tasks
            and backoff.rounds(deployment.failed_tasks, desired) >= backoff.IMPAIRED_ROUNDS
        )
    todo = step(census, primary, desired, bounds(service, desired), backing_off=frozenset(held_back))
    actions: list[Action] = [*todo.starts, *todo.stops]
    if impaired:
        actions.append(Event(service_events.start_impaired(service.name)))
    if todo.blocked:
        actions.append(Event(service_events.blocked_by_configuration(service.name)))
    primary_id = primary.deployment.id
    if todo.settled and updated[primary_id].rollout_state == "IN_PROGRESS":
        updated[primary_id] = msgspec.structs.replace(
            updated[primary_id],
            rollout_state="COMPLETED",
            rollout_state_reason=rollout_completed(primary_id),
            updated_at=now,
        )
        actions.append(CompleteDeployment(primary_id, "every wanted task is healthy and no older one is left"))
        actions.append(Event(service_events.deployment_completed(service.name, primary_id)))
    steady_at = service.steady_at
    if todo.settled and (not service.steady or steady_at is None or now >= steady_at + service_events.REPEAT_AFTER):
        steady_at = now
        actions.append(Event(service_events.steady_state(service.name)))
    service = _with(
        service,
        deployments=tuple(updated[d.id] for d in service.deployments if d.id not in todo.finished),
        steady=todo.settled,
        steady_at=steady_at,
        not_before=held_back.get(primary_id, 0.0),
    )
    return Plan(service, tuple(actions), _wake_at(service, census, primary, todo, held_back))


def _account(group: Group) -> Deployment:
    deployment = group.deployment
    failed_tasks, first_running_at = backoff.account(deployment, group.known)
    if (failed_tasks, first_running_at) == (deployment.failed_tasks, deployment.first_running_at):
        return deployment
    return msgspec.structs.replace(deployment, failed_tasks=failed_tasks, first_running_at=first_running_at)


def _wake_at(service: Service, census: Census, primary: Group, todo: Step, held_back: dict[str, float]) -> float | None:
    times = [census.grace_ends_at] if census.grace_ends_at is not None else []
    if primary.wanted < service.desired_count or len(service.deployments) > 1:
        times.extend(held_back.values())
    if todo.settled and service.steady_at is not None:
        times.append(service.steady_at + service_events.REPEAT_AFTER)
    return min(times, default=None)


def _with(service: Service, **changes: object) -> Service:
    """The same object when nothing differs, so that an unchanged record is not written."""
    if all(getattr(service, name) == value for name, value in changes.items()):
        return service
    return msgspec.structs.replace(service, **changes)
