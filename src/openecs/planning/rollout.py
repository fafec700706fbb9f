"""What deployments share, whatever the strategy that starts and stops their tasks.  Pure.

``begin`` brings the deployments' counters up to date and gives up the PRIMARY deployment when
the circuit breaker, an alarm or a caller says so; ``conclude`` completes it.  A strategy (rolling
replicas, one task per instance) decides between the two which tasks to start and stop.

What follows when a deployment is given up is in ``rollback``.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import msgspec

from openecs.model.record import changed
from openecs.model.service import Deployment, Service
from openecs.planning import circuit_breaker, image_pins, rollback, service_condition, service_events
from openecs.planning import deployment_backoff as backoff
from openecs.planning.deployment_rolling import Step
from openecs.planning.rollout_failure import failure_of
from openecs.planning.service_actions import Action, CompleteDeployment, Event, FailDeployment, Plan
from openecs.planning.service_snapshot import Census, Group, ServiceSnapshot, take_census

#: Tasks that are asked for the digests of their images when a deployment completed without any.
_TELLING = 8


class Rollout(NamedTuple):
    """The service with its deployments brought up to date, before tasks are started or stopped."""

    service: Service
    #: Its groups have the deployments of ``service``.
    census: Census
    #: What happened to deployments, to be said first.
    actions: tuple[Action, ...]
    #: Deployments that start nothing at present, and until when (epoch seconds).
    resting: dict[str, float]
    #: Seconds for which alarms watch a deployment whose tasks are there.
    alarm_bake: float = 0.0

    @property
    def barred(self) -> frozenset[str]:
        """Deployments that may start nothing now: they rest, or they FAILED."""
        failed = (d.id for d in self.service.deployments if d.rollout_state == "FAILED")
        return frozenset([*self.resting, *failed])


def begin(snapshot: ServiceSnapshot, census: Census, desired: int, now: float) -> Rollout:
    """Account for what happened to the tasks; give the PRIMARY deployment up if it failed.

    ``desired`` is how many tasks the service is to run: the desired count, or with DAEMON the
    number of matching instances.
    """
    before = snapshot.service
    actions: list[Action] = []
    for group in census.groups:
        group.deployment = _account(snapshot, group, now)
    service = changed(
        before,
        deployments=tuple(group.deployment for group in census.groups),
        last_completed=_with_digests(before.last_completed, census),
    )
    primary = census.primary
    failure = failure_of(snapshot, primary.deployment, desired) if primary else None
    if primary is not None and failure is not None:
        service, said = rollback.give_up(service, census, primary, failure, desired, now)
        actions += said
        census = take_census(snapshot._replace(service=service), now)
    resting: dict[str, float] = {}
    for group in census.groups:
        held = backoff.state(group.deployment, desired, now)
        # One that FAILED starts nothing anyway.
        if held is not None and group.deployment.rollout_state != "FAILED":
            resting[group.deployment.id] = held.until
            actions += service_condition.back_off(before, group.deployment, held, desired, speaker=before.name)
    return Rollout(service, census, tuple(actions), resting, snapshot.alarm_bake)


def conclude(rollout: Rollout, todo: Step, desired: int, now: float, *, ready: bool | None = None) -> Plan:
    """The plan that carries ``todo`` out, with what it means for the deployments.

    ``ready`` says of a deployment that shifts traffic whether it is complete; others are when
    their tasks are, and baked.

    That a deployment failed is there to be seen, by callers and records, before anything that
    follows from it is complete.
    """
    if any(isinstance(action, FailDeployment) for action in rollout.actions):
        said = _obstacles(rollout.service, todo)
        return Plan(rollout.service, (*rollout.actions, *todo.starts, *todo.stops, *said), wake_at=now)
    service = rollout.service
    primary = rollout.census.primary
    assert primary is not None, service.arn  # noqa: S101 -- every ACTIVE service with the ECS controller has one
    actions: list[Action] = [*rollout.actions, *todo.starts, *todo.stops]
    actions += _obstacles(service, todo)
    current = primary.deployment
    bake = 0.0
    if ready is None:
        ready = todo.settled or _early_success(service, primary, todo, desired)
        bake = max((service.deployment_configuration.bake_time_in_minutes or 0) * 60.0, rollout.alarm_bake)
    completed, bakes_until = _completed(current, bake, ready=ready, now=now)
    last_completed = service.last_completed
    if completed.rollout_state != current.rollout_state:
        last_completed = completed
        actions.append(CompleteDeployment(current.id, "enough of its tasks are healthy"))
        actions.append(Event(service_events.deployment_completed(service.name, current.id)))
    elif completed.rollout_state == "COMPLETED":
        # Records of before it was kept do not have it.  A deployment that was complete without
        # tasks resolves its images with the first one.
        known = last_completed is not None and last_completed.id == completed.id
        last_completed = changed(last_completed, pins=completed.pins) if last_completed and known else completed
    # Each task of a crash loop runs for a moment: that is not a steady state.
    calm_at = backoff.calm_at(current, desired)
    condition = service_condition.steadiness(service, now, steady=todo.settled and now >= calm_at)
    actions += condition.said
    service = changed(
        service,
        deployments=tuple(
            completed if d.id == completed.id else d for d in service.deployments if d.id not in todo.finished
        ),
        last_completed=last_completed,
        steady=condition.steady,
        steady_at=condition.steady_at,
    )
    census = rollout.census
    times = [census.grace_ends_at, census.proof_ends_at, census.lost_at, todo.protection_ends_at, bakes_until]
    times.append(condition.repeat_at)
    if primary.wanted < desired or len(service.deployments) > 1:
        times += rollout.resting.values()
    if todo.settled and now < calm_at:
        times.append(calm_at)
    wake_at = min((at for at in times if at is not None), default=None)
    return Plan(service, tuple(actions), wake_at)


def in_progress(deployment_id: str) -> str:
    """``rolloutStateReason`` of a deployment that is under way."""
    return f"ECS deployment {deployment_id} in progress."


def suspends_scale_in(service: Service) -> bool:
    """Whether auto scaling may not lower the desired count now: a deployment is in progress."""
    primary = service.primary
    return primary is not None and primary.rollout_state == "IN_PROGRESS"


def _account(snapshot: ServiceSnapshot, group: Group, now: float) -> Deployment:
    """The deployment of ``group`` with counters, image digests and ignored alarms up to date."""
    service, deployment = snapshot.service, group.deployment
    counters = (deployment.start_failures.count, deployment.crashes.count, deployment.failed_tasks)
    if group.stopped or deployment.first_running_at is None or any(counters):
        deployment = backoff.account(deployment, group.stopped, group.each(), now)
    if not deployment.pins:
        # After the first task ran, whichever runs now tells as much; there may be thousands.
        started = (task for task in group.each() if task.started_at is not None)
        deployment = changed(deployment, pins=image_pins.resolve(deployment, islice(started, _TELLING)))
    if deployment.rollout_state != "IN_PROGRESS" or deployment.status != "PRIMARY":
        return deployment
    changes: dict[str, object] = {}
    if circuit_breaker.enabled(service):
        changes["breaker"] = circuit_breaker.count(service, deployment, group.stopped, group.each(), now)
    alarms = service.deployment_configuration.alarms
    if alarms is not None and alarms.enable and deployment.ignored_alarms is None:
        changes["ignored_alarms"] = tuple(name for name in alarms.alarm_names if name in snapshot.alarms_in_alarm)
    return changed(deployment, **changes)


def _with_digests(completed: Deployment | None, census: Census) -> Deployment | None:
    """The deployment to go back to with the digests it has settled since it was completed.

    Its tag may mean another image by the time it is needed.
    """
    if completed is None:
        return None
    pins = next((g.deployment.pins for g in census.groups if g.deployment.id == completed.id), completed.pins)
    return changed(completed, pins=pins)


def _completed(deployment: Deployment, bake: float, *, ready: bool, now: float) -> tuple[Deployment, float | None]:
    """The deployment COMPLETED if it is time for that, and until when it bakes (``bake`` seconds) otherwise."""
    if deployment.rollout_state != "IN_PROGRESS":
        return deployment, None
    if not ready:
        return changed(deployment, ready_at=None), None
    if bake:
        deployment = changed(deployment, ready_at=now if deployment.ready_at is None else deployment.ready_at)
        bakes_until = (deployment.ready_at or now) + bake
        if now < bakes_until:
            return deployment, bakes_until
    done = msgspec.structs.replace(
        deployment,
        rollout_state="COMPLETED",
        rollout_state_reason=f"ECS deployment {deployment.id} completed.",
        updated_at=now,
        ready_at=None,
    )
    return done, None


def _early_success(service: Service, primary: Group, todo: Step, desired: int) -> bool:
    """Whether the early success criteria of the service say that the deployment succeeded."""
    criteria = service.deployment_configuration.early_success_criteria
    if criteria is None or not criteria.enable or criteria.healthy_percent is None:
        return False
    stopped = {stop.task_arn for stop in todo.stops}
    healthy = sum(task.arn not in stopped for task in primary.healthy)
    if healthy < -(-desired * criteria.healthy_percent // 100):
        return False
    # BLOCKING: the older tasks have to be on their way down first.
    return criteria.source_service_revision_cleanup == "DEFERRED" or todo.older_gone


def _obstacles(service: Service, todo: Step) -> list[Action]:
    """Events about what stands in the way of doing more."""
    said: list[Action] = []
    if todo.blocked:
        said.append(Event(service_events.blocked_by_configuration(service.name)))
    for deployment_id, count in todo.protected.items():
        said.append(Event(service_events.scale_in_blocked(service.name, deployment_id, count)))
    return said
