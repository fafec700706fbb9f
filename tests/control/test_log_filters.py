"""What metric and subscription filters make of events."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from openecs.clock import ManualClock
from openecs.control.metric_filters import MetricFilterWorker
from openecs.control.subscription_delivery import Delivery, UndeliveredError
from openecs.control.subscriptions import Subscriptions
from openecs.logs.event import Range
from openecs.logs.store import LogStore
from openecs.metrics.metric import Datum
from openecs.model.log_filter import MetricFilter, SubscriptionFilter, SubscriptionProgress
from openecs.shapes import logs as shapes
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

REGION = "eu-west-1"
ACCOUNT = "123456789012"


class World:
    """A log store with the group ``g``, state, and what was published."""

    def __init__(self, store: LogStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.state = State(MemoryJournal())
        self.group = store.create_group(REGION, "g", {})
        self.stream = store.create_stream(self.group, "s")
        self.data: list[Datum] = []

    async def put(self, *messages: str, at: int | None = None, stream: str = "s") -> None:
        target = self.group.streams.get(stream) or self.store.create_stream(self.group, stream)
        time = round(self.clock.now() * 1000) if at is None else at
        await self.store.append(target, [time] * len(messages), list(messages))

    def filter(self, pattern: str, system: tuple[str, ...] = (), **members: Any) -> MetricFilter:
        sound = {"metric_name": "m", "metric_namespace": "n", "metric_value": "1"}
        record = MetricFilter(
            region=REGION,
            group="g",
            name="f",
            pattern=pattern,
            transformation=shapes.MetricTransformation(**(sound | members)),
            created=0,
            system_dimensions=system,
        )
        with self.state.transaction() as tx:
            tx.put(record)
        return record

    def published(self) -> dict[tuple[Any, ...], dict[float, float]]:
        """(dimensions, time) → value → count of everything since the last question."""
        found: dict[tuple[Any, ...], dict[float, float]] = {}
        for datum in self.data:
            assert (datum.key.region, datum.key.namespace, datum.key.name) == (REGION, "n", "m")
            into = found.setdefault((datum.key.dimensions, datum.timestamp), {})
            for value, count in zip(datum.values, datum.counts, strict=True):
                into[value] = into.get(value, 0) + count
        self.data.clear()
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock()
    store = LogStore(None, clock)
    await store.open()
    yield World(store, clock)
    await store.close()


@pytest.fixture
async def worker(world: World) -> AsyncIterator[MetricFilterWorker]:
    worker = MetricFilterWorker(world.state, world.store, world.clock, world.data.extend, ACCOUNT)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run(sleep=lambda _: asyncio.Event().wait()))
        await asyncio.sleep(0)
        yield worker
        running.cancel()


async def seen(world: World, worker: MetricFilterWorker) -> None:
    """Everything stored so far has been looked at."""
    async with asyncio.timeout(5):
        while worker._waiting or not world.data:
            await asyncio.sleep(0.001)


async def test_matching_events_count_at_their_minute(world: World, worker: MetricFilterWorker) -> None:
    world.filter("ERROR", metric_value="2", unit="Count")
    await world.put("ERROR 1", "fine", "ERROR 2", at=120_500)
    await seen(world, worker)
    assert {datum.unit for datum in world.data} == {"Count"}
    assert world.published() == {((), 120.0): {2.0: 2.0}}


async def test_values_and_dimensions_come_from_fields(world: World, worker: MetricFilterWorker) -> None:
    world.filter("{ $.ms = * }", ("@aws.region",), metric_value="$.ms", dimensions={"Path": "$.path"})
    rows = [{"ms": 5, "path": "/a"}, {"ms": 7, "path": "/a"}, {"ms": "x", "path": "/a"}, {"ms": 1}, {"path": "/b"}]
    await world.put(*map(json.dumps, rows), at=60_000)
    await seen(world, worker)
    assert world.published() == {((("@aws.region", REGION), ("Path", "/a")), 60.0): {5.0: 1.0, 7.0: 1.0}}


async def test_a_minute_without_a_match_gives_the_default_value_once(world: World, worker: MetricFilterWorker) -> None:
    world.filter("ERROR", default_value=0.0)
    minute = world.clock.now() // 60 * 60
    await world.put("fine", "fine")
    await world.put("ERROR")
    await seen(world, worker)
    world.clock.advance(60)
    worker.end_minutes(world.clock.now())
    assert world.published() == {((), minute): {1.0: 1.0}}
    await world.put("fine")
    async with asyncio.timeout(5):
        while not worker._seen:
            await asyncio.sleep(0.001)
    worker.end_minutes(world.clock.now())
    assert world.published() == {}
    world.clock.advance(60)
    worker.end_minutes(world.clock.now())
    worker.end_minutes(world.clock.now() + 60)
    assert world.published() == {((), minute + 60): {0.0: 1.0}}


async def test_a_deleted_filter_publishes_no_more(world: World, worker: MetricFilterWorker) -> None:
    record = world.filter("ERROR")
    with world.state.transaction() as tx:
        tx.delete(record)
    await world.put("ERROR")
    assert not worker._waiting
    assert worker._by_group == {}


class Taken:
    """A destination that keeps what it gets, and refuses as often as it is told to."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.refusals = 0
        self.came = asyncio.Event()

    async def deliver(self, record: SubscriptionFilter, stream: Any, rows: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UndeliveredError("not now")
        self.messages += [(stream.name, row[2]) for row in rows]
        self.came.set()

    async def until(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(5):
            while len(self.messages) < count:
                self.came.clear()
                await self.came.wait()
        return self.messages


def subscribed(world: World, destination: str = "http://x/", pattern: str = "", **positions: int) -> SubscriptionFilter:
    record = SubscriptionFilter(region=REGION, group="g", name="f", pattern=pattern, destination=destination, created=0)
    with world.state.transaction() as tx:
        tx.put(record)
        at = {world.group.streams[name].id: position for name, position in positions.items()}
        tx.put(SubscriptionProgress(filter_key=record.key, positions=at))
    return record


def running(group: asyncio.TaskGroup, world: World, delivery: Any) -> asyncio.Task[None]:
    async def no_wait(_: float) -> None:
        await asyncio.sleep(0)

    return group.create_task(Subscriptions(world.state, world.store, world.clock, delivery, sleep=no_wait).run())


async def test_events_are_delivered_from_where_the_filter_stands(world: World) -> None:
    taken = Taken()
    await world.put("old")
    await world.put("ERROR missed", "fine missed")
    subscribed(world, pattern="ERROR", s=1)
    async with asyncio.TaskGroup() as group:
        task = running(group, world, taken)
        await taken.until(1)
        await world.put("ERROR live", "fine live")
        await world.put("ERROR new", stream="t")
        assert await taken.until(3) == [("s", "ERROR missed"), ("s", "ERROR live"), ("t", "ERROR new")]
        task.cancel()


async def test_a_slow_destination_gets_everything_once(world: World) -> None:
    taken = Taken()
    subscribed(world)
    taken.refusals = 3
    async with asyncio.TaskGroup() as group:
        task = running(group, world, taken)
        await asyncio.sleep(0)
        for number in range(100):
            await world.put(f"{number}", at=1000 + number)
        assert await taken.until(100) == [("s", f"{number}") for number in range(100)]
        task.cancel()


async def test_progress_is_kept(world: World) -> None:
    taken = Taken()
    record = subscribed(world)
    async with asyncio.TaskGroup() as group:
        task = running(group, world, taken)
        await asyncio.sleep(0)
        await world.put("1")
        await taken.until(1)
        world.clock.advance(10)
        await world.put("2")
        await taken.until(2)
        async with asyncio.timeout(5):
            while world.state.subscription_progress.get(record.key).positions != {world.stream.id: 2}:  # type: ignore[union-attr]
                await asyncio.sleep(0.001)
        task.cancel()


async def test_a_group_gets_the_events_in_streams_of_the_same_names(world: World) -> None:
    other = world.store.create_group(REGION, "h", {})
    record = subscribed(world, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:h")
    delivery = Delivery(world.store, ACCOUNT)
    await delivery.deliver(record, world.stream, [(5, 1, "a"), (6, 2, "b")])
    page = await world.store.read(other.streams.values(), wanted=Range(), limit=10)
    assert [(event.timestamp, event.message) for event in page.events] == [(5, "a"), (6, "b")]
    assert list(other.streams) == ["s"]
    world.store.delete_group(other)
    with pytest.raises(UndeliveredError, match="does not exist"):
        await delivery.deliver(record, world.stream, [(5, 1, "a")])


class Client:
    """Answers every POST with the status it was made with."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.posts: list[tuple[str, bytes]] = []

    async def request(self, _method: str, target: str, *, body: bytes, **_: Any) -> Any:
        self.posts.append((target, body))
        return SimpleNamespace(status=self.status)

    async def close(self) -> None:
        pass


async def test_an_endpoint_gets_what_a_function_gets_on_aws(world: World) -> None:
    client: Any = Client(200)
    record = subscribed(world, "http://127.0.0.1:9/in?x=1")
    delivery = Delivery(world.store, ACCOUNT, client=lambda _: client)
    await delivery.deliver(record, world.stream, [(5, 1, "a"), (6, 2, "b")])
    ((path, body),) = client.posts
    message = json.loads(gzip.decompress(base64.b64decode(json.loads(body)["awslogs"]["data"])))
    events = message.pop("logEvents")
    assert path == "/in?x=1"
    assert message == {
        "messageType": "DATA_MESSAGE",
        "owner": ACCOUNT,
        "logGroup": "g",
        "logStream": "s",
        "subscriptionFilters": ["f"],
    }
    assert [(event["timestamp"], event["message"], len(event["id"])) for event in events] == [
        (5, "a", 56),
        (6, "b", 56),
    ]
    client.status = 503
    with pytest.raises(UndeliveredError, match="503"):
        await delivery.deliver(record, world.stream, [(5, 1, "a")])
