"""Moving a steady service's tasks until its availability zones hold equally many.  Pure.

One task at a time: start one where there are fewest, wait until it is healthy, stop one where
there are most.  ``rebalance`` is asked before the rolling step of a service; while it answers
with an action, the surplus task that it started is its own affair and not a scale-in.

Zones are balanced when their counts differ by at most one, as far as the zones with fewer can
take a task.  Every finished move makes the counts more equal, so it ends.  It begins only when
the service is steady and gives up as soon as anything else happens to the service: a
deployment, a change of the desired count, a task that fails, a zone that has no room.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec

from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning import zone_events
from openecs.planning.deployment_bounds import bounds
from openecs.planning.service_actions import Action, Event, Start, Stop
from openecs.planning.service_places import Zones
from openecs.planning.service_snapshot import Census, Group
from openecs.planning.service_victims import choose

ZONE_ATTRIBUTE = "attribute:ecs.availability-zone"


class Rebalance(NamedTuple):
    """What rebalancing wants of this step."""

    #: The record with the move noted or forgotten.
    service: Service
    actions: tuple[Action, ...] = ()
    #: Whether the rolling step is to be left out this time.
    busy: bool = False
    #: When a task's protection ends that stands in the way (epoch seconds).
    wake_at: float | None = None


def eligible(service: Service) -> bool:
    """Whether zone rebalancing is on and possible with the service's settings."""
    if (
        service.availability_zone_rebalancing != "ENABLED"
        or service.scheduling_strategy != "REPLICA"
        or service.deployment_controller != "ECS"
        or service.status != "ACTIVE"
    ):
        return False
    primary = service.primary
    maximum = service.deployment_configuration.maximum_percent
    first = service.placement_strategy[0] if service.placement_strategy else None
    return (
        primary is not None
        and primary.launch_type != "EXTERNAL"
        and (maximum is None or maximum > 100)
        and (first is None or (first.type == "spread" and (first.field or "").lower() == ZONE_ATTRIBUTE))
        and not any(ZONE_ATTRIBUTE in (c.expression or "").lower() for c in service.placement_constraints)
    )


def rebalance(
    service: Service, census: Census, primary: Group, zones: Zones, *, backing_off: bool, now: float
) -> Rebalance:
    """The next step of a move, or of beginning one; ``busy`` says that it is the whole step."""
    moving = service.rebalancing_zone is not None
    if not moving and not service.steady:
        return Rebalance(service)
    if not eligible(service) or backing_off or not _calm(service, census, primary):
        return _stopped(service) if moving else Rebalance(service)
    counts = Counter(dict.fromkeys(zones.usable, 0))
    counts.update([task.availability_zone or "" for task in primary.healthy])
    surplus = primary.wanted - service.desired_count
    if surplus == 1 and moving:
        if any(task.waiting is not None for task in primary.starting):
            # It found no room and waits for capacity, which rebalancing does not ask for.
            return _stopped(service)
        if primary.starting:
            return Rebalance(service, busy=True)
        return _stop_one(service, primary, counts, now)
    if surplus or primary.starting:
        return _stopped(service) if moving else Rebalance(service)
    return _start_one(service, census, primary, counts, zones, now)


def _start_one(
    service: Service, census: Census, primary: Group, counts: Counter[str], zones: Zones, now: float
) -> Rebalance:
    """Exactly what is desired runs, all of it healthy: begin, go on or be done."""
    moving = service.rebalancing_zone
    most = max(counts.values(), default=0)
    target = min(sorted(zones.usable), key=lambda zone: counts[zone], default=None)
    if target is None or most - counts[target] < 2:
        if moving is None:
            return Rebalance(service)
        # What is left may be unequal where no node is: then nothing was to be done about it.
        return Rebalance(_noted(service, None), (Event(zone_events.balanced(service.name, counts)),))
    open_zones = [zone for zone in sorted(zones.usable - zones.full) if most - counts[zone] >= 2]
    if not open_zones:
        return _stopped(service) if moving else Rebalance(service)
    room = bounds(service, service.desired_count).upper - sum(group.existing for group in census.everyone)
    if room < 1:
        # A task that is still stopping may make room; percentages that never do stay as they are.
        return Rebalance(service, busy=moving is not None and any(group.stopping for group in census.everyone))
    fullest = [task for task in primary.healthy if counts[task.availability_zone or ""] == most]
    if all(task.protected(now) for task in fullest):
        said = Event(zone_events.protected(service.name, primary.deployment.id, len(fullest)))
        wake_at = min(task.protected_until or now for task in fullest)
        if moving is None:
            return Rebalance(service, (said,), wake_at=wake_at)
        stopped = _stopped(service)
        return stopped._replace(actions=(said, *stopped.actions), wake_at=wake_at)
    zone = min(open_zones, key=lambda zone: counts[zone])
    start = Start(primary.deployment.id, 1, f"zone {zone} has the fewest tasks", rebalance_zone=zone)
    begun = () if moving is not None else (Event(zone_events.unbalanced(service.name, counts)),)
    return Rebalance(_noted(service, zone), (*begun, start), busy=True)


def _stop_one(service: Service, primary: Group, counts: Counter[str], now: float) -> Rebalance:
    """The task that was started is healthy: the zone with most tasks gives one up."""
    most = max(counts.values())
    fullest = [task for task in primary.healthy if counts[task.availability_zone or ""] == most]
    free = [task for task in fullest if not task.protected(now)]
    if not free:
        said = Event(zone_events.protected(service.name, primary.deployment.id, len(fullest)))
        stopped = _stopped(service)
        return stopped._replace(actions=(said, *stopped.actions))
    (victim,) = choose(free, 1, primary.healthy)
    return Rebalance(service, (_stop(victim),), busy=True)


def _stop(task: Task) -> Stop:
    return Stop(
        task_arn=task.arn,
        stopped_reason=f"{zone_events.STOPPED_REASON} (deployment {task.deployment_id})",
        reason=f"zone {task.availability_zone} has the most tasks",
        running=True,
        rebalance_zone=task.availability_zone,
    )


def _calm(service: Service, census: Census, primary: Group) -> bool:
    """Whether nothing but rebalancing goes on in the service."""
    return (
        primary.deployment.rollout_state == "COMPLETED"
        and len(service.deployments) == 1
        and not census.orphans.alive
        and not primary.leaving
        and not primary.unhealthy
        and not primary.unready
        and not primary.stranded
        and len(primary.healthy) >= service.desired_count
    )


def _stopped(service: Service) -> Rebalance:
    return Rebalance(_noted(service, None), (Event(zone_events.stopped_rebalancing(service.name)),))


def _noted(service: Service, zone: str | None) -> Service:
    if service.rebalancing_zone == zone:
        return service
    return msgspec.structs.replace(service, rebalancing_zone=zone)
