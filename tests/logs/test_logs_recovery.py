from __future__ import annotations

import sqlite3

import pytest
from test_logs_store import T, event_files, messages

from openecs.errors import OperatorError
from openecs.logs.frame import DamagedFrameError
from openecs.logs.store import LogStore


async def crashed(path, clock, batches):
    """A store whose process ended between two moments: files written, nothing noted on the way out."""
    store = LogStore(path, clock)
    await store.open()
    stream = store.create_stream(store.create_group("r", "g", {}), "s")
    for i in range(batches):
        await store.append(stream, [T + i], [f"m{i}"])
    store._writer._round = lambda work: []  # the last notes are never made
    await store.close()
    return path / "events" / stream.segments[1].name


async def test_a_torn_end_is_cut_and_what_follows_is_appended_safely(tmp_path, clock, reopen):
    file = await crashed(tmp_path, clock, 5)
    size = file.stat().st_size
    file.write_bytes(file.read_bytes() + file.read_bytes()[: size // 2 - 3])
    async with reopen() as store:
        stream = store.groups("r")["g"].streams["s"]
        expected = [f"m{i}" for i in range(5)] + ["m0", "m1"]
        assert sorted(await messages(store, stream)) == sorted(expected)
        await store.append(stream, [T + 9], ["new"])
        assert sorted(await messages(store, stream)) == sorted([*expected, "new"])
    assert file.stat().st_size % (size // 5) == 0


async def test_a_file_without_one_whole_batch_is_removed(tmp_path, clock, reopen):
    file = await crashed(tmp_path, clock, 1)
    file.write_bytes(file.read_bytes()[:-1])
    async with reopen() as store:
        assert await messages(store, store.groups("r")["g"].streams["s"]) == []
        assert event_files(tmp_path) == []


async def test_files_of_deleted_streams_are_removed_at_start(tmp_path, reopen):
    async with reopen() as store:
        await store.append(store.create_stream(store.create_group("r", "g", {}), "s"), [T], ["m"])
    stray = tmp_path / "events" / "63" / "99-1.seg"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    async with reopen() as store:
        assert not stray.exists()
        assert await messages(store, store.groups("r")["g"].streams["s"]) == ["m"]


async def test_a_file_that_vanished_is_forgotten(tmp_path, reopen):
    async with reopen() as store:
        await store.append(store.create_stream(store.create_group("r", "g", {}), "s"), [T], ["m"])
    for file in (tmp_path / "events").glob("*/*.seg"):
        file.unlink()
    async with reopen() as store:
        group = store.groups("r")["g"]
        assert (group.stored_bytes, await messages(store, group.streams["s"])) == (0, [])


async def test_damage_is_told_not_skipped(tmp_path, reopen):
    async with reopen() as store:
        stream = store.create_stream(store.create_group("r", "g", {}), "s")
        await store.append(stream, [T], ["message"])
        file = tmp_path / "events" / stream.segments[1].name
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    async with reopen() as store:
        with pytest.raises(DamagedFrameError, match=r"1-1\.seg at 0"):
            await messages(store, store.groups("r")["g"].streams["s"])


async def test_a_catalogue_of_a_newer_format_is_refused_and_the_directory_released(tmp_path, clock, reopen):
    async with reopen():
        pass
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for _ in range(2):  # the refusal itself must not hold the lock
        with pytest.raises(OperatorError, match="written by a newer OpenECS"):
            await LogStore(tmp_path, clock).open()


async def test_a_quiet_stream_is_noted_so_that_a_start_need_not_read_it(tmp_path, clock, reopen):
    async with reopen() as store:
        stream = store.create_stream(store.create_group("r", "g", {}), "s")
        await store.append(stream, [T], ["m"])
        clock.advance(3600)
        await store.expire(clock.now())
        await store.append(store.create_stream(stream.group, "busy"), [T], ["m"])
        with sqlite3.connect(tmp_path / "catalogue.sqlite") as db:
            noted = db.execute("SELECT stream_id, event_count FROM segment").fetchall()
        db.close()
        assert noted == [(stream.id, 1)]
