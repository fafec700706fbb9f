"""Metric filters at work: what the events of log groups give as metric data.

Every batch that has become durable is looked at once.  What matches is published at once, at
the minute of the event; a minute in which events came and none matched gives the default value
when it is over.  Without any filter a batch costs one look into an empty mapping.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import structlog

from openecs.clock import Clock
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.pattern import Pattern, parse
from openecs.logs.store import LogStore, StoredBatch
from openecs.metrics.metric import Datum, MetricKey, dimensions
from openecs.model.log_filter import MetricFilter
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.logs")

Publish = Callable[[Iterable[Datum]], None]

#: Seconds of a period.
MINUTE = 60
#: Batches that wait to be looked at, each 1 MiB at most; further ones are dropped, which is logged.
MOST_WAITING = 256


class _Prepared(NamedTuple):
    """A filter with its pattern compiled."""

    filter: MetricFilter
    pattern: Pattern


class MetricFilterWorker:
    """Watches the log store and publishes data; ``account`` is the installation's."""

    def __init__(self, state: State, store: LogStore, clock: Clock, publish: Publish, account: str) -> None:
        self._state = state
        self._store = store
        self._clock = clock
        self._publish = publish
        self._account = account
        self._by_group: dict[tuple[str, str], tuple[_Prepared, ...]] = {}
        self._waiting: deque[StoredBatch] = deque()
        self._wake = asyncio.Event()
        #: Key of a filter with a default value → the minute of the last events it saw, and of its last match.
        self._seen: dict[str, int] = {}
        self._matched: dict[str, int] = {}
        state.store.subscribe("metric_filter", self._changed)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Work for ever."""
        for record in self._state.metric_filters:
            self._prepare(record.region, record.group)
        self._store.listen(self._note)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            while True:
                now = self._clock.now()
                await sleep(MINUTE - now % MINUTE)
                self.end_minutes(self._clock.now())

    async def drain(self) -> None:
        """Look at everything that waits."""
        while self._waiting:
            batch = self._waiting.popleft()
            prepared = self._by_group.get((batch.stream.group.region, batch.stream.group.name), ())
            if not prepared:
                continue
            try:
                # Others have the event loop while patterns are matched.
                found = await asyncio.to_thread(_evaluate, prepared, batch, self._account)
                self._publish_found(prepared, batch, found)
            except Exception:
                logger.exception("a metric filter failed", group=batch.stream.group.name)

    def end_minutes(self, now: float) -> None:
        """Publish default values of minutes that ended before ``now`` (seconds since the epoch)."""
        current = int(now // MINUTE)
        data = []
        for key, minute in list(self._seen.items()):
            if minute >= current:
                continue
            del self._seen[key]
            record = self._state.metric_filters.get(key)
            if record is None or self._matched.get(key) == minute or record.transformation.default_value is None:
                continue
            data.append(_datum(record, {}, minute, Counter({record.transformation.default_value: 1})))
        self._matched = {key: minute for key, minute in self._matched.items() if minute >= current}
        if data:
            self._publish(data)

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            await self.drain()
            await self._wake.wait()

    def _note(self, batch: StoredBatch) -> None:
        if not self._by_group or (batch.stream.group.region, batch.stream.group.name) not in self._by_group:
            return
        if len(self._waiting) >= MOST_WAITING:
            logger.warning("metric filters cannot keep up: a batch was left out", group=batch.stream.group.name)
            return
        self._waiting.append(batch)
        self._wake.set()

    def _publish_found(self, prepared: tuple[_Prepared, ...], batch: StoredBatch, found: list[_Found]) -> None:
        minute = batch.ingestion_time // (MINUTE * 1000)
        for each in prepared:
            if each.filter.transformation.default_value is not None:
                self._end_if_other(each.filter.key, minute)
                self._seen[each.filter.key] = minute
        data = []
        for record, values in found:
            if values.matched and record.transformation.default_value is not None:
                self._matched[record.key] = minute
            data += [_datum(record, dict(of), at, counted) for (of, at), counted in values.counts.items()]
        if data:
            self._publish(data)

    def _end_if_other(self, key: str, minute: int) -> None:
        """A batch of a later minute came before the clock's turn: the earlier one ends now."""
        if self._seen.get(key, minute) < minute:
            self.end_minutes(minute * MINUTE)

    def _changed(self, notice: Notice) -> None:
        for record in (notice.old, notice.new):
            if record is not None:
                self._prepare(record.region, record.group)

    def _prepare(self, region: str, group: str) -> None:
        prepared = []
        for record in self._state.metric_filters.by("group", (region, group)):
            try:
                prepared.append(_Prepared(record, parse(record.pattern)))
            except PatternError as error:
                logger.warning("a kept metric filter is not valid", filter=record.key, reason=str(error))
        if prepared:
            self._by_group[region, group] = tuple(prepared)
        else:
            self._by_group.pop((region, group), None)


class _Values(NamedTuple):
    """What one filter makes of a batch: values with their counts by dimensions and minute."""

    matched: bool
    counts: dict[tuple[tuple[tuple[str, str], ...], int], Counter[float]]


_Found = tuple[MetricFilter, _Values]


def _evaluate(prepared: tuple[_Prepared, ...], batch: StoredBatch, account: str) -> list[_Found]:
    return [(record, _values(record, pattern, batch, account)) for record, pattern in prepared]


def _values(record: MetricFilter, pattern: Pattern, batch: StoredBatch, account: str) -> _Values:
    transformation = record.transformation
    field = transformation.metric_value if transformation.metric_value.startswith("$") else None
    constant = 0.0 if field else float(transformation.metric_value)
    system = {"@aws.account": account, "@aws.region": record.region}
    fixed = {name: system[name] for name in record.system_dimensions}
    wanted = transformation.dimensions or {}
    matched = False
    counts: dict[tuple[tuple[tuple[str, str], ...], int], Counter[float]] = {}
    for timestamp, message in zip(batch.timestamps, batch.messages, strict=True):
        if not pattern.matches(message):
            continue
        matched = True
        value = constant if field is None else _number(pattern.value(message, field))
        of = {name: found for name, path in wanted.items() if (found := pattern.value(message, path))}
        # An event without all of the dimensions gives no data, as on CloudWatch.
        if value is None or len(of) < len(wanted):
            continue
        at = (dimensions(fixed | of), timestamp // (MINUTE * 1000))
        counts.setdefault(at, Counter())[value] += 1
    return _Values(matched, counts)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _datum(record: MetricFilter, of: dict[str, str], minute: int, counted: Counter[float]) -> Datum:
    transformation = record.transformation
    return Datum(
        MetricKey(record.region, transformation.metric_namespace, transformation.metric_name, dimensions(of)),
        float(minute * MINUTE),
        tuple(counted),
        tuple(map(float, counted.values())),
        unit=transformation.unit or "None",
    )
