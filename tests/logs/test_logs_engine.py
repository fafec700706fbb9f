from __future__ import annotations

import pytest
from fake_victoria_logs import FakeVictoriaLogs, served
from test_logs_random import Ending
from test_logs_sealing import COUNT, LINES, OPTIONS, files, fill
from test_logs_store import DAY, T, messages

from openecs.errors import OperatorError
from openecs.logs import engine as engines
from openecs.logs.engine import EngineError
from openecs.logs.event import Range
from openecs.logs.store import LogStore
from openecs.logs.victoria_logs import VictoriaLogs


@pytest.fixture
def victoria(monkeypatch):
    monkeypatch.setattr(engines, "SLICE_EVENTS", 50)
    return FakeVictoriaLogs()


@pytest.fixture
def url(victoria):
    with served(victoria) as url:
        yield url


async def moved(store, clock):
    """A stream all of whose events have moved to the engine."""
    stream = await fill(store)
    clock.advance(601)
    await store.seal(clock.now())
    await store.move(clock.now())
    return stream


async def test_what_moved_is_read_as_if_it_were_here(reopen, tmp_path, clock, victoria, url):
    async with reopen(engine_url=url, **OPTIONS) as store:
        stream = await moved(store, clock)
        assert (files(tmp_path, "seg"), files(tmp_path, "sealed")) == ([], [])
        assert len(victoria.rows) == COUNT
        assert {row["log_stream"] for row in victoria.rows} == {"s"}
        await store.append(stream, [T + COUNT], ["here"])
        assert await messages(store, stream) == [*LINES, "here"]
        assert await messages(store, stream, descending=True) == ["here", *LINES[::-1]]
        assert await messages(store, stream, Range(T + 7, T + 90)) == LINES[7:91]
        page = await store.read([stream], Range(after=(T + 9, stream.id, 10)), 5)
        assert [(e.sequence, e.message, e.ingestion_time) for e in page.events] == [
            (n + 1, LINES[n], T) for n in range(10, 15)
        ]
        page = await store.read([stream], Range(), 1000, matcher=Ending(3))
        assert page.events == []
    async with reopen(engine_url=url, **OPTIONS) as store:
        assert await messages(store, store.groups("r")["g"].streams["s"]) == [*LINES, "here"]


async def test_without_the_engine_a_store_that_needs_it_does_not_start(reopen, tmp_path, clock, url):
    async with reopen(engine_url=url, **OPTIONS) as store:
        await moved(store, clock)
    with pytest.raises(OperatorError, match="Name its address with --log-engine"):
        await LogStore(tmp_path, clock).open()


async def test_what_the_engine_garbles_stays_here(reopen, tmp_path, clock, victoria, url):
    victoria.line_limit = 300
    async with reopen(engine_url=url) as store:
        stream = await fill(store, count=3)
        await store.append(stream, [T + 3], ["long " * 100])
        clock.advance(601)
        await store.move(clock.now())
        assert len(victoria.rows) == 3
        assert len(files(tmp_path, "seg")) == 1
        assert await messages(store, stream) == [*LINES[:3], "long " * 100]


async def test_an_event_that_was_put_twice_is_read_once(reopen, clock, victoria, url):
    async with reopen(engine_url=url, **OPTIONS) as store:
        stream = await moved(store, clock)
        victoria.rows += victoria.rows[:100]
        assert await messages(store, stream) == LINES


async def test_an_engine_that_fails_keeps_nothing_from_being_written(reopen, tmp_path, clock, victoria, url):
    async with reopen(engine_url=url, **OPTIONS) as store:
        stream = await moved(store, clock)
        victoria.status = 503
        await store.append(stream, [T + COUNT], ["here"])
        clock.advance(601)
        await store.move(clock.now())
        assert len(files(tmp_path, "seg")) == 1
        assert await messages(store, stream, Range(T + COUNT)) == ["here"]
        with pytest.raises(EngineError, match="answered 503"):
            await messages(store, stream)


async def test_two_stores_share_an_engine_without_meeting(tmp_path, clock, url):
    for name in ("a", "b"):
        store = LogStore(tmp_path / name, clock, engine_url=url, **OPTIONS)
        await store.open()
        stream = await moved(store, clock)
        assert await messages(store, stream) == LINES
        await store.close()


async def test_what_moved_expires_and_is_deleted_as_the_rest(reopen, clock, url):
    async with reopen(engine_url=url, **OPTIONS) as store:
        stream = await moved(store, clock)
        store.set_retention(stream.group, 1)
        clock.advance(DAY)
        assert await messages(store, stream) == []
        await store.expire(clock.now())
        assert (stream.segments, stream.group.stored_bytes) == ({}, 0)


@pytest.mark.parametrize("url", ["victoria:9428", "ftp://host", "http://", "http://host?x=1", "http://host:port"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(OperatorError, match="is no address of VictoriaLogs"):
        VictoriaLogs(url, "x")


def test_an_engine_that_is_not_there_is_named():
    with pytest.raises(EngineError, match=r"http://127\.0\.0\.1:1 does not answer"):
        VictoriaLogs("http://127.0.0.1:1", "x")._ask("/internal/force_flush", b"", "text/plain")
