"""``openecs why`` of a schedule, or of a rule with one: its last ticks, what waits, when it is due next.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openecs.model.schedule import ScheduleOutcome
from openecs.planning.why.answer import Answer, Line


@dataclass(frozen=True)
class ScheduleStory:
    """What is known of a schedule; times in seconds since the epoch."""

    arn: str
    expression: str
    enabled: bool
    #: Oldest first.
    outcomes: Sequence[ScheduleOutcome]
    #: Of each tick on its way: when it was due, how often it was tried, and what the last try ended with.
    pending: Sequence[tuple[float, int, str]]
    next_tick: float | None
    #: Whether ends of its ticks are among the outcomes, or only those that were missed.
    remembers: bool


def why_schedule(story: ScheduleStory) -> Answer:
    """The answer."""
    failed = [one for one in story.outcomes if not one.ok]
    now: list[Line] = [Line(what="now", text=_due(story))]
    for due, attempts, error in story.pending:
        said = f"the tick of {_at(due)} is on its way"
        if attempts:
            said = f"the tick of {_at(due)} failed {attempts} time(s) and is tried again: {error}"
        now.append(Line(what="now", text=said))
    if not story.remembers:
        now.append(Line(what="now", text="Of a rule only missed ticks are remembered; tasks that it started name it."))
    if story.outcomes and not story.outcomes[-1].ok:
        summary = f"Its last tick that ended did not do its work: {story.outcomes[-1].text}"
    elif failed:
        summary = f"Its last tick did its work; {len(failed)} of the last {len(story.outcomes)} did not."
    elif story.outcomes:
        summary = f"Its last {len(story.outcomes)} tick(s) did their work."
    else:
        summary = "No tick of it is remembered." if story.remembers else "No tick of it was missed."
    return Answer(
        subject="schedule",
        id=story.arn,
        status="ENABLED" if story.enabled else "DISABLED",
        summary=summary,
        now=tuple(now),
        timeline=tuple(
            Line(
                at=one.ended_at,
                what="done" if one.ok else "failed",
                text=f"tick of {_at(one.tick)}: {one.text}",
                details=one.task_arns,
            )
            for one in story.outcomes
        ),
    )


def _due(story: ScheduleStory) -> str:
    if not story.enabled:
        return f"{story.expression} is disabled."
    if story.next_tick is None:
        return f"{story.expression} is never due again."
    return f"{story.expression} is due next at {_at(story.next_tick)}."


def _at(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
