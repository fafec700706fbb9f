"""``cron(minutes hours day-of-month month day-of-week year)`` in AWS's dialect: what the fields mean.  Pure.

Knows no time zones and no clock: see ``ticks``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from openecs.planning.schedules.cron_days import MonthDays, WeekDays
from openecs.planning.schedules.errors import InvalidScheduleError

FIRST_YEAR, LAST_YEAR = 1970, 2199
_NAMES_OF_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_NAMES_OF_MONTHS, 1)}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_LAST_DAY_OF_WEEK = re.compile(r"([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)L")
_NTH_DAY_OF_WEEK = re.compile(r"([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)#([1-5])")
_NEAREST_WEEKDAY = re.compile(r"([1-9]|[12][0-9]|3[01])W")


class Cron(NamedTuple):
    """The moments of wall time that an expression names."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: MonthDays | WeekDays
    months: tuple[int, ...]
    years: tuple[int, ...]


class _Range(NamedTuple):
    """The values that a field can have."""

    name: str
    first: int
    last: int
    names: Mapping[str, int] = {}


_MINUTE = _Range("minutes", 0, 59)
_HOUR = _Range("hours", 0, 23)
_DAY = _Range("day-of-month", 1, 31)
_MONTH = _Range("month", 1, 12, _MONTHS)
_WEEKDAY = _Range("day-of-week", 1, 7, _DAYS)
_YEAR = _Range("year", FIRST_YEAR, LAST_YEAR)


def parse_cron(fields: str) -> Cron:
    """What stands between the brackets of ``cron(…)``; raises ``InvalidScheduleError``."""
    parts = fields.upper().split()
    if len(parts) != 6:
        raise InvalidScheduleError(f"A cron expression has six fields, not {len(parts)}.")
    minutes, hours, day, month, weekday, year = parts
    if (day == "?") == (weekday == "?"):
        raise InvalidScheduleError("One of day-of-month and day-of-week must be ?, and only one of them.")
    return Cron(
        tuple(sorted(_values(minutes, _MINUTE))),
        tuple(sorted(_values(hours, _HOUR))),
        _month_days(day) if weekday == "?" else _week_days(weekday),
        tuple(sorted(_values(month, _MONTH))),
        tuple(sorted(_values(year, _YEAR))),
    )


def _month_days(field: str) -> MonthDays:
    numbers: set[int] = set()
    near: set[int] = set()
    last = False
    for item in field.split(","):
        if item == "L":
            last = True
        elif item == "LW":
            near.add(0)
        elif found := _NEAREST_WEEKDAY.fullmatch(item):
            near.add(int(found[1]))
        else:
            numbers |= _item(item, _DAY)
    return MonthDays(frozenset(numbers), last, frozenset(near))


def _week_days(field: str) -> WeekDays:
    if found := _NTH_DAY_OF_WEEK.fullmatch(field):
        return WeekDays(nth=frozenset({(_number(found[1], _WEEKDAY), int(found[2]))}))
    if "#" in field:
        raise InvalidScheduleError("With # the day-of-week has a single expression: a day, # and 1 to 5.")
    numbers: set[int] = set()
    last: set[int] = set()
    for item in field.split(","):
        if item == "L":
            numbers.add(7)
        elif found := _LAST_DAY_OF_WEEK.fullmatch(item):
            last.add(_number(found[1], _WEEKDAY))
        else:
            numbers |= _item(item, _WEEKDAY)
    return WeekDays(frozenset(numbers), frozenset(last))


def _values(field: str, allowed: _Range) -> set[int]:
    return {value for item in field.split(",") for value in _item(item, allowed)}


def _item(item: str, allowed: _Range) -> set[int]:
    """The values of one item of a list: ``*``, ``5``, ``1-5``, ``FRI-MON``, each with a ``/step`` or without."""
    base, slash, step_text = item.partition("/")
    step = _natural(step_text, allowed) if slash else 1
    if step < 1:
        raise InvalidScheduleError(f"The step of {item!r} in {allowed.name} must be 1 or more.")
    low, dash, high = base.partition("-")
    if base == "*":
        first, last = allowed.first, allowed.last
    elif dash:
        first, last = _number(low, allowed), _number(high, allowed)
    else:
        first = _number(base, allowed)
        last = allowed.last if slash else first
    if first <= last:
        return set(range(first, last + 1, step))
    if allowed is _YEAR:
        raise InvalidScheduleError(f"The years {item!r} go back.")
    # FRI-MON and 22-2 go over the end and on from the beginning.
    size = allowed.last - allowed.first + 1
    return {allowed.first + (value - allowed.first) % size for value in range(first, last + size + 1, step)}


def _number(text: str, allowed: _Range) -> int:
    value = allowed.names.get(text)
    if value is None:
        value = _natural(text, allowed)
    if not allowed.first <= value <= allowed.last:
        raise InvalidScheduleError(f"{text} is no value of {allowed.name}: {allowed.first} to {allowed.last}.")
    return value


def _natural(text: str, allowed: _Range) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise InvalidScheduleError(f"{text!r} is no value of {allowed.name}.")
    return int(text)
