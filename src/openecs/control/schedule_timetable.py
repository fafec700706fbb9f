"""The timetables of schedules and of rules."""

from __future__ import annotations

from openecs.model.event_rule import EventRule
from openecs.model.schedule import Schedule, ScheduleProgress
from openecs.planning.schedules.expression import parse, zone
from openecs.planning.schedules.ticks import Timetable

#: So little before its making that a tick at that moment counts.
_JUST_BEFORE = 0.001


def of_schedule(schedule: Schedule) -> Timetable:
    """When a schedule is due."""
    return Timetable(
        parse(schedule.expression),
        anchor=schedule.modified_at,
        zone=zone(schedule.timezone),
        start=schedule.start,
        end=schedule.end,
    )


def of_rule(rule: EventRule) -> Timetable:
    """When a rule with a schedule is due: always in UTC."""
    expression = parse(rule.schedule_expression or "", one_time=False)
    return Timetable(expression, anchor=rule.modified_at, at_anchor=False)


def reached(progress: ScheduleProgress | None, put_at: float) -> float:
    """The last tick of settings that were put at a time, or just before them."""
    if progress is None or progress.put_at != put_at:
        return put_at - _JUST_BEFORE
    return progress.tick
