"""Which ticks are due, and what is made of those that were missed.  Pure.

The policy after downtime: of several ticks that are due the newest runs, once, if it is not older than
the target's events may be; the others are missed.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.planning.schedules.ticks import Timetable, next_tick


class Missed(NamedTuple):
    """Ticks that do not run: when the first was, and how many there are, where that was counted."""

    first: float
    ticks: int | None


class Due(NamedTuple):
    """What to do now."""

    #: The tick to run.
    run: float | None
    #: Ticks count on from here.
    reached: float
    missed: Missed | None
    #: When to look again; never, when there are no more ticks.
    following: float | None


def due_ticks(table: Timetable, last: float, now: float, maximum_age: float) -> Due:
    """What is due at ``now`` after the tick ``last``; all in seconds."""
    first = next_tick(table, last)
    if first is None or first > now:
        return Due(None, last, None, first)
    newest: float | None = first
    too_old = first < now - maximum_age
    if too_old:
        # What is too old to run is not counted one by one: that may be years.
        newest = next_tick(table, now - maximum_age)
        if newest is None or newest > now:
            return Due(None, now, Missed(first, None), newest)
    assert newest is not None  # noqa: S101 -- for mypy
    count = 0
    while (following := next_tick(table, newest)) is not None and following <= now:
        newest = following
        count += 1
    missed = Missed(first, None if too_old else count) if too_old or count else None
    return Due(newest, newest, missed, following)
