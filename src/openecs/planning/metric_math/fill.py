"""FILL: values for the periods of the range in which a series has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from openecs.planning.metric_math.series import Keyword, Range, Series, Value, grid, with_points

_Filler = Series | float | Keyword


def fill(limits: Range, arguments: tuple[Value | str, ...]) -> Value | None:
    """``FILL(series or array, number, series, REPEAT or LINEAR)``."""
    match arguments:
        case (Series() as series, Series() | float() | Keyword("REPEAT" | "LINEAR") as filler):
            return _filled(series, filler, limits)
        case (tuple() as array, Series() | float() | Keyword("REPEAT" | "LINEAR") as filler):
            return tuple(_filled(series, filler, limits) for series in array)
    return None


def _filled(series: Series, filler: _Filler, limits: Range) -> Series:
    periods = grid(limits.start, limits.end, series.period)
    if not set(periods).difference(series.timestamps):
        return series
    known = dict(zip(series.timestamps, series.values, strict=True))
    timestamps = sorted(known.keys() | set(periods))
    if isinstance(filler, Series):
        other = dict(zip(filler.timestamps, filler.values, strict=True))
        values: Iterator[float] = (known.get(at, other.get(at, math.nan)) for at in timestamps)
    elif isinstance(filler, float):
        values = (known.get(at, filler) for at in timestamps)
    elif filler == "REPEAT":
        values = _repeated(known, timestamps)
    else:
        values = _between(series, known, timestamps)
    return with_points(series, list(zip(timestamps, values, strict=True)))


def _repeated(known: dict[float, float], timestamps: Sequence[float]) -> Iterator[float]:
    """The last value before; nothing before the first."""
    last = math.nan
    for at in timestamps:
        last = known.get(at, last)
        yield last


def _between(series: Series, known: dict[float, float], timestamps: Sequence[float]) -> Iterator[float]:
    """On the line from the last value before to the first after; nothing outside of them."""
    after = 0
    for at in timestamps:
        if at in known:
            after += 1
            yield known[at]
        elif 0 < after < len(series.timestamps):
            before_at, after_at = series.timestamps[after - 1], series.timestamps[after]
            before, behind = series.values[after - 1], series.values[after]
            yield before + (behind - before) * (at - before_at) / (after_at - before_at)
        else:
            yield math.nan
