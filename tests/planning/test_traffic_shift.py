"""BLUE_GREEN, LINEAR and CANARY deployments pass AWS's stages in order, and traffic moves only as they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.ids import Ids, RandomIds
from openecs.model.traffic_shift import DAY, TrafficShift
from openecs.planning import traffic_shift as shifts
from openecs.planning.traffic_shift import STAGES, Advanced, ShiftFacts
from openecs.shapes import ecs

IDS: Ids = RandomIds()
READY = ShiftFacts(has_blue=True, reconciles=False, scaled=True, applied=True, tests=True, blue_gone=True)


def configuration(strategy: str = "BLUE_GREEN", **more: object) -> ecs.DeploymentConfiguration:
    return ecs.DeploymentConfiguration(strategy=strategy, **more)  # type: ignore[arg-type]


def pause(*stages: str, minutes: int | None = None, action: str | None = None) -> ecs.DeploymentLifecycleHook:
    timeout = None
    if minutes is not None or action is not None:
        timeout = ecs.DeploymentLifecycleHookTimeoutConfiguration(timeout_in_minutes=minutes, action=action)  # type: ignore[arg-type]
    return ecs.DeploymentLifecycleHook(target_type="PAUSE", lifecycle_stages=stages, timeout_configuration=timeout)  # type: ignore[arg-type]


class Walk:
    """One deployment under virtual time; every look is followed by another until nothing changes."""

    def __init__(self, config: ecs.DeploymentConfiguration, facts: ShiftFacts = READY) -> None:
        self.config, self.facts, self.now = config, facts, 1000.0
        self.shift = shifts.begin(facts, self.now)
        self.seen: list[tuple[str, float, float]] = []

    def look(self, **facts: bool) -> Advanced:
        self.facts = self.facts._replace(**facts)
        while True:
            outcome = shifts.advance(self.shift, self.config, self.facts, self.now, IDS)
            settled = outcome.shift == self.shift
            self.shift = outcome.shift
            self.seen.append((self.shift.stage, self.shift.test, self.shift.production))
            if settled or outcome.failure is not None or outcome.finished:
                return outcome

    def later(self, seconds: float, **facts: bool) -> Advanced:
        self.now += seconds
        return self.look(**facts)


def test_blue_green_shifts_everything_at_once_and_bakes() -> None:
    walk = Walk(configuration(bake_time_in_minutes=5), READY._replace(scaled=False, applied=False, blue_gone=False))
    walk.look()
    assert (walk.shift.stage, walk.shift.production) == ("SCALE_UP", 0.0)
    walk.look(scaled=True)
    assert (walk.shift.stage, walk.shift.test, walk.shift.production) == ("TEST_TRAFFIC_SHIFT", 100.0, 0.0)
    walk.look(applied=True)
    assert walk.shift.stage == "BAKE_TIME"
    assert walk.shift.production == 100.0
    assert walk.look().wake_at == walk.now + 300.0
    assert walk.later(299.0).shift.stage == "BAKE_TIME"
    assert walk.later(1.0).shift.stage == "CLEAN_UP"
    assert not walk.look().finished
    assert walk.look(blue_gone=True).finished


def test_traffic_waits_for_the_load_balancers() -> None:
    walk = Walk(configuration(), READY._replace(tests=False, applied=False))
    walk.look()
    assert (walk.shift.stage, walk.shift.production) == ("PRODUCTION_TRAFFIC_SHIFT", 100.0)
    assert walk.look(applied=True).finished


@pytest.mark.parametrize(
    ("config", "percents"),
    [
        (configuration("LINEAR"), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]),
        (
            configuration("LINEAR", linear_configuration=ecs.LinearConfiguration(step_percent=33.3)),
            [33.3, 66.6, 99.9, 100.0],
        ),
        (configuration("LINEAR", linear_configuration=ecs.LinearConfiguration(step_percent=100.0)), [100.0]),
        (configuration("CANARY"), [5.0, 100.0]),
        (configuration("CANARY", canary_configuration=ecs.CanaryConfiguration(canary_percent=0.1)), [0.1, 100.0]),
        (configuration("BLUE_GREEN"), [100.0]),
    ],
)
def test_steps(config: ecs.DeploymentConfiguration, percents: list[float]) -> None:
    assert list(shifts.steps(config, has_blue=True)) == percents
    assert shifts.steps(config, has_blue=False) == (100.0,)


def test_a_linear_deployment_bakes_between_steps_but_not_after_the_last() -> None:
    linear = ecs.LinearConfiguration(step_percent=50.0, step_bake_time_in_minutes=2)
    walk = Walk(configuration("LINEAR", linear_configuration=linear))
    walk.look()
    assert (walk.shift.production, walk.shift.steps) == (50.0, 1)
    assert walk.look().wake_at == walk.now + 120.0
    walk.later(119.0)
    assert walk.shift.production == 50.0
    assert walk.later(1.0).finished
    assert walk.shift.production == 100.0


def test_the_first_deployment_of_a_service_neither_steps_nor_bakes() -> None:
    config = configuration("LINEAR", bake_time_in_minutes=60)
    walk = Walk(config, READY._replace(has_blue=False))
    assert walk.look().finished
    assert [production for _, _, production in walk.seen if 0 < production < 100] == []


def test_a_pause_hook_holds_its_stage_until_it_is_continued() -> None:
    walk = Walk(configuration(lifecycle_hooks=(pause("POST_TEST_TRAFFIC_SHIFT"),)))
    outcome = walk.look()
    assert (walk.shift.stage, walk.shift.production) == ("POST_TEST_TRAFFIC_SHIFT", 0.0)
    assert outcome.wake_at == walk.now + DAY
    (hook,) = walk.shift.hooks
    assert shifts.keep(walk.shift, "ecs-pause-unknown", "CONTINUE") is None
    continued = shifts.keep(walk.shift, hook.id, "CONTINUE")
    assert continued is not None
    walk.shift = continued
    assert walk.look().finished
    assert [run.status for run in walk.shift.hooks] == ["SUCCEEDED"]
    assert shifts.keep(walk.shift, hook.id, "CONTINUE") is None


def test_a_pause_hook_that_is_rolled_back_fails_the_deployment() -> None:
    walk = Walk(configuration(lifecycle_hooks=(pause("PRE_SCALE_UP"),)))
    walk.look()
    rolled_back = shifts.keep(walk.shift, walk.shift.hooks[0].id, "ROLLBACK")
    assert rolled_back is not None
    walk.shift = rolled_back
    assert walk.look().failure == "the pause hook at PRE_SCALE_UP was rolled back"


@pytest.mark.parametrize(("action", "failure"), [("CONTINUE", None), ("ROLLBACK", "timed out"), (None, "timed out")])
def test_a_pause_hook_that_times_out(action: str | None, failure: str | None) -> None:
    walk = Walk(configuration(lifecycle_hooks=(pause("POST_SCALE_UP", minutes=10, action=action),)))
    assert walk.look().wake_at == walk.now + 600.0
    outcome = walk.later(600.0)
    assert walk.shift.hooks[0].status == "TIMED_OUT"
    assert outcome.finished == (failure is None)
    assert failure is None or failure in (outcome.failure or "")


def test_a_hook_before_production_traffic_holds_every_step() -> None:
    config = configuration(
        "CANARY",
        canary_configuration=ecs.CanaryConfiguration(canary_percent=20.0, canary_bake_time_in_minutes=1),
        lifecycle_hooks=(pause("PRE_PRODUCTION_TRAFFIC_SHIFT"),),
    )
    walk = Walk(config)
    for production in (0.0, 20.0):
        walk.later(60.0)
        assert walk.shift.production == production
        waiting = [run for run in walk.shift.hooks if run.status == "AWAITING_ACTION"]
        assert len(waiting) == 1
        continued = shifts.keep(walk.shift, waiting[0].id, "CONTINUE")
        assert continued is not None
        walk.shift = continued
        outcome = walk.look()
    assert outcome.finished
    assert walk.shift.production == 100.0
    assert len(walk.shift.hooks) == 2


def test_a_stage_that_takes_a_day_fails() -> None:
    walk = Walk(configuration(), READY._replace(scaled=False))
    walk.look()
    assert walk.later(DAY - 1).failure is None
    assert walk.later(1.0).failure == "the new revision's tasks did not become healthy within 24 hours"


def test_reconciliation_comes_first_when_several_revisions_are_active() -> None:
    walk = Walk(configuration(lifecycle_hooks=(pause("RECONCILE_SERVICE"),)), READY._replace(reconciles=True))
    assert walk.look().shift.stage == "RECONCILE_SERVICE"


@pytest.mark.parametrize(
    ("percent", "expected"), [(0.0, (100, 0)), (100.0, (0, 100)), (0.1, (999, 1)), (99.9, (1, 999))]
)
def test_weights_are_what_a_listener_rule_takes(percent: float, expected: tuple[int, int]) -> None:
    assert shifts.weights(percent) == expected


_CONFIGURATIONS = st.builds(
    lambda strategy, bake, percent, step_bake, stages: configuration(
        strategy,
        bake_time_in_minutes=bake,
        linear_configuration=ecs.LinearConfiguration(
            step_percent=max(percent, 3.0), step_bake_time_in_minutes=step_bake
        ),
        canary_configuration=ecs.CanaryConfiguration(canary_percent=percent, canary_bake_time_in_minutes=step_bake),
        lifecycle_hooks=tuple(pause(stage, minutes=30, action="CONTINUE") for stage in stages),
    ),
    st.sampled_from(["BLUE_GREEN", "LINEAR", "CANARY"]),
    st.integers(0, 5),
    st.integers(1, 1000).map(lambda tenths: tenths / 10),
    st.integers(0, 5),
    st.lists(
        st.sampled_from(
            ["PRE_SCALE_UP", "POST_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT",
             "POST_PRODUCTION_TRAFFIC_SHIFT"]
        ),
        max_size=3,
    ),
)  # fmt: skip


@given(_CONFIGURATIONS, st.booleans(), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_every_deployment_ends_and_never_goes_back(
    config: ecs.DeploymentConfiguration, has_blue: bool, facts: list[tuple[bool, bool]]
) -> None:
    walk = Walk(config, READY._replace(has_blue=has_blue))
    before: TrafficShift = walk.shift
    for scaled, applied in [*facts, *[(True, True)] * 400]:
        if before.stage in STAGES[: STAGES.index("POST_SCALE_UP")]:
            assert walk.shift.production == 0.0
        outcome = walk.later(400.0, scaled=scaled, applied=applied)
        assert outcome.failure is None
        assert STAGES.index(walk.shift.stage) >= STAGES.index(before.stage)
        assert walk.shift.production >= before.production
        assert walk.shift.steps >= before.steps
        before = walk.shift
        if outcome.finished:
            break
    else:
        pytest.fail(f"it never ended: {walk.shift}")
    assert walk.shift.production == 100.0
