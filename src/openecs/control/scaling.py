"""Application Auto Scaling at work: keys are those of scalable targets.

Woken by alarms that change their state and by services that change; while an alarm calls a policy
the target is looked at again every minute, as CloudWatch repeats what it tells scaling policies.
Bounds and schedules are not its business (``control.scaling_records``, ``control.scaling_schedules``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.scaling_records import forget_target, note_not_scaled, set_capacity
from openecs.ids import Ids
from openecs.model.alarm import MetricAlarm
from openecs.model.scaling import ScalableTarget, ScalingPolicy
from openecs.model.service import Service
from openecs.planning.rollout import suspends_scale_in
from openecs.planning.scaling.decision import (
    Change,
    Decision,
    Reading,
    Stay,
    Trigger,
    Wish,
    cooling,
    decide,
)
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

#: Seconds after which a policy is asked again while its alarm stays in ALARM.
REPEAT_AFTER = 60.0
#: Seconds for which activities are kept: six weeks, as on AWS; and the most of them for one target.
ACTIVITY_RETENTION, MAX_ACTIVITIES = 42 * 86400.0, 1000

AlarmValues = Callable[[MetricAlarm, float], tuple[float, ...]]
"""(alarm, now) → the values of the periods that the alarm looks at, oldest first, missing ones left out."""


class ScalingController:
    """Makes the policies of every scalable target work."""

    def __init__(self, state: State, clock: Clock, ids: Ids, values: AlarmValues) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        self._values = values

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("scaling", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "scalable_target", lambda n: (n.key,))
        loop.watch(store, "scaling_policy", lambda n: ((n.new or n.old).target_key,))
        loop.watch(store, "metric_alarm", self._alarm_changed)
        loop.watch(store, "service", self._service_changed)
        return loop

    def reconcile(self, key: str) -> Result:
        """Do what the policies of one target want now."""
        state, now = self._state, self._clock.now()
        target = state.scalable_targets.get(key)
        if target is None:
            return self._forget_activities(key, now)
        service = state.services.get(target.service_arn)
        if service is None or service.status != "ACTIVE":
            with state.transaction() as tx:
                forget_target(state, tx, target)
            return Done()
        readings = [self._reading(policy, now) for policy in state.scaling_policies.by("target", key)]
        called = any(reading.triggers for reading in readings)
        decision = (
            decide(target, service.desired_count, readings, deploying=suspends_scale_in(service), now=now)
            if called
            else Decision()
        )
        self._apply(target, service, readings, decision, now)
        if not called:
            return Done()
        return After(REPEAT_AFTER if decision.again_in is None else min(REPEAT_AFTER, decision.again_in))

    def _reading(self, policy: ScalingPolicy, now: float) -> Reading:
        alarms = [
            alarm
            for arn in self._state.alarm_actions.alarms(policy.arn)
            if (alarm := self._state.metric_alarms.get(arn)) is not None
        ]
        return Reading(policy, tuple(self._trigger(alarm, now) for alarm in alarms if _calls(alarm, policy)))

    def _trigger(self, alarm: MetricAlarm, now: float) -> Trigger:
        settings = alarm.settings
        return Trigger(
            alarm.name,
            alarm.state,
            settings.threshold or 0.0,
            (settings.comparison_operator or "").startswith("GreaterThan"),
            self._values(alarm, now),
        )

    def _apply(
        self, target: ScalableTarget, service: Service, readings: Iterable[Reading], decision: Decision, now: float
    ) -> None:
        """Write a decision, and what became of the one before it."""
        with self._state.transaction() as tx:
            self._finish(tx, target, service, now)
            scaled = None
            if decision.change is not None:
                scaled = self._change(tx, target, service, decision.change, now)
            for stay in decision.stays:
                note_not_scaled(self._state, tx, target, _cause(stay), stay.reason, ids=self._ids, now=now)
            for reading in readings:
                self._acted(tx, reading, scaled)
            self._prune(tx, target, now)

    def _finish(self, tx: Transaction, target: ScalableTarget, service: Service, now: float) -> None:
        """Say of an activity that it has succeeded, or that somebody else set another count."""
        for activity in self._state.scaling_activities.by("target", target.key):
            if activity.status != "InProgress":
                continue
            if service.desired_count != activity.capacity:
                tx.put(msgspec.structs.replace(activity, status="Overridden", ended_at=now))
            elif service.steady:
                message = (
                    f"Successfully set desired count to {activity.capacity}. Change successfully fulfilled by ecs."
                )
                tx.put(msgspec.structs.replace(activity, status="Successful", status_message=message, ended_at=now))

    def _change(
        self, tx: Transaction, target: ScalableTarget, service: Service, change: Change, now: float
    ) -> ScalingPolicy:
        policy, capacity = change.wish.policy, service.desired_count
        cause = _cause(change.wish)
        set_capacity(self._state, tx, target, change.capacity, cause, ids=self._ids, now=now)
        if change.wish.direction == "out":
            # A larger step within the cooldown still counts from where the first one began.
            began = policy.out_from if cooling(policy, now) > 0 else capacity
            return msgspec.structs.replace(policy, out_at=now, out_from=min(began, capacity))
        return msgspec.structs.replace(policy, in_at=now)

    def _acted(self, tx: Transaction, reading: Reading, scaled: ScalingPolicy | None) -> None:
        """Remember what a policy did, and which changes to OK or INSUFFICIENT_DATA it has acted on."""
        policy = reading.policy
        after = scaled if scaled is not None and scaled.arn == policy.arn else policy
        once = [trigger.alarm for trigger in reading.triggers if trigger.state != "ALARM"]
        if once:
            changed = max(
                alarm.state_changed_at
                for arn in self._state.alarm_actions.alarms(policy.arn)
                if (alarm := self._state.metric_alarms.get(arn)) is not None and alarm.name in once
            )
            after = msgspec.structs.replace(after, acted_on=changed)
        if after is not policy:
            tx.put(after)

    def _prune(self, tx: Transaction, target: ScalableTarget, now: float) -> None:
        kept = sorted(self._state.scaling_activities.by("target", target.key), key=lambda a: a.started_at)
        for number, activity in enumerate(kept):
            if activity.started_at >= now - ACTIVITY_RETENTION and len(kept) - number <= MAX_ACTIVITIES:
                break
            tx.delete(activity)

    def _forget_activities(self, key: str, now: float) -> Result:
        """Forget the old activities of a target that is gone."""
        activities = self._state.scaling_activities.by("target", key)
        old = [activity for activity in activities if activity.started_at + ACTIVITY_RETENTION <= now]
        if old:
            with self._state.transaction() as tx:
                for activity in old:
                    tx.delete(activity)
        if len(old) == len(activities):
            return Done()
        return After(min(a.started_at for a in activities if a not in old) + ACTIVITY_RETENTION - now)

    def _alarm_changed(self, notice: Notice) -> Iterable[str]:
        alarm: MetricAlarm = notice.new or notice.old
        for action in alarm.actions:
            policy = self._state.scaling_policies.get(action)
            if policy is not None:
                yield policy.target_key

    def _service_changed(self, notice: Notice) -> Iterable[str]:
        return (target.key for target in self._state.scalable_targets.by("service", notice.key))

    def _all(self) -> Iterable[str]:
        return {
            *(target.key for target in self._state.scalable_targets),
            *(activity.target_key for activity in self._state.scaling_activities),
        }


def _calls(alarm: MetricAlarm, policy: ScalingPolicy) -> bool:
    """Whether an alarm calls a policy now: in ALARM all the time, in another state once."""
    settings = alarm.settings
    if settings.actions_enabled is False or alarm.muted:
        return False
    if alarm.state == "ALARM":
        return policy.arn in (settings.alarm_actions or ())
    actions = settings.ok_actions if alarm.state == "OK" else settings.insufficient_data_actions
    return policy.arn in (actions or ()) and alarm.state_changed_at > policy.acted_on


def _cause(called: Wish | Stay) -> str:
    trigger = called.trigger
    return f"monitor alarm {trigger.alarm} in state {trigger.state} triggered policy {called.policy.name}"
