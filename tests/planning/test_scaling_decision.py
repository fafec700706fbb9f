"""How much capacity scaling policies want: AWS's documented examples, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.scaling import ScalableTarget, ScalingPolicy
from openecs.planning.scaling.adjustment import adjusted, proportional, step_of
from openecs.planning.scaling.decision import Change, Decision, Reading, Trigger, decide
from openecs.shapes import application_autoscaling as aas

NOT_SUSPENDED = aas.SuspendedState()


def target(low: int = 0, high: int = 100, suspended: aas.SuspendedState = NOT_SUSPENDED) -> ScalableTarget:
    return ScalableTarget(
        arn="target",
        region="eu-west-1",
        resource_id="service/default/web",
        service_arn="service",
        min_capacity=low,
        max_capacity=high,
        role_arn="role",
        created_at=0.0,
        suspended=suspended,
    )


def tracking(name: str = "cpu", goal: float = 50.0, **members: object) -> ScalingPolicy:
    settings = aas.TargetTrackingScalingPolicyConfiguration(
        target_value=goal, **{k: v for k, v in members.items() if k in AAS_MEMBERS}
    )
    state = {k: v for k, v in members.items() if k not in AAS_MEMBERS}
    return ScalingPolicy(
        arn=name, name=name, region="eu-west-1", target_key="t", created_at=0.0, tracking=settings, **state
    )


AAS_MEMBERS = {"scale_out_cooldown", "scale_in_cooldown", "disable_scale_in"}


def stepping(
    steps: list[tuple[float | None, float | None, int]], kind: str = "ChangeInCapacity", **state: object
) -> ScalingPolicy:
    adjustments = tuple(
        aas.StepAdjustment(metric_interval_lower_bound=low, metric_interval_upper_bound=high, scaling_adjustment=by)
        for low, high, by in steps
    )
    settings = aas.StepScalingPolicyConfiguration(adjustment_type=kind, step_adjustments=adjustments)
    return ScalingPolicy(
        arn="steps", name="steps", region="eu-west-1", target_key="t", created_at=0.0, step=settings, **state
    )


def high(policy: ScalingPolicy, *values: float, threshold: float = 50.0) -> Reading:
    return Reading(policy, (Trigger("high", "ALARM", threshold, True, values),))


def low(policy: ScalingPolicy, *values: float, threshold: float = 45.0) -> Reading:
    return Reading(policy, (Trigger("low", "ALARM", threshold, False, values),))


def quiet(policy: ScalingPolicy) -> Reading:
    return Reading(policy, ())


def outcome(*readings: Reading, capacity: int, at: float = 10_000.0, deploying: bool = False, **bounds: object) -> int:
    """The capacity after the decision."""
    decision = decide(target(**bounds), capacity, readings, deploying=deploying, now=at)
    return decision.change.capacity if decision.change else capacity


def reasons(decision: Decision) -> list[str]:
    return [stay.reason.code for stay in decision.stays]


@pytest.mark.parametrize(
    ("capacity", "value", "goal", "expected"),
    [(10, 70, 50, 14), (3, 50, 50, 3), (10, 25, 50, 5), (1, 100.0001, 50, 3), (0, 500, 100, 5), (4, 0, 50, 0)],
)
def test_tracking_is_proportional(capacity: int, value: float, goal: float, expected: int) -> None:
    assert proportional(capacity, value, goal) == expected


@pytest.mark.parametrize(
    ("capacity", "kind", "by", "least", "expected"),
    [
        (10, "ChangeInCapacity", 3, None, 13),
        (2, "ChangeInCapacity", -5, None, 0),
        (10, "ExactCapacity", 4, None, 4),
        # Percentages: 12.7 becomes 12, .67 becomes 1, -.58 becomes -1, -6.67 becomes -6.
        (127, "PercentChangeInCapacity", 10, None, 139),
        (67, "PercentChangeInCapacity", 1, None, 68),
        (58, "PercentChangeInCapacity", -1, None, 57),
        (667, "PercentChangeInCapacity", -1, None, 661),
        (4, "PercentChangeInCapacity", 25, 2, 6),
        (0, "PercentChangeInCapacity", 50, None, 0),
        (0, "PercentChangeInCapacity", 50, 2, 2),
    ],
)
def test_adjustments(capacity: int, kind: str, by: int, least: int | None, expected: int) -> None:
    assert adjusted(capacity, kind, by, least=least) == expected


#: The user guide's policy for a threshold of 50: nothing up to 60, 10 % up to 70, 30 % beyond.
UP = [(0, 10, 0), (10, 20, 10), (20, None, 30)]
#: The same downwards.
DOWN = [(-10, 0, 0), (-20, -10, -10), (None, -20, -30)]


@pytest.mark.parametrize(
    ("value", "capacity", "expected"), [(59, 10, 10), (60, 10, 11), (69.9, 10, 11), (70, 10, 13), (500, 10, 13)]
)
def test_steps_upwards(value: float, capacity: int, expected: int) -> None:
    policy = stepping(UP, "PercentChangeInCapacity")
    assert outcome(high(policy, value), capacity=capacity) == expected


@pytest.mark.parametrize(("value", "expected"), [(41, 10), (40, 9), (31, 9), (30, 7), (0, 7)])
def test_steps_downwards(value: float, expected: int) -> None:
    policy = stepping(DOWN, "PercentChangeInCapacity")
    assert outcome(low(policy, value, threshold=50.0), capacity=10) == expected


def test_bounds_of_steps_depend_on_the_side_of_the_breach() -> None:
    policy = stepping([(0, 10, 1), (10, None, 2)])
    steps = policy.step.step_adjustments
    assert step_of(steps, 10, upwards=True).scaling_adjustment == 2
    assert step_of(steps, 10, upwards=False).scaling_adjustment == 1
    assert step_of(steps, 0, upwards=False) is None


def test_the_largest_capacity_wins_both_ways() -> None:
    assert outcome(high(tracking("a"), 60), high(tracking("b"), 90), capacity=10) == 18
    assert outcome(low(tracking("a"), 20), low(tracking("b"), 35), capacity=10) == 7
    assert outcome(high(tracking("a"), 60), low(tracking("b"), 10), capacity=10) == 12


def test_tracking_shrinks_only_when_all_agree() -> None:
    assert outcome(low(tracking("a"), 20), quiet(tracking("b")), capacity=10) == 10
    assert outcome(low(tracking("a"), 20), quiet(tracking("b", disable_scale_in=True)), capacity=10) == 4
    # A step policy does not wait for them.
    assert outcome(low(stepping([(None, 0, -1)]), 20), quiet(tracking("b")), capacity=10) == 9


def test_shrinking_looks_at_the_busiest_period() -> None:
    assert outcome(low(tracking(), 10, 40, 10), capacity=10) == 8


def test_no_shrinking_that_would_at_once_be_undone() -> None:
    decision = decide(target(), 2, [low(tracking(), 44.0)], deploying=False, now=10_000.0)
    assert decision.change is None
    assert reasons(decision) == ["AutoScalingAnticipatedFlapping"]


def test_bounds_hold_and_are_told() -> None:
    assert outcome(high(tracking(), 500), capacity=10, high=12) == 12
    assert outcome(low(tracking(), 0), capacity=10, low=3) == 3
    at_maximum = decide(target(high=10), 10, [high(tracking(), 500)], deploying=False, now=1e4)
    assert at_maximum.stays[0].reason == aas.NotScaledReason(
        code="AlreadyAtMaxCapacity", max_capacity=10, current_capacity=10
    )
    at_minimum = decide(target(low=10), 10, [low(tracking(), 0)], deploying=False, now=1e4)
    assert at_minimum.stays[0].reason == aas.NotScaledReason(
        code="AlreadyAtMinCapacity", min_capacity=10, current_capacity=10
    )


def test_a_deployment_keeps_the_service_from_shrinking_only() -> None:
    assert outcome(low(tracking(), 10), capacity=10, deploying=True) == 10
    assert outcome(high(tracking(), 100), capacity=10, deploying=True) == 20


def test_suspension() -> None:
    no_out = aas.SuspendedState(dynamic_scaling_out_suspended=True)
    no_in = aas.SuspendedState(dynamic_scaling_in_suspended=True)
    assert outcome(high(tracking(), 100), capacity=10, suspended=no_out) == 10
    assert outcome(high(tracking(), 100), capacity=10, suspended=no_in) == 20
    assert outcome(low(tracking(), 10), capacity=10, suspended=no_in) == 10
    assert outcome(low(tracking(), 10), capacity=10, suspended=no_out) == 2


def test_cooldown_after_adding() -> None:
    """What was added counts as part of what a larger step adds; nothing is removed meanwhile."""
    fresh = {"out_at": 9_900.0, "out_from": 10}
    assert outcome(high(tracking(**fresh), 60), capacity=12) == 12
    assert outcome(high(tracking(**fresh), 90), capacity=12) == 18
    assert outcome(low(tracking(**fresh), 10), capacity=12) == 12
    assert outcome(high(tracking(**fresh, scale_out_cooldown=60), 60), capacity=12) == 15
    assert outcome(high(stepping([(0, None, 2)], **fresh), 60), capacity=12) == 12
    assert outcome(high(stepping([(0, None, 3)], **fresh), 60), capacity=12) == 13
    waiting = decide(target(), 12, [high(tracking(**fresh), 60)], deploying=False, now=10_000.0)
    assert waiting == Decision(again_in=200.0)


def test_cooldown_after_removing_never_keeps_from_adding() -> None:
    fresh = {"in_at": 9_900.0}
    assert outcome(low(tracking(**fresh), 10), capacity=10) == 10
    assert outcome(high(tracking(**fresh), 100), capacity=10) == 20
    assert outcome(low(tracking(**fresh, scale_in_cooldown=50), 10), capacity=10) == 2


def test_from_nothing() -> None:
    assert outcome(high(tracking(goal=100.0), 1000), capacity=0) == 10
    assert outcome(high(stepping([(0, None, 2)]), 60), capacity=0) == 2


def test_an_alarm_without_data_says_nothing() -> None:
    assert decide(target(), 5, [high(tracking())], deploying=False, now=1e4) == Decision()


policies = st.one_of(
    st.builds(tracking, goal=st.floats(1, 1e6), out_at=st.floats(0, 1e4), out_from=st.integers(0, 50)),
    st.builds(stepping, st.just([(None, 0, -2), (0, None, 3)]), out_at=st.floats(0, 1e4), out_from=st.integers(0, 50)),
)
triggers = st.builds(
    Trigger,
    st.just("alarm"),
    st.just("ALARM"),
    st.floats(0, 1e6),
    st.booleans(),
    st.lists(st.floats(0, 1e9), max_size=4).map(tuple),
)
readings = st.lists(st.builds(Reading, policies, st.lists(triggers, max_size=2).map(tuple)), max_size=3)


@given(readings, st.integers(0, 200), st.integers(0, 50), st.integers(50, 100), st.booleans())
def test_what_always_holds(found: list[Reading], capacity: int, least: int, most: int, deploying: bool) -> None:
    decision = decide(target(least, most), capacity, found, deploying=deploying, now=10_000.0)
    if decision.change is None:
        return
    assert isinstance(decision.change, Change)
    assert least <= decision.change.capacity <= most
    assert (decision.change.capacity > capacity) == (decision.change.wish.direction == "out")
    assert decision.change.capacity != capacity
    assert not (deploying and decision.change.capacity < capacity)
