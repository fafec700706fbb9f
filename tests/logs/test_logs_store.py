from __future__ import annotations

import asyncio
import errno

import pytest

from openecs.errors import OperatorError
from openecs.logs.event import Range
from openecs.logs.store import LogStore, StoreFailedError

DAY = 86_400
T = 1_700_000_000_000


async def messages(store, stream, wanted=Range(), **options):  # noqa: B008 -- immutable
    page = await store.read([stream], wanted, 10_000, **options)
    return [event.message for event in page.events]


def event_files(path):
    return sorted(p.name for p in (path / "events").glob("*/*.seg"))


async def test_events_of_many_batches_and_segments_are_read_by_time(store):
    stream = store.create_stream(store.create_group("r", "g", {}), "s")
    for i in range(100):
        await store.append(stream, [T + 10 * i, T + 10 * i + 5], [f"{i}a", f"{i}b"])
    assert len(stream.segments) > 1
    assert await messages(store, stream) == [f"{i}{x}" for i in range(100) for x in "ab"]
    assert await messages(store, stream, Range(T + 10, T + 20)) == ["1a", "1b", "2a"]
    assert await messages(store, stream, Range(T + 985), descending=True) == ["99b", "99a", "98b"]
    assert (stream.first_timestamp, stream.last_timestamp) == (T, T + 995)


async def test_batches_that_overlap_in_time_are_put_in_order(store):
    stream = store.create_stream(store.create_group("r", "g", {}), "s")
    await store.append(stream, [T, T + 10], ["a", "d"])
    await store.append(stream, [T + 5, T + 10], ["c", "e"])
    await store.append(stream, [T], ["b"])
    assert await messages(store, stream) == ["a", "b", "c", "d", "e"]


async def test_concurrent_batches_are_all_stored_each_in_one_piece(store):
    group = store.create_group("r", "g", {})
    streams = [store.create_stream(group, f"s{i}") for i in range(20)]

    async def write(stream, writer):
        for i in range(10):
            await store.append(stream, [T + i] * 3, [f"{writer}.{i}.{j}" for j in range(3)])

    async with asyncio.TaskGroup() as tasks:
        for stream in streams:
            for writer in "xy":
                tasks.create_task(write(stream, writer))
    for stream in streams:
        got = await messages(store, stream)
        assert sorted(got) == sorted(f"{w}.{i}.{j}" for w in "xy" for i in range(10) for j in range(3))
        for start in range(0, len(got), 3):
            batch = got[start].rpartition(".")[0]
            assert got[start : start + 3] == [f"{batch}.{j}" for j in range(3)]


async def test_everything_is_there_after_an_orderly_restart(reopen, clock):
    async with reopen() as store:
        group = store.create_group("r", "g", {"k": "v"})
        store.set_retention(group, 30)
        store.create_group("other", "g", {})
        stream = store.create_stream(group, "s")
        await store.append(stream, [T, T + 1], ["a", "b"])
        empty = store.create_stream(group, "never written")
        ids = (group.id, stream.id, empty.id)
    clock.advance(60)
    async with reopen() as store:
        group = store.groups("r")["g"]
        stream = group.streams["s"]
        assert (group.id, stream.id, group.streams["never written"].id) == ids
        assert (group.tags, group.retention_days, group.created) == ({"k": "v"}, 30, T)
        assert (stream.first_timestamp, stream.last_timestamp, stream.last_ingestion) == (T, T + 1, T)
        assert group.stored_bytes == sum(s.size for s in stream.segments.values()) > 0
        assert list(store.groups("other")) == ["g"]
        await store.append(stream, [T + 2], ["c"])
        assert await messages(store, stream) == ["a", "b", "c"]
        page = await store.read([stream], Range(), 10)
        assert [event.sequence for event in page.events] == [1, 2, 3]
        fresh = store.create_stream(group, "new")
        assert fresh.id > max(ids)


async def test_a_deleted_stream_leaves_nothing_behind_and_its_id_is_not_used_again(reopen, tmp_path):
    async with reopen() as store:
        group = store.create_group("r", "g", {})
        stream = store.create_stream(group, "s")
        await store.append(stream, [T], ["old"])
        assert event_files(tmp_path) == [f"{stream.id}-1.seg"]
        store.delete_stream(stream)
        again = store.create_stream(group, "s")
        await store.durable()
        assert again.id != stream.id
        assert event_files(tmp_path) == []
        assert group.stored_bytes == 0
        assert await messages(store, again) == []
    async with reopen() as store:
        assert await messages(store, store.groups("r")["g"].streams["s"]) == []


async def test_deleting_a_group_deletes_streams_and_files(reopen, tmp_path):
    async with reopen() as store:
        group = store.create_group("r", "g", {})
        for i in range(3):
            await store.append(store.create_stream(group, f"s{i}"), [T], ["x"])
        store.delete_group(group)
        await store.durable()
        assert event_files(tmp_path) == []
    async with reopen() as store:
        assert store.groups("r") == {}
        assert store.create_group("r", "g", {}).streams == {}


