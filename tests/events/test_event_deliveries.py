"""Deliveries: none is lost, none is made twice by a target that knows repetitions, failures end somewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openecs.control.event_deliveries import AT_ONCE, EventDeliveries
from openecs.control.virtual_time import VirtualTime
from openecs.events.alarm_source import AlarmSource
from openecs.events.archive_store import ArchiveStore
from openecs.events.bus import BusSender
from openecs.events.ecs_source import EcsSource
from openecs.events.log_group import LogGroups
from openecs.events.meter import Meter
from openecs.events.outcome import InvocationError, Outcome
from openecs.events.router import Router
from openecs.ids import SeededIds
from openecs.logs.event import Range
from openecs.logs.store import LogStore
from openecs.metrics.metric import Datum
from openecs.model.alarm import MetricAlarm, alarm_arn
from openecs.model.event import Event
from openecs.model.event_rule import EventRule, rule_arn
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.planning.delivery_retries import Again, GiveUp, next_attempt
from openecs.shapes import cloudwatch, events
from openecs.state.journal.memory import MemoryJournal
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State

REGION, ACCOUNT = "us-east-1", "123456789012"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:letters"


class Targets:
    """An invoker whose answers the test gives; remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answers: list[Exception | None] = []
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0

    async def invoke(self, target: events.Target, payload: str, **more: Any) -> Outcome:
        self.calls.append({"target": target.id, "payload": payload, **more})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return Outcome("taken")


class Site:
    """State, router and deliveries over a journal."""

    def __init__(self, journal: Any = None) -> None:
        self.time = VirtualTime()
        self.journal = journal or MemoryJournal()
        self.state = State(self.journal)
        self.state.store.load()
        self.counted: list[Datum] = []
        meter = Meter(self.counted.extend, self.time)
        self.router = Router(self.state, self.time, meter)
        self.sender = BusSender(self.state, self.router, SeededIds(1))
        EcsSource(self.state, self.sender, self.time)
        AlarmSource(self.state, self.sender, self.time)
        self.logs = LogStore(None, self.time)
        self.targets = Targets()
        self.deliveries = EventDeliveries(
            self.state,
            self.time,
            invoker=self.targets,  # type: ignore[arg-type]
            archives=ArchiveStore(self.logs),
            log_groups=LogGroups(self.logs, self.time),
            meter=meter,
        )
        self.journal.start(self.state.store.journal_reached, self.state.store.journal_failed)

    def put(self, *records: object) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def send(self, source: str = "me", detail: object = None) -> None:
        event = Event(f"id-{source}", source, "d", ACCOUNT, REGION, self.time.now(), json.dumps(detail or {}).encode())
        with self.state.transaction() as tx:
            self.sender.send(tx, event, "default")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.logs.open()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.deliveries.run(self.time.timing()))
            yield
            task.cancel()
        await self.logs.close()

    async def done(self) -> None:
        await self.time.run_until(lambda: not len(self.state.event_deliveries), within=2 * 86400)

    def count(self, metric: str) -> float:
        return sum(datum.values[0] for datum in self.counted if datum.key.name == metric)


def rule(pattern: object, *targets: events.Target, name: str = "r") -> EventRule:
    return EventRule(
        arn=rule_arn(REGION, ACCOUNT, "default", name),
        region=REGION,
        name=name,
        bus_name="default",
        state="ENABLED",
        created_at=1.0,
        modified_at=1.0,
        event_pattern=json.dumps(pattern),
        targets=targets,
    )


def target(name: str = "t", **more: Any) -> events.Target:
    return events.Target(id=name, arn=GROUP, **more)


def task(status: Any = "PENDING", version: int = 1) -> Task:
    return Task(
        arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/c/1",
        region=REGION,
        cluster_arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c",
        task_definition_arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/f:1",
        launch_type="EC2",
        desired_status="RUNNING",
        last_status=status,
        created_at=1.0,
        group="family:f",
        containers=(),
        reservation=Resources(),
        version=version,
    )


