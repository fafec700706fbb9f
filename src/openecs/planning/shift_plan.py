"""The plan of a service while a BLUE_GREEN, LINEAR or CANARY deployment is under way.  Pure.

The revision in production (blue) keeps all its tasks while the new one (green) gets as many of
its own.  ``traffic_shift`` says how much traffic green is to get; blue's tasks go when nothing
is left for them and the deployment's bake time is over.  When the deployment fails, all traffic
goes back to blue at once, and green's tasks go when every load balancer has that.

No task goes while a load balancer may still send it traffic because of a rule.
"""

from __future__ import annotations

import msgspec

from openecs.model.service import Deployment, Service
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import rollback, rollout, target_slots, traffic_shift
from openecs.planning.deployment_bounds import bounds
from openecs.planning.deployment_shift import step
from openecs.planning.rollout_failure import Failure
from openecs.planning.service_actions import Plan
from openecs.planning.service_snapshot import Census, Group, ServiceSnapshot, TrafficView, take_census
from openecs.planning.service_victims import spare_by
from openecs.planning.traffic_shift import Advanced, ShiftFacts

#: Stages in which the new revision has no tasks yet.
_BEFORE = ("RECONCILE_SERVICE", "PRE_SCALE_UP")


def shifts(snapshot: ServiceSnapshot) -> bool:
    """Whether the service is in the hands of this planner: its newest deployment shifts traffic and is not over."""
    primary = snapshot.service.primary
    return snapshot.traffic is not None and primary is not None and primary.rollout_state != "COMPLETED"


def plan_shift(snapshot: ServiceSnapshot, census: Census, now: float) -> Plan:
    """The next step for a service for which ``shifts`` is true."""
    traffic = snapshot.traffic
    assert traffic is not None, snapshot.service.arn  # noqa: S101 -- ``shifts`` says so
    desired = snapshot.service.desired_count
    begun = rollout.begin(snapshot, census, desired, now)
    shift, wake_at, finished = traffic.shift, None, False
    green = begun.census.primary
    assert green is not None, snapshot.service.arn  # noqa: S101 -- an ACTIVE service with the ECS controller has one
    if _goes_on(green.deployment):
        outcome = _advance(begun.service, begun.census, green, traffic, desired, now)
        shift, wake_at, finished = outcome.shift, outcome.wake_at, outcome.finished
        if outcome.failure is not None:
            begun = _give_up(snapshot, begun, green, outcome.failure, desired, now)
        else:
            begun = begun._replace(service=_in_production(begun.service, green.deployment, shift))
    restored = begun.census.primary
    assert restored is not None, snapshot.service.arn  # noqa: S101 -- as above
    if restored.deployment.rolls_back is not None:
        shift = traffic_shift.give_up(shift)
    applied = traffic.applied and (shift.production, shift.test) == (traffic.shift.production, traffic.shift.test)
    limits = bounds(begun.service, desired)
    kept = _kept(begun.service, begun.census, restored, shift)
    counts = _counts(begun.census, kept, shift, desired, limits.lower, applied=applied)
    spare = spare_by(begun.service, snapshot.room_left)
    ids = frozenset(group.deployment.id for group in kept)
    todo = step(begun.census, ids, counts, limits, barred=begun.barred, now=now, spare=spare)
    ready = finished if _goes_on(restored.deployment) else todo.settled and applied
    todo.settled = ready and todo.settled
    result = rollout.conclude(begun, todo, desired, now, ready=ready)
    if shift != traffic.shift:
        # What follows from it is to be seen at once.
        wake_at = now
    times = [at for at in (result.wake_at, wake_at) if at is not None]
    return result._replace(shift=shift, wake_at=min(times, default=None))


def _goes_on(deployment: Deployment) -> bool:
    """Whether the PRIMARY deployment is on its way forward: it neither failed nor is a rollback."""
    return deployment.rollout_state == "IN_PROGRESS" and deployment.rolls_back is None


def _advance(
    service: Service, census: Census, green: Group, traffic: TrafficView, desired: int, now: float
) -> Advanced:
    blue = _blue(service, census)
    others = [group for group in census.everyone if group is not green and group is not blue]
    facts = ShiftFacts(
        has_blue=blue is not None,
        reconciles=False,
        scaled=len(green.healthy) >= desired,
        applied=traffic.applied,
        tests=traffic.tests,
        blue_gone=not any(_remains(group) for group in census.everyone if group is not green),
        reconciled=not any(_remains(group) for group in others) and traffic.applied,
    )
    return traffic_shift.advance(traffic.shift, traffic.configuration, facts, now, traffic.ids)


def _give_up(
    snapshot: ServiceSnapshot, begun: rollout.Rollout, green: Group, why: str, desired: int, now: float
) -> rollout.Rollout:
    failure = Failure("lifecycle", rolls_back=True, said=f"{why}.", event=f"{why}.")
    service, said = rollback.give_up(begun.service, begun.census, green, failure, desired, now)
    census = take_census(snapshot._replace(service=service), now)
    return begun._replace(service=service, census=census, actions=(*begun.actions, *said))


def _in_production(service: Service, green: Deployment, shift: TrafficShift) -> Service:
    """The service once there is no way back: the new revision is what it would go back to now."""
    alone = service.production_id is None and shift.production >= 100.0
    if service.production_id == green.id or not (shift.stage == "CLEAN_UP" or alone):
        return service
    return msgspec.structs.replace(service, production_id=green.id, last_completed=green)


def _blue(service: Service, census: Census) -> Group | None:
    """The tasks of the revision in production, if there is an older one."""
    primary = census.primary
    return next((g for g in census.groups if g is not primary and g.deployment.id == service.production_id), None)


def _kept(service: Service, census: Census, primary: Group, shift: TrafficShift) -> list[Group]:
    """The revisions that are to have all desired tasks, the one in production first."""
    blue = _blue(service, census)
    forward = _goes_on(primary.deployment)
    kept: list[Group] = []
    if blue is not None and primary.deployment.rolls_back is None and not (forward and shift.stage == "CLEAN_UP"):
        kept.append(blue)
    if not (forward and shift.stage in _BEFORE):
        kept.append(primary)
    return kept


def _counts(
    census: Census, kept: list[Group], shift: TrafficShift, desired: int, lower: int, *, applied: bool
) -> dict[str, int]:
    """Deployment → the tasks that it is to have; who is not in it stays as it is."""
    counts = {group.deployment.id: desired for group in kept}
    if not applied:
        return counts
    serving = kept[0].serving if kept else 0
    for group in census.everyone:
        if group.deployment.id in counts:
            continue
        needed = 0
        if kept and shift.stage != "CLEAN_UP" and _together(group, kept[0]):
            # Where the same rules give both their traffic, tasks go as those that stay can do without them.
            needed = min(max(0, lower - serving), group.serving)
            serving += needed
        counts[group.deployment.id] = needed
    return counts


def _together(group: Group, keeper: Group) -> bool:
    """Whether both have their traffic from the same places, or neither has any.

    Of tasks whose deployment is forgotten nobody knows.
    """
    if not group.deployment.id:
        return True
    return target_slots.places(group.deployment) == target_slots.places(keeper.deployment)


def _remains(group: Group) -> bool:
    return bool(group.existing or group.lost)
