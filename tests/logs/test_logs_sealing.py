from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import sqlite3
from pathlib import Path

from test_logs_store import DAY, T, messages

from openecs.logs import frame as frames
from openecs.logs.catalogue import MIGRATIONS
from openecs.logs.event import Range
from openecs.logs.store import LogStore, StoreFailedError

#: Several segments of small batches, each worth sealing.
OPTIONS = {"segment_bytes": 18_000}
COUNT = 500


def line(number: int) -> str:
    return f"{number:04} GET /orders/{number * 7919 % 500} 200 in {number % 37} ms by worker-{number % 8} of shop"


LINES = [line(number) for number in range(COUNT)]


def files(path: Path, suffix: str) -> list[str]:
    return sorted(p.name for p in (path / "events").glob(f"*/*.{suffix}"))


async def fill(store, name: str = "s", count: int = COUNT):
    group = store.groups("r").get("g") or store.create_group("r", "g", {})
    stream = store.create_stream(group, name)
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(store.append(stream, [T + number], [line(number)]))
    return stream


async def test_complete_segments_are_sealed_and_read_the_same(reopen, tmp_path, clock):
    async with reopen(**OPTIONS) as store:
        stream = await fill(store)
        before = stream.group.stored_bytes
        assert len(files(tmp_path, "seg")) > 2
        await store.seal(clock.now())
        assert files(tmp_path, "seg") == [f"{stream.id}-{max(stream.segments)}.seg"]  # the one that grows
        assert len(files(tmp_path, "sealed")) == max(stream.segments) - 1
        sizes = [p.stat().st_size for p in (tmp_path / "events").glob("*/*.se*")]
        assert stream.group.stored_bytes == sum(sizes) < before / 2
        assert await messages(store, stream) == LINES
        assert await messages(store, stream, descending=True) == LINES[::-1]
        await store.append(stream, [T + COUNT], ["behind"])
        assert await messages(store, stream) == [*LINES, "behind"]
    async with reopen(**OPTIONS) as store:
        again = store.groups("r")["g"].streams["s"]
        assert await messages(store, again) == [*LINES, "behind"]
        assert again.group.stored_bytes == sum(p.stat().st_size for p in (tmp_path / "events").glob("*/*.se*"))
        await store.append(again, [T + COUNT + 1], ["more"])
        assert [e.sequence for e in (await store.read([again], Range(), 1000)).events] == list(range(1, COUNT + 3))


async def test_the_segment_of_a_quiet_stream_is_sealed_too(reopen, tmp_path, clock):
    async with reopen() as store:
        stream = await fill(store)
        await store.seal(clock.now())
        assert files(tmp_path, "sealed") == []
        clock.advance(601)
        await store.seal(clock.now())
        assert (files(tmp_path, "seg"), files(tmp_path, "sealed")) == ([], [f"{stream.id}-1.sealed"])
        await store.append(stream, [T + COUNT], ["woken"])
        assert files(tmp_path, "seg") == [f"{stream.id}-2.seg"]
        assert await messages(store, stream) == [*LINES, "woken"]


async def test_what_is_small_or_packed_already_stays(reopen, tmp_path, clock):
    async with reopen() as store:
        await fill(store, "small", 3)
        packed = await fill(store, "packed", 0)
        await store.append(packed, [T] * COUNT, LINES)
        clock.advance(601)
        await store.seal(clock.now())
        assert len(files(tmp_path, "seg")) == 2
        assert (tmp_path / "events" / packed.segments[1].name).stat().st_size < sum(map(len, LINES)) / 3


async def test_a_reader_whose_file_is_sealed_under_it_begins_anew(reopen, tmp_path, clock):
    async with reopen(**OPTIONS) as store:
        stream = await fill(store)
        page, calls = store._reader.page, []

        def seal_first(*arguments, **options):
            calls.append(1)
            if len(calls) == 1:
                asyncio.run_coroutine_threadsafe(store.seal(clock.now()), store._loop).result()
            return page(*arguments, **options)

        store._reader.page = seal_first
        assert await messages(store, stream) == LINES
        assert len(calls) == 2


async def test_sealed_segments_expire_and_are_deleted_with_their_stream(reopen, tmp_path, clock):
    async with reopen(**OPTIONS) as store:
        stream = await fill(store)
        other = await fill(store, "other")
        clock.advance(601)
        await store.seal(clock.now())
        store.delete_stream(other)
        await store.durable()
        assert {name.partition("-")[0] for name in files(tmp_path, "sealed")} == {str(stream.id)}
        store.set_retention(stream.group, 1)
        clock.advance(DAY)
        await store.expire(clock.now())
        assert (files(tmp_path, "seg"), files(tmp_path, "sealed"), stream.group.stored_bytes) == ([], [], 0)
        assert await messages(store, stream) == []


