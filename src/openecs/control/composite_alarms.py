"""Composite alarms at work: keys are ARNs.

Woken by every change of state of an alarm that a rule names or that suppresses, and by the end of
a wait or extension period.  While rules depend on each other in a circle, none of it is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.clock import Clock
from openecs.control.alarm_changes import AlarmChanges, find_alarm
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.model.alarm import CompositeAlarm
from openecs.planning.alarms.composite import evaluate
from openecs.planning.alarms.holding import ends_in
from openecs.planning.alarms.rule import children
from openecs.state.state import State
from openecs.state.store import Notice


class CompositeAlarmController:
    """Evaluates composite alarms."""

    def __init__(self, state: State, clock: Clock, changes: AlarmChanges) -> None:
        self._state = state
        self._clock = clock
        self._changes = changes

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("composite-alarms", self.reconcile, timing, resync=self._all)
        for table in ("metric_alarm", "composite_alarm"):
            loop.watch(self._state.store, table, self._changed)
        return loop

    def reconcile(self, key: str) -> Result:
        """Evaluate one alarm, and let follow what was held back long enough."""
        alarm = self._state.composite_alarms.get(key)
        if alarm is None:
            return Done()
        now = self._clock.now()
        after = alarm
        if not self._in_circle(alarm):
            rule = self._state.alarm_parents.rule(key)
            account = alarm.arn.split(":")[4]
            found = {name: find_alarm(self._state, alarm.region, account, name) for name in children(rule)}
            after = evaluate(alarm, rule, {name: child for name, child in found.items() if child is not None}, now)
        with self._state.transaction() as tx:
            self._changes.write(tx, alarm, after, now)
        left = ends_in(self._state.composite_alarms.get(key) or alarm, now)
        return Done() if left is None else After(left)

    def _in_circle(self, alarm: CompositeAlarm) -> bool:
        """Whether an alarm depends on itself."""
        parents = self._state.alarm_parents
        seen: set[str] = set()
        waiting = list(parents.parents(alarm.region, alarm.name))
        while waiting:
            arn = waiting.pop()
            if arn == alarm.arn:
                return True
            if arn not in seen:
                seen.add(arn)
                parent = self._state.composite_alarms.get(arn)
                waiting += parents.parents(alarm.region, parent.name) if parent is not None else ()
        return False

    def _changed(self, notice: Notice) -> Iterable[str]:
        old, new = notice.old, notice.new
        alarm = new or old
        if (
            old is not None
            and new is not None
            and old.settings is not new.settings
            and notice.table == "composite_alarm"
        ):
            # A circle may have begun or ended anywhere.
            yield from self._all()
            return
        if notice.table == "composite_alarm" and new is not None and (old is None or old.muted != new.muted):
            yield notice.key
        if old is None or new is None or old.state != new.state:
            parents = self._state.alarm_parents
            yield from parents.parents(alarm.region, alarm.name)
            yield from parents.suppressed(alarm.region, alarm.name)

    def _all(self) -> Iterable[str]:
        return [alarm.arn for alarm in self._state.composite_alarms]
