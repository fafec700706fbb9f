"""The functions of metric math that compute from values alone.

Each gets the evaluation's range and its arguments, and returns ``None`` when it has no form
for arguments of these types.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise

from openecs.planning.metric_math.condition import choose
from openecs.planning.metric_math.fill import fill
from openecs.planning.metric_math.series import (
    Array,
    Keyword,
    Range,
    Series,
    Value,
    combine,
    grid,
    with_points,
    with_values,
)

Argument = Value | str
Function = Callable[[Range, tuple[Argument, ...]], Value | None]


def _each(function: Callable[[Series], Series]) -> Function:
    """TS → TS, TS[] → TS[]."""

    def apply(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
        match arguments:
            case (Series() as series,):
                return function(series)
            case (tuple() as array,):
                return tuple(map(function, array))
        return None

    return apply


def _values(function: Callable[[float], float]) -> Function:
    """The function of each value."""
    return _each(lambda series: with_values(series, list(map(function, series.values))))


def _reduced(
    of_series: Callable[[Sequence[float]], float], of_row: Callable[[Sequence[float | None]], float]
) -> Function:
    """TS → S of all its values; TS[] → TS of the members' values (``None``: missing) at each timestamp."""

    def apply(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
        match arguments:
            case (Series() as series,):
                return float(of_series(series.values))
            case (tuple() as array,):
                return combine(array, of_row, None)
        return None

    return apply


def _calendar(function: Callable[[datetime], float]) -> Function:
    """TS → TS without gaps, of each timestamp."""

    def apply(limits: Range, arguments: tuple[Argument, ...]) -> Value | None:
        match arguments:
            case (Series() as series,):
                at = grid(limits.start, limits.end, series.period)
                return replace(
                    series, timestamps=at, values=[float(function(datetime.fromtimestamp(t, UTC))) for t in at]
                )
        return None

    return apply


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation of all values there are (not of a sample of them)."""
    mean = _mean(values)
    return math.sqrt(_mean([(value - mean) * (value - mean) for value in values]))


def _largest(values: Sequence[float]) -> float:
    return max(values, default=math.nan)


def _smallest(values: Sequence[float]) -> float:
    return min(values, default=math.nan)


def _there(row: Sequence[float | None]) -> list[float]:
    return [value for value in row if value is not None]


def _diff(series: Series) -> Series:
    return with_points(series, ((at, b - a) for (_, a), (at, b) in pairwise(_points(series))))


def _diff_time(series: Series) -> Series:
    return with_points(series, ((at, at - before) for before, at in pairwise(series.timestamps)))


def _rate(series: Series) -> Series:
    points = pairwise(_points(series))
    return with_points(series, ((at, (b - a) / (at - before)) for (before, a), (at, b) in points))


def _points(series: Series) -> zip[tuple[float, float]]:
    return zip(series.timestamps, series.values, strict=True)


def _edge(index: int) -> Function:
    """TS[] → TS."""

    def apply(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
        match arguments:
            case (tuple() as array,):
                return array[index] if array else Series()
        return None

    return apply


def _metric_count(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
    match arguments:
        case (tuple() as array,):
            return float(len(array))
    return None


def _remove_empty(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
    match arguments:
        case (tuple() as array,):
            return tuple(series for series in array if series.values)
    return None


def _time_series(limits: Range, arguments: tuple[Argument, ...]) -> Value | None:
    match arguments:
        case (float() as value,):
            at = grid(limits.start, limits.end, limits.period)
            return with_values(Series(at, (), limits.period), [value] * len(at))
    return None


def _slice(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
    match arguments:
        case (tuple() as array, float() as start):
            return array[_index(start) :]
        case (tuple() as array, float() as start, float() as end):
            return array[_index(start) : _index(end)]
    return None


def _index(value: float) -> int:
    return max(0, int(value)) if math.isfinite(value) else 0


_ORDERS: Mapping[str, Callable[[Sequence[float]], float]] = {"AVG": _mean, "MIN": min, "MAX": max, "SUM": sum}


def _sort(_range: Range, arguments: tuple[Argument, ...]) -> Value | None:
    match arguments:
        case (tuple() as array, Keyword() as function, Keyword("ASC" | "DESC") as order) if function in _ORDERS:
            return _sorted(array, function, order)
        case (tuple() as array, Keyword() as function, Keyword("ASC" | "DESC") as order, float() as limit) if (
            function in _ORDERS
        ):
            return _sorted(array, function, order)[: _index(limit)]
    return None


def _sorted(array: Array, function: str, order: str) -> Array:
    """By the function of each series; those without data come last in either order."""
    sign = 1 if order == "ASC" else -1
    with_data = [series for series in array if series.values]
    with_data.sort(key=lambda series: sign * _ORDERS[function](series.values))
    return (*with_data, *(series for series in array if not series.values))


FUNCTIONS: Mapping[str, Function] = {
    "ABS": _values(abs),
    "AVG": _reduced(_mean, lambda row: sum(_there(row)) / len(row)),
    "CEIL": _values(lambda value: float(math.ceil(value))),
    "DATAPOINT_COUNT": _reduced(len, lambda row: float(len(_there(row)))),
    "DIFF": _each(_diff),
    "DIFF_TIME": _each(_diff_time),
    "FILL": fill,
    "FIRST": _edge(0),
    "FLOOR": _values(lambda value: float(math.floor(value))),
    "IF": choose,
    "LAST": _edge(-1),
    "LOG": _values(lambda value: math.log(value) if value > 0 else math.nan),
    "LOG10": _values(lambda value: math.log10(value) if value > 0 else math.nan),
    "MAX": _reduced(_largest, lambda row: max(_there(row))),
    "METRIC_COUNT": _metric_count,
    "MIN": _reduced(_smallest, lambda row: min(_there(row))),
    "RATE": _each(_rate),
    "REMOVE_EMPTY": _remove_empty,
    "RUNNING_SUM": _each(lambda series: with_values(series, list(accumulate(series.values)))),
    "SLICE": _slice,
    "SORT": _sort,
    "STDDEV": _reduced(_deviation, lambda row: _deviation(_there(row))),
    "SUM": _reduced(sum, lambda row: sum(_there(row))),
    "TIME_SERIES": _time_series,
    "MINUTE": _calendar(lambda at: at.minute),
    "HOUR": _calendar(lambda at: at.hour),
    "DAY": _calendar(datetime.isoweekday),
    "DATE": _calendar(lambda at: at.day),
    "MONTH": _calendar(lambda at: at.month),
    "YEAR": _calendar(lambda at: at.year),
    "EPOCH": _calendar(datetime.timestamp),
}
