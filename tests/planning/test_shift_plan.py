"""Deployments that shift traffic: both revisions run until the older one has nothing left to do, and there is a way
back until then."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_simulation import configuration as with_breaker
from service_simulation import deployment
from shift_simulation import PAIR, ShiftSimulation, configured

from openecs.model.service import Deployment
from openecs.planning import target_slots, traffic_shift
from openecs.shapes import ecs

HOOK = ecs.DeploymentLifecycleHook(target_type="PAUSE", lifecycle_stages=("POST_SCALE_UP",))
CANARY = configured(
    "CANARY", canary_configuration=ecs.CanaryConfiguration(canary_percent=5.0, canary_bake_time_in_minutes=0)
)
LINEAR = configured(
    "LINEAR", linear_configuration=ecs.LinearConfiguration(step_percent=25.0, step_bake_time_in_minutes=0)
)


def primary(sim: ShiftSimulation) -> Deployment:
    found = sim.service.primary
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("configuration", "percents"),
    [(configured(), [100.0]), (CANARY, [5.0, 100.0]), (LINEAR, [25.0, 50.0, 75.0, 100.0])],
)
def test_traffic_moves_when_the_new_revision_is_complete(
    configuration: ecs.DeploymentConfiguration, percents: list[float]
) -> None:
    sim = ShiftSimulation(2, configuration)
    sim.begin(2)
    sim.run()
    assert sim.percents == percents
    assert sim.in_order()
    assert (primary(sim).id, primary(sim).rollout_state) == ("ecs-svc/2", "COMPLETED")
    assert [d.id for d in sim.service.deployments] == ["ecs-svc/2"]
    assert (sim.count(1), sim.count(2)) == (0, 2)
    assert sim.service.steady


def test_a_first_deployment_passes_the_stages_and_does_not_bake() -> None:
    sim = ShiftSimulation(2, configured(bake_time_in_minutes=30))
    sim.service = msgspec.structs.replace(sim.service, deployments=(), last_completed=None)
    sim.tasks.clear()
    sim.begin(2)
    began = sim.now
    sim.run()
    assert primary(sim).rollout_state == "COMPLETED"
    assert sim.now - began < 60.0


def test_a_first_deployment_that_is_stopped_with_all_traffic_is_nothing_to_go_back_to() -> None:
    hook = ecs.DeploymentLifecycleHook(target_type="PAUSE", lifecycle_stages=("POST_PRODUCTION_TRAFFIC_SHIFT",))
    sim = ShiftSimulation(2, configured(lifecycle_hooks=(hook,)))
    sim.service = msgspec.structs.replace(sim.service, deployments=(), last_completed=None)
    sim.tasks.clear()
    sim.begin(2)
    sim.run()
    assert sim.shift is not None
    assert sim.shift.production == 100.0
    sim.stop_requested = "ROLLBACK"
    sim.step()
    assert [(d.id, d.status, d.rollout_state) for d in sim.service.deployments] == [("ecs-svc/2", "PRIMARY", "FAILED")]
    assert (sim.shift.production, sim.count(2)) == (100.0, 2)


def test_both_revisions_run_while_the_deployment_bakes() -> None:
    sim = ShiftSimulation(3, configured(bake_time_in_minutes=600))
    sim.begin(2)
    sim.run()
    assert sim.shift is not None
    assert (sim.shift.stage, sim.shift.production) == ("BAKE_TIME", 100.0)
    assert (sim.count(1), sim.count(2)) == (3, 3)
    assert primary(sim).rollout_state == "IN_PROGRESS"
    sim.now += 36_000
    sim.run()
    assert (sim.count(1), sim.count(2)) == (0, 3)


def test_no_task_stops_before_the_load_balancers_have_let_go_of_it() -> None:
    sim = ShiftSimulation(2, configured(bake_time_in_minutes=600))
    sim.begin(2)
    sim.run()
    sim.following, sim.stop_requested = False, "ROLLBACK"
    sim.step()
    sim.stop_requested = None
    sim.run()
    assert sim.shift is not None
    assert (sim.shift.production, sim.count(1), sim.count(2)) == (0.0, 2, 2)
    sim.following = True
    sim.run()
    assert (sim.count(1), sim.count(2)) == (2, 0)
    assert (primary(sim).id, primary(sim).rollout_state) == ("ecs-svc/1", "COMPLETED")


def test_both_revisions_follow_the_desired_count_and_replace_their_own() -> None:
    sim = ShiftSimulation(2, configured(lifecycle_hooks=(HOOK,)))
    sim.begin(2)
    sim.run()
    assert sim.waits()
    sim.scale(4)
    sim.run()
    assert (sim.count(1), sim.count(2)) == (4, 4)
    sim.exits(sim.alive("ecs-svc/1")[0])
    sim.exits(sim.alive("ecs-svc/2")[0])
    sim.run()
    assert (sim.count(1), sim.count(2)) == (4, 4)
    sim.scale(1)
    sim.run()
    assert (sim.count(1), sim.count(2)) == (1, 1)


def test_a_pause_hook_holds_the_deployment_up_until_it_is_continued() -> None:
    sim = ShiftSimulation(2, configured(lifecycle_hooks=(HOOK,)))
    sim.begin(2)
    sim.run()
    assert sim.shift is not None
    (hook,) = sim.shift.hooks
    assert (sim.shift.stage, hook.status, sim.percents) == ("POST_SCALE_UP", "AWAITING_ACTION", [])
    sim.shift = traffic_shift.keep(sim.shift, hook.id, "CONTINUE")
    sim.run()
    assert (sim.percents, primary(sim).rollout_state) == ([100.0], "COMPLETED")


def test_a_pause_hook_that_is_rolled_back_takes_the_new_revision_away() -> None:
    sim = ShiftSimulation(2, configured(lifecycle_hooks=(HOOK,)))
    sim.begin(2)
    sim.run()
    assert sim.shift is not None
    sim.shift = traffic_shift.keep(sim.shift, sim.shift.hooks[0].id, "ROLLBACK")
    sim.run()
    assert (sim.count(1), sim.count(2)) == (2, 0)
    assert (primary(sim).id, primary(sim).rollout_state, sim.percents) == ("ecs-svc/1", "COMPLETED", [])
    assert "(service web) rolling back to deployment ecs-svc/1." in sim.said


def test_a_new_revision_that_cannot_start_is_rolled_back_by_the_circuit_breaker() -> None:
    sim = ShiftSimulation(2, with_breaker(strategy="BLUE_GREEN", bake_time_in_minutes=0))
    sim.begin(2)
    for _ in range(40):
        sim.step()
        for task in sim.alive("ecs-svc/2"):
            sim.fails_to_start(task)
        sim.everything_goes_well()
        sim.now += 30.0
    assert (sim.count(1), sim.count(2)) == (2, 0)
    assert (primary(sim).id, primary(sim).rollout_state, sim.percents) == ("ecs-svc/1", "COMPLETED", [])


def test_an_abort_leaves_everything_as_it_is() -> None:
    sim = ShiftSimulation(2, configured(bake_time_in_minutes=600))
    sim.begin(2)
    sim.run()
    sim.stop_requested = "ABORT"
    sim.step()
    sim.stop_requested = None
    sim.run()
    assert sim.shift is not None
    assert (primary(sim).rollout_state, sim.shift.production) == ("FAILED", 100.0)
    assert (sim.count(1), sim.count(2)) == (2, 2)


def test_a_newer_deployment_first_makes_one_revision_of_several() -> None:
    sim = ShiftSimulation(2, configured(bake_time_in_minutes=600))
    sim.begin(2)
    sim.run()
    sim.stages.clear()
    sim.begin(3)
    sim.following = False
    sim.run()
    assert (sim.count(1), sim.count(2), sim.count(3)) == (2, 2, 0)
    sim.following = True
    sim.run()
    assert sim.stages[0] == "RECONCILE_SERVICE"
    assert (sim.count(1), sim.count(2), sim.count(3)) == (2, 0, 2)
    sim.now += 36_000
    sim.run()
    assert [d.id for d in sim.service.deployments] == ["ecs-svc/3"]


def test_there_is_no_way_back_once_the_older_revision_is_on_its_way_down() -> None:
    sim = ShiftSimulation(1, configured())
    sim.begin(2)
    while sim.shift is not None and sim.shift.stage != "CLEAN_UP":
        sim.step()
        for task in sim.alive():
            if task.last_status == "PENDING":
                sim.runs(task)
    sim.stop_requested = "ROLLBACK"
    sim.run()
    assert (primary(sim).id, primary(sim).rollout_state) == ("ecs-svc/2", "COMPLETED")


def test_a_new_revision_gets_the_target_groups_that_production_does_not_use() -> None:
    one = deployment(1, rollout_state="COMPLETED", load_balancers=PAIR)
    two = deployment(2, load_balancers=PAIR, alternate=True)
    assert target_slots.groups(target_slots.of(one)) == {"one"}
    assert target_slots.groups(target_slots.of(two)) == {"two"}


@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.sampled_from([configured(), CANARY, LINEAR, configured(bake_time_in_minutes=5)]),
    st.booleans(),
    st.lists(
        st.sampled_from(
            ["lose 1", "lose 2", "drain", "deaf", "hears", "scale", "begin", "rollback", "go", "go", "go", "go"]
        ),
        max_size=25,
    ),
)
def test_whatever_happens_it_ends_with_one_revision_that_has_the_traffic(
    desired: int, configuration: ecs.DeploymentConfiguration, tests: bool, happens: list[str]
) -> None:
    sim = ShiftSimulation(desired, configuration, tests=tests)
    sim.begin(2)
    number = 2
    for what in happens:
        match what:
            case "lose 1" | "lose 2":
                for task in sim.alive(f"ecs-svc/{what[-1]}")[:1]:
                    sim.exits(task)
            case "drain":
                sim.draining = set() if sim.draining else {"instance-0"}
            case "deaf" | "hears":
                sim.following = what == "hears"
            case "scale":
                sim.scale(desired % 4 + 1)
            case "begin":
                number += 1
                sim.begin(number)
            case "rollback" if primary(sim).rolls_back is None:
                # StopServiceDeployment refuses another one.
                sim.stop_requested = "ROLLBACK"
        sim.step()
        sim.stop_requested = None
        sim.everything_goes_well()
        sim.now += 20.0
    sim.following, sim.draining = True, set()
    sim.run(300)
    assert sim.service.steady, (sim.shift, sim.describe())
    assert len(sim.service.deployments) == 1
    last = primary(sim)
    assert sim.shift is not None
    on_newest = last.id == f"ecs-svc/{number}"
    assert sim.shift.production == (100.0 if on_newest else 0.0)
    assert len(sim.alive()) == sim.service.desired_count == len(sim.alive(last.id))
