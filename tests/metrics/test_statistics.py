"""Statistics by name: against tables worked out by hand, and against the plain definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.metrics.bag import EXACT, compact, united
from openecs.metrics.block import StatisticSet, fold
from openecs.metrics.statistics import parse_statistic, values_of


def one(values: list[float], name: str, counts: list[float] | None = None) -> float | None:
    """A statistic of values of one minute."""
    statistic = parse_statistic(name)
    assert statistic is not None, name
    block = fold([60] * len(values), values, counts or [1.0] * len(values))
    _, found = values_of(block, statistic)
    return found[0] if len(found) else None


TO_TEN = [float(number) for number in range(1, 11)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 10),
        ("Sum", 55),
        ("Average", 5.5),
        ("Minimum", 1),
        ("Maximum", 10),
        ("p0", 1),
        ("p10", 1),
        ("p50", 5),
        ("p90", 9),
        ("p99.9", 10),
        ("p100", 10),
        ("tm90", 5),
        ("TM(10%:90%)", 5.5),
        ("TM(10%:)", 6),
        ("TM(:90%)", 5),
        ("TM(2:4)", 3.5),
        ("TM(:4)", 2.5),
        ("TM(8:)", 9.5),
        ("tc90", 9),
        ("TC(20%:80%)", 6),
        ("TC(5:)", 5),
        ("ts90", 45),
        ("TS(:3)", 6),
        ("wm90", (45 + 9) / 10),
        ("WM(10%:90%)", (2 + 44 + 9) / 10),
        ("WM(3:5)", (3 * 3 + 4 + 6 * 5) / 10),
        ("IQM", 5.5),
        ("PR(:4)", 40),
        ("PR(4:)", 60),
        ("PR(2:4)", 20),
        ("PR(:100)", 100),
        ("PR(100:)", 0),
        ("TC(100:)", 0),
        ("TM(100:)", None),
    ],
)
def test_statistics_of_one_to_ten(name: str, expected: float | None) -> None:
    found = one(TO_TEN, name)
    assert found == (None if expected is None else pytest.approx(expected)), name


@pytest.mark.parametrize(
    "name",
    [
        *("", "p", "p101", "px", "p-1", "tm", "average", "tm101", "TM()", "TM(:)", "TM(90%:10%)", "TM(1:50%)"),
        *("PR(10%:90%)", "p(1:2)", "TM(:101%)", "IQM50", "p99.", "TM(1:1)", "TM(%:5%)", "p9" * 40),
    ],
)
def test_names_that_are_no_statistics(name: str) -> None:
    assert parse_statistic(name) is None


def test_one_observation_has_every_statistic() -> None:
    for name in ("p50", "tm99", "TM(25%:75%)", "IQM", "wm95"):
        assert one([7.0], name) == pytest.approx(7.0), name


def test_counts_weigh_values() -> None:
    assert one([1.0, 100.0], "p50", [99.0, 1.0]) == 1.0
    assert one([1.0, 100.0], "p100", [99.0, 1.0]) == 100.0
    assert one([1.0, 100.0], "Average", [99.0, 1.0]) == pytest.approx(1.99)


def test_no_percentiles_of_negative_values() -> None:
    assert one([-1.0, 1.0], "p50") is None
    assert one([-1.0, 1.0], "Average") == 0.0


def test_no_percentiles_where_only_sums_are_known() -> None:
    statistic = parse_statistic("p50")
    assert statistic is not None
    opaque = fold([60], [5.0], [1.0], [StatisticSet(60, 4.0, 10.0, 1.0, 4.0), StatisticSet(120, 3.0, 6.0, 2.0, 2.0)])
    times, values = values_of(opaque, statistic)
    assert (list(times), list(values)) == ([120], [2.0])


POSITIVE = st.floats(min_value=1e-6, max_value=1e9)


@given(st.lists(POSITIVE, min_size=1, max_size=60), st.integers(0, 100))
def test_percentiles_are_the_value_at_the_rank(values: list[float], share: int) -> None:
    rank = max(1, math.ceil(len(values) * share / 100))
    assert one(values, f"p{share}") == sorted(values)[rank - 1]


@given(st.lists(POSITIVE, min_size=EXACT + 1, max_size=EXACT * 3, unique=True), st.sampled_from([1, 25, 50, 90, 99]))
def test_large_distributions_keep_percentiles_within_one_percent(values: list[float], share: int) -> None:
    bag = compact(dict.fromkeys(values, 1.0))
    assert sum(bag.values()) == len(values)
    assert compact(bag).keys() == bag.keys()
    reached, rank = 0.0, len(values) * share / 100
    for value in sorted(bag):
        reached += bag[value]
        if reached >= rank:
            break
    true = sorted(values)[max(1, math.ceil(rank)) - 1]
    assert value == pytest.approx(true, rel=0.0101)


@given(st.dictionaries(st.floats(-1e6, 1e6), st.floats(1, 9), max_size=EXACT * 2))
def test_rounding_keeps_signs_and_counts(bag: dict[float, float]) -> None:
    rounded = compact(bag)
    assert sum(rounded.values()) == pytest.approx(sum(bag.values()))
    for sign in (-1, 0, 1):
        of_sign = [
            sum(count for value, count in one.items() if (value > 0) - (value < 0) == sign) for one in (bag, rounded)
        ]
        assert of_sign[0] == pytest.approx(of_sign[1])
    assert united([bag, bag]) == {value: count * 2 for value, count in bag.items()}
