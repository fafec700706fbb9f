"""What deployments share, whatever the strategy that starts and stops their tasks.  Pure.

``begin`` brings the deployments' counters up to date and gives up the PRIMARY deployment when
the circuit breaker, an alarm or a caller says so; ``conclude`` completes it.  A strategy (rolling
replicas, one task per instance) decides between the two which tasks to start and stop.

A deployment that is given up goes back to the one that was COMPLETED last, once: that one
becomes PRIMARY and IN_PROGRESS again and can only be used again after it was completed again.
Without one the deployment is FAILED and launches nothing any more.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from openecs.model.service import Deployment, FailureCount, Service
from openecs.planning import circuit_breaker, image_pins, service_events
from openecs.planning import deployment_backoff as backoff
from openecs.planning.deployment_rolling import Step
from openecs.planning.rollout_failure import Failure, failure_of
from openecs.planning.service_actions import Action, CompleteDeployment, Event, FailDeployment, Plan
from openecs.planning.service_snapshot import Census, Group, ServiceSnapshot, take_census

R = TypeVar("R", bound=msgspec.Struct)


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
    service = _with(
        before,
        deployments=tuple(group.deployment for group in census.groups),
        last_completed=_with_digests(before.last_completed, census),
    )
    primary = census.primary
    failure = failure_of(snapshot, primary.deployment, desired) if primary else None
    if primary is not None and failure is not None:
        service, said = _give_up(service, primary, failure, _counted_up_to(census, service, now), now)
        actions += said
        census = take_census(snapshot._replace(service=service), now)
    resting: dict[str, float] = {}
    for group in census.groups:
        held = backoff.state(group.deployment, desired, now)
        # One that FAILED starts nothing anyway.
        if held is not None and group.deployment.rollout_state != "FAILED":
            resting[group.deployment.id] = held.until
            actions += _say_back_off(before, group.deployment, held, desired)
    return Rollout(service, census, tuple(actions), resting)


def conclude(rollout: Rollout, todo: Step, desired: int, now: float) -> Plan:
    """The plan that carries ``todo`` out, with what it means for the deployments.

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
    ready = todo.settled or _early_success(service, primary, todo, desired)
    completed, bakes_until = _completed(service, current, ready=ready, now=now)
    last_completed = service.last_completed
    if completed.rollout_state != current.rollout_state:
        last_completed = completed
        actions.append(CompleteDeployment(current.id, "enough of its tasks are healthy"))
        actions.append(Event(service_events.deployment_completed(service.name, current.id)))
    elif last_completed is not None and last_completed.id == completed.id:
        # A deployment that was complete without tasks resolves its images with the first one.
        last_completed = _with(last_completed, pins=completed.pins)
    # Each task of a crash loop runs for a moment: that is not a steady state.
    calm_at = backoff.calm_at(current, desired)
    steady = todo.settled and now >= calm_at
    steady_at = service.steady_at
    if steady and (not service.steady or steady_at is None or now >= steady_at + service_events.REPEAT_AFTER):
        steady_at = now
        actions.append(Event(service_events.steady_state(service.name)))
    service = _with(
        service,
        deployments=tuple(
            completed if d.id == completed.id else d for d in service.deployments if d.id not in todo.finished
        ),
        last_completed=last_completed,
        steady=steady,
        steady_at=steady_at,
        not_before=rollout.resting.get(current.id, 0.0),
    )
    times = [rollout.census.grace_ends_at, rollout.census.proof_ends_at, todo.protection_ends_at, bakes_until]
    if primary.wanted < desired or len(service.deployments) > 1:
        times += rollout.resting.values()
    if todo.settled and now < calm_at:
        times.append(calm_at)
    elif steady and steady_at is not None:
        times.append(steady_at + service_events.REPEAT_AFTER)
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
        deployment = backoff.account(deployment, group.stopped, group.each())
    if not deployment.pins:
        # After the first task ran, whichever runs now tells as much; there may be thousands.
        started = (task for task in group.each() if task.started_at is not None)
        deployment = _with(deployment, pins=image_pins.resolve(deployment, islice(started, _TELLING)))
    if deployment.rollout_state != "IN_PROGRESS" or deployment.status != "PRIMARY":
        return deployment
    changes: dict[str, object] = {}
    if circuit_breaker.enabled(service):
        changes["breaker"] = circuit_breaker.count(service, deployment, group.stopped, group.each(), now)
    alarms = service.deployment_configuration.alarms
    if alarms is not None and alarms.enable and deployment.ignored_alarms is None:
        changes["ignored_alarms"] = tuple(name for name in alarms.alarm_names if name in snapshot.alarms_in_alarm)
    return _with(deployment, **changes)


