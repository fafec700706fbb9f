"""What openecs why says of schedules."""

from __future__ import annotations

import msgspec
import pytest

from openecs.model.schedule import ScheduleOutcome
from openecs.planning.why import ScheduleStory, why_schedule

GOOD = ScheduleOutcome(tick=60.0, ended_at=61.0, text="started 1 task", ok=True, task_arns=("arn:task",))
BAD = ScheduleOutcome(tick=120.0, ended_at=125.0, text="no cluster", ok=False)


def told(**changes: object) -> ScheduleStory:
    members: dict[str, object] = {
        "arn": "arn",
        "expression": "rate(1 minute)",
        "enabled": True,
        "outcomes": (),
        "pending": (),
        "next_tick": 180.0,
        "remembers": True,
    }
    return ScheduleStory(**(members | changes))


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({}, "No tick of it is remembered."),
        ({"remembers": False}, "No tick of it was missed."),
        ({"outcomes": (GOOD,)}, "Its last 1 tick(s) did their work."),
        ({"outcomes": (BAD, GOOD)}, "Its last tick did its work; 1 of the last 2 did not."),
        ({"outcomes": (GOOD, BAD)}, "Its last tick that ended did not do its work: no cluster"),
    ],
)
def test_the_summary_is_of_the_last_tick(changes: dict[str, object], summary: str) -> None:
    assert why_schedule(told(**changes)).summary == summary


def test_what_holds_now_and_what_happened() -> None:
    answer = why_schedule(told(outcomes=(GOOD, BAD), pending=((180.0, 2, "throttled"), (240.0, 0, ""))))
    assert [line.text for line in answer.now] == [
        "rate(1 minute) is due next at 1970-01-01 00:03:00 UTC.",
        "the tick of 1970-01-01 00:03:00 UTC failed 2 time(s) and is tried again: throttled",
        "the tick of 1970-01-01 00:04:00 UTC is on its way",
    ]
    assert [(line.at, line.what, line.details) for line in answer.timeline] == [
        (61.0, "done", ("arn:task",)),
        (125.0, "failed", ()),
    ]
    assert msgspec.json.encode(answer)


def test_a_schedule_that_is_off_or_over() -> None:
    off = why_schedule(told(enabled=False))
    assert (off.status, off.now[0].text) == ("DISABLED", "rate(1 minute) is disabled.")
    assert why_schedule(told(next_tick=None)).now[0].text == "rate(1 minute) is never due again."
