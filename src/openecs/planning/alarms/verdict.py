"""What an alarm's data mean: OK, ALARM, not enough, or nothing new.  Pure.

M of N: of the N newest periods with data M must breach.  Data that are missing are made up for
by older data first (the evaluation range is longer than N) and only then, and as few times as
possible, by what the alarm says of missing data.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from openecs.model.alarm import AlarmState

Missing = Literal["missing", "ignore", "breaching", "notBreaching"]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class Point(NamedTuple):
    """One period: when it began (epoch seconds) and its value, ``None`` where there are no data."""

    at: float
    value: float | None


class Limit(NamedTuple):
    """What values are held against."""

    comparison: str
    threshold: float
    #: N: how many periods are evaluated.
    periods: int
    #: M: how many of them must breach.
    to_alarm: int
    missing: Missing = "missing"

    def breached_by(self, value: float) -> bool:
        """Whether a value crosses the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)


class Verdict(NamedTuple):
    """The state that follows (``None``: it stays what it is) and from which periods, newest first.

    ``evaluated`` begins with the periods without data that were needed; the others have data.
    """

    state: AlarmState | None
    evaluated: tuple[Point, ...]

    @property
    def real(self) -> tuple[Point, ...]:
        """The evaluated periods that have data, newest first."""
        return tuple(point for point in self.evaluated if point.value is not None)

    @property
    def filled(self) -> int:
        """How many periods without data had to be evaluated."""
        return len(self.evaluated) - len(self.real)


def decide(limit: Limit, points: Sequence[Point]) -> Verdict:
    """What the periods of an evaluation range, oldest first, mean."""
    newest_first = points[::-1]
    real = [point for point in newest_first if point.value is not None][: limit.periods]
    blanks = [point for point in newest_first if point.value is None][: limit.periods - len(real)]
    breaching = sum(limit.breached_by(point.value) for point in real if point.value is not None)
    return Verdict(_state(limit, points, len(real), len(blanks), breaching), (*blanks, *real))


def _state(limit: Limit, points: Sequence[Point], real: int, blanks: int, breaching: int) -> AlarmState | None:
    if limit.missing == "breaching":
        breaching += blanks
    if breaching >= limit.to_alarm:
        return "ALARM"
    if blanks == 0 or breaching < real or limit.missing in ("breaching", "notBreaching"):
        return "OK"
    # Nothing is known but a few breaching periods, or nothing at all.
    if limit.missing == "ignore":
        return None
    oldest = next((age for age, point in enumerate(points) if point.value is not None), len(points))
    # The next data might still be within the threshold, unless the breach is old enough.
    return "ALARM" if len(points) - oldest >= limit.to_alarm else "INSUFFICIENT_DATA"


def too_few_samples(percentile: float, samples: float) -> bool:
    """Whether a percentile (0 to 100) of so many samples says nothing of statistical weight."""
    share = percentile / 100
    rest = 1 - share if share >= 0.5 else share
    # Rounded, because 10 / (1 - 0.99) is a little more than 1000.
    return rest > 0 and samples < round(10 / rest, 6)
