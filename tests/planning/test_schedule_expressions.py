"""Schedule expressions: what they say, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.schedules.cron import Cron
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import parse, zone
from openecs.planning.schedules.ticks import Timetable, next_tick, window_offset


def at(text: str, name: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name)).timestamp()


def ticks(expression: str, after: str, count: int = 3, name: str = "UTC") -> list[str]:
    """The next ticks as UTC."""
    table = Timetable(parse(expression), anchor=at(after, name), zone=zone(name))
    now, found = at(after, name), []
    for _ in range(count):
        tick = next_tick(table, now)
        if tick is None:
            break
        found.append(datetime.fromtimestamp(tick, UTC).strftime("%Y-%m-%d %H:%M"))
        now = tick
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 10 * * ? *)", "2024-03-01T10:00:00", ["2024-03-02 10:00", "2024-03-03 10:00"]),
        ("cron(15 12 * * ? *)", "2024-03-01T10:00:00", ["2024-03-01 12:15", "2024-03-02 12:15"]),
        ("cron(0 18 ? * MON-FRI *)", "2024-03-01T19:00:00", ["2024-03-04 18:00", "2024-03-05 18:00"]),
        ("cron(0 8 1 * ? *)", "2024-03-01T09:00:00", ["2024-04-01 08:00", "2024-05-01 08:00"]),
        ("cron(0/15 * * * ? *)", "2024-03-01T09:50:00", ["2024-03-01 10:00", "2024-03-01 10:15"]),
        ("cron(0/10 * ? * MON-FRI *)", "2024-03-01T23:55:00", ["2024-03-04 00:00", "2024-03-04 00:10"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2024-03-01T17:55:00", ["2024-03-04 08:00", "2024-03-04 08:05"]),
        ("cron(0 12 L * ? *)", "2024-02-01T00:00:00", ["2024-02-29 12:00", "2024-03-31 12:00"]),
        ("cron(0 12 LW * ? *)", "2024-03-01T00:00:00", ["2024-03-29 12:00", "2024-04-30 12:00"]),
        ("cron(0 12 3W * ? *)", "2024-03-01T00:00:00", ["2024-03-04 12:00", "2024-04-03 12:00"]),
        ("cron(0 12 1W 6 ? *)", "2024-05-31T00:00:00", ["2024-06-03 12:00", "2025-06-02 12:00"]),
        ("cron(0 9 ? * 2#1 *)", "2024-03-01T00:00:00", ["2024-03-04 09:00", "2024-04-01 09:00"]),
        ("cron(0 9 ? * 6L *)", "2024-03-01T00:00:00", ["2024-03-29 09:00", "2024-04-26 09:00"]),
        ("cron(0 9 ? * L *)", "2024-03-01T00:00:00", ["2024-03-02 09:00", "2024-03-09 09:00"]),
        ("cron(0 9 ? * SAT-MON *)", "2024-03-01T00:00:00", ["2024-03-02 09:00", "2024-03-03 09:00"]),
        ("cron(0 0 29 FEB ? *)", "2024-03-01T00:00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("cron(15 10 ? * 6L 2022-2023)", "2023-12-01T00:00:00", ["2023-12-29 10:15"]),
        ("cron(0 0 30 2 ? *)", "2024-03-01T00:00:00", []),
        ("rate(1 hour)", "2024-03-01T00:30:00", ["2024-03-01 01:30", "2024-03-01 02:30"]),
        ("rate(2 days)", "2024-03-01T00:30:00", ["2024-03-03 00:30", "2024-03-05 00:30"]),
        ("at(2024-03-05T10:00:00)", "2024-03-01T00:30:00", ["2024-03-05 10:00"]),
        ("at(2024-02-05T10:00:00)", "2024-03-01T00:30:00", []),
    ],
)
def test_ticks(expression: str, after: str, expected: list[str]) -> None:
    assert ticks(expression, after, 2) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(0 minutes)",
        "rate(1 second)",
        "rate(-1 hours)",
        "rate(5)",
        "cron(* * * * * *)",
        "cron(* * ? * ? *)",
        "cron(0 10 * * ?)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 32 * ? *)",
        "cron(0 10 0 * ? *)",
        "cron(0 10 * 13 ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * 2#6 *)",
        "cron(0 10 ? * 2#1,3#1 *)",
        "cron(0 10 * * ? 1969)",
        "cron(0 10 * * ? 2200)",
        "cron(0/0 10 * * ? *)",
        "cron(a 10 * * ? *)",
        "at(2024-02-30T10:00:00)",
        "at(2024-02-05 10:00:00)",
        "every(1 minute)",
    ],
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(InvalidScheduleError):
        parse(expression)


def test_rules_know_no_at_and_are_strict_about_units() -> None:
    for expression in ("at(2024-02-05T10:00:00)", "rate(1 minutes)", "rate(5 minute)"):
        with pytest.raises(InvalidScheduleError):
            parse(expression, one_time=False, strict_units=True)
    assert parse("rate(1 minutes)") == parse("rate(1 minute)", one_time=False, strict_units=True)


def test_a_wall_time_that_the_clocks_skip_is_no_tick() -> None:
    # New York goes from 2 to 3 o'clock on 2024-03-10.
    found = ticks("cron(30 2 * * ? *)", "2024-03-09T00:00:00", 2, "America/New_York")
    assert found == ["2024-03-09 07:30", "2024-03-11 06:30"]
    assert ticks("at(2024-03-10T02:30:00)", "2024-03-09T00:00:00", 1, "America/New_York") == []


def test_a_wall_time_that_the_clocks_show_twice_is_one_tick() -> None:
    found = ticks("cron(30 1 * * ? *)", "2024-11-02T12:00:00", 2, "America/New_York")
    assert found == ["2024-11-03 05:30", "2024-11-04 06:30"]


def test_start_and_end_bound_the_ticks() -> None:
    start, end = at("2024-03-01T10:00:00"), at("2024-03-01T10:02:00")
    for expression in ("rate(1 minute)", "cron(* * * * ? *)"):
        table = Timetable(parse(expression), anchor=0.0, start=start, end=end)
        found, now = [], 0.0
        while (tick := next_tick(table, now)) is not None:
            found.append(tick - start)
            now = tick
        assert found == [0, 60, 120]


def test_a_rule_counts_its_rate_from_its_making_and_a_schedule_begins_with_it() -> None:
    rate = parse("rate(5 minutes)")
    assert next_tick(Timetable(rate, anchor=1000.0), 999.0) == 1000.0
    assert next_tick(Timetable(rate, anchor=1000.0, at_anchor=False), 999.0) == 1300.0


minutes = st.sampled_from(["*", "0", "59", "0/7", "5-10", "1,30,45", "50-10/3"])
hours = st.sampled_from(["*", "2", "0/5", "22-3", "1,13"])
days = st.sampled_from([("*", "?"), ("L", "?"), ("15W", "?"), ("31", "?"), ("?", "MON-FRI"), ("?", "3#5"), ("?", "1L")])
months = st.sampled_from(["*", "MAR", "1/3", "NOV-JAN"])
zones = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])


def _matches(cron: Cron, local: datetime) -> bool:
    return (
        local.minute in cron.minutes
        and local.hour in cron.hours
        and local.month in cron.months
        and local.year in cron.years
        and local.day in cron.days.of(local.year, local.month)
    )


@given(minutes, hours, days, months, zones, st.integers(0, 4_000_000_000))
def test_ticks_match_rise_and_leave_none_out(
    minute: str, hour: str, day: tuple[str, str], month: str, name: str, after: int
) -> None:
    cron = parse(f"cron({minute} {hour} {day[0]} {month} {day[1]} *)")
    assert isinstance(cron, Cron)
    table = Timetable(cron, anchor=0.0, zone=zone(name))
    tick = next_tick(table, after)
    assert tick is not None
    assert tick > after
    assert _matches(cron, datetime.fromtimestamp(tick, zone(name)))
    # No minute that matches lies between, but for one that the clocks show the second time.
    probe = max(after - after % 60 + 60, tick - 3 * 3600)
    while probe < tick:
        local = datetime.fromtimestamp(probe, zone(name))
        assert local.fold or not _matches(cron, local)
        probe += 60


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    for expression in (text, f"cron({text})", f"rate({text})", f"at({text})"):
        try:
            parse(expression)
        except InvalidScheduleError:
            continue


def test_the_offset_in_a_window_stays_and_is_spread() -> None:
    offsets = [window_offset("id", float(tick), 15) for tick in range(1000)]
    assert offsets == [window_offset("id", float(tick), 15) for tick in range(1000)]
    assert 0 <= min(offsets) < 60
    assert 840 < max(offsets) < 900
