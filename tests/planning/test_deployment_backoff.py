"""How failures are counted, whatever their order and however long ago."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from service_simulation import START, Simulation, deployment, service

from openecs.planning import deployment_backoff as backoff


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
    assert backoff.account(deployment(1), tasks).failed_tasks == 1
    assert backoff.account(deployment(1), tasks).first_running_at == START + 3


def test_forgotten_tasks_do_not_shorten_a_row_of_failures():
    record = deployment(1, failed_tasks=12)
    assert backoff.account(record, [failed_task(START + 5)]).failed_tasks == 12
    assert backoff.account(record, [started_task(START + 5)]).failed_tasks == 0


def test_what_failed_before_an_update_does_not_count():
    record = deployment(1, updated_at=START + 10)
    tasks = [failed_task(START + 9), failed_task(START + 11)]
    assert backoff.account(record, tasks).failed_tasks == 1
    assert backoff.not_before(record, 1, tasks[:1], START + 10) == 0.0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1000)), max_size=30), st.randoms(use_true_random=False))
def test_counting_again_changes_nothing_and_order_does_not_matter(outcomes, order):
    tasks = [failed_task(START + at) if fails else started_task(START + at) for fails, at in outcomes]
    first = backoff.account(deployment(1), tasks)
    order.shuffle(tasks)
    again = backoff.account(
        deployment(1, failed_tasks=first.failed_tasks, first_running_at=first.first_running_at), tasks
    )
    assert again == first
