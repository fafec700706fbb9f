"""The restart policy, as tables and as a property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.cli.restart import AGENT, SERVER, RestartPolicy

POLICY = RestartPolicy(first=1.0, longest=5.0, window=60.0, give_up_after=5)


@pytest.mark.parametrize(
    ("ends", "now", "delay"),
    [
        ([], 0.0, 0.0),
        ([100.0], 100.0, 1.0),
        ([99.0, 100.0], 100.0, 2.0),
        ([98.0, 99.0, 100.0], 100.0, 4.0),
        ([97.0, 98.0, 99.0, 100.0], 100.0, 5.0),
        ([96.0, 97.0, 98.0, 99.0, 100.0], 100.0, None),
        ([0.0, 1.0, 2.0, 3.0, 100.0], 100.0, 1.0),
    ],
)
def test_delays(ends: list[float], now: float, delay: float | None) -> None:
    assert POLICY.delay(ends, now) == delay


@given(st.lists(st.floats(0, 1e6), max_size=2000))
def test_the_agent_is_never_given_up_nor_kept_waiting_long(ends: list[float]) -> None:
    delay = AGENT.delay(sorted(ends), 1e6)
    assert delay is not None
    assert 0 <= delay <= 30


@given(st.integers(1, 400), st.integers(20, 90))
def test_a_server_that_crashes_rarely_is_never_given_up(crashes: int, seconds_apart: int) -> None:
    ends = [float(number * seconds_apart) for number in range(crashes)]
    assert SERVER.delay(ends, ends[-1]) is not None
