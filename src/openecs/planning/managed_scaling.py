"""How many machines a capacity provider needs.  Pure arithmetic.

The measure is AWS's CapacityProviderReservation: machines needed, per cent of those that there
are; with no machine it is 100 when none is needed and 200 when one is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from openecs.model.resources import Resources
from openecs.planning.scaling.adjustment import proportional
from openecs.shapes import ecs

#: Seconds for which there must have been too many machines before any goes.
SCALE_IN_AFTER = 15 * 60.0


def machines_for(waiting: Iterable[Resources], machine: Resources | None) -> int:
    """Machines of one size that waiting tasks fill, the largest tasks placed first.

    ``machine`` is ``None`` while no machine of the group has shown its size: then any number of
    tasks needs one, until it has.  Tasks that no machine of the size holds need none: they would
    wait on any number.
    """
    tasks = sorted(waiting, key=lambda task: (task.memory, task.cpu), reverse=True)
    if machine is None:
        return 1 if tasks else 0
    free: list[tuple[int, int, set[int]]] = []
    for task in tasks:
        if task.cpu > machine.cpu or task.memory > machine.memory:
            continue
        ports = {*task.ports}
        for number, (cpu, memory, taken) in enumerate(free):
            if task.cpu <= cpu and task.memory <= memory and not ports & taken:
                free[number] = (cpu - task.cpu, memory - task.memory, taken | ports)
                break
        else:
            free.append((machine.cpu - task.cpu, machine.memory - task.memory, ports))
    return len(free)


def reservation(needed: int, machines: int) -> float:
    """CapacityProviderReservation in per cent."""
    if machines == 0:
        return 200.0 if needed else 100.0
    return 100.0 * needed / machines


def wanted(settings: ecs.ManagedScaling, needed: int, machines: int) -> int:
    """Machines with which the reservation would be at its target, at most one step away.

    Steps towards more machines are as large as the settings say, those towards fewer never more
    than half of them.
    """
    if not needed and not machines:
        return 0
    target = settings.target_capacity or 100
    goal = proportional(machines, reservation(needed, machines), target)
    most = settings.maximum_scaling_step_size or 10_000
    if goal > machines:
        least = settings.minimum_scaling_step_size or 1
        return machines + min(max(goal - machines, least), most)
    return machines - min(machines - goal, most, math.ceil(machines / 2))


def largest(machines: Sequence[Resources]) -> Resources | None:
    """The size of a group's machines: that of the largest of them."""
    return max(machines, key=lambda one: (one.memory, one.cpu), default=None)
