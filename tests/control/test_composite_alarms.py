"""Composite alarms at work: woken by their children, held back by their suppressors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from alarm_kit import AlarmWorld

from openecs.control.virtual_time import VirtualTime


@pytest.fixture
async def alarms(time: VirtualTime) -> AsyncIterator[AlarmWorld]:
    async with AlarmWorld(time) as world:
        world.put(*(world.metric_alarm(name, alarm_actions=(), treat_missing_data="ignore") for name in "abs"))
        yield world


async def test_a_rule_follows_its_children(alarms: AlarmWorld) -> None:
    alarms.put(alarms.composite_alarm("both", "ALARM(a) AND ALARM(b)"))
    await alarms.time.advance(1)
    assert alarms.alarm("both").state == "OK"
    assert alarms.alarm("both").state_reason.endswith(":alarm:both was created and its alarm rule evaluates to OK")
    alarms.sound("a", "ALARM")
    await alarms.time.advance(1)
    assert alarms.alarm("both").state == "OK"
    alarms.sound("b", "ALARM")
    await alarms.time.advance(1)
    both = alarms.alarm("both")
    assert both.state == "ALARM"
    assert ":alarm:b transitioned to ALARM at Tuesday 14 November, 2023 22:13:2" in both.state_reason
    arns = [one["arn"].rpartition(":")[2] for one in json.loads(both.state_reason_data)["triggeringAlarms"]]
    assert arns == ["a", "b"]
    message = json.loads(alarms.posted[-1]["Message"])
    assert [child["State"]["Value"] for child in message["TriggeringChildren"]] == ["ALARM", "ALARM"]


async def test_composites_of_composites(alarms: AlarmWorld) -> None:
    alarms.put(alarms.composite_alarm("inner", "ALARM(a)"), alarms.composite_alarm("outer", "NOT OK(inner)"))
    alarms.sound("a", "ALARM")
    await alarms.time.advance(1)
    assert alarms.alarm("outer").state == "ALARM"
    alarms.sound("a", "OK")
    await alarms.time.advance(1)
    assert alarms.alarm("outer").state == "OK"


async def test_a_circle_is_not_evaluated(alarms: AlarmWorld) -> None:
    alarms.put(alarms.composite_alarm("x", "ALARM(y) OR ALARM(a)"), alarms.composite_alarm("y", "NOT ALARM(x)"))
    alarms.sound("a", "ALARM")
    await alarms.time.advance(700)
    assert {alarms.alarm(name).state for name in "xy"} == {"INSUFFICIENT_DATA"}


def suppressed(alarms: AlarmWorld, wait: int, extension: int) -> None:
    alarms.put(
        alarms.composite_alarm(
            "c",
            "ALARM(a)",
            actions_suppressor="s",
            actions_suppressor_wait_period=wait,
            actions_suppressor_extension_period=extension,
        )
    )


def subjects(alarms: AlarmWorld) -> list[str]:
    return [message["Subject"].partition(":")[0] for message in alarms.posted]


async def test_a_suppressor_holds_back_actions_and_lets_them_follow(alarms: AlarmWorld) -> None:
    suppressed(alarms, 0, 180)
    await alarms.time.advance(1)
    alarms.posted.clear()
    alarms.sound("s", "ALARM")
    alarms.sound("a", "ALARM")
    await alarms.time.advance(600)
    held = alarms.alarm("c")
    assert (held.state, held.suppressed_by, held.suppressed_reason) == ("ALARM", "Alarm", "Actions suppressed by s")
    assert subjects(alarms) == []
    alarms.sound("s", "OK")
    await alarms.time.advance(170)
    assert alarms.alarm("c").suppressed_by == "ExtensionPeriod"
    assert subjects(alarms) == []
    await alarms.time.advance(20)
    assert alarms.alarm("c").suppressed_by == ""
    assert subjects(alarms) == ["ALARM"]


async def test_a_change_waits_for_the_suppressor(alarms: AlarmWorld) -> None:
    suppressed(alarms, 120, 0)
    await alarms.time.advance(200)
    alarms.posted.clear()
    alarms.sound("a", "ALARM")
    await alarms.time.advance(60)
    assert alarms.alarm("c").suppressed_by == "WaitPeriod"
    assert subjects(alarms) == []
    await alarms.time.advance(70)
    assert subjects(alarms) == ["ALARM"]
    alarms.sound("a", "OK")
    await alarms.time.advance(60)
    alarms.sound("s", "ALARM")
    await alarms.time.advance(600)
    assert alarms.alarm("c").suppressed_by == "Alarm"
    assert subjects(alarms) == ["ALARM"]


async def test_what_was_over_before_it_could_be_told_is_not_told(alarms: AlarmWorld) -> None:
    suppressed(alarms, 120, 0)
    await alarms.time.advance(200)
    alarms.posted.clear()
    alarms.sound("a", "ALARM")
    await alarms.time.advance(60)
    alarms.sound("a", "OK")
    await alarms.time.advance(300)
    assert alarms.alarm("c").suppressed_by == ""
    assert subjects(alarms) == []
