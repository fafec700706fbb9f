"""EventBridge Scheduler's schedules and groups, and how far schedules and rules have come.

The default group of a region needs no record.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import scheduler

DEFAULT_GROUP = "default"
#: Ends of invocations that are remembered of each schedule.
KEPT_OUTCOMES = 20


class ScheduleGroup(Record, frozen=True, kw_only=True):
    """A named group of schedules."""

    arn: str
    region: str
    name: str
    created_at: float
    modified_at: float
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.arn


class Schedule(Record, frozen=True, kw_only=True):
    """One schedule; times in seconds since the epoch."""

    arn: str
    #: Different for every schedule that ever had the name: tokens of its ticks are made of it.
    id: str
    region: str
    group: str
    name: str
    expression: str
    timezone: str = "UTC"
    start: float | None = None
    end: float | None = None
    description: str | None = None
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    target: scheduler.Target
    #: Minutes of its flexible window; 0 is none.
    window: int = 0
    after_completion: Literal["NONE", "DELETE"] = "NONE"
    created_at: float
    #: When it was put last; its ticks count from here.
    modified_at: float
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.arn


class ScheduleOutcome(Record, frozen=True, kw_only=True):
    """What became of one tick."""

    tick: float
    ended_at: float
    #: What the target made of it, the error, or why the tick did not run.
    text: str
    ok: bool
    task_arns: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return str(self.tick)


class ScheduleProgress(Record, frozen=True, kw_only=True):
    """How far a schedule (or a rule with a schedule) has come; ``arn`` is its ARN."""

    arn: str
    #: ``modified_at`` of the settings that the tick is of; with others the counting is new.
    put_at: float
    #: The last tick that was taken.
    tick: float
    #: Newest last.
    outcomes: tuple[ScheduleOutcome, ...] = ()

    @property
    def key(self) -> str:
        return self.arn


class ScheduleInvocation(Record, frozen=True, kw_only=True):
    """One tick of a schedule on its way to the target; written with the progress, deleted at its end."""

    #: Made of the schedule's id and the tick: the token by which targets know a repetition.
    id: str
    schedule_arn: str
    region: str
    group: str
    name: str
    #: The target as it was at the tick.
    target: scheduler.Target
    tick: float
    due_at: float
    attempts: int = 0
    last_error: str = ""

    @property
    def key(self) -> str:
        return self.id


def group_arn(region: str, account: str, name: str) -> str:
    """The ARN of a group."""
    return f"arn:aws:scheduler:{region}:{account}:schedule-group/{name}"


def schedule_arn(region: str, account: str, group: str, name: str) -> str:
    """The ARN of a schedule."""
    return f"arn:aws:scheduler:{region}:{account}:schedule/{group}/{name}"
