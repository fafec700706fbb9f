"""When mute rules hold alarms back."""

from __future__ import annotations

from datetime import datetime

import pytest

from openecs.planning.alarms.mute import parse_mute
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.shapes.cloudwatch import Schedule


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def mute(expression: str, duration: str = "PT4H", zone: str | None = None, **bounds: float):
    bounds = {"start": None, "expire": None, **bounds}
    return parse_mute(Schedule(expression=expression, duration=duration, timezone=zone), **bounds)


@pytest.mark.parametrize(
    ("expression", "duration", "zone", "inside", "outside"),
    [
        ("cron(0 2 * * *)", "PT4H", None, "2026-03-03T05:59", "2026-03-03T06:00"),
        ("cron(0 2 * * SUN)", "PT1H", None, "2026-03-01T02:30", "2026-03-02T02:30"),
        ("cron(0 2 * * 0)", "PT1H", None, "2026-03-01T02:30", "2026-03-02T02:30"),
        ("cron(0 18 * * FRI)", "P2DT12H", None, "2026-03-09T05:59", "2026-03-09T06:00"),
        ("cron(0 1 1 * *)", "PT6H", None, "2026-03-01T01:00", "2026-03-02T01:00"),
        ("cron(0 2 * * *)", "PT1H", "America/New_York", "2026-01-05T07:30", "2026-01-05T02:30"),
        ("at(2026-05-10T14:00)", "PT1M", None, "2026-05-10T14:00", "2026-05-10T14:01"),
    ],
)
def test_inside_and_outside(expression, duration, zone, inside, outside):
    rule = mute(expression, duration, zone)
    assert rule.active(at(inside))
    assert not rule.active(at(outside))
    assert rule.status(at(inside)) == "ACTIVE"


@pytest.mark.parametrize(
    ("expression", "duration"),
    [
        ("rate(5 minutes)", "PT1H"),
        ("cron(0 2 * *)", "PT1H"),
        ("cron(0 2 1 * MON)", "PT1H"),
        ("cron(0 25 * * *)", "PT1H"),
        ("at(tomorrow)", "PT1H"),
        *(("cron(0 2 * * *)", duration) for duration in ("", "P", "PT", "1H", "PT0M", "PT30S", "P16D")),
    ],
)
def test_what_is_no_mute_rule(expression, duration):
    with pytest.raises(InvalidScheduleError):
        mute(expression, duration)


def test_bounds_and_changes():
    day = at("2026-03-03T00:00")
    rule = mute("cron(0 2 * * *)", start=day, expire=day + 86400 * 2)
    assert rule.status(day - 1) == "SCHEDULED"
    assert not rule.active(day - 86400 + 3 * 3600)
    assert rule.next_change(day) == day + 2 * 3600
    assert rule.next_change(day + 2 * 3600) == day + 6 * 3600
    assert rule.status(day + 2 * 86400) == "EXPIRED"
    once = mute("at(2026-03-03T02:00)")
    assert (once.kind, rule.kind) == ("ONE_TIME", "RECURRING")
    assert once.status(day + 6 * 3600) == "EXPIRED"
    assert once.next_change(day + 6 * 3600) is None
