"""Counting failures exactly: whatever is remembered, in any order, however often it is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_simulation import START, Simulation, service

from openecs.model.service import FailureCount
from openecs.planning import task_failures
from openecs.planning.task_failures import advance

LATE = 1e6


@pytest.mark.parametrize(
    ("mark", "times", "expected"),
    [
        (FailureCount(), [], FailureCount()),
        (FailureCount(), [5.0], FailureCount(count=1, until=5.0, at_until=1)),
        (FailureCount(), [5.0, 5.0], FailureCount(count=2, until=5.0, at_until=2)),
        # One of two that ended at the same moment was counted before.
        (FailureCount(count=1, until=5.0, at_until=1), [5.0, 5.0], FailureCount(count=2, until=5.0, at_until=2)),
        # Forgotten ones stay counted.
        (FailureCount(count=7, until=5.0, at_until=2), [5.0], FailureCount(count=7, until=5.0, at_until=2)),
        (FailureCount(count=7, until=5.0, at_until=2), [6.0], FailureCount(count=8, until=6.0, at_until=1)),
    ],
)
def test_the_mark_moves_with_the_failures(mark, times, expected):
    assert advance(mark, times, now=LATE) == expected


def test_what_was_made_good_does_not_count():
    mark = FailureCount(count=3, until=5.0, at_until=1)
    assert advance(mark, [], now=LATE, reset_at=6.0).count == 0
    assert advance(mark, [], now=LATE, reset_at=4.0) is mark
    assert advance(mark, [6.0, 8.0], now=LATE, reset_at=7.0).count == 1
    assert advance(mark, [6.0, 8.0], now=LATE, since=7.0).count == 1
    assert advance(mark, [16.0], now=LATE, memory=10.0).count == 1


@given(
    moments=st.lists(st.integers(1, 12), max_size=25),
    looks=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_every_failure_counts_once_whenever_one_looks_and_whatever_is_forgotten(moments, looks, order):
    """Failures happen in the order of time; at each look those of the last moments are remembered."""
    mark = FailureCount()
    for at, memory in sorted(looks):
        known = [float(m) for m in moments if m <= at]
        remembered = [m for m in known if m >= at - memory]
        # What is forgotten was looked at before, as on a server that looks at every change.
        mark = advance(mark, [m for m in known if m > mark.until or m in remembered], now=LATE)
        order.shuffle(remembered)
        assert advance(mark, remembered, now=LATE) is mark
        assert mark.count == len(known)


def test_only_what_the_deployment_is_to_blame_for_is_a_failure():
    simulation = Simulation(service(7))
    simulation.step()
    codes = [
        "TaskFailedToStart",
        "EssentialContainerExited",
        "UserInitiated",
        "ServiceSchedulerInitiated",
        "SpotInterruption",
        "TerminationNotice",
        "InfrastructureHealth",
    ]
    never = {}
    ran = {}
    for code, task in zip(codes, simulation.alive(), strict=True):
        ended = simulation.change(task, last_status="STOPPED", stopped_at=START + 5, stop_code=code)
        never[code] = task_failures.failed_to_start(ended)
        ran[code] = task_failures.exited(simulation.change(ended, started_at=START))
    blamed = {"TaskFailedToStart", "EssentialContainerExited"}
    assert {code for code, failure in never.items() if failure} == blamed
    assert {code for code, failure in ran.items() if failure} == blamed


def test_a_clock_that_is_set_back_hides_no_failure_and_holds_nothing_back():
    mark = advance(FailureCount(), [5000.0, 5001.0], now=5001.0)
    later = [5000.0, 5001.0]
    for number in range(1, 101):
        now = 1400.0 + number
        later.append(now)
        mark = advance(mark, later, now=now)
    # The first of them came together with the news about the clock.
    assert mark.count == 101
    assert mark.until == 1500.0
    # The clock comes to the first two a second time: they are not counted again.
    assert advance(mark, later, now=6000.0).count == 101
    assert advance(mark, [*later, 5000.5], now=6000.0).count == 102


@given(
    moments=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=10),
    back=st.integers(1, 20),
    again=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), max_size=10),
)
def test_every_failure_counts_once_although_the_clock_is_set_back(moments, back, again):
    """Looked at after each moment, and once right after the clock was set."""
    mark, now, times = FailureCount(), 100.0, []
    for pause, failures in moments:
        now += pause
        times += [now] * failures
        mark = advance(mark, times, now=now)
    now -= back
    mark = advance(mark, times, now=now)
    for pause, failures in again:
        now += pause
        times += [now] * failures
        mark = advance(mark, times, now=now)
        assert advance(mark, times, now=now) is mark
    assert mark.count == len(times)
