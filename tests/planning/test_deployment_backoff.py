"""How failures are counted, whatever their order and however long ago."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from service_simulation import START, Simulation, deployment, service

from openecs.planning import deployment_backoff as backoff


def account(record, tasks):
    return backoff.account(record, [task for task in tasks if task.stopped], tasks, START + 1e6)


def failed_task(at: float, created_at: float = START):
    simulation = Simulation(service(1))
    simulation.step()
    (task,) = simulation.alive()
    simulation.now = at
    simulation.fails_to_start(task)
    return msgspec.structs.replace(simulation.tasks[task.arn], created_at=created_at, arn=f"t{at}")


def started_task(at: float, created_at: float = START):
    return msgspec.structs.replace(
        failed_task(at, created_at), last_status="RUNNING", started_at=at, stopped_at=None, stop_code=None
    )


def test_failures_since_the_last_start_count():
    tasks = [failed_task(START + 1), failed_task(START + 2), started_task(START + 3), failed_task(START + 4)]
    assert account(deployment(1), tasks).failed_tasks == 1
    assert account(deployment(1), tasks).first_running_at == START + 3


def test_forgotten_tasks_do_not_shorten_a_row_of_failures():
    record = account(deployment(1), [failed_task(START + at) for at in range(1, 13)])
    assert record.failed_tasks == 12
    assert account(record, [failed_task(START + 12)]).failed_tasks == 12
    assert account(record, [failed_task(START + 12), failed_task(START + 13)]).failed_tasks == 13
    assert account(record, [started_task(START + 14)]).failed_tasks == 0


def test_what_failed_before_an_update_does_not_count():
    record = deployment(1, updated_at=START + 10)
    tasks = [failed_task(START + 9), failed_task(START + 11)]
    assert account(record, tasks).failed_tasks == 1
    assert backoff.state(account(record, tasks[:1]), 1, START + 10) is None
    before = account(deployment(1), tasks[:1])
    updated = msgspec.structs.replace(before, updated_at=START + 10)
    assert account(updated, tasks[:1]).failed_tasks == 0


def exited_task(at: float, lived: float):
    task = failed_task(at)
    return msgspec.structs.replace(task, started_at=at - lived, stop_code="EssentialContainerExited", arn=f"x{at}")


def test_tasks_that_exit_early_are_delayed_from_the_second_round_on_and_forgotten_after_a_stable_period():
    record = deployment(1, updated_at=0.0)
    delays = []
    tasks = []
    at = START
    for _ in range(11):
        tasks.append(exited_task(at, lived=5.0))
        record = account(record, tasks)
        held = backoff.state(record, 1, at)
        delays.append(held.delay if held else 0)
        at += delays[-1] + 6.0
    assert delays == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert held.cause == "exited-early"
    assert held.failures == 11
    calm = account(record, [*tasks, exited_task(at + 601, lived=5.0)])
    assert calm.crashes.count == 1


def test_a_task_that_ran_for_a_while_is_no_crash_loop():
    assert account(deployment(1), [exited_task(START + 100, lived=60.0)]).crashes.count == 0


def test_what_holds_a_service_back_is_told_as_data():
    record = service(1)
    tasks = [msgspec.structs.replace(failed_task(START + at), deployment_id="ecs-svc/1") for at in (1, 2)]
    (held,) = backoff.back_off_state(record, tasks, START + 3)
    assert held == ("ecs-svc/1", "never-started", 2, 2.0, START + 4)
    assert backoff.back_off_state(record, tasks, START + 5) == ()


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1000)), max_size=30), st.randoms(use_true_random=False))
def test_counting_again_changes_nothing_and_order_does_not_matter(outcomes, order):
    tasks = [failed_task(START + at) if fails else started_task(START + at) for fails, at in outcomes]
    first = account(deployment(1), tasks)
    order.shuffle(tasks)
    assert account(first, tasks) is first
    assert account(deployment(1), tasks) == first


def sick_task(number: int, at: float, healthy_at: float | None):
    return msgspec.structs.replace(
        failed_task(at),
        arn=f"s{number}",
        started_at=START,
        healthy_at=healthy_at,
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Task failed container health checks",
    )


def test_health_checks_that_fail_again_and_again_slow_a_deployment_down():
    never = [sick_task(n, START + 100 + n, None) for n in range(3)]
    held = backoff.state(account(deployment(1), never), 1, START + 102.5)
    assert held is not None
    assert (held.failures, held.delay) == (3, 2.0)
    soon = [sick_task(n, START + 1000 + n, START + 800) for n in range(3)]
    assert account(deployment(1), soon).crashes.count == 3
    # One that was healthy for long is replaced like any other.
    late = [sick_task(n, START + 1000 + n, START + 600) for n in range(3)]
    assert account(deployment(1), late).crashes.count == 0


def test_a_revision_that_never_becomes_healthy_is_not_started_without_pause():
    simulation = Simulation(service(1), health_check=True)
    for _ in range(720):
        simulation.step()
        for task in list(simulation.tasks.values()):
            if task.stopped:
                continue
            if task.desired_status == "STOPPED":
                simulation.finishes_stopping(task)
            elif task.last_status == "PENDING":
                simulation.runs(task)
            else:
                simulation.change(task, health_status="UNHEALTHY")
        simulation.now += 5
    assert len(simulation.started) < 30
    assert any("health checks soon after they start" in text for text in simulation.said)


def test_a_clock_that_is_set_back_makes_nothing_good_that_fails_afterwards():
    """The update, and the start of a task, are an hour ahead then."""
    later = START + 3600
    updated = deployment(1, updated_at=later)
    record = backoff.account(updated, [], [started_task(later)], later)
    tasks = [started_task(later), *(failed_task(START + at) for at in range(1, 6))]
    for task in tasks[1:]:
        known = [one for one in tasks if (one.stopped_at or 0.0) <= (task.stopped_at or 0.0)]
        record = backoff.account(record, [one for one in known if one.stopped], known, task.stopped_at)
    assert record.failed_tasks == 5
    held = backoff.state(record, 1, START + 5)
    assert held is not None
    assert held.until == START + 5 + held.delay
