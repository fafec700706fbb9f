"""Axes of graphs: round ticks, and how numbers and times are written beside them.  No drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
#: Distances of ticks on the time axis, in seconds.
_TIME_STEPS = (
    *(1, 5, 10, 15, 30),
    *(_MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY),
)
#: Axes end here: with larger numbers one cannot reckon where ticks are.
_LARGEST = 1e300
_SMALLEST = 1e-280
_PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values and where the ticks are."""

    low: float
    high: float
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """Where a value is: 0 at the low end, 1 at the high end."""
        return (value - self.low) / (self.high - self.low)


def value_scale(values: Sequence[float], low: float | None, high: float | None, *, ticks: int) -> Scale:
    """A scale that shows all values with about ``ticks`` round ticks; ``low`` and ``high`` fix its ends."""
    bottom = low if low is not None else min(values, default=0.0 if high is None else high - 1)
    top = high if high is not None else max(values, default=bottom + 1)
    bottom, top = max(-_LARGEST, min(_LARGEST, bottom)), max(-_LARGEST, min(_LARGEST, top))
    if low is None and 0 <= bottom <= 0.6 * top:
        bottom = 0.0
    if top - bottom <= max(abs(bottom), _SMALLEST) * 1e-9:
        # One value only, or a fixed end beyond all values.
        size = abs(bottom) / 2 if abs(bottom) > _SMALLEST else 0.5
        bottom, top = (bottom if low is not None else top - size), (top if high is not None else bottom + size)
    step = _round_step((top / max(1, ticks)) - (bottom / max(1, ticks)))
    first, last = math.floor(bottom / step + 1e-9), math.ceil(top / step - 1e-9)
    bottom = low if low is not None else first * step
    top = high if high is not None else last * step
    marks = [index * step for index in range(first, last + 1)]
    return Scale(bottom, top, [mark for mark in marks if bottom <= mark + step * 1e-9 and mark - step * 1e-9 <= top])


def _round_step(rough: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    if not (math.isfinite(rough) and rough > 1e-300):
        return 1.0 if rough <= 1e-300 else 1e306
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next((nice for nice in (1.0, 2.0, 2.5, 5.0) if nice * power >= rough * (1 - 1e-9)), 10.0)


def time_scale(start: float, end: float, *, ticks: int, offset: int) -> Scale:
    """A scale of time with at most about ``ticks`` ticks at round times of the zone ``offset`` seconds east."""
    rough = (end - start) / max(1, ticks)
    step = next((step for step in _TIME_STEPS if step >= rough), _TIME_STEPS[-1])
    first = math.ceil((start + offset) / step) * step - offset
    count = max(0, math.floor((end - first) / step) + 1)
    return Scale(start, end, [float(first + index * step) for index in range(min(count, 100))])


def written_time(at: float, scale: Scale, offset: int) -> str:
    """The label of a tick: as much of date and time as tells it from the others."""
    local = datetime.fromtimestamp(at + offset, UTC)
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else _HOUR
    if step >= _DAY:
        return f"{local:%m/%d}" if step < 365 * _DAY else f"{local:%Y}"
    clock = f"{local:%H:%M:%S}" if step < _MINUTE else f"{local:%H:%M}"
    return clock if scale.high - scale.low <= _DAY else f"{local:%m/%d} {clock}"


def written_value(value: float, step: float = 0.0) -> str:
    """A number with a prefix for thousands; ticks ``step`` apart get as many digits as that needs."""
    if value == 0:
        return "0"
    size = max(abs(value), abs(step))
    for factor, prefix in _PREFIXES:
        if 1e15 > size >= factor:
            return f"{_plain(value / factor, step / factor)}{prefix}"
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.2e}"
    return _plain(value, step)


def _plain(value: float, step: float) -> str:
    if step:
        digits = max(0, -math.floor(math.log10(abs(step)) + 1e-9))
        digits += not math.isclose(step * 10**digits, round(step * 10**digits), abs_tol=1e-6)
        return f"{value:.{min(digits, 6)}f}"
    text = f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0").rstrip(".")
