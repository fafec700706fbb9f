"""Metrics that are sent on, as a receiver decodes them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cramjam
import pytest

from openecs.clock import ManualClock
from openecs.errors import OperatorError
from openecs.http.errors import HttpUnavailable
from openecs.metrics import remote_write
from openecs.metrics.metric import Datum, MetricKey, single
from openecs.metrics.remote_write import Endpoint, RemoteWrite, endpoint_of, labels
from openecs.metrics.store import MetricStore

KEY = MetricKey("eu-west-1", "AWS/ECS", "CPUUtilization", (("Cluster.Name", "ä"), ("ServiceName", "web")))
MINUTE = 1_700_000_040.0


class Reply:
    def __init__(self, status: int) -> None:
        self.status, self.body = status, b"why"


class Receiver:
    """Decodes requests; ``answers`` are used up first, 204 comes after them."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.samples: list[tuple[dict[str, str], float, int]] = []

    async def request(self, method: str, target: str, *, headers: Any, body: bytes, repeatable: bool) -> Reply:
        self.asked += 1
        assert (method, target, dict(headers)["Content-Encoding"]) == ("POST", "/write", "snappy")
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        if answer == 204:
            self.samples += decoded(bytes(cramjam.snappy.decompress_raw(body)))
        return Reply(answer)


def varint(raw: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (raw[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not raw[at - 1] & 0x80:
            return number, at


def fields(raw: bytes) -> list[tuple[int, Any]]:
    """Field numbers and values, by the protobuf encoding's own rules."""
    found, at = [], 0
    while at < len(raw):
        tag, at = varint(raw, at)
        value: Any
        if tag & 7 == 2:
            length, at = varint(raw, at)
            value, at = raw[at : at + length], at + length
        elif tag & 7 == 1:
            value, at = struct.unpack_from("<d", raw, at)[0], at + 8
        else:
            value, at = varint(raw, at)
        found.append((tag >> 3, value))
    return found


def decoded(raw: bytes) -> list[tuple[dict[str, str], float, int]]:
    result = []
    for _, series in fields(raw):
        pairs, sample = [], {}
        for number, value in fields(series):
            if number == 1:
                pairs.append(tuple(part.decode() for _, part in fields(value)))
            else:
                sample = dict(fields(value))
        assert pairs == sorted(pairs)
        result.append((dict(pairs), sample[1], sample[2]))
    return result


@asynccontextmanager
async def writing(receiver: Receiver, clock: ManualClock) -> AsyncIterator[tuple[MetricStore, RemoteWrite]]:
    """Sleeping lets others run and takes no time."""
    store = MetricStore(None, clock)
    await store.open()

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    endpoint = Endpoint(endpoint_of("http://engine").address, "/write")
    remote = RemoteWrite(store, endpoint, clock, client=receiver, sleep=sleep)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(remote.run())
        yield store, remote
        running.cancel()
    await store.close()


async def until(condition: Any) -> None:
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


async def test_a_minute_is_sent_once_when_it_is_over() -> None:
    clock, receiver = ManualClock(MINUTE + 20), Receiver()
    async with writing(receiver, clock) as (store, remote):
        store.add([single(KEY, MINUTE, 3.0, "Percent"), single(KEY, MINUTE + 10, 5.0, "Percent")])
        store.add([Datum(KEY, MINUTE + 60, sample_count=2, sum=8, minimum=1, maximum=7)])
        clock.advance(54.9)
        for _ in range(20):
            await asyncio.sleep(0)
        assert receiver.asked == 0
        clock.advance(0.2)
        await until(lambda: remote.sent == 1)
        told = {pairs["__name__"]: (value, at) for pairs, value, at in receiver.samples}
        at = int(MINUTE * 1000)
        assert told == {
            "AWS_ECS_CPUUtilization_sum": (8.0, at),
            "AWS_ECS_CPUUtilization_count": (2.0, at),
            "AWS_ECS_CPUUtilization_min": (3.0, at),
            "AWS_ECS_CPUUtilization_max": (5.0, at),
        }
        (pairs, *_) = (pairs for pairs, *_ in receiver.samples)
        assert {name: value for name, value in pairs.items() if name != "__name__"} == {
            "region": "eu-west-1",
            "Cluster_Name": "ä",
            "ServiceName": "web",
        }
        clock.advance(60.0)
        await until(lambda: remote.sent == 2)
        assert len(receiver.samples) == 8


async def test_an_engine_that_is_away_gets_it_later() -> None:
    clock, receiver = ManualClock(MINUTE + 100), Receiver(HttpUnavailable("away"), 503, 429)
    async with writing(receiver, clock) as (store, remote):
        store.add([single(KEY, MINUTE, 3.0)])
        await until(lambda: remote.sent == 1)
        assert (receiver.asked, remote.dropped, len(receiver.samples)) == (4, 0, 4)


async def test_what_the_engine_refuses_is_dropped_and_counted() -> None:
    clock, receiver = ManualClock(MINUTE + 100), Receiver(400)
    async with writing(receiver, clock) as (store, remote):
        store.add([single(KEY, MINUTE, 3.0)])
        await until(lambda: remote.dropped == 1)
        store.add([single(KEY, MINUTE - 60, 3.0)])
        await until(lambda: remote.sent == 1)


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_write, "MOST_WAITING", 2)
    clock = ManualClock(MINUTE)
    async with writing(Receiver(), clock) as (store, remote):
        store.add([single(KEY, MINUTE + 60 * n, 1.0) for n in (0, 1, 2, 1)])
        assert remote.dropped == 1


def test_names_are_legal() -> None:
    key = MetricKey("r", "My App/1", "p99 ms", (("1st", "x"),))
    assert labels(key, "sum") == sorted([("_1st", "x"), ("__name__", "My_App_1_p99_ms_sum"), ("region", "r")])


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://user:pw@x/", "x", "http://x:99999/", "http://x/#a"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(OperatorError):
        endpoint_of(url)


def test_an_endpoint_has_a_usual_path() -> None:
    assert endpoint_of("https://x").path == "/api/v1/write"
    assert endpoint_of("http://x:8428/api/v1/write?db=a").path == "/api/v1/write?db=a"
