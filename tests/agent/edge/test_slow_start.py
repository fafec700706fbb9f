"""Slow start: whose share grows, and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.acs.host_documents import HealthCheckDocument
from openecs.agent.edge.health import FAILED, PASSED, Health, after
from openecs.agent.edge.slow_start import FULL, NO_RAMP, STEPS, ramp

SLOW = {"slow_start.duration_seconds": "30"}
OLD, NEW = ("10.0.0.1", 80), ("10.0.0.2", 80)


def healthy(since: float | None, registered_at: float) -> Health:
    return Health(registered_at=registered_at, state="healthy", healthy_since=since)


@pytest.mark.parametrize(
    ("passed", "weight", "pause"),
    [(0, 5, 1.5), (1.4, 5, 0.1), (1.6, 10, 1.4), (15, 55, 1.5), (28.4, 95, 0.1), (28.6, 100, 1.4), (-50, 5, 1.5)],
)
def test_a_new_target_gets_a_growing_share(passed: float, weight: int, pause: float) -> None:
    found = ramp({OLD: healthy(0.0, 0.0), NEW: healthy(1000.0, 990.0)}, SLOW, 1000.0 + passed)
    assert found.weights == {OLD: FULL, NEW: weight}
    assert found.pause == pytest.approx(pause)


@pytest.mark.parametrize(
    ("first", "second", "attributes"),
    [
        (healthy(0.0, 0.0), healthy(1000.0, 990.0), {}),
        (healthy(0.0, 0.0), healthy(1000.0, 990.0), {"slow_start.duration_seconds": "0"}),
        # It has had its time.
        (healthy(0.0, 0.0), healthy(970.0, 960.0), SLOW),
        # Registered together.
        (healthy(995.0, 990.0), healthy(999.0, 990.0), SLOW),
        # Nobody else is there to take the requests.
        (Health(registered_at=0.0, state="unhealthy"), healthy(1000.0, 990.0), SLOW),
        # Known from an agent that kept no times.
        (healthy(None, 0.0), healthy(None, 990.0), SLOW),
    ],
)
def test_everybody_has_the_same_share(first: Health, second: Health, attributes: dict[str, str]) -> None:
    assert ramp({OLD: first, NEW: second}, attributes, 1000.0) == NO_RAMP


@given(st.integers(30, 900), st.floats(0, 2000), st.floats(0, 100))
def test_shares_only_grow_and_the_pause_ends_with_a_change(window: int, passed: float, more: float) -> None:
    targets = {OLD: healthy(0.0, 0.0), NEW: healthy(5000.0, 1.0)}
    attributes = {"slow_start.duration_seconds": str(window)}
    now, later = (ramp(targets, attributes, 5000.0 + seconds) for seconds in (passed, passed + more))
    assert now.weights.get(NEW, FULL) <= later.weights.get(NEW, FULL)
    if now.pause is not None:
        assert now.pause <= window / STEPS + 0.01
        assert ramp(targets, attributes, 5000.0 + passed + now.pause + 0.01) != now


def test_a_target_that_comes_back_starts_slowly_again() -> None:
    check = HealthCheckDocument(protocol="TCP", healthy_threshold=2, unhealthy_threshold=1)
    health = Health(registered_at=1.0)
    for at, outcome, since in ((10, PASSED, 10), (20, PASSED, 10), (30, FAILED, None), (40, PASSED, None)):
        health = after(health, outcome, check, fast=True, started_at=float(at))
        assert health.healthy_since == since
    assert after(health, PASSED, check, fast=True, started_at=50.0).healthy_since == 50.0
