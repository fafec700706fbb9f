"""The metric store: measurements of all regions, added at once and durable soon.

All methods belong to the event loop's thread.  What is added goes two ways: into the tail of its
series, where readers see it at once, and into the log of samples, which makes it durable.  Every
quarter of an hour the tails become rows of chunks (``openecs.metrics.chunks``) and the log begins
anew; so memory holds the latest samples only, and a start has little to read again.  A generation
numbers what lies between two such checkpoints: chunks note the last one they have, so that after
a crash, and for readers meanwhile, every sample counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

from openecs.clock import Clock
from openecs.metrics.block import Block
from openecs.metrics.chunks import Chunks, StoredSeries
from openecs.metrics.metric import Datum, MetricKey
from openecs.metrics.reading import Reading
from openecs.metrics.retention import TIERS, readable_since
from openecs.metrics.sample_log import NewSeries, SampleLog, Samples
from openecs.metrics.series import Metric, Series, Tail
from openecs.metrics.statistics import Statistic, parse_statistic, values_of

#: Seconds between two writes of the log that nobody waits for.
WRITE_INTERVAL = 1.0
#: A checkpoint is made after so many seconds, or so many samples in tails.
CHECKPOINT_INTERVAL = 900.0
CHECKPOINT_SAMPLES = 2_000_000
#: Seconds between two looks for rows that are too old for their tier.
EXPIRY_INTERVAL = 300.0

_T = TypeVar("_T")


class StoreFailedError(Exception):
    """The store could not write and accepts nothing more until the process starts again."""


class MetricStore:
    """Metrics of all regions; ``path`` is their folder, ``None`` keeps everything in memory."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._metrics: dict[MetricKey, Metric] = {}
        self._by_id: dict[int, Series] = {}
        self._next_series = 1
        self._generation = 1
        self._pending = Samples()
        #: Series with samples in their tails.
        self._dirty: set[Series] = set()
        self._in_tails = 0
        #: How many additions there were, and how many of them are on disk.
        self._added = 0
        self._written = 0
        self._listeners: list[Callable[[Iterable[Datum]], None]] = []
        #: What ``close`` lets go of, the last first.
        self._files = ExitStack()
        self._opened = False
        #: Samples since the process started.
        self.taken = 0

    def __repr__(self) -> str:
        return f"MetricStore({self._path}, metrics={len(self._metrics)}, in_tails={self._in_tails})"

    # Life

    async def open(self) -> None:
        """Load what is on disk and begin to keep what is added."""
        loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = loop.create_future()
        self._lock = asyncio.Lock()
        self._files.callback(self._failure.cancel)
        self._log = SampleLog(self._path / "samples") if self._path is not None else None
        if self._log is not None:
            self._files.callback(self._log.close)
        file = self._path / "chunks.sqlite" if self._path is not None else None
        self._writer = Chunks(file)
        self._files.callback(self._writer.close)
        self._reader = self._writer
        if file is not None:
            self._reader = Chunks(file)
            self._files.callback(self._reader.close)
        self._reading = Reading(self._reader)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics-writer")
        self._files.callback(self._thread.shutdown)
        await self._run(self._load)
        self._opened = True

    async def close(self) -> None:
        """Make everything durable and let go of the files, as far as ``open`` got."""
        with self._files:
            if self._opened and not self._failure.done():
                await self.durable()

    async def wait_failed(self) -> None:
        """Never returns; raises ``StoreFailedError`` when the store can no longer write."""
        await asyncio.shield(self._failure)

    async def maintain(self) -> None:
        """Write what is added, make checkpoints and drop what is too old, for ever."""
        checkpoint = expiry = monotonic()
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            await self.durable()
            now = monotonic()
            if now - checkpoint >= CHECKPOINT_INTERVAL or self._in_tails >= CHECKPOINT_SAMPLES:
                await self.checkpoint()
                checkpoint = now
            if now - expiry >= EXPIRY_INTERVAL:
                await self.expire(self._clock.now())
                expiry = now

    def _load(self) -> None:
        mark = self._writer.mark()
        self._next_series = mark.next_series
        for stored, last in self._writer.series():
            series = self._open_series(stored)
            series.stored_until = last
            series.metric.last = max(series.metric.last, last)
        generations = self._log.generations() if self._log is not None else []
        for generation in generations:
            if self._log is not None and generation > mark.generation:
                for samples in self._log.read(generation):
                    self._replay(samples)
        self._generation = max([mark.generation, *generations]) + 1

    def _replay(self, samples: Samples) -> None:
        for new in samples.series:
            if new.id not in self._by_id:
                self._open_series(new)
            self._next_series = max(self._next_series, new.id + 1)
        for number, time, value, count in zip(samples.ids, samples.times, samples.values, samples.counts, strict=True):
            self._by_id[number].tail.add(time, value, count)
            self._dirty.add(self._by_id[number])
        for number, one in samples.sets:
            self._by_id[number].tail.sets.append(one)
            self._dirty.add(self._by_id[number])
        self._in_tails += len(samples.ids) + len(samples.sets)
        for series in self._dirty:
            series.metric.last = max(series.metric.last, series.tail.latest())

    def _open_series(self, new: NewSeries) -> Series:
        metric = self._metrics.get(new.key)
        if metric is None:
            metric = self._metrics[new.key] = Metric()
        series = Series(new, metric)
        metric.series[new.unit, new.resolution] = self._by_id[new.id] = series
        return series

    # Adding

    def add(self, data: Iterable[Datum]) -> None:
        """Take measurements in: readers see them at once, and they are on disk soon.

        The caller has checked them; several of one metric and minute add up, late ones too.
        """
        if self._listeners:
            data = tuple(data)
            for listener in self._listeners:
                listener(data)
        metrics, dirty, pending = self._metrics, self._dirty, self._pending
        ids, times, all_values, all_counts = pending.ids, pending.times, pending.values, pending.counts
        before = len(ids) + len(pending.sets)
        for key, timestamp, values, counts, sample_count, total, low, high, unit, resolution in data:
            metric = metrics.get(key)
            series = metric.series.get((unit, resolution)) if metric is not None else None
            if series is None:
                series = self._new_series(key, unit, resolution)
            time = int(timestamp)
            if time > series.metric.last:
                series.metric.last = time
            time -= time % resolution
            tail = series.tail
            if not values and (sample_count == 1.0 or low == high) and sample_count > 0 and total == low * sample_count:
                # A statistic set that tells its values after all.
                values, counts = (low,), (sample_count,)
            for value, count in zip(values, counts, strict=True):
                ids.append(series.id)
                times.append(time)
                all_values.append(value)
                all_counts.append(count)
                tail.times.append(time)
                tail.values.append(value)
                tail.counts.append(count)
            if not values:
                one = tail.add_set(time, sample_count, total, low, high)
                pending.sets.append((series.id, one))
            dirty.add(series)
        self._added += 1
        new = len(ids) + len(pending.sets) - before
        self._in_tails += new
        self.taken += new

    def listen(self, listener: Callable[[Iterable[Datum]], None]) -> None:
        """Call ``listener`` with everything that is added; it takes a note and returns."""
        self._listeners.append(listener)

    def _new_series(self, key: MetricKey, unit: str, resolution: int) -> Series:
        new = NewSeries(self._next_series, *key, unit, resolution)
        self._next_series += 1
        self._pending.series.append(new)
        return self._open_series(new)

    async def durable(self) -> None:
        """Wait until everything added so far is on disk; raises ``StoreFailedError`` when it cannot be."""
        wanted = self._added
        while self._written < wanted:
            self._check()
            # Shielded: a caller that goes away must not leave half a write behind.
            await asyncio.shield(self._write_up_to(wanted))

    async def _write_up_to(self, wanted: int) -> None:
        async with self._lock:
            if self._written < wanted:
                await self._write(self._take())

    def _take(self) -> tuple[int, int, Samples]:
        """What waits for the log, with its generation and the number of additions that it completes."""
        taken = self._generation, self._added, self._pending
        self._pending = Samples()
        return taken

    async def _write(self, taken: tuple[int, int, Samples]) -> None:
        generation, added, samples = taken
        if samples and self._log is not None:
            log = self._log
            await self._guarded(lambda: log.append(generation, samples))
        self._written = max(self._written, added)

    # Checkpoints and age

    async def checkpoint(self) -> None:
        """Make rows of all samples in tails, and begin the log anew."""
        self._check()
        async with self._lock:
            taken = self._take()
            generation = self._generation
            self._generation += 1
            sealed = [(series, series.seal(generation)) for series in self._dirty]
            self._dirty = set()
            self._in_tails = 0
            await self._write(taken)
            next_series = self._next_series
            await self._guarded(lambda: self._store(generation, sealed, next_series))
            for series, _ in sealed:
                series.sealed = None

    def _store(self, generation: int, sealed: list[tuple[Series, Tail]], next_series: int) -> None:
        blocks = {series.id: tail.rows() for series, tail in sealed}
        for series, _ in sealed:
            series.stored_until = max(series.stored_until, blocks[series.id].times[-1])
        named = [StoredSeries(series.new, series.stored_until) for series, _ in sealed]
        self._writer.store(generation, blocks, named, next_series)
        if self._log is not None:
            self._log.remove(generation)

    async def expire(self, now: float) -> None:
        """Roll up rows that are too old for their tier; forget metrics that have none left.

        ``now`` in seconds since the epoch.  To be called every few minutes.
        """
        self._check()
        for tier in TIERS:
            while True:
                async with self._lock:
                    if not await self._guarded(partial(self._writer.roll_up, tier, now)):
                        break
        before = now - TIERS[-1].keep - TIERS[-1].window
        async with self._lock:
            gone = [series for series in self._by_id.values() if not series.tail and series.stored_until < before]
            for series in gone:
                self._forget(series)
            if gone:
                await self._guarded(partial(self._writer.forget_series, [series.id for series in gone]))

    def _forget(self, series: Series) -> None:
        del self._by_id[series.id]
        del series.metric.series[series.new.unit, series.new.resolution]
        if not series.metric.series:
            del self._metrics[series.new.key]

    async def wipe(self) -> None:
        """Forget every metric of every region."""
        async with self._lock:
            self._take()
            self._written = self._added
            generation = self._generation
            self._generation += 1
            self._metrics.clear()
            self._by_id.clear()
            self._dirty.clear()
            self._in_tails = 0
            log = self._log
            await self._guarded(lambda: self._writer.wipe(generation))
            if log is not None:
                await self._guarded(lambda: log.remove(generation))

    # Reading

    def metrics(self, region: str, namespace: str | None = None, name: str | None = None) -> Iterable[MetricKey]:
        """The metrics of a region that have data, of one namespace or name where given, in no order."""
        return [
            key
            for key in self._metrics
            if key.region == region
            and (namespace is None or key.namespace == namespace)
            and (name is None or key.name == name)
        ]

    def last(self, key: MetricKey) -> float:
        """The time of a metric's latest measurement, in seconds since the epoch; 0 when it has none."""
        metric = self._metrics.get(key)
        return metric.last if metric is not None else 0.0

    def units(self, key: MetricKey) -> list[str]:
        """The units in which a metric has data, sorted."""
        metric = self._metrics.get(key)
        return sorted({unit for unit, _ in metric.series}) if metric is not None else []

    def statistics(
        self, key: MetricKey, start: float, end: float, period: int, wanted: Sequence[str], unit: str | None = None
    ) -> dict[str, list[tuple[float, float]]]:
        """For each wanted statistic the starts of periods with data, ascending, and the values.

        Periods are counted from ``start``, which is rounded down to a whole second; data before ``end``
        counts.  ``unit`` takes the data of that unit only.  Raises ``ValueError`` for a statistic that
        there is not.
        """
        parsed = [_parsed(name) for name in wanted]
        block = self.rows(key, start, end, period, unit, distributions=any(one.needs_distribution for one in parsed))
        found = {one.name: values_of(block, one) for one in parsed}
        return {name: list(zip(map(float, times), values, strict=True)) for name, (times, values) in found.items()}

    def rows(
        self, key: MetricKey, start: float, end: float, period: int, unit: str | None = None, *, distributions: bool
    ) -> Block:
        """The rows of ``period`` seconds from ``start``; see ``statistics``."""
        metric = self._metrics.get(key)
        if metric is None:
            return Block()
        since = max(start, readable_since(period, self._clock.now()))
        return self._reading.rows(metric, since, end, period, int(start), unit, distributions=distributions)

    # Beside the event loop

    def _check(self) -> None:
        if self._failure.done():
            self._failure.result()

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Do work that waits for the disk; in memory there is nothing to wait for, and one connection."""
        if self._path is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _guarded(self, work: Callable[[], _T]) -> _T:
        """Work after whose failure nobody could say any more what is on disk."""
        try:
            return await asyncio.shield(self._run(work))
        except Exception as error:
            failure = StoreFailedError(f"the metric store can no longer write: {error}")
            if not self._failure.done():
                self._failure.add_done_callback(lambda done: done.cancelled() or done.exception())
                self._failure.set_exception(failure)
            raise failure from error


def _parsed(name: str) -> Statistic:
    statistic = parse_statistic(name)
    if statistic is None:
        raise ValueError(f"there is no statistic {name!r}")
    return statistic
