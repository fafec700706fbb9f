"""Fires schedules, and rules that have one: takes each tick once.  Keys are ARNs.

That a tick was taken and what it causes are one transaction, so no end of the process in between
makes it run twice or not at all.  Running is ``schedule_invocations``' and ``event_deliveries``' work.
Ticks count in wall time: a clock that is set back repeats none, one that leaps ahead is as downtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID, uuid5

import msgspec

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.schedule_timetable import of_rule, of_schedule, reached
from openecs.events.bus import BusSender
from openecs.model.event_rule import EventRule
from openecs.model.schedule import KEPT_OUTCOMES, Schedule, ScheduleInvocation, ScheduleOutcome, ScheduleProgress
from openecs.planning.delivery_retries import MAXIMUM_AGE
from openecs.planning.schedules.due import Due, due_ticks
from openecs.planning.schedules.ticks import window_offset
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

_INVOCATIONS = UUID("f2a3c1de-6a43-4c37-8f0e-0f7e6d1f5b21")
#: Seconds between two looks whether the wall clock leapt, and how far it may be off.
LEAP_INTERVAL, LEAP = 10.0, 1.0


class ScheduleController:
    """The reconciler of ticks."""

    def __init__(self, state: State, clock: Clock, sender: BusSender) -> None:
        self._state = state
        self._clock = clock
        self._sender = sender

    async def run(self, timing: Timing) -> None:
        """Fire for ever."""
        loop = Loop("schedules", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "schedule", _key)
        loop.watch(self._state.store, "event_rule", _key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_leaps(loop, timing))
            group.create_task(loop.run())

    def reconcile(self, key: str) -> Result:
        """Take the ticks of one schedule or rule that are due."""
        schedule = self._state.schedules.get(key)
        if schedule is not None:
            return self._schedule(schedule)
        rule = self._state.event_rules.get(key)
        if rule is not None and rule.schedule_expression:
            return self._rule(rule)
        progress = self._state.schedule_progress.get(key)
        if progress is not None:
            with self._state.transaction() as tx:
                tx.delete(progress)
        return Done()

    def _schedule(self, schedule: Schedule) -> Result:
        if schedule.state == "DISABLED":
            return Done()
        now = self._clock.now()
        progress = self._state.schedule_progress.get(schedule.arn)
        policy = schedule.target.retry_policy
        age = (policy.maximum_event_age_in_seconds if policy else None) or MAXIMUM_AGE
        due = due_ticks(of_schedule(schedule), reached(progress, schedule.modified_at), now, age)
        with self._state.transaction() as tx:
            if due.run is not None:
                tx.put(_invocation(schedule, due.run))
            self._reach(tx, schedule.arn, schedule.modified_at, progress, due, now)
            if due.following is None and due.run is None:
                self._complete(tx, schedule)
        return _until(due, now)

    def _rule(self, rule: EventRule) -> Result:
        if rule.state == "DISABLED":
            return Done()
        now = self._clock.now()
        progress = self._state.schedule_progress.get(rule.arn)
        due = due_ticks(of_rule(rule), reached(progress, rule.modified_at), now, MAXIMUM_AGE)
        with self._state.transaction() as tx:
            if due.run is not None:
                self._sender.fire(tx, rule, due.run)
            self._reach(tx, rule.arn, rule.modified_at, progress, due, now)
        return _until(due, now)

    def _reach(
        self, tx: Transaction, arn: str, put_at: float, progress: ScheduleProgress | None, due: Due, now: float
    ) -> None:
        """Note how far the ticks have come, and which were missed."""
        if due.run is None and due.missed is None:
            return
        outcomes = progress.outcomes if progress else ()
        if due.missed is not None:
            count = "ticks" if due.missed.ticks is None else f"{due.missed.ticks} tick(s)"
            text = f"{count} from here on were missed: OpenECS did not run, or its clock was set ahead"
            outcomes = (*outcomes, ScheduleOutcome(tick=due.missed.first, ended_at=now, text=text, ok=False))
        tx.put(ScheduleProgress(arn=arn, put_at=put_at, tick=due.reached, outcomes=outcomes[-KEPT_OUTCOMES:]))

    def _complete(self, tx: Transaction, schedule: Schedule) -> None:
        """Delete a schedule that is to go after its last tick, when that has ended."""
        if schedule.after_completion == "DELETE" and not self._state.schedule_invocations.count(
            "schedule", schedule.arn
        ):
            tx.delete(schedule)

    def _all(self) -> Iterable[str]:
        keys = {schedule.arn for schedule in self._state.schedules}
        keys.update(rule.arn for rule in self._state.event_rules if rule.schedule_expression)
        keys.update(progress.arn for progress in self._state.schedule_progress)
        return keys

    async def _watch_leaps(self, loop: Loop, timing: Timing) -> None:
        """Look at everything anew when the wall clock was set or the machine slept: timers do not know."""
        difference = self._clock.now() - timing.time()
        while True:
            await timing.sleep(LEAP_INTERVAL)
            now = self._clock.now() - timing.time()
            if abs(now - difference) > LEAP:
                for key in self._all():
                    loop.enqueue(key)
            difference = now


def _until(due: Due, now: float) -> Result:
    return Done() if due.following is None else After(due.following - now)


def _key(notice: Notice) -> Iterable[str]:
    return (notice.key,)


def _invocation(schedule: Schedule, tick: float) -> ScheduleInvocation:
    identity = f"{schedule.id} {tick:.3f}"
    return ScheduleInvocation(
        id=str(uuid5(_INVOCATIONS, identity)),
        schedule_arn=schedule.arn,
        region=schedule.region,
        group=schedule.group,
        name=schedule.name,
        target=schedule.target,
        tick=tick,
        due_at=tick + window_offset(schedule.id, tick, schedule.window),
    )


def with_outcome(progress: ScheduleProgress, outcome: ScheduleOutcome) -> ScheduleProgress:
    """The progress with one more outcome; the oldest of many go."""
    return msgspec.structs.replace(progress, outcomes=(*progress.outcomes, outcome)[-KEPT_OUTCOMES:])
