"""What alarm data mean: AWS's tables about missing data, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.alarms.verdict import COMPARISONS, Limit, Point, decide, too_few_samples

MISSING = ("missing", "ignore", "breaching", "notBreaching")
KEEPS = None
UNKNOWN = "INSUFFICIENT_DATA"

#: Data of five periods, oldest first: ``0`` within the threshold, ``X`` breaching, ``-`` missing;
#: periods that have to be filled in; the states for each treatment of missing data.
THREE_OF_THREE = [
    ("0-X-X", 0, ("OK", "OK", "OK", "OK")),
    ("0----", 2, ("OK", "OK", "OK", "OK")),
    ("-----", 3, (UNKNOWN, KEEPS, "ALARM", "OK")),
    ("0XX-X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("----X", 2, (UNKNOWN, KEEPS, "ALARM", "OK")),
    ("---X-", 2, (UNKNOWN, KEEPS, "ALARM", "OK")),
    ("--X--", 2, ("ALARM", KEEPS, "ALARM", "OK")),
    ("X----", 2, ("ALARM", KEEPS, "ALARM", "OK")),
]
TWO_OF_THREE = [
    ("0-X-X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("00X0X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("0-X--", 1, ("OK", "OK", "ALARM", "OK")),
    ("----0", 2, ("OK", "OK", "ALARM", "OK")),
    ("----X", 2, (UNKNOWN, KEEPS, "ALARM", "OK")),
    ("---X-", 2, ("ALARM", KEEPS, "ALARM", "OK")),
]


def points(data: str) -> list[Point]:
    values = {"0": 1.0, "X": 9.0, "-": None}
    return [Point(60.0 * number, values[letter]) for number, letter in enumerate(data)]


def limit_of(to_alarm: int, periods: int = 3, missing: str = "missing") -> Limit:
    return Limit("GreaterThanThreshold", 5.0, periods, to_alarm, missing)


@pytest.mark.parametrize(
    ("to_alarm", "data", "filled", "states"),
    [(3, *row) for row in THREE_OF_THREE] + [(2, *row) for row in TWO_OF_THREE],
)
def test_missing_data_are_treated_as_documented(to_alarm, data, filled, states):
    verdicts = [decide(limit_of(to_alarm, missing=missing), points(data)) for missing in MISSING]
    assert tuple(verdict.state for verdict in verdicts) == states
    assert {verdict.filled for verdict in verdicts} == {filled}


@pytest.mark.parametrize(
    ("comparison", "states"),
    [
        ("GreaterThanOrEqualToThreshold", ("OK", "ALARM", "ALARM")),
        ("GreaterThanThreshold", ("OK", "OK", "ALARM")),
        ("LessThanThreshold", ("ALARM", "OK", "OK")),
        ("LessThanOrEqualToThreshold", ("ALARM", "ALARM", "OK")),
    ],
)
def test_comparisons(comparison, states):
    limit = Limit(comparison, 5.0, 1, 1)
    assert tuple(decide(limit, [Point(0.0, value)]).state for value in (4.0, 5.0, 6.0)) == states


def test_older_data_stand_in_before_anything_is_made_up():
    verdict = decide(limit_of(3), points("0X0-X"))
    assert [point.at for point in verdict.evaluated] == [240.0, 120.0, 60.0]


@given(st.text("0X-", min_size=5, max_size=5), st.sampled_from(MISSING), st.integers(1, 3))
def test_with_enough_data_the_treatment_of_missing_ones_does_not_matter(data, missing, to_alarm):
    verdict = decide(limit_of(to_alarm, missing=missing), points(data))
    assert len(verdict.evaluated) == 3
    real = data.replace("-", "")
    if len(real) >= 3:
        assert verdict.state == ("ALARM" if real[-3:].count("X") >= to_alarm else "OK")


@given(st.text("0X-", min_size=5, max_size=5), st.integers(1, 3), st.sampled_from(sorted(COMPARISONS)))
def test_breaching_is_never_milder_than_not_breaching(data, to_alarm, comparison):
    limit = Limit(comparison, 5.0, 3, to_alarm)
    strict, mild = (decide(limit._replace(missing=m), points(data)).state for m in ("breaching", "notBreaching"))
    assert (strict, mild) in {("ALARM", "ALARM"), ("ALARM", "OK"), ("OK", "OK")}


@pytest.mark.parametrize(
    ("percentile", "samples", "too_few"),
    [(99, 999, True), (99, 1000, False), (50, 19, True), (50, 20, False), (10, 99, True), (10, 100, False)],
)
def test_percentiles_of_few_samples(percentile, samples, too_few):
    assert too_few_samples(percentile, samples) is too_few