async def test_each_target_of_each_matching_rule_gets_the_event() -> None:
    site = Site()
    site.put(
        rule({"source": ["me"]}, target("a"), target("b", input='{"x":1}'), name="first"),
        rule({"source": [{"prefix": "m"}]}, target("c"), name="second"),
        rule({"source": ["you"]}, target("d"), name="third"),
    )
    async with site.running():
        site.send(detail={"n": 1})
        await site.done()
    got = {call["target"]: (call["started_by"], json.loads(call["payload"])) for call in site.targets.calls}
    assert sorted(got) == ["a", "b", "c"]
    assert got["a"][0] == "events-rule/first"
    assert got["a"][1] == got["c"][1]
    assert (got["a"][1]["detail"], got["b"][1]) == ({"n": 1}, {"x": 1})


async def test_a_delivery_survives_the_end_of_the_process_with_its_token(tmp_path: Path) -> None:
    first = Site(SqliteJournal(tmp_path / "journal.db"))
    first.put(rule({"source": ["aws.ecs"]}, target()))
    # The delivery is written with the very change that it is about.
    revision = first.state.store.revision
    first.put(task())
    assert first.state.store.revision == revision + 1
    await first.state.store.durable()
    (token,) = [delivery.id for delivery in first.state.event_deliveries]
    # The target was invoked, and the process ended before that was written.
    await first.deliveries._invoke(next(iter(first.state.event_deliveries)))
    first.journal.close()

    second = Site(SqliteJournal(tmp_path / "journal.db"))
    async with second.running():
        while len(second.state.event_deliveries):
            await asyncio.sleep(0.01)
        await second.state.store.durable()
    second.journal.close()
    assert [call["token"] for call in (*first.targets.calls, *second.targets.calls)] == [token, token]
    assert json.loads(second.targets.calls[0]["payload"])["detail"]["lastStatus"] == "PENDING"

    third = Site(SqliteJournal(tmp_path / "journal.db"))
    assert not len(third.state.event_deliveries)
    third.journal.close()


async def test_a_delivery_that_fails_is_made_again_later_and_later() -> None:
    site = Site()
    site.put(rule({"source": ["me"]}, target()))
    site.targets.answers = [InvocationError("X", "x", retry=True)] * 5
    async with site.running():
        site.send()
        await site.done()
    assert len(site.targets.calls) == 6
    assert len({call["token"] for call in site.targets.calls}) == 1
    assert site.time.time() == pytest.approx(0.75 * (1 + 2 + 4 + 8 + 16), abs=0.1)
    assert (site.count("RetryInvocationAttempts"), site.count("Invocations"), site.count("FailedInvocations")) == (
        5,
        1,
        0,
    )


async def test_what_is_given_up_is_a_dead_letter() -> None:
    site = Site()
    policy = events.RetryPolicy(maximum_retry_attempts=2)
    site.put(
        rule({"source": ["me"]}, target(retry_policy=policy, dead_letter_config=events.DeadLetterConfig(arn=GROUP)))
    )
    site.targets.answers = [InvocationError("BROKEN", "no", retry=True)] * 9
    async with site.running():
        group = site.logs.create_group(REGION, "letters", {})
        site.send(detail={"n": 1})
        while len(site.state.event_deliveries):
            await site.time.run_until(lambda: len(site.targets.calls) == 3)
            await asyncio.sleep(0.01)
        page = await site.logs.read(group.streams.values(), Range(), 10)
    (letter,) = [json.loads(event.message) for event in page.events]
    assert letter["body"]["detail"] == {"n": 1}
    assert letter["attributes"] == {
        "RULE_ARN": rule_arn(REGION, ACCOUNT, "default", "r"),
        "TARGET_ARN": GROUP,
        "ERROR_CODE": "BROKEN",
        "ERROR_MESSAGE": "no",
        "RETRY_ATTEMPTS": "2",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
    }
    assert (site.count("FailedInvocations"), site.count("InvocationsSentToDlq")) == (1, 1)


