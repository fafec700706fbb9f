"""Schedules at work: each tick once, across every end of the process; missed ticks; histories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openecs.control.schedule_invocations import ScheduleInvocations
from openecs.control.schedules import ScheduleController, _invocation
from openecs.control.virtual_time import VirtualTime
from openecs.events.bus import BusSender
from openecs.events.log_group import LogGroups
from openecs.events.meter import Meter
from openecs.events.outcome import InvocationError, Outcome
from openecs.events.router import Router
from openecs.ids import SeededIds
from openecs.logs.store import LogStore
from openecs.metrics.metric import Datum
from openecs.model.event_rule import EventRule, rule_arn
from openecs.model.schedule import Schedule, ScheduleInvocation, schedule_arn
from openecs.planning.schedules.due import Missed, due_ticks
from openecs.planning.schedules.expression import parse
from openecs.planning.schedules.ticks import Timetable
from openecs.shapes import events, scheduler
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State

REGION, ACCOUNT = "us-east-1", "123456789012"
#: A whole minute.
START = 1_700_000_040.0


class CrashError(BaseException):
    """The process ends here."""


class World:
    """What is outside of the process: the clock, and tasks by the token that started them."""

    def __init__(self) -> None:
        self.time = VirtualTime(START)
        self.leap = 0.0
        self.started: dict[str, float] = {}
        self.calls = 0
        self.answers: list[Exception] = []

    def now(self) -> float:
        return self.time.now() + self.leap

    async def invoke(self, invocation: ScheduleInvocation) -> Outcome:
        self.calls += 1
        await asyncio.sleep(0)
        if self.answers:
            raise self.answers.pop(0)
        self.started.setdefault(invocation.id, invocation.tick)
        return Outcome("started", (f"task/{invocation.id}",))

    def ticks(self) -> list[float]:
        return [tick - START for tick in self.started.values()]


class Process:
    """One life of the control plane over the journal's file."""

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self.counted: list[Datum] = []
        self.journal = SqliteJournal(path)
        self.state = State(self.journal)
        self.state.store.load()
        logs = LogStore(None, world)
        router = Router(self.state, world, Meter(self.counted.extend, world))
        self.schedules = ScheduleController(self.state, world, BusSender(self.state, router, SeededIds(1)))
        self.invocations = ScheduleInvocations(
            self.state,
            world,
            world,  # type: ignore[arg-type]
            LogGroups(logs, world),
            self.counted.extend,
        )

    def put(self, *records: object) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        try:
            async with asyncio.TaskGroup() as group:
                parts = (self.schedules, self.invocations)
                tasks = [group.create_task(part.run(self.world.time.timing())) for part in parts]
                yield
                for task in tasks:
                    task.cancel()
        finally:
            self.journal.close()

    async def settle(self) -> None:
        """Wait for the journal, which has a thread of its own, and for what follows."""
        for _ in range(3):
            await self.state.store.durable()
            for _ in range(20):
                await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        """Let time pass, a piece at a time."""
        end = self.world.time.now() + seconds
        while self.world.time.now() < end:
            at = self.world.time.now() + 1
            await self.world.time.run_until(lambda: self.world.time.now() >= at)  # noqa: B023 -- awaited here
            await self.settle()


def schedule(expression: str = "rate(1 minute)", **more: Any) -> Schedule:
    members: dict[str, Any] = {
        "arn": schedule_arn(REGION, ACCOUNT, "default", "s"),
        "id": "one",
        "region": REGION,
        "group": "default",
        "name": "s",
        "expression": expression,
        "target": scheduler.Target(
            arn="arn:aws:ecs:us-east-1:123456789012:cluster/c", role_arn="arn:aws:iam::123456789012:role/r"
        ),
        "created_at": START,
        "modified_at": START,
    }
    return Schedule(**(members | more))


