"""The commands of a query: what each does with the rows that come to it.

A command is made anew for each run.  ``take`` gets rows one by one and passes them on, ``end`` is
called when no more come; commands that need all rows (sort, stats) pass them on then.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from openecs.logs.insights.aggregates import Aggregate, Expression
from openecs.logs.insights.expressions import Column
from openecs.logs.insights.row import Row
from openecs.logs.insights.values import Value, order, text, truth

Sink = Callable[[Row], bool]
"""Takes a row; false when it wants no more."""

#: Groups that stats may make.
MAX_GROUPS = 10_000


class Command(Protocol):
    """One step of a run."""

    def take(self, row: Row, sink: Sink, /) -> bool:
        """Work on a row; false when no more are wanted."""
        ...

    def end(self, sink: Sink) -> None:
        """No more rows come."""
        ...


class _Passing:
    """Commands that keep nothing back."""

    def end(self, sink: Sink) -> None:
        """Nothing is left."""


class Compute(_Passing):
    """``fields`` and ``display``: the expressions that are not fields already."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [column for column in columns if not column.is_field]

    def take(self, row: Row, sink: Sink) -> bool:
        for column in self._columns:
            row.own[column.name] = column.of(row)
        return sink(row)


class Filter(_Passing):
    """``filter``: rows for which a condition holds."""

    def __init__(self, condition: Expression) -> None:
        self._condition = condition

    def take(self, row: Row, sink: Sink) -> bool:
        return sink(row) if truth(self._condition(row)) else True


class Parse(_Passing):
    """``parse``: new fields out of a text; rows that do not match pass without them."""

    def __init__(self, of: Expression, pattern: re.Pattern[str], names: Sequence[str]) -> None:
        self._of = of
        self._search = pattern.search
        self._names = names

    def take(self, row: Row, sink: Sink) -> bool:
        match = self._search(text(self._of(row)))
        if match is not None:
            row.own.update(zip(self._names, match.groups(), strict=True))
        return sink(row)


class Limit(_Passing):
    """``limit``."""

    def __init__(self, count: int) -> None:
        self._left = count

    def take(self, row: Row, sink: Sink) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        return sink(row) and self._left > 0


class Dedup(_Passing):
    """``dedup``: the first row for each combination of values; those without one of them pass."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._seen: set[tuple[str, ...]] = set()

    def take(self, row: Row, sink: Sink) -> bool:
        values = [row.get(name) for name in self._names]
        if None not in values:
            key = tuple(map(text, values))
            if key in self._seen:
                return True
            self._seen.add(key)
        return sink(row)


class Sort:
    """``sort``; keeps no more rows than ``most``, because what follows takes no more."""

    def __init__(self, keys: Sequence[tuple[Expression, bool]], most: int) -> None:
        """``keys``: expressions, and whether they go down."""
        self._keys = keys
        self._most = most
        self._rows: list[tuple[tuple[_Place, ...], int, Row]] = []
        self._count = 0

    def take(self, row: Row, _: Sink) -> bool:
        place = tuple(_Place(order(of(row)), down=down) for of, down in self._keys)
        self._rows.append((place, self._count, row))
        self._count += 1
        if len(self._rows) > 2 * self._most:
            self._rows = heapq.nsmallest(self._most, self._rows, key=_sorted_by)
        return True

    def end(self, sink: Sink) -> None:
        for _, _, row in heapq.nsmallest(self._most, self._rows, key=_sorted_by):
            if not sink(row):
                return


class _Place:
    """A sort key that may go down."""

    __slots__ = ("down", "key")

    def __init__(self, key: tuple[int, object], *, down: bool) -> None:
        self.key = key
        self.down = down

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Place) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: _Place) -> bool:
        first, second = (other, self) if self.down else (self, other)
        return first.key < second.key


def _sorted_by(entry: tuple[tuple[_Place, ...], int, Row]) -> tuple[tuple[_Place, ...], int]:
    return entry[0], entry[1]


class TooManyGroupsError(Exception):
    """stats was asked for more groups than a result can show."""


class Stats:
    """``stats``: one row for each group, with its functions' results."""

    def __init__(self, results: Sequence[tuple[str, Callable[[], Aggregate]]], by: Sequence[Column]) -> None:
        self._results = results
        self._by = by
        self._groups: dict[tuple[str, ...], tuple[list[Value], list[Aggregate]]] = {}

    def take(self, row: Row, _: Sink) -> bool:
        values = [column.of(row) for column in self._by]
        key = tuple(map(text, values))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) == MAX_GROUPS:
                raise TooManyGroupsError(f"stats makes more than {MAX_GROUPS} groups")
            group = self._groups[key] = (values, [make() for _, make in self._results])
        for aggregate in group[1]:
            aggregate.add(row)
        return True

    def end(self, sink: Sink) -> None:
        if not self._groups and not self._by:
            self._groups[()] = ([], [make() for _, make in self._results])
        for values, aggregates in self._groups.values():
            own: dict[str, Value] = {column.name: value for column, value in zip(self._by, values, strict=True)}
            own |= {name: a.result() for (name, _), a in zip(self._results, aggregates, strict=True)}
            if not sink(Row(own)):
                return
