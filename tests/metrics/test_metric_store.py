"""The metric store: what is added is read again, at once, after checkpoints, crashes and years."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.clock import ManualClock
from openecs.metrics.metric import Datum, MetricKey, single
from openecs.metrics.retention import DAY, HOUR
from openecs.metrics.store import MetricStore, StoreFailedError

#: The start of a window of every tier, so that tests can count in whole ones.
START = 1_700_352_000 // (30 * DAY) * 30 * DAY
KEY = MetricKey("us-east-1", "Shop", "Latency", (("Service", "web"),))


@contextlib.asynccontextmanager
async def opened(path: Path | None, clock: ManualClock) -> AsyncIterator[MetricStore]:
    store = MetricStore(path, clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(float(START))


def averages(store: MetricStore, start: float, end: float, period: int = 60, **more: Any) -> list[tuple[float, float]]:
    return store.statistics(KEY, start, end, period, ["Average"], **more)["Average"]


@pytest.mark.parametrize("on_disk", [True, False])
async def test_samples_are_read_at_once_and_after_a_checkpoint(
    tmp_path: Path, clock: ManualClock, on_disk: bool
) -> None:
    async with opened(tmp_path if on_disk else None, clock) as store:
        store.add([single(KEY, START + 1, 1.0), single(KEY, START + 59, 3.0), single(KEY, START + 60, 9.0)])
        expected = [(START, 2.0), (START + 60, 9.0)]
        assert averages(store, START, START + 120) == expected
        await store.checkpoint()
        assert averages(store, START, START + 120) == expected
        # A minute that had begun before the checkpoint goes on after it.
        store.add([single(KEY, START + 61, 1.0)])
        assert averages(store, START, START + 120) == [(START, 2.0), (START + 60, 5.0)]
        await store.checkpoint()
        assert averages(store, START, START + 120) == [(START, 2.0), (START + 60, 5.0)]
        assert averages(store, START, START + 120, 300) == [(START, 3.5)]
        assert averages(store, START, START + 60) == [(START, 2.0)]
        assert store.statistics(KEY, START, START + 120, 300, ["p50", "p100", "SampleCount"]) == {
            "p50": [(START, 1.0)],
            "p100": [(START, 9.0)],
            "SampleCount": [(START, 4.0)],
        }


async def test_periods_begin_where_the_caller_begins(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        store.add(single(KEY, START + 60 * minute, float(minute)) for minute in range(10))
        assert averages(store, START + 120, START + 600, 300) == [(START + 120, 4.0), (START + 420, 8.0)]


async def test_what_is_durable_survives_a_crash_once(tmp_path: Path, clock: ManualClock) -> None:
    """Without close: the next store finds what a killed process leaves."""
    store = MetricStore(tmp_path, clock)
    await store.open()
    store.add([single(KEY, START, 1.0)])
    await store.checkpoint()
    store.add([single(KEY, START + 1, 2.0), Datum(KEY, START + 60, (), (), 4.0, 8.0, 1.0, 3.0)])
    await store.durable()
    store.add([single(KEY, START + 2, 100.0)])
    async with opened(tmp_path, clock) as again:
        assert averages(again, START, START + 120) == [(START, 1.5), (START + 60, 2.0)]
        assert list(again.metrics("us-east-1")) == [KEY]
        assert again.last(KEY) == START + 60
        again.add([single(KEY, START + 3, 6.0)])
        await again.checkpoint()
    async with opened(tmp_path, clock) as third:
        assert averages(third, START, START + 120) == [(START, 3.0), (START + 60, 2.0)]


async def test_a_torn_end_of_the_log_hides_nothing_before_it(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        for second in range(3):
            store.add([single(KEY, START + second, float(second))])
            await store.durable()
    (log,) = (tmp_path / "samples").iterdir()
    log.write_bytes(log.read_bytes()[:-3])
    async with opened(tmp_path, clock) as again:
        assert averages(again, START, START + 60) == [(START, 0.5)]


async def test_a_crash_between_checkpoint_and_removal_counts_nothing_twice(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        store.add([single(KEY, START, 1.0)])
        await store.durable()
        (log,) = (tmp_path / "samples").iterdir()
        kept = log.read_bytes()
        await store.checkpoint()
        assert not log.exists()
    log.write_bytes(kept)
    async with opened(tmp_path, clock) as again:
        assert again.statistics(KEY, START, START + 60, 60, ["SampleCount"]) == {"SampleCount": [(START, 1.0)]}


async def test_a_store_that_cannot_write_says_so(tmp_path: Path, clock: ManualClock) -> None:
    store = MetricStore(tmp_path, clock)
    await store.open()
    (tmp_path / "samples").rmdir()
    store.add([single(KEY, START, 1.0)])
    with pytest.raises(StoreFailedError):
        await store.durable()
    with pytest.raises(StoreFailedError):
        await store.wait_failed()
    with pytest.raises(StoreFailedError):
        await store.durable()
    await store.close()


async def test_late_samples_find_their_minute(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        store.add([single(KEY, START, 4.0)])
        await store.checkpoint()
        late = START - 13 * DAY
        store.add([single(KEY, late, 1.0), single(KEY, START + 60, 1.0), single(KEY, late + 5, 3.0)])
        assert averages(store, late, START + 120) == [(late, 2.0), (START, 4.0), (START + 60, 1.0)]
        await store.checkpoint()
        assert averages(store, late, START + 120) == [(late, 2.0), (START, 4.0), (START + 60, 1.0)]


async def test_units_and_regions_are_kept_apart(tmp_path: Path, clock: ManualClock) -> None:
    there = KEY._replace(region="eu-west-1")
    async with opened(tmp_path, clock) as store:
        store.add([single(KEY, START, 1.0, "Seconds"), single(KEY, START, 3.0, "Count"), single(there, START, 8.0)])
        assert store.units(KEY) == ["Count", "Seconds"]
        assert averages(store, START, START + 60) == [(START, 2.0)]
        assert averages(store, START, START + 60, unit="Count") == [(START, 3.0)]
        assert averages(store, START, START + 60, unit="Bytes") == []
        assert list(store.metrics("eu-west-1")) == [there]
        assert list(store.metrics("us-east-1", "Shop", "Latency")) == [KEY]
        assert list(store.metrics("us-east-1", "Shop", "Other")) == []


async def test_seconds_are_kept_for_three_hours(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        store.add(single(KEY, START + second, float(second), resolution=1) for second in range(90))
        await store.checkpoint()
        assert len(averages(store, START, START + 90, 1)) == 90
        assert averages(store, START, START + 30, 10) == [(START, 4.5), (START + 10, 14.5), (START + 20, 24.5)]
        minutes = [(START, 29.5), (START + 60, 74.5)]
        assert averages(store, START, START + 120) == minutes
        clock.advance(3 * HOUR + 45)
        assert averages(store, START, START + 90, 1)[0] == (START + 45, 45.0)
        clock.advance(2 * HOUR)
        await store.expire(clock.now())
        assert averages(store, START, START + 90, 1) == []
        assert averages(store, START, START + 120) == minutes
        assert store.statistics(KEY, START, START + 60, 60, ["p90"]) == {"p90": [(START, 53.0)]}


async def test_minutes_become_fewer_and_end(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as store:
        store.add(single(KEY, START + 60 * minute, float(minute)) for minute in range(120))
        await store.checkpoint()
        hours = [(START, 29.5), (START + HOUR, 89.5)]
        for days, shortest in ((14, 60), (17, 300), (70, HOUR), (454, HOUR)):
            clock.advance(START + days * DAY - clock.now())
            await store.expire(clock.now())
            for period in (60, 300, HOUR):
                found = averages(store, START, START + 2 * HOUR, period)
                assert len(found) == (2 * HOUR / period if period >= shortest else 0), (days, period)
            assert averages(store, START, START + 2 * HOUR, HOUR) == hours, days
        clock.advance(40 * DAY)
        await store.expire(clock.now())
        assert averages(store, START, START + 2 * HOUR, HOUR) == []
        assert list(store.metrics("us-east-1")) == []
    async with opened(tmp_path, clock) as again:
        assert list(again.metrics("us-east-1")) == []


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_wiped_store_has_nothing_and_takes_more(tmp_path: Path, clock: ManualClock, on_disk: bool) -> None:
    path = tmp_path if on_disk else None
    async with opened(path, clock) as store:
        store.add([single(KEY, START, 1.0)])
        await store.checkpoint()
        store.add([single(KEY, START, 2.0)])
        await store.wipe()
        assert list(store.metrics("us-east-1")) == []
        assert averages(store, START, START + 60) == []
        store.add([single(KEY, START, 5.0)])
        await store.durable()
        assert averages(store, START, START + 60) == [(START, 5.0)]
    if on_disk:
        async with opened(path, clock) as again:
            assert averages(again, START, START + 60) == [(START, 5.0)]


STEPS = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 600), st.integers(0, 20)), min_size=1, max_size=8),
        st.sampled_from(["checkpoint", "reopen", "durable"]),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(STEPS)
def test_nothing_is_lost_or_counted_twice_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    import asyncio

    async def run() -> None:
        path = tmp_path_factory.mktemp("store")
        clock = ManualClock(float(START))
        expected: dict[int, float] = {}
        store = MetricStore(path, clock)
        await store.open()
        for step in steps:
            if step == "checkpoint":
                await store.checkpoint()
            elif step == "durable":
                await store.durable()
            elif step == "reopen":
                await store.durable()
                store = MetricStore(path, clock)
                await store.open()
            else:
                store.add(single(KEY, START + second, float(value)) for second, value in step)
                for second, value in step:
                    minute = START + second - second % 60
                    expected[minute] = expected.get(minute, 0.0) + value
            found = store.statistics(KEY, START, START + 660, 60, ["Sum"])["Sum"]
            assert dict(found) == expected
        await store.close()

    asyncio.run(run())


async def test_a_store_that_cannot_be_opened_lets_go_of_what_it_had(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "chunks.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)
    before = len([*Path("/proc/self/fd").iterdir()])
    store = MetricStore(tmp_path, clock)
    with pytest.raises(sqlite3.DatabaseError):
        await store.open()
    await store.close()
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    # One that was never opened has nothing to close.
    await MetricStore(tmp_path, clock).close()