def _with_digests(completed: Deployment | None, census: Census) -> Deployment | None:
    """The deployment to go back to with the digests it has settled since it was completed.

    Its tag may mean another image by the time it is needed.
    """
    if completed is None:
        return None
    pins = next((g.deployment.pins for g in census.groups if g.deployment.id == completed.id), completed.pins)
    return _with(completed, pins=pins)


def _give_up(
    service: Service, failed: Group, failure: Failure, breaker: FailureCount, now: float
) -> tuple[Service, list[Action]]:
    """The service after its PRIMARY deployment failed, and what there is to say about it."""
    loser = msgspec.structs.replace(
        failed.deployment, rollout_state="FAILED", rollout_state_reason=failure.rollout_reason, updated_at=now
    )
    said: list[Action] = [Event(service_events.deployment_failed(service.name, loser.id, failure.event))]
    target = service.last_completed if failure.rolls_back else None
    if target is None:
        deployments = tuple(loser if d.id == loser.id else d for d in service.deployments)
        said.insert(0, FailDeployment(loser.id, failure.rollout_reason))
        return msgspec.structs.replace(service, deployments=deployments, steady=False), said
    # Its tasks may still run: then what is known of it now is newer than what was remembered.
    target = next((d for d in service.deployments if d.id == target.id), target)
    restored = msgspec.structs.replace(
        target,
        status="PRIMARY",
        rollout_state="IN_PROGRESS",
        rollout_state_reason=f"{failure.rollback_prefix} rolling back to deploymentId {target.id}.",
        updated_at=now,
        failed_tasks=0,
        start_failures=FailureCount(),
        crashes=FailureCount(),
        rolls_back=loser.id,
        breaker=breaker,
        ignored_alarms=None,
        ready_at=None,
    )
    loser = msgspec.structs.replace(loser, status="ACTIVE")
    others = [d for d in service.deployments if d.id not in (loser.id, restored.id)]
    said.insert(0, FailDeployment(loser.id, failure.rollout_reason, rolls_back_to=restored.id))
    said.append(Event(service_events.rolling_back(service.name, restored.id)))
    changed = msgspec.structs.replace(
        service, deployments=(restored, loser, *others), last_completed=None, steady=False, not_before=0.0
    )
    return changed, said


def _counted_up_to(census: Census, service: Service, now: float) -> FailureCount:
    """The breaker's count for a deployment that the service goes back to now."""
    target = service.last_completed.id if service.last_completed else None
    stopped = [task for group in census.everyone for task in group.stopped if task.deployment_id == target]
    return circuit_breaker.counted_up_to(stopped, now)


def _completed(service: Service, deployment: Deployment, *, ready: bool, now: float) -> tuple[Deployment, float | None]:
    """The deployment COMPLETED if it is time for that, and until when it bakes otherwise."""
    if deployment.rollout_state != "IN_PROGRESS":
        return deployment, None
    bake = (service.deployment_configuration.bake_time_in_minutes or 0) * 60.0
    if not ready:
        return _with(deployment, ready_at=None), None
    if bake:
        deployment = _with(deployment, ready_at=now if deployment.ready_at is None else deployment.ready_at)
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
    if len(primary.healthy) < -(-desired * criteria.healthy_percent // 100):
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


def _say_back_off(before: Service, deployment: Deployment, held: backoff.BackOff, desired: int) -> list[Action]:
    """An event when a back-off grew; nothing while it merely lasts."""
    old = next((d for d in before.deployments if d.id == deployment.id), None)
    if held.cause == "never-started":
        grew = old is None or old.start_failures.count < deployment.start_failures.count
        if grew and backoff.rounds(held.failures, desired) >= backoff.IMPAIRED_ROUNDS:
            return [Event(service_events.start_impaired(before.name))]
        return []
    if old is None or old.crashes.count < deployment.crashes.count:
        return [Event(service_events.exits_early(before.name, deployment.id, held.delay))]
    return []


def _with(record: R, **changes: object) -> R:
    """The same object when nothing differs, so that an unchanged record is not written."""
    if all(getattr(record, name) == value for name, value in changes.items()):
        return record
    return msgspec.structs.replace(record, **changes)
