"""Scheduled actions of Application Auto Scaling at work: keys are their ARNs.

Taking a tick and what it changes are one transaction.  After downtime only the newest tick that was
missed counts: bounds are set, not added to, so it leads to what all of them would have led to.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.scaling_records import keep_within
from openecs.ids import Ids
from openecs.model.scaling import ScalableTarget, ScheduledScaling
from openecs.planning.schedules.due import due_ticks
from openecs.planning.schedules.expression import parse, zone
from openecs.planning.schedules.ticks import Timetable
from openecs.state.state import State

#: Seconds after which a missed tick counts no more.
MAXIMUM_AGE = 7 * 86400.0
#: The longest time between two looks, so that a clock that leaps is noticed.
LOOK_AGAIN = 60.0


class ScalingSchedules:
    """Changes the bounds of scalable targets when their scheduled actions say so."""

    def __init__(self, state: State, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("scaling-schedules", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "scheduled_scaling", lambda n: (n.key,))
        return loop

    def reconcile(self, key: str) -> Result:
        """Take the tick of one action that is due."""
        action = self._state.scheduled_scalings.get(key)
        target = self._state.scalable_targets.get(action.target_key) if action is not None else None
        if action is None or target is None:
            return Done()
        now = self._clock.now()
        due = due_ticks(timetable(action), action.done_until, now, MAXIMUM_AGE)
        if due.reached != action.done_until:
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(action, done_until=due.reached))
                if due.run is not None and not target.suspended.scheduled_scaling_suspended:
                    changed = bounded(target, action)
                    tx.put(changed)
                    keep_within(self._state, tx, changed, ids=self._ids, now=now)
        if due.following is None:
            return Done()
        return After(min(max(due.following - now, 0.0), LOOK_AGAIN))

    def _all(self) -> Iterable[str]:
        return [action.arn for action in self._state.scheduled_scalings]


def timetable(action: ScheduledScaling) -> Timetable:
    """When an action is due.  Raises ``InvalidScheduleError``."""
    return Timetable(
        parse(action.schedule),
        anchor=action.start_time or action.created_at,
        zone=zone(action.timezone or "UTC"),
        start=action.start_time,
        end=action.end_time,
        at_anchor=action.start_time is not None,
    )


def bounded(target: ScalableTarget, action: ScheduledScaling) -> ScalableTarget:
    """The target with the bounds of an action; a bound that stays gives way where they would cross."""
    low, high = action.action.min_capacity, action.action.max_capacity
    least = target.min_capacity if low is None else low
    most = target.max_capacity if high is None else high
    if least > most:
        least, most = (most, most) if low is None else (least, least)
    return msgspec.structs.replace(target, min_capacity=least, max_capacity=most)