async def test_a_batch_on_its_way_to_a_stream_that_is_deleted_leaves_no_file(reopen, tmp_path):
    async with reopen() as store:
        group = store.create_group("r", "g", {})
        stream = store.create_stream(group, "s")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.append(stream, [T], ["x"]))
            await asyncio.sleep(0)
            store.delete_stream(stream)
        await store.durable()
        assert event_files(tmp_path) == []


async def test_expired_events_are_hidden_at_once_and_deleted_by_segments(reopen, tmp_path, clock):
    async with reopen() as store:
        group = store.create_group("r", "g", {})
        stream = store.create_stream(group, "s")
        await store.append(stream, [T, T + 1000], ["day 0", "day 0, a second later"])
        clock.advance(2 * DAY)
        await store.append(stream, [T + 2 * DAY * 1000], ["day 2"])
        assert event_files(tmp_path) == [f"{stream.id}-1.seg", f"{stream.id}-2.seg"]
        store.set_retention(group, 3)
        clock.advance(DAY + 0.5)
        assert await messages(store, stream) == ["day 0, a second later", "day 2"]
        await store.expire(clock.now())
        assert event_files(tmp_path) == [f"{stream.id}-1.seg", f"{stream.id}-2.seg"]
        clock.advance(1)
        await store.expire(clock.now())
        assert event_files(tmp_path) == [f"{stream.id}-2.seg"]
        clock.advance(5 * DAY)
        await store.expire(clock.now())
        assert event_files(tmp_path) == []
        assert (stream.last_timestamp, group.stored_bytes) == (None, 0)
        await store.append(stream, [T + 8 * DAY * 1000], ["day 8"])
        assert await messages(store, stream) == ["day 8"]
    async with reopen() as store:
        assert await messages(store, store.groups("r")["g"].streams["s"]) == ["day 8"]


async def test_a_segment_that_gets_young_events_while_it_expires_stays(store, clock):
    group = store.create_group("r", "g", {})
    stream = store.create_stream(group, "s")
    store.set_retention(group, 1)
    await store.append(stream, [T - DAY * 1000 - 1], ["old"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.append(stream, [T], ["young"]))
        await asyncio.sleep(0)
        tasks.create_task(store.expire(clock.now()))
    assert await messages(store, stream) == ["young"]


async def test_without_a_retention_policy_nothing_expires(store, clock):
    stream = store.create_stream(store.create_group("r", "g", {}), "s")
    await store.append(stream, [T], ["a"])
    clock.advance(10_000 * DAY)
    await store.expire(clock.now())
    assert await messages(store, stream) == ["a"]


async def test_wipe_forgets_every_region(store):
    for region in ("r", "q"):
        await store.append(store.create_stream(store.create_group(region, "g", {}), "s"), [T], ["x"])
    await store.wipe()
    assert (store.groups("r"), store.groups("q")) == ({}, {})


async def test_a_second_process_on_the_same_directory_is_refused(reopen, tmp_path, clock):
    async with reopen():
        with pytest.raises(OperatorError, match=r"Another process writes the log events in .*Stop it"):
            await LogStore(tmp_path, clock).open()


async def test_a_full_disk_refuses_the_batch_and_keeps_the_others(reopen, monkeypatch):
    async with reopen() as store:
        stream = store.create_stream(store.create_group("r", "g", {}), "s")
        await store.append(stream, [T], ["before"])
        append = store._files.append

        def half(name, data, offset):
            append(name, data[: len(data) // 2], offset)
            monkeypatch.undo()
            store._files.truncate(name, offset)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(store._files, "append", half)
        with pytest.raises(OSError, match="No space left"):
            await store.append(stream, [T + 1], ["refused"])
        await store.append(stream, [T + 2], ["after"])
        assert await messages(store, stream) == ["before", "after"]
    async with reopen() as store:
        assert await messages(store, store.groups("r")["g"].streams["s"]) == ["before", "after"]


async def test_a_flush_that_fails_stops_the_store(reopen, monkeypatch):
    async with reopen() as store:
        stream = store.create_stream(store.create_group("r", "g", {}), "s")
        await store.durable()

        def fail(names):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(store._files, "flush", fail)
        with pytest.raises(StoreFailedError, match="Input/output error"):
            await store.append(stream, [T], ["lost"])
        with pytest.raises(StoreFailedError):
            await store.append(stream, [T], ["lost too"])
        with pytest.raises(StoreFailedError):
            await store.durable()
        with pytest.raises(StoreFailedError):
            await store.expire(0.0)
        with pytest.raises(StoreFailedError):
            await store.wait_failed()


async def test_thousands_of_streams_share_few_open_files(reopen, tmp_path):
    async with reopen() as store:
        group = store.create_group("r", "g", {})
        streams = [store.create_stream(group, f"s{i}") for i in range(600)]
        for i in range(3):
            async with asyncio.TaskGroup() as tasks:
                for stream in streams:
                    tasks.create_task(store.append(stream, [T + i], [f"{stream.name}.{i}"]))
        assert len(store._files._open) <= 128
        assert len(event_files(tmp_path)) == 600
        page = await store.read(streams, Range(), 10_000)
        assert len(page.events) == 1800
    async with reopen() as store:
        for name, stream in store.groups("r")["g"].streams.items():
            assert await messages(store, stream) == [f"{name}.{i}" for i in range(3)]
