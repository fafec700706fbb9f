"""Mute rules at work: keys are regions.

Marks the alarms that a rule holds back at present, exactly when that begins and ends; what became
due meanwhile follows when the mark goes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.clock import Clock
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.planning.alarms.configuration import Alarm
from openecs.planning.alarms.mute import read
from openecs.state.state import State
from openecs.state.store import Notice


class AlarmMutes:
    """Keeps the marks of muted alarms right."""

    def __init__(self, state: State, clock: Clock, changes: AlarmChanges) -> None:
        self._state = state
        self._clock = clock
        self._changes = changes

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("alarm-mutes", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "alarm_mute_rule", lambda notice: ((notice.new or notice.old).region,))
        for table in ("metric_alarm", "composite_alarm"):
            loop.watch(self._state.store, table, _new_alarm)
        return loop

    def reconcile(self, key: str) -> Result:
        """Mark the alarms of one region."""
        now = self._clock.now()
        rules = [(rule, read(rule)) for rule in self._state.alarm_mute_rules.by("region", key)]
        muted = {name for rule, mute in rules if mute.active(now) for name in rule.targets}
        alarms: tuple[Alarm, ...] = (
            *self._state.metric_alarms.by("region", key),
            *self._state.composite_alarms.by("region", key),
        )
        wrong = [alarm for alarm in alarms if alarm.muted != (alarm.name in muted)]
        if wrong:
            with self._state.transaction() as tx:
                for alarm in wrong:
                    self._changes.write(tx, alarm, msgspec.structs.replace(alarm, muted=not alarm.muted), now)
        changes = (mute.next_change(now) for _, mute in rules)
        soonest = min((at for at in changes if at is not None), default=None)
        return Done() if soonest is None else After(soonest - now)

    def _all(self) -> Iterable[str]:
        return {rule.region for rule in self._state.alarm_mute_rules}


def _new_alarm(notice: Notice) -> Iterable[str]:
    return () if notice.old is not None or notice.new is None else (notice.new.region,)
