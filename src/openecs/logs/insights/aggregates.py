"""The functions of ``stats``: what they remember of a group's events, and what that comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from openecs.logs.insights.row import Row
from openecs.logs.insights.values import Value, number, order, text

Expression = Callable[[Row], Value]


class Aggregate(Protocol):
    """One function over one group of events."""

    def add(self, row: Row) -> None: ...

    def result(self) -> Value: ...


class Count:
    """How many events; with an expression, how many for which it is something."""

    def __init__(self, of: Expression | None = None) -> None:
        self._of = of
        self._count = 0

    def add(self, row: Row) -> None:
        if self._of is None or self._of(row) is not None:
            self._count += 1

    def result(self) -> Value:
        return self._count


class CountDistinct:
    """How many different values; exact, where AWS approximates."""

    def __init__(self, of: Expression) -> None:
        self._of = of
        self._seen: set[str] = set()

    def add(self, row: Row) -> None:
        value = self._of(row)
        if value is not None:
            self._seen.add(text(value))

    def result(self) -> Value:
        return len(self._seen)


class Moments:
    """Sums of powers: ``sum``, ``avg`` and ``stddev``, kept by Welford's method."""

    def __init__(self, of: Expression, name: str) -> None:
        self._of = of
        self._name = name
        self._count = 0
        self._sum: float | int = 0
        self._mean = self._squares = 0.0

    def add(self, row: Row) -> None:
        value = number(self._of(row))
        if value is None:
            return
        self._count += 1
        self._sum += value
        delta = value - self._mean
        self._mean += delta / self._count
        self._squares += delta * (value - self._mean)

    def result(self) -> Value:
        if not self._count:
            return None
        if self._name == "sum":
            return self._sum
        if self._name == "avg":
            return self._sum / self._count
        return math.sqrt(self._squares / self._count)


class Extreme:
    """``min`` and ``max``, by number where values are numbers; ``sortsFirst`` and ``sortsLast``, by text."""

    def __init__(self, of: Expression, name: str) -> None:
        self._of = of
        self._largest = name in ("max", "sortslast")
        self._key: Callable[[Value], Any] = text if name.startswith("sorts") else order
        self._best: Value = None

    def add(self, row: Row) -> None:
        value = self._of(row)
        if value is None:
            return
        if self._best is None or (self._key(value) > self._key(self._best)) == self._largest:
            self._best = value

    def result(self) -> Value:
        return self._best


class Percentile:
    """``pct`` and ``median``: the value below which a part of all lies; exact, by nearest rank."""

    def __init__(self, of: Expression, percent: float) -> None:
        self._of = of
        self._percent = percent
        self._values: list[float | int] = []

    def add(self, row: Row) -> None:
        value = number(self._of(row))
        if value is not None:
            self._values.append(value)

    def result(self) -> Value:
        if not self._values:
            return None
        rank = math.ceil(self._percent / 100 * len(self._values))
        return sorted(self._values)[max(rank, 1) - 1]


class Timed:
    """``earliest`` and ``latest``: the value in the event with the first or last time."""

    def __init__(self, of: Expression, name: str) -> None:
        self._of = of
        self._latest = name == "latest"
        self._at: float | int | None = None
        self._value: Value = None

    def add(self, row: Row) -> None:
        value, at = self._of(row), number(row.get("@timestamp"))
        if value is None or at is None:
            return
        if self._at is None or (at >= self._at if self._latest else at < self._at):
            self._at, self._value = at, value

    def result(self) -> Value:
        return self._value


#: Functions of one expression.
_ONE: dict[str, Callable[[Expression, str], Aggregate]] = {
    **dict.fromkeys(("sum", "avg", "stddev"), Moments),
    **dict.fromkeys(("min", "max", "sortsfirst", "sortslast"), Extreme),
    **dict.fromkeys(("earliest", "latest"), Timed),
    "count_distinct": lambda of, _: CountDistinct(of),
    "median": lambda of, _: Percentile(of, 50.0),
}
NAMES = frozenset({"count", "pct", "percentile", *_ONE})


def maker(name: str, arguments: list[Expression], percent: float | None) -> Callable[[], Aggregate] | None:
    """What makes the aggregate of a call anew for each group; ``None`` for arguments that do not fit."""
    if name == "count" and len(arguments) <= 1:
        return lambda: Count(*arguments)
    if name in ("pct", "percentile") and len(arguments) == 1 and percent is not None and 0 <= percent <= 100:
        return lambda: Percentile(arguments[0], percent)
    if name in _ONE and len(arguments) == 1:
        return lambda: _ONE[name](arguments[0], name)
    return None
