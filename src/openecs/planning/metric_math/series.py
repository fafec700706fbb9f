"""Time series, and how several are brought onto the same timestamps.

A scalar that has no value (the average of nothing, a division by zero) is NaN.  No series
holds NaN or an infinity: such a data point is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TypeVar

T = TypeVar("T")

#: As many series as one graph shows; arrays that are put together have no more.
MAX_SERIES = 500
#: The end of the year 9999, the last for which there is a calendar.
_LAST = 253_402_300_799.0
#: The most periods that one series may be spread over; GetMetricData gives no more data points.
MAX_PERIODS = 100_800


class MetricMathError(ValueError):
    """The expression is wrong; the text says how.

    Whoever reports it names the expression: ``Error in expression 'e1': …``.
    """


@dataclass(frozen=True, slots=True)
class Series:
    """Data points in ascending order of time; as many timestamps as values.

    Timestamps are the starts of periods in seconds since the epoch, ``period`` is in seconds.
    ``label`` goes with the data through everything that keeps series apart.
    """

    timestamps: Sequence[float] = ()
    values: Sequence[float] = ()
    period: int = 60
    label: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """What is evaluated: from ``start`` up to, not including, ``end`` (seconds since the epoch).

    ``period`` (seconds) is that of the expression; functions of a series go by the series' own.
    """

    start: float
    end: float
    period: int


Array = tuple[Series, ...]
#: What expressions compute.  Only series and arrays are results that CloudWatch shows.
Value = float | Series | Array


class Keyword(str):
    """A word that only functions understand: ``REPEAT``, ``DESC``."""

    __slots__ = ()


def type_names(*values: Value | str) -> str:
    """The types of values in CloudWatch's words: ``[TimeSeries, Scalar]``."""
    return f"[{', '.join(map(_type_name, values))}]"


def _type_name(value: Value | str) -> str:
    match value:
        case float():
            return "Scalar"
        case Series():
            return "TimeSeries"
        case tuple():
            return "Array[TimeSeries]"
        case Keyword():
            return value
    return "String"


def with_values(series: Series, values: Sequence[float]) -> Series:
    """The series with other values at the same timestamps; points that are not finite are dropped."""
    keep = list(map(math.isfinite, values))
    if all(keep):
        return replace(series, values=values)
    return replace(series, timestamps=list(compress(series.timestamps, keep)), values=list(compress(values, keep)))


def with_points(series: Series, points: Iterable[tuple[float, float]]) -> Series:
    """The series with these (timestamp, value) pairs; points that are not finite are dropped."""
    pairs = list(points)
    return with_values(replace(series, timestamps=[at for at, _ in pairs]), [value for _, value in pairs])


def combine(members: Array, function: Callable[[Sequence[T | float]], float], missing: T) -> Series:
    """One series: ``function`` of the members' values at every timestamp that any of them has.

    For a member without a data point there the function gets ``missing``.
    """
    timestamps, columns = aligned(members, missing)
    period = min((series.period for series in members), default=60)
    return with_values(Series(timestamps, (), period), list(map(function, zip(*columns, strict=True))))


def aligned(members: Array, missing: T) -> tuple[Sequence[float], list[Sequence[T | float]]]:
    """All timestamps of the members, and for each member its value or ``missing`` at each of them."""
    if not members:
        return (), []
    timestamps = members[0].timestamps
    if all(other.timestamps == timestamps for other in members[1:]):
        return timestamps, [series.values for series in members]
    union = sorted(set[float]().union(*[series.timestamps for series in members]))
    columns: list[Sequence[T | float]] = []
    for series in members:
        known: dict[float, T | float] = dict(zip(series.timestamps, series.values, strict=True))
        columns.append([known.get(at, missing) for at in union])
    return union, columns


def grid(start: float, end: float, period: int) -> list[float]:
    """The starts of all periods from the one that holds ``start`` to the last before ``end``."""
    if not 0 <= start <= end <= _LAST:
        raise MetricMathError("The time range is not one between the years 1970 and 9999.")
    first = math.floor(start / period)
    count = math.ceil(end / period) - first
    if count > MAX_PERIODS:
        raise MetricMathError(f"The time range has more than {MAX_PERIODS} periods of {period} seconds.")
    return [float(index * period) for index in range(first, first + count)]
