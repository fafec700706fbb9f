"""When a mute rule holds alarms back.  Pure.

Its cron expressions have the five fields of Unix; those of schedules have six and a ``?``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from openecs.model.alarm import AlarmMuteRule
from openecs.planning.schedules.cron import parse_cron
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import At, parse, zone
from openecs.planning.schedules.ticks import Timetable, next_tick
from openecs.shapes import cloudwatch as cw

Status = Literal["SCHEDULED", "ACTIVE", "EXPIRED"]

_DURATION = re.compile(r"P(?=.)(?:(\d{1,5})D)?(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?")
SHORTEST, LONGEST = 60, 15 * 86400
_WEEK_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class Mute(NamedTuple):
    """A mute rule, read."""

    table: Timetable
    #: Seconds for which each tick mutes.
    duration: float
    #: Before when it does nothing and from when on (epoch seconds); ``None`` for no bound.
    start: float | None
    expire: float | None

    @property
    def kind(self) -> Literal["ONE_TIME", "RECURRING"]:
        """What CloudWatch calls it."""
        return "ONE_TIME" if isinstance(self.table.expression, At) else "RECURRING"

    def active(self, now: float) -> bool:
        """Whether it mutes at ``now``."""
        if (self.start is not None and now < self.start) or (self.expire is not None and now >= self.expire):
            return False
        tick = next_tick(self.table, now - self.duration)
        return tick is not None and tick <= now

    def status(self, now: float) -> Status:
        """ACTIVE, or whether it will ever be again."""
        if self.active(now):
            return "ACTIVE"
        expired = (self.expire is not None and now >= self.expire) or next_tick(self.table, now) is None
        return "EXPIRED" if expired else "SCHEDULED"

    def next_change(self, now: float) -> float | None:
        """A time after ``now`` before which nothing changes; ``None`` when nothing ever will."""
        tick, began = next_tick(self.table, now), next_tick(self.table, now - self.duration)
        end = None if began is None or began > now else began + self.duration
        return min((at for at in (tick, end, self.start, self.expire) if at is not None and at > now), default=None)


def read(rule: AlarmMuteRule) -> Mute:
    """The rule of a record, which was checked when it was put."""
    return parse_mute(rule.rule.schedule, rule.start_date, rule.expire_date)


def parse_mute(schedule: cw.Schedule, start: float | None, expire: float | None) -> Mute:
    """The mute rule of a schedule; raises ``InvalidScheduleError``."""
    found = _DURATION.fullmatch(schedule.duration)
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    duration = days * 86400 + hours * 3600 + minutes * 60
    if not SHORTEST <= duration <= LONGEST:
        raise InvalidScheduleError(f"{schedule.duration!r} is no duration from PT1M to P15D.")
    text = schedule.expression
    if text.startswith("at("):
        expression = parse(
            text.replace(")", ":00)") if re.fullmatch(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d\)", text) else text
        )
    elif text.startswith("cron(") and text.endswith(")"):
        expression = parse_cron(_six_fields(text[5:-1]))
    else:
        raise InvalidScheduleError(f"{text!r} is none of cron(…) or at(…).")
    where = zone(schedule.timezone or "UTC")
    return Mute(Timetable(expression, 0.0, where), float(duration), start, expire)


def _six_fields(text: str) -> str:
    fields = text.upper().split()
    if len(fields) != 5:
        raise InvalidScheduleError(f"A cron expression of a mute rule has five fields, not {len(fields)}.")
    minutes, hours, day, month, weekday = fields
    if day != "*" and weekday != "*":
        raise InvalidScheduleError("OpenECS takes a day of the month or a day of the week, not both.")
    if weekday == "*":
        weekday = "?"
    else:
        day = "?"
        weekday = re.sub(r"\b[0-7]\b", lambda found: _WEEK_DAYS[int(found[0])], weekday)
    return f"{minutes} {hours} {day} {month} {weekday} *"