async def test_a_slow_target_has_a_few_deliveries_under_way_at_a_time() -> None:
    site = Site()
    slow = events.Target(id="slow", arn=GROUP)
    site.put(rule({"source": [{"prefix": "s"}]}, slow))
    async with site.running():
        site.targets.open.clear()
        for number in range(3 * AT_ONCE):
            site.send(f"s{number}")
        await site.time.run_until(lambda: site.targets.at_once == AT_ONCE)
        site.targets.open.set()
        await site.done()
    assert site.targets.most_at_once == AT_ONCE
    assert len(site.targets.calls) == 3 * AT_ONCE


def test_changes_that_no_rule_is_about_are_written_alone() -> None:
    site = Site()
    site.put(rule({"source": ["aws.ecs"], "detail-type": ["ECS Service Action"]}, target()))
    site.put(task())
    site.put(rule({"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"]}}, target()))
    site.put(task("RUNNING", 2))
    assert not len(site.state.event_deliveries)
    # The same version is no event, whatever else became of the task.
    site.put(task("STOPPED", 2))
    assert not len(site.state.event_deliveries)
    site.put(task("STOPPED", 3))
    assert len(site.state.event_deliveries) == 1


def test_an_alarm_that_changes_its_state_is_an_event() -> None:
    site = Site()
    site.put(rule({"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}, target()))
    settings = cloudwatch.PutMetricAlarmInput(
        alarm_name="a", comparison_operator="GreaterThanThreshold", evaluation_periods=1, metric_name="m", namespace="n"
    )
    alarm = MetricAlarm(
        arn=alarm_arn(REGION, ACCOUNT, "a"), region=REGION, name="a", configured_at=1.0, settings=settings
    )
    site.put(alarm)
    assert not len(site.state.event_deliveries)
    site.put(msgspec.structs.replace(alarm, state="ALARM", state_updated_at=site.time.now()))
    (event,) = [json.loads(delivery.event) for delivery in site.state.event_deliveries]
    assert event["resources"] == [alarm.arn]
    assert (event["detail"]["state"]["value"], event["detail"]["previousState"]["value"]) == (
        "ALARM",
        "INSUFFICIENT_DATA",
    )


def test_a_disabled_rule_gets_nothing() -> None:
    site = Site()
    enabled = rule({"source": ["me"]}, target())
    site.put(enabled)
    site.send()
    assert len(site.state.event_deliveries) == 1
    site.put(msgspec.structs.replace(enabled, state="DISABLED"))
    site.send("me2")
    assert len(site.state.event_deliveries) == 1


def test_a_tick_makes_the_same_deliveries_every_time() -> None:
    site = Site()
    scheduled = rule({"source": ["nobody"]}, target("a"), target("b"))
    site.put(scheduled)
    with site.state.transaction() as tx:
        assert site.sender.fire(tx, scheduled, 60.0) == 2
    with site.state.transaction() as tx:
        site.sender.fire(tx, scheduled, 60.0)
    found = [json.loads(delivery.event) for delivery in site.state.event_deliveries]
    assert len(found) == 2
    assert {(event["detail-type"], event["time"]) for event in found} == {("Scheduled Event", "1970-01-01T00:01:00Z")}


@pytest.mark.parametrize(
    ("retries", "now", "retry", "expected"),
    [
        (0, 0.0, True, Again(1.0)),
        (3, 100.0, True, Again(108.0)),
        (20, 0.0, True, Again(600.0)),
        (185, 0.0, True, GiveUp("MaximumRetryAttempts")),
        (0, 86400.0, True, GiveUp("MaximumEventAgeInSeconds")),
        (0, 0.0, False, GiveUp("")),
    ],
)
def test_when_a_delivery_is_tried_again(retries: int, now: float, retry: bool, expected: object) -> None:
    assert next_attempt(None, retries=retries, created_at=0.0, now=now, retry=retry, jitter=1.0) == expected


def test_no_retries_at_all() -> None:
    policy = events.RetryPolicy(maximum_retry_attempts=0)
    found = next_attempt(policy, retries=0, created_at=0.0, now=0.0, retry=True, jitter=0.0)
    assert found == GiveUp("MaximumRetryAttempts")
