"""Which machines a group starts and which it ends.  Pure: records and what runs on them in, actions out.

Machines go in this order: unhealthy ones, those that never came into service, empty ones, and then
the oldest, first from the zone that has the most.  Protected ones stay unless they are unhealthy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance

#: Seconds within which a machine's agent must have joined.
JOIN_WITHIN = 600.0


class Launch(NamedTuple):
    """Start a machine in ``zone``."""

    zone: str
    cause: str


class End(NamedTuple):
    """End a machine."""

    instance: GroupInstance
    cause: str


class GroupPlan(NamedTuple):
    """What to do now."""

    launches: tuple[Launch, ...] = ()
    ends: tuple[End, ...] = ()


def plan(
    group: AutoScalingGroup, instances: Sequence[GroupInstance], tasks: Mapping[str, int], now: float
) -> GroupPlan:
    """``tasks``: machine → tasks that run on it, daemons left out."""
    living = [one for one in instances if one.state != "Terminating"]
    ends: list[End] = []
    if "Terminate" not in group.suspended:
        ends = [End(one, cause) for one in living if (cause := _bad(group, one, now))]
    gone = {end.instance.id for end in ends}
    living = [one for one in living if one.id not in gone]
    wanted = 0 if group.deleting else group.desired
    difference = wanted - len(living)
    if difference > 0:
        launches = () if "Launch" in group.suspended else _launches(group, living, difference, wanted)
        return GroupPlan(launches, tuple(ends))
    if difference < 0 and "Terminate" not in group.suspended:
        cause = (
            "an instance was taken out of service in response to a difference between desired and actual capacity, "
            f"shrinking the capacity from {len(living)} to {wanted}."
        )
        ends += [End(one, cause) for one in _victims(group, living, tasks, -difference)]
    return GroupPlan((), tuple(ends))


def _bad(group: AutoScalingGroup, instance: GroupInstance, now: float) -> str:
    """Why a machine has to be replaced; empty when it has not."""
    if "ReplaceUnhealthy" not in group.suspended and not instance.healthy:
        return "an instance was taken out of service in response to a health check that it failed."
    if instance.state == "Pending" and now >= instance.created_at + JOIN_WITHIN:
        return f"an instance was taken out of service because its agent had not joined within {JOIN_WITHIN:.0f} s."
    return ""


def _launches(group: AutoScalingGroup, living: Sequence[GroupInstance], count: int, wanted: int) -> tuple[Launch, ...]:
    zones = Counter(one.zone for one in living)
    cause = (
        "an instance was started in response to a difference between desired and actual capacity, "
        f"increasing the capacity from {len(living)} to {wanted}."
    )
    launches = []
    for _ in range(count):
        zone = min(group.zones, key=lambda name: zones[name])
        zones[zone] += 1
        launches.append(Launch(zone, cause))
    return tuple(launches)


def _victims(
    group: AutoScalingGroup, living: Sequence[GroupInstance], tasks: Mapping[str, int], count: int
) -> list[GroupInstance]:
    zones = Counter(one.zone for one in living)
    left = [one for one in living if group.deleting or not one.protected]
    victims: list[GroupInstance] = []
    while left and len(victims) < count:
        victim = min(
            left, key=lambda one: (one.state == "InService", tasks.get(one.id, 0) > 0, -zones[one.zone], one.created_at)
        )
        left.remove(victim)
        zones[victim.zone] -= 1
        victims.append(victim)
    return victims
