"""When an expression is due next.  Pure: exact, and without looking at every minute of years.

Times are seconds since the epoch.  Daylight saving as EventBridge Scheduler has it: a wall time that
the clocks skip is no tick, one that they show twice is a tick the first time.  Rates count elapsed time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from zoneinfo import ZoneInfo

from openecs.planning.schedules.cron import LAST_YEAR, Cron
from openecs.planning.schedules.expression import At, Expression, Rate

_UTC = ZoneInfo("UTC")


class Timetable(NamedTuple):
    """An expression with all that its ticks depend on."""

    expression: Expression
    #: From when a rate counts.
    anchor: float
    zone: ZoneInfo = _UTC
    #: No tick before, and none after; they are ticks themselves where the expression says so.
    start: float | None = None
    end: float | None = None
    #: Whether a rate's anchor is a tick (schedules) or only the time from which it counts (rules).
    at_anchor: bool = True


def next_tick(table: Timetable, after: float) -> float | None:
    """The first tick later than ``after``, or ``None`` when there will be none."""
    if table.start is not None and after < table.start:
        # A tick at the very start counts: look from just before it.
        after = math.nextafter(table.start, -math.inf)
    expression = table.expression
    if isinstance(expression, Rate):
        tick: float | None = _next_of_rate(expression, table, after)
    elif isinstance(expression, At):
        tick = _instant(expression.time, table.zone)
        tick = tick if tick is not None and tick > after else None
    else:
        tick = _next_of_cron(expression, table.zone, after)
    if tick is None or (table.end is not None and tick > table.end):
        return None
    return tick


def window_offset(identity: str, tick: float, minutes: int) -> float:
    """Seconds within a flexible window of ``minutes`` at which one tick is to run.

    Spread evenly, and the same whenever it is asked for.
    """
    digest = sha256(f"{identity}@{tick:.3f}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * minutes * 60


def _next_of_rate(rate: Rate, table: Timetable, after: float) -> float:
    anchor = table.anchor if table.start is None else table.start
    first = 0 if table.at_anchor else 1
    number = max(math.floor((after - anchor) / rate.seconds) + 1, first)
    tick = anchor + number * rate.seconds
    # The division may round up to the tick that we have.
    return tick if tick > after else tick + rate.seconds


def _next_of_cron(cron: Cron, zone: ZoneInfo, after: float) -> float | None:
    if after >= _LATEST:
        return None
    local = datetime.fromtimestamp(max(after, -1.0), zone).replace(tzinfo=None)
    for wall in _walls(cron, local):
        tick = _instant(wall, zone)
        if tick is not None and tick > after:
            return tick
    return None


def _walls(cron: Cron, start: datetime) -> Iterator[datetime]:
    """The wall times of an expression in order, from the minute of ``start`` on."""
    first = (start.year, start.month, start.day, start.hour, start.minute)
    for year in cron.years:
        if year < first[0]:
            continue
        for month in cron.months:
            if (year, month) < first[:2]:
                continue
            for day in cron.days.of(year, month):
                if (year, month, day) < first[:3]:
                    continue
                for hour in cron.hours:
                    if (year, month, day, hour) < first[:4]:
                        continue
                    for minute in cron.minutes:
                        if (year, month, day, hour, minute) >= first:
                            yield datetime(year, month, day, hour, minute)  # noqa: DTZ001 -- wall time


def _instant(wall: datetime, zone: ZoneInfo) -> float | None:
    """The (first) instant of a wall time; ``None`` when the clocks skip it."""
    instant = wall.replace(tzinfo=zone).timestamp()
    shown = datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)
    return instant if shown == wall else None


_LATEST = datetime(LAST_YEAR + 1, 1, 2, tzinfo=UTC).timestamp()
