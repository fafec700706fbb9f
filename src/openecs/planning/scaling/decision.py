"""What the policies of one scalable target come to now.  Pure: records and readings in, one decision out.

* Whichever policy wants the most capacity wins.
* Target tracking takes capacity away only when every tracking policy that may do so agrees, and
  none of them lacks data.
* A policy that has just added capacity waits for it to show: meanwhile it may only add what is
  missing to a larger step from where it began.  One that has just removed capacity removes
  nothing more for a while, but never waits with adding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from openecs.model.alarm import AlarmState
from openecs.model.scaling import ScalableTarget, ScalingPolicy
from openecs.planning.scaling.adjustment import adjusted, proportional, step_of
from openecs.shapes import application_autoscaling as aas

#: Seconds between activities of a policy that does not say; what AWS uses for ECS services.
COOLDOWN = 300

Direction = Literal["out", "in"]


class Trigger(NamedTuple):
    """An alarm that has something to say to a policy, with what its metric was.

    ``values`` are those of the periods that the alarm looks at, oldest first, missing ones left
    out; ``upwards`` whether the alarm is breached by larger values.
    """

    alarm: str
    state: AlarmState
    threshold: float
    upwards: bool
    values: tuple[float, ...]


class Reading(NamedTuple):
    """A policy and the alarms that call it now."""

    policy: ScalingPolicy
    triggers: tuple[Trigger, ...]


class Wish(NamedTuple):
    """What one policy wants."""

    policy: ScalingPolicy
    capacity: int
    direction: Direction
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Change:
    """Set the desired count to ``capacity``, because of ``wish``."""

    capacity: int
    wish: Wish


@dataclass(frozen=True, slots=True)
class Stay:
    """Change nothing although ``trigger`` called ``policy``."""

    policy: ScalingPolicy
    trigger: Trigger
    reason: aas.NotScaledReason


@dataclass(frozen=True, slots=True)
class Decision:
    """At most one change; what was not done although an alarm asked for it; when to look again."""

    change: Change | None = None
    stays: tuple[Stay, ...] = ()
    #: Seconds until a cooldown ends that keeps a policy from acting now.
    again_in: float | None = None


def decide(
    target: ScalableTarget, capacity: int, readings: Sequence[Reading], *, deploying: bool, now: float
) -> Decision:
    """The decision for a target that has ``capacity`` now; ``deploying`` keeps it from shrinking."""
    wishes: list[Wish] = []
    stays: list[Stay] = []
    waits: list[float] = []
    for reading in readings:
        for trigger in reading.triggers:
            if not trigger.values:
                continue
            outcome = _wish(reading.policy, trigger, capacity, now)
            if isinstance(outcome, Wish):
                wishes.append(outcome)
            elif isinstance(outcome, Stay):
                stays.append(outcome)
            elif outcome is not None:
                waits.append(outcome)
    again = min(waits, default=None)
    suspended = target.suspended
    outs = [] if suspended.dynamic_scaling_out_suspended else [w for w in wishes if w.direction == "out"]
    if outs:
        wish = max(outs, key=lambda w: w.capacity)
        wanted = max(min(wish.capacity, target.max_capacity), target.min_capacity)
        if wanted > capacity:
            return Decision(Change(wanted, wish), tuple(stays), again)
        return Decision(None, (*stays, Stay(wish.policy, wish.trigger, _at_maximum(target, capacity))), again)
    ins = [] if deploying or suspended.dynamic_scaling_in_suspended else [w for w in wishes if w.direction == "in"]
    if not _tracking_agrees(readings, ins):
        ins = [wish for wish in ins if wish.policy.step is not None]
    if ins:
        wish = max(ins, key=lambda w: w.capacity)
        wanted = min(max(wish.capacity, target.min_capacity), target.max_capacity)
        if wanted < capacity:
            return Decision(Change(wanted, wish), tuple(stays), again)
        return Decision(None, (*stays, Stay(wish.policy, wish.trigger, _at_minimum(target, capacity))), again)
    return Decision(None, tuple(stays), again)


def cooling(policy: ScalingPolicy, now: float) -> float:
    """Seconds until what the policy added counts as having had its effect; 0 or less when it does."""
    seconds = None
    if policy.tracking is not None:
        seconds = policy.tracking.scale_out_cooldown
    elif policy.step is not None:
        seconds = policy.step.cooldown
    return policy.out_at + (COOLDOWN if seconds is None else seconds) - now


def _tracking_agrees(readings: Iterable[Reading], ins: Iterable[Wish]) -> bool:
    """Whether every tracking policy that may remove capacity wants to."""
    wanting = {wish.policy.arn for wish in ins}
    return all(
        reading.policy.arn in wanting
        for reading in readings
        if reading.policy.tracking is not None and not reading.policy.tracking.disable_scale_in
    )


def _wish(policy: ScalingPolicy, trigger: Trigger, capacity: int, now: float) -> Wish | Stay | float | None:
    """What ``policy`` wants, why it wants nothing, or the seconds for which it must wait."""
    if policy.tracking is not None:
        return _tracked(policy, policy.tracking, trigger, capacity, now)
    if policy.step is not None:
        return _stepped(policy, policy.step, trigger, capacity, now)
    raise ValueError(f"the policy {policy.arn} has no configuration")


def _tracked(
    policy: ScalingPolicy,
    settings: aas.TargetTrackingScalingPolicyConfiguration,
    trigger: Trigger,
    capacity: int,
    now: float,
) -> Wish | Stay | float | None:
    in_cooldown = COOLDOWN if settings.scale_in_cooldown is None else settings.scale_in_cooldown
    waiting = cooling(policy, now)
    if trigger.upwards:
        base = min(policy.out_from, capacity) if waiting > 0 else capacity
        wanted = max(proportional(base, trigger.values[-1], settings.target_value), 1)
        if wanted > capacity:
            return Wish(policy, wanted, "out", trigger)
        return waiting if waiting > 0 else _settled(policy, trigger, capacity)
    resting = max(policy.in_at + in_cooldown - now, waiting)
    if resting > 0:
        return resting
    # The largest of them, so that the busiest of these minutes would not have been above the target.
    wanted = proportional(capacity, max(trigger.values), settings.target_value)
    if wanted < capacity:
        return Wish(policy, wanted, "in", trigger)
    return Stay(policy, trigger, aas.NotScaledReason(code="AutoScalingAnticipatedFlapping", current_capacity=capacity))


def _stepped(
    policy: ScalingPolicy,
    settings: aas.StepScalingPolicyConfiguration,
    trigger: Trigger,
    capacity: int,
    now: float,
) -> Wish | Stay | float | None:
    cooldown = COOLDOWN if settings.cooldown is None else settings.cooldown
    value = _aggregate(settings.metric_aggregation_type, trigger.values)
    step = step_of(settings.step_adjustments or (), value - trigger.threshold, upwards=trigger.upwards)
    if step is None:
        return None
    waiting = cooling(policy, now)
    base = min(policy.out_from, capacity) if waiting > 0 else capacity
    kind = settings.adjustment_type or "ChangeInCapacity"
    wanted = adjusted(base, kind, step.scaling_adjustment, least=settings.min_adjustment_magnitude)
    if wanted > capacity:
        return Wish(policy, wanted, "out", trigger)
    resting = max(policy.in_at + cooldown - now, waiting)
    if resting > 0:
        return resting
    if wanted < capacity:
        return Wish(policy, wanted, "in", trigger)
    return _settled(policy, trigger, capacity)


def _settled(policy: ScalingPolicy, trigger: Trigger, capacity: int) -> Stay:
    return Stay(policy, trigger, aas.NotScaledReason(code="AlreadyAtDesiredCapacity", current_capacity=capacity))


def _aggregate(kind: aas.MetricAggregationType | None, values: tuple[float, ...]) -> float:
    if kind == "Minimum":
        return min(values)
    if kind == "Maximum":
        return max(values)
    return sum(values) / len(values)


def _at_maximum(target: ScalableTarget, capacity: int) -> aas.NotScaledReason:
    return aas.NotScaledReason(code="AlreadyAtMaxCapacity", max_capacity=target.max_capacity, current_capacity=capacity)


def _at_minimum(target: ScalableTarget, capacity: int) -> aas.NotScaledReason:
    return aas.NotScaledReason(code="AlreadyAtMinCapacity", min_capacity=target.min_capacity, current_capacity=capacity)