async def test_every_minute_once_and_the_history_says_so(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    process.put(schedule())
    async with process.running():
        await process.passes(185)
        progress = process.state.schedule_progress.get(schedule().arn)
    assert world.ticks() == [0, 60, 120, 180]
    assert world.calls == 4
    assert progress is not None
    assert [(outcome.tick - START, outcome.ok) for outcome in progress.outcomes] == [
        (0, True),
        (60, True),
        (120, True),
        (180, True),
    ]
    assert all(outcome.task_arns for outcome in progress.outcomes)
    assert sum(d.values[0] for d in process.counted if d.key.name == "InvocationAttemptCount") == 4


@pytest.mark.parametrize("cut", range(8))
async def test_a_tick_runs_once_wherever_the_process_ends(tmp_path: Path, cut: int) -> None:
    """The process ends before or after each of its commits and calls in turn, and is started anew."""
    world = World()
    before = Process(world, tmp_path / "journal")
    before.put(schedule())
    steps = 0
    original = before.state.transaction
    invoke = world.invoke

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps > cut:
            raise CrashError

    def transaction() -> Any:
        step()
        return original()

    async def counted(invocation: ScheduleInvocation) -> Outcome:
        step()
        outcome = await invoke(invocation)
        step()
        return outcome

    before.state.transaction = transaction  # type: ignore[method-assign]
    world.invoke = counted  # type: ignore[method-assign]
    try:
        async with before.running():
            await asyncio.wait_for(before.passes(65), 5)
    except (CrashError, BaseExceptionGroup, TimeoutError):
        pass
    world.invoke = invoke  # type: ignore[method-assign]
    after = Process(world, tmp_path / "journal")
    async with after.running():
        await after.passes(120)
        left = len(after.state.schedule_invocations)
    ticks = world.ticks()
    assert left == 0
    assert len(ticks) == len(set(ticks)), "a tick ran twice"
    assert {60, 120} <= set(ticks)
    # Only the call that the end of the process cut off from its note is made again.
    assert world.calls <= len(ticks) + 1


async def test_a_tick_that_has_ended_is_not_called_again_after_a_restart(tmp_path: Path) -> None:
    world = World()
    for life in range(3):
        process = Process(world, tmp_path / "journal")
        if life == 0:
            process.put(schedule())
        async with process.running():
            await process.passes(5)
    assert world.calls == 1


async def test_after_downtime_the_newest_missed_tick_runs_and_the_others_are_noted(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    process.put(schedule(modified_at=START - 600))
    async with process.running():
        await process.passes(5)
        progress = process.state.schedule_progress.get(schedule().arn)
    assert world.ticks() == [0]
    assert progress is not None
    missed = [outcome for outcome in progress.outcomes if not outcome.ok]
    assert [(outcome.tick - START, outcome.text.split()[0]) for outcome in missed] == [(-600, "10")]


async def test_a_clock_set_back_repeats_nothing_and_one_set_ahead_is_noticed(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    process.put(schedule())
    async with process.running():
        await process.passes(65)
        world.leap = -50
        await process.passes(40)
        assert world.ticks() == [0, 60]
        world.leap = 3600
        await process.passes(20)
    assert len(world.ticks()) == 3
    assert world.ticks()[-1] == 3720


async def test_a_one_time_schedule_goes_after_its_end(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    process.put(schedule("at(2023-11-14T22:15:00)", after_completion="DELETE"))
    async with process.running():
        await process.passes(65)
        assert len(process.state.schedules) == 0
        assert len(process.state.schedule_progress) == 0
    assert world.ticks() == [60]


async def test_failures_are_tried_again_and_then_given_up(tmp_path: Path) -> None:
    world = World()
    world.answers = [InvocationError("BUSY", "later", retry=True), InvocationError("WRONG", "never", retry=False)]
    process = Process(world, tmp_path / "journal")
    process.put(schedule("at(2023-11-14T22:15:00)"))
    async with process.running():
        await process.passes(90)
        progress = process.state.schedule_progress.get(schedule().arn)
    assert world.calls == 2
    assert progress is not None
    assert [outcome.text for outcome in progress.outcomes] == ["WRONG: never"]


async def test_a_window_delays_the_tick_within_it(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    process.put(schedule("at(2023-11-14T22:15:00)", window=10))
    async with process.running():
        await process.passes(62)
        [invocation] = process.state.schedule_invocations
        assert 60 <= invocation.due_at - START < 660
        await process.passes(600)
    assert world.ticks() == [60]


async def test_a_rule_makes_a_delivery_for_every_tick_and_target(tmp_path: Path) -> None:
    world = World()
    process = Process(world, tmp_path / "journal")
    rule = EventRule(
        arn=rule_arn(REGION, ACCOUNT, "default", "r"),
        region=REGION,
        name="r",
        bus_name="default",
        state="ENABLED",
        created_at=START,
        modified_at=START,
        schedule_expression="rate(1 minute)",
        targets=(events.Target(id="t", arn="a"), events.Target(id="u", arn="b")),
    )
    process.put(rule)
    async with process.running():
        await process.passes(125)
        found = [(d.created_at - START, d.target.id) for d in process.state.event_deliveries]
        process.put(msgspec.structs.replace(rule, state="DISABLED", modified_at=world.now()))
        await process.passes(125)
        assert len(process.state.event_deliveries) == 4
    assert sorted(found) == [(60, "t"), (60, "u"), (120, "t"), (120, "u")]


@pytest.mark.parametrize(
    ("last", "now", "run", "missed"),
    [
        (0, 30, None, None),
        (0, 60, 60, None),
        (0, 185, 180, Missed(60, 2)),
        (0, 10_000_020, 10_000_020, Missed(60, None)),
    ],
)
def test_due_ticks(last: float, now: float, run: float | None, missed: Missed | None) -> None:
    table = Timetable(parse("rate(1 minute)"), anchor=0.0)
    due = due_ticks(table, last, now, 3600)
    assert (due.run, due.missed) == (run, missed)
    assert due.following is not None
    assert due.following > now


def test_the_token_of_a_tick_is_made_of_schedule_and_tick() -> None:
    """Whoever takes the tick again, after a crash or a failover, finds the same one."""
    minutely = schedule()
    assert _invocation(minutely, START).id == _invocation(minutely, START).id
    assert _invocation(minutely, START).id != _invocation(minutely, START + 60).id
    other = msgspec.structs.replace(minutely, id="other")
    assert _invocation(minutely, START).id != _invocation(other, START).id
