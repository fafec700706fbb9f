"""The deployment circuit breaker: its threshold, what it counts, and what makes failures good."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_simulation import START, Simulation, configuration, deployment, service

from openecs.planning import circuit_breaker
from openecs.shapes import ecs


def deploying(desired: int = 3, *, health_check: bool = False, **options: object) -> Simulation:
    """A service whose first deployment is complete and whose second one has just begun."""
    record = service(desired, deployment_configuration=configuration(**options))
    simulation = Simulation(record, health_check=health_check)
    simulation.settle(rounds=60)
    simulation.update(2)
    simulation.said.clear()
    simulation.started.clear()
    simulation.step()
    simulation.now += 1
    return simulation


def count(simulation: Simulation) -> int:
    simulation.step()
    return next(d for d in simulation.service.deployments if d.id == "ecs-svc/2").breaker.count


@pytest.mark.parametrize(
    ("given_threshold", "desired", "expected"),
    [
        (None, 0, 3),
        (None, 1, 3),
        (None, 6, 3),
        (None, 25, 13),
        (None, 400, 200),
        (None, 800, 200),
        (("COUNT", 1), 800, 1),
        (("COUNT", 500), 1, 500),
        (("BOUNDED_PERCENT", 50), 25, 13),
        (("BOUNDED_PERCENT", 10), 25, 3),
        (("BOUNDED_PERCENT", 90), 800, 200),
        (("UNBOUNDED_PERCENT", 10), 25, 3),
        (("UNBOUNDED_PERCENT", 100), 800, 800),
        (("UNBOUNDED_PERCENT", 10), 1, 1),
        (("UNBOUNDED_PERCENT", 10), 0, 1),
    ],
)
def test_threshold(given_threshold, desired, expected):
    assert circuit_breaker.threshold(configuration(threshold=given_threshold), desired) == expected


def test_a_service_without_a_configured_breaker_has_aws_threshold():
    assert circuit_breaker.threshold(ecs.DeploymentConfiguration(), 25) == 13


def test_tasks_that_never_start_fail_health_checks_or_exit_all_count():
    simulation = deploying(4, health_check=True, threshold=("COUNT", 99))
    never, sick, exits, fine = simulation.alive("ecs-svc/2")
    simulation.fails_to_start(never)
    simulation.runs(exits)
    simulation.exits(exits)
    simulation.runs(sick, "UNHEALTHY")
    simulation.runs(fine)
    assert count(simulation) == 2
    simulation.change(sick, stop_code="ServiceSchedulerInitiated", stopped_reason="Task failed container health checks")
    simulation.change(sick, desired_status="STOPPED")
    simulation.now += 1
    simulation.finishes_stopping(sick)
    assert count(simulation) == 3
    assert count(simulation) == 3


@pytest.mark.parametrize("code", ["UserInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth"])
def test_what_others_did_to_a_task_does_not_count(code):
    simulation = deploying()
    for task in simulation.alive("ecs-svc/2"):
        simulation.change(task, stop_code=code, stopped_reason="somebody's decision")
        simulation.exits(task)
    assert count(simulation) == 0


def test_failures_of_the_older_revision_do_not_count():
    simulation = deploying()
    for task in simulation.alive("ecs-svc/1"):
        simulation.exits(task)
    assert count(simulation) == 0


def test_a_healthy_task_makes_earlier_failures_good_but_not_later_ones():
    simulation = deploying(4, health_check=True, threshold=("COUNT", 99))
    first, second, third, fourth = simulation.alive("ecs-svc/2")
    simulation.fails_to_start(first)
    simulation.fails_to_start(second)
    assert count(simulation) == 2
    simulation.now += 1
    simulation.runs(third)
    simulation.change(third, health_status="HEALTHY", healthy_at=simulation.now)
    assert count(simulation) == 0
    simulation.now += 1
    simulation.fails_to_start(fourth)
    assert count(simulation) == 1
    # It stays healthy, which is no news.
    simulation.now += 1
    assert count(simulation) == 1


def test_failures_add_up_when_healthy_tasks_do_not_reset_them():
    simulation = deploying(4, health_check=True, threshold=("COUNT", 99), reset=False)
    first, second, *_ = simulation.alive("ecs-svc/2")
    simulation.fails_to_start(first)
    simulation.now += 1
    simulation.runs(second)
    simulation.change(second, health_status="HEALTHY", healthy_at=simulation.now)
    assert count(simulation) == 1


def test_a_task_without_health_checks_proves_itself_before_it_counts_as_healthy():
    simulation = deploying(1)
    (new,) = simulation.alive("ecs-svc/2")
    simulation.runs(new)
    plan = simulation.step()
    assert plan.stops == ()
    assert plan.wake_at == simulation.now + circuit_breaker.PROOF_PERIOD
    simulation.now = plan.wake_at
    plan = simulation.step()
    assert [simulation.tasks[stop.task_arn].deployment_id for stop in plan.stops] == ["ecs-svc/1"]
    simulation.settle()
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"


def test_without_the_breaker_nothing_has_to_prove_itself():
    simulation = Simulation(service(1))
    simulation.step()
    simulation.runs(simulation.alive()[0])
    simulation.step()
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"


def test_replacements_in_a_steady_service_count_at_once():
    simulation = Simulation(service(2, deployment_configuration=configuration()))
    simulation.settle(rounds=60)
    simulation.now += 3600
    simulation.exits(simulation.alive()[0])
    simulation.step()
    simulation.runs(simulation.started[-1])
    simulation.step()
    assert simulation.service.steady


def test_a_container_that_exits_while_it_proves_itself_is_no_healthy_task():
    simulation = deploying(1, threshold=("COUNT", 99))
    for expected in (1, 2, 3):
        while not simulation.alive("ecs-svc/2"):
            simulation.now += 1
            simulation.step()
        (task,) = simulation.alive("ecs-svc/2")
        simulation.runs(task)
        simulation.now += circuit_breaker.PROOF_PERIOD - 1
        simulation.exits(task)
        simulation.now += 20
        assert count(simulation) == expected
    assert len(simulation.healthy("ecs-svc/1")) == 1


@given(
    outcomes=st.lists(
        st.tuples(st.sampled_from(["never", "exits", "healthy", "user"]), st.integers(0, 3)), max_size=30
    ),
    forgets=st.booleans(),
)
@settings(deadline=None)
def test_the_count_is_that_of_a_counter_that_saw_everything(outcomes, forgets):
    simulation = deploying(4, health_check=True, threshold=("COUNT", 10_000))
    expected = 0
    for outcome, pause in outcomes:
        simulation.now += 30 * 60 + pause
        simulation.step()
        tasks = [t for t in simulation.alive("ecs-svc/2") if t.health_status != "HEALTHY"]
        if not tasks:
            return
        task = tasks[0]
        if outcome == "never":
            simulation.fails_to_start(task)
            expected += 1
        elif outcome == "exits":
            simulation.runs(task)
            simulation.exits(task)
            expected += 1
        elif outcome == "healthy":
            simulation.runs(task)
            simulation.change(task, health_status="HEALTHY", healthy_at=simulation.now)
            expected = 0
        else:
            simulation.change(task, stop_code="UserInitiated")
            simulation.exits(task)
        assert count(simulation) == expected
        if forgets:
            # Whatever ended longer ago than an hour is forgotten.
            old = [t.arn for t in simulation.tasks.values() if t.stopped and t.stopped_at < simulation.now - 3600]
            for arn in old:
                del simulation.tasks[arn]


def test_the_moment_a_task_became_healthy():
    simulation = Simulation(service(1))
    simulation.step()
    (task,) = simulation.alive()
    assert circuit_breaker.became_healthy(task) == float("inf")
    running = msgspec.structs.replace(task, started_at=START)
    assert circuit_breaker.became_healthy(running) == START + 10
    assert circuit_breaker.became_healthy(msgspec.structs.replace(running, stopped_at=START + 9)) == float("inf")


def test_a_count_from_now_on_leaves_out_what_ended_by_a_clock_that_was_set_back():
    simulation = Simulation(service(3))
    simulation.step()
    first, second, third = simulation.alive()
    simulation.now += 3600
    simulation.fails_to_start(first)
    simulation.now -= 3600
    simulation.fails_to_start(second)
    stopped = [task for task in simulation.tasks.values() if task.stopped]
    mark = circuit_breaker.counted_up_to(stopped, simulation.now)
    record = deployment(1, breaker=mark)
    for now in (simulation.now, simulation.now + 7200):
        assert circuit_breaker.count(simulation.service, record, stopped, stopped, now).count == 0
    simulation.now += 1
    simulation.fails_to_start(third)
    stopped.append(simulation.tasks[third.arn])
    assert circuit_breaker.count(simulation.service, record, stopped, stopped, simulation.now).count == 1
