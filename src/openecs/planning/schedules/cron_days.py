"""Days of a month that a cron expression names: ``L``, ``W``, ``#`` and plain numbers.  Pure."""

from __future__ import annotations

import calendar
from typing import NamedTuple

#: Python's weekday (Monday is 0) of AWS's numbers, where 1 is Sunday.
_WEEKDAYS = {1: 6, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5}


class MonthDays(NamedTuple):
    """Days by their number; ``weekdays_near`` are those with ``W``, and 0 stands for the last day."""

    numbers: frozenset[int] = frozenset()
    last: bool = False
    weekdays_near: frozenset[int] = frozenset()

    def of(self, year: int, month: int) -> list[int]:
        """The days of one month, ascending."""
        length = calendar.monthrange(year, month)[1]
        days = {day for day in self.numbers if day <= length}
        if self.last:
            days.add(length)
        days.update(_nearest_weekday(year, month, day or length, length) for day in self.weekdays_near if day <= length)
        return sorted(days)


class WeekDays(NamedTuple):
    """Days of the week, 1 is Sunday; those that are the last in their month, and those that are the n-th."""

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    def of(self, year: int, month: int) -> list[int]:
        """The days of one month, ascending."""
        first, length = calendar.monthrange(year, month)
        days: set[int] = set()
        for number in self.numbers:
            days.update(range(_first(number, first), length + 1, 7))
        for number in self.last:
            days.add(max(range(_first(number, first), length + 1, 7)))
        for number, nth in self.nth:
            day = _first(number, first) + 7 * (nth - 1)
            if day <= length:
                days.add(day)
        return sorted(days)


def _first(number: int, weekday_of_first: int) -> int:
    """The first day of the month that is the weekday ``number``."""
    return 1 + (_WEEKDAYS[number] - weekday_of_first) % 7


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """The weekday (Monday to Friday) that is nearest and in the same month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == 5:  # Saturday
        return day - 1 if day > 1 else day + 2
    if weekday == 6:  # Sunday
        return day + 1 if day < length else day - 2
    return day