async def test_a_stream_that_is_deleted_while_it_is_sealed_leaves_nothing(reopen, tmp_path, clock):
    async with reopen(**OPTIONS) as store:
        stream = await fill(store)
        create = store._files.create

        def delete_meanwhile(name, chunks):
            async def delete():
                if stream.name in stream.group.streams:
                    store.delete_stream(stream)
                await store.durable()

            size = create(name, chunks)
            asyncio.run_coroutine_threadsafe(delete(), store._loop).result()
            return size

        store._files.create = delete_meanwhile
        await store.seal(clock.now())
        assert (files(tmp_path, "seg"), files(tmp_path, "sealed")) == ([], [])


async def test_a_full_disk_leaves_the_first_file(reopen, tmp_path, clock, monkeypatch):
    async with reopen(**OPTIONS) as store:
        stream = await fill(store)

        def full(name, chunks):
            (tmp_path / "events" / name).write_bytes(next(iter(chunks))[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(store._files, "create", full)
            await store.seal(clock.now())
        assert files(tmp_path, "sealed") == []
        assert await messages(store, stream) == LINES
    async with reopen(**OPTIONS) as store:  # the next run tries again
        await store.seal(clock.now())
        assert len(files(tmp_path, "sealed")) > 1
        assert await messages(store, store.groups("r")["g"].streams["s"]) == LINES


class KilledError(BaseException):
    """The process ends here."""


class Dying:
    """Lets a store do so many steps that reach the disk, and then no more."""

    def __init__(self, store: LogStore, steps: int) -> None:
        self._left = steps
        self.died = False
        files, catalogue = store._files, store._catalogue
        self._create = files.create
        files.create = self._half_created
        files.remove = self._step(files.remove)
        catalogue.apply = self._step(catalogue.apply)

    def _half_created(self, name, chunks):
        content = b"".join(chunks)
        for end in (0, len(content) // 2, len(content)):  # three moments at which it can die
            self._create(name, [content[:end]])
            self._spend()
        return len(content)

    def _step(self, function):
        def step(*arguments):
            self._spend()
            return function(*arguments)

        return step

    def _spend(self) -> None:
        if self._left == 0:
            self.died = True
            raise KilledError
        self._left -= 1


async def test_a_crash_at_any_step_of_sealing_leaves_every_event_once(tmp_path, clock):
    store = LogStore(tmp_path / "full", clock, **OPTIONS)
    await store.open()
    await fill(store)
    await store.close()
    steps = 0
    while True:
        path = tmp_path / "copy"
        shutil.copytree(tmp_path / "full", path)
        store = LogStore(path, clock, **OPTIONS)
        await store.open()
        dying = Dying(store, steps)
        with contextlib.suppress(KilledError, StoreFailedError):
            await store.seal(clock.now())
        await store.close()
        store = LogStore(path, clock, **OPTIONS)
        await store.open()
        assert await messages(store, store.groups("r")["g"].streams["s"]) == LINES
        held = files(path, "seg") + files(path, "sealed")
        assert len(held) == len({name.partition(".")[0] for name in held}) == len(files(tmp_path / "full", "seg"))
        await store.close()
        shutil.rmtree(path)
        if not dying.died:
            break
        steps += 1
    assert steps >= 15


async def test_a_store_of_the_first_format_opens_and_is_sealed(tmp_path, clock):
    events = tmp_path / "events" / "01"
    events.mkdir(parents=True)
    content = b"".join(frames.encode(1 + i, T, [T + i], [text]) for i, text in enumerate(LINES))
    (events / "1-1.seg").write_bytes(content)
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as db:
        db.executescript(f"BEGIN; {MIGRATIONS[0]} PRAGMA user_version = 1; COMMIT;")
        db.execute("INSERT INTO log_group VALUES (1, 'r', 'g', 5, 30, '{}')")
        db.execute("INSERT INTO log_stream VALUES (1, 1, 's', 6, 501, 7)")
        row = (1, 1, len(content), COUNT, T, T + COUNT - 1, T, T, COUNT)
        db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    for _ in range(2):
        store = LogStore(tmp_path, clock)
        await store.open()
        group = store.groups("r")["g"]
        assert (group.retention_days, group.deletion_protected) == (30, False)
        assert await messages(store, group.streams["s"]) == LINES
        await store.seal(clock.now())
        assert await messages(store, group.streams["s"]) == LINES
        await store.close()
    assert files(tmp_path, "seg") == []


async def test_deletion_protection_is_kept(reopen):
    async with reopen() as store:
        store.set_protection(store.create_group("r", "g", {}), on=True)
        store.create_group("r", "other", {})
    async with reopen() as store:
        groups = store.groups("r")
        assert (groups["g"].deletion_protected, groups["other"].deletion_protected) == (True, False)
        store.set_protection(groups["g"], on=False)
    async with reopen() as store:
        assert not store.groups("r")["g"].deletion_protected
