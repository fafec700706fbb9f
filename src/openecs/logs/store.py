"""The log store: groups, streams and their events, durable before they are acknowledged.

All methods belong to the event loop's thread.  Groups and streams change at once in memory;
``durable()`` waits until everything changed so far is on disk, and whoever answers from the
store awaits it first.  Events become visible only when they are durable.  Knows regions, not
accounts: one installation is one account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from openecs.clock import Clock
from openecs.errors import OperatorError
from openecs.logs import catalogue as changes
from openecs.logs.catalogue import Catalogue, Statement
from openecs.logs.event import Range
from openecs.logs.files import DiskFiles, Files, MemoryFiles
from openecs.logs.frame import DamagedFrameError
from openecs.logs.matching import Matcher
from openecs.logs.reader import SCAN_BYTES, Page, Reader, SegmentGoneError
from openecs.logs.records import LogGroup, LogStream
from openecs.logs.recovery import recover
from openecs.logs.segment import LOOSE_BYTES, MOVED, SEGMENT_BYTES, empty_segment
from openecs.logs.upkeep import Upkeep
from openecs.logs.victoria_logs import VictoriaLogs
from openecs.logs.writer import Append, Change, Outcome, Remove, Seal, Tail, Work, Writer

READ_THREADS = 2
#: How often a read is begun anew because a file went away under it; more than once is rare.
READ_ATTEMPTS = 10


class StoreFailedError(Exception):
    """The store could not write and accepts nothing more until the process starts again."""


class StoredBatch(NamedTuple):
    """One batch that has just become durable and visible; times are epoch milliseconds, ascending."""

    stream: LogStream
    first_sequence: int
    ingestion_time: int
    timestamps: Sequence[int]
    messages: Sequence[str]


class LogStore:
    """Log groups of all regions; ``path`` is their directory, ``None`` keeps everything in memory."""

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        loose_bytes: int = LOOSE_BYTES,
        scan_bytes: int = SCAN_BYTES,
        engine_url: str | None = None,
    ) -> None:
        """``engine_url``: a VictoriaLogs that takes over what is complete, ``None`` to keep everything here."""
        self._path = path
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._loose_bytes = loose_bytes
        self._scan_bytes = scan_bytes
        self._engine_url = engine_url
        self._groups: dict[str, dict[str, LogGroup]] = {}
        self._streams: dict[int, LogStream] = {}
        self._next_group_id = 1
        self._next_stream_id = 1
        self._tickets = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._last_change: asyncio.Future[None] | None = None
        self._listeners: list[Callable[[StoredBatch], None]] = []
        #: Log events since the process started, and the characters of their messages.
        self.taken_events = self.taken_bytes = 0

    def __repr__(self) -> str:
        groups = sum(map(len, self._groups.values()))
        return f"LogStore({self._path}, groups={groups}, streams={len(self._streams)}, waiting={len(self._waiting)})"

    # Life

    async def open(self) -> None:
        """Load what is on disk and begin to accept; raises ``OperatorError`` when another process has it."""
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        writer = await asyncio.to_thread(self._load)
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="logs-reader")
        self._upkeep = Upkeep(self._streams, self._files, self._engine, self._submit)
        self._writer = writer
        self._writer.start()

    async def close(self) -> None:
        """Make everything durable and let go of the files."""
        await asyncio.to_thread(self._upkeep.close)
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        self._release.close()
        self._failure.cancel()

    async def wait_failed(self) -> None:
        """Never returns; raises ``StoreFailedError`` when the store can no longer write."""
        await asyncio.shield(self._failure)

    def _load(self) -> Writer:
        with ExitStack() as stack:
            self._files: Files = MemoryFiles() if self._path is None else DiskFiles(self._path / "events")
            stack.callback(self._files.close)
            self._catalogue = Catalogue(None if self._path is None else self._path / "catalogue.sqlite")
            stack.callback(self._catalogue.close)
            loaded = self._catalogue.load()
            url = self._engine_url
            self._engine = None if url is None else VictoriaLogs(url, self._catalogue.identity())
            if self._engine is None and any(segment.sealed == MOVED for segment in loaded.segments):
                raise OperatorError(
                    "Some of the log events lie in a log engine. Name its address with --log-engine, as before."
                )
            recovered = recover(loaded, self._files)
            if recovered.statements:
                self._catalogue.apply(recovered.statements)
            self._release = stack.pop_all()
        for group in loaded.groups:
            self._groups.setdefault(group.region, {})[group.name] = group
        self._streams = recovered.streams
        self._next_group_id = loaded.next_group_id
        self._next_stream_id = loaded.next_stream_id
        self._reader = Reader(self._files, engine=self._engine, scan_bytes=self._scan_bytes)
        # Every run of the process begins a new segment: those of earlier runs never change again.
        tails = {
            stream.id: Tail(empty_segment(stream.id, max(stream.segments) + 1), set(stream.segments))
            for stream in self._streams.values()
            if stream.segments
        }
        return Writer(
            self._catalogue,
            self._files,
            tails,
            publish=lambda outcomes: self._call(self._published, outcomes),
            failed=lambda error: self._call(self._writer_failed, error),
            segment_bytes=self._segment_bytes,
            loose_bytes=self._loose_bytes,
        )

    # Groups and streams

    def groups(self, region: str) -> dict[str, LogGroup]:
        """The groups of a region by name; not to be changed by the caller."""
        return self._groups.get(region, {})

    def create_group(self, region: str, name: str, tags: dict[str, str]) -> LogGroup:
        """A new group; the caller has checked that the name is free."""
        group = LogGroup(self._next_group_id, region, name, self._now(), tags=tags)
        self._next_group_id += 1
        self._groups.setdefault(region, {})[name] = group
        self._change(changes.put_group(group))
        return group

    def delete_group(self, group: LogGroup) -> None:
        """Delete a group with all its streams and events."""
        del self._groups[group.region][group.name]
        for stream in group.streams.values():
            del self._streams[stream.id]
            stream.forget()
        self._change(changes.delete_group(group), tuple(stream.id for stream in group.streams.values()))

    def set_retention(self, group: LogGroup, days: int | None) -> None:
        """How many days events of the group are kept; ``None`` for ever."""
        group.retention_days = days
        self._change(changes.put_group(group))

    def set_protection(self, group: LogGroup, *, on: bool) -> None:
        """Whether the API refuses to delete the group."""
        group.deletion_protected = on
        self._change(changes.put_group(group))

    def set_tags(self, group: LogGroup, tags: dict[str, str]) -> None:
        """Replace the group's tags."""
        group.tags = tags
        self._change(changes.put_group(group))

    def create_stream(self, group: LogGroup, name: str) -> LogStream:
        """A new stream; the caller has checked that the name is free."""
        stream = LogStream(self._next_stream_id, group, name, self._now())
        self._next_stream_id += 1
        group.streams[name] = self._streams[stream.id] = stream
        self._change(changes.put_stream(stream))
        return stream

    def delete_stream(self, stream: LogStream) -> None:
        """Delete a stream and its events."""
        del stream.group.streams[stream.name]
        del self._streams[stream.id]
        stream.forget()
        self._change(changes.delete_stream(stream.id), (stream.id,))

    async def durable(self) -> None:
        """Wait until every change of groups and streams made so far is on disk."""
        self._check()
        if self._last_change is not None and not self._last_change.done():
            await asyncio.shield(self._last_change)

    # Events

    async def append(self, stream: LogStream, timestamps: Sequence[int], messages: Sequence[str]) -> None:
        """Store one batch and return when it is durable and visible.

        ``timestamps`` (epoch milliseconds) ascend and are as many as ``messages``, at least one.
        Raises ``OSError`` when the disk refused the batch, ``StoreFailedError`` when it refused more.
        """
        self._check()
        ticket, future = self._ticket()
        first_sequence = stream.next_sequence
        stream.next_sequence += len(timestamps)
        self.taken_events += len(timestamps)
        self.taken_bytes += sum(map(len, messages))
        self._writer.submit(Append(ticket, stream.id, first_sequence, self._now(), timestamps, messages))
        await asyncio.shield(future)

    def listen(self, listener: Callable[[StoredBatch], None]) -> Callable[[], None]:
        """Call ``listener`` with every batch when it has become durable; returns what ends that.

        Listeners take notes and return at once.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def read(
        self,
        streams: Iterable[LogStream],
        wanted: Range,
        limit: int,
        *,
        descending: bool = False,
        matcher: Matcher | None = None,
    ) -> Page:
        """One page of the events of ``streams``, all of one group, without those that have expired.

        With a ``matcher`` only the events that match.  It is asked in a reader thread, and a
        page ends after some megabytes of events even if none matched.
        Raises ``DamagedFrameError`` when a file does not hold what was written.
        """
        streams = list(streams)
        for stream in streams:
            cutoff = stream.group.cutoff(self._now())
            if cutoff > wanted.first:
                wanted = wanted._replace(first=cutoff)
        for _ in range(READ_ATTEMPTS):
            views = [view for stream in streams for view in stream.views(wanted)]
            if not views:
                return Page([], more=False)
            page = partial(self._reader.page, views, wanted, limit, descending=descending, matcher=matcher)
            try:
                return await self._loop.run_in_executor(self._readers, page)
            except SegmentGoneError as error:
                gone = error
        raise DamagedFrameError(f"the file {gone} is not there")

    async def expire(self, now: float) -> None:
        """Delete segments in which everything is older than the group's retention; note quiet streams.

        ``now`` in seconds since the epoch.  To be called every few minutes.
        """
        self._check()
        await self._upkeep.expire(int(now * 1000))

    async def seal(self, now: float) -> None:
        """Compress what lies in small batches: the complete segments and those of quiet streams.

        ``now`` in seconds since the epoch.  To be called every few minutes.  A segment that
        cannot be sealed (a full disk) stays as it is.
        """
        self._check()
        await self._upkeep.seal(int(now * 1000))

    async def move(self, now: float) -> None:
        """Give the complete segments in which nothing is young to the log engine, if there is one.

        ``now`` in seconds since the epoch.  To be called every few minutes, after ``seal``.  When
        the engine refuses or garbles something, the segment stays here.
        """
        self._check()
        await self._upkeep.move(int(now * 1000))

    async def wipe(self) -> None:
        """Forget every group of every region."""
        for groups in self._groups.values():
            for group in list(groups.values()):
                self.delete_group(group)
        await self.durable()

    # Between the event loop and the writer

    def _check(self) -> None:
        """Raise what made the store fail, if it did: nothing would ever be written."""
        if self._failure.done():
            self._failure.result()

    def _now(self) -> int:
        return round(self._clock.now() * 1000)

    def _ticket(self) -> tuple[int, asyncio.Future[None]]:
        self._tickets += 1
        future: asyncio.Future[None] = self._loop.create_future()
        # A caller that went away must not leave an exception that nobody looks at.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiting[self._tickets] = future
        return self._tickets, future

    def _submit(self, work: Work) -> asyncio.Future[None]:
        ticket, future = self._ticket()
        self._writer.submit(work._replace(ticket=ticket))
        return future

    def _change(self, statements: list[Statement], dropped: tuple[int, ...] = ()) -> None:
        self._last_change = self._submit(Change(0, statements, dropped))

    def _call(self, function: object, argument: object) -> None:
        self._loop.call_soon_threadsafe(function, argument)  # type: ignore[arg-type]

    def _published(self, outcomes: list[Outcome]) -> None:
        for work, segment, frame, done, error in outcomes:
            if segment is not None and frame is not None:
                stream = self._streams.get(segment.stream_id)
                if stream is not None:
                    stream.stored(segment, frame)
                    if self._listeners and isinstance(work, Append):
                        batch = StoredBatch(
                            stream, work.first_sequence, work.ingestion_time, work.timestamps, work.messages
                        )
                        for listener in tuple(self._listeners):
                            listener(batch)
            elif isinstance(work, Remove):
                stream = self._streams.get(work.stream_id)
                if done and stream is not None:
                    stream.removed(work.number)
            elif isinstance(work, Seal):
                stream = self._streams.get(work.segment.stream_id)
                if done and stream is not None:
                    stream.sealed(work.segment)
            future = self._waiting.pop(work.ticket)
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)

    def _writer_failed(self, error: BaseException) -> None:
        failure = StoreFailedError(f"the log store can no longer write: {error}")
        self._failure.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._failure.set_exception(failure)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(failure)
        self._waiting.clear()
