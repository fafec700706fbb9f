"""Sends every metric on to an engine that takes Prometheus' remote write (version 0.1.0).

A metric becomes four series, of its sum, count, minimum and maximum in each period, sent once when
the period is over.  What comes later than that has been told without it.  Nothing is kept on disk:
what an engine that is away for long has missed is in the metric store only.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import cramjam
import structlog

from openecs.clock import Clock
from openecs.errors import OperatorError
from openecs.http.address import TcpAddress
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError, HttpUnavailable
from openecs.metrics.metric import Datum, MetricKey
from openecs.metrics.store import MetricStore

_log = structlog.get_logger("openecs.metrics")
#: Seconds after a period's end when it is sent, and between looks for periods that have ended.
PATIENCE, PAUSE = 15.0, 5.0
#: Periods that wait; beyond that what is new is dropped.
MOST_WAITING = 500_000
#: Periods in one request.
MOST_SENT = 2_000
FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
#: Statistic → how the names of its series end.
STATISTICS = {"Sum": "sum", "SampleCount": "count", "Minimum": "min", "Maximum": "max"}
_HEADERS = (
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ("User-Agent", "openecs"),
)
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")


class Endpoint(NamedTuple):
    """Where an engine takes remote writes."""

    address: TcpAddress
    path: str


class Due(NamedTuple):
    """A period of a metric; times in seconds."""

    key: MetricKey
    start: float
    period: int


class RemoteWrite:
    """Listens to a store, sends what is over."""

    def __init__(
        self,
        store: MetricStore,
        endpoint: Endpoint,
        clock: Clock,
        *,
        client: HttpClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._client = client or HttpClient(endpoint.address)
        self._clock = clock
        self._sleep = sleep
        #: In the order in which they came.
        self._waiting: dict[Due, None] = {}
        #: Periods that were taken by the engine, and those that never will be.
        self.sent = self.dropped = 0
        store.listen(self.take)

    def take(self, data: Iterable[Datum]) -> None:
        """Note the periods of what was added."""
        waiting = self._waiting
        for datum in data:
            due = Due(datum.key, datum.timestamp // datum.resolution * datum.resolution, datum.resolution)
            if due not in waiting:
                if len(waiting) < MOST_WAITING:
                    waiting[due] = None
                else:
                    self.dropped += 1

    async def run(self) -> None:
        """Send for ever."""
        while True:
            over = self._over()
            for start in range(0, len(over), MOST_SENT):
                await self._send(over[start : start + MOST_SENT])
            await self._sleep(PAUSE)

    def _over(self) -> list[Due]:
        """Take out the periods that have ended."""
        limit = self._clock.now() - PATIENCE
        over = [due for due in self._waiting if due.start + due.period <= limit]
        for due in over:
            del self._waiting[due]
        return over

    async def _send(self, periods: list[Due]) -> None:
        """Until the engine has taken it, or will not have it."""
        message = write_request(series for due in periods for series in self._series(due))
        body = bytes(cramjam.snappy.compress_raw(message))
        delay, told = FIRST_DELAY, False
        while True:
            try:
                reply = await self._client.request(
                    "POST", self._endpoint.path, headers=_HEADERS, body=body, repeatable=True
                )
            except (HttpUnavailable, HttpProtocolError) as error:
                reason = str(error)
            else:
                if reply.status // 100 == 2:
                    self.sent += len(periods)
                    return
                reason = f"{reply.status} {reply.body[:200].decode(errors='replace')}"
                if reply.status // 100 == 4 and reply.status != 429:
                    self.dropped += len(periods)
                    _log.warning("metrics were refused by the engine", reason=reason, periods=len(periods))
                    return
            if not told:
                _log.warning("metrics are not taken by the engine, tried again", reason=reason)
                told = True
            await self._sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    def _series(self, due: Due) -> Iterator[tuple[list[tuple[str, str]], float, int]]:
        found = self._store.statistics(due.key, due.start, due.start + due.period, due.period, list(STATISTICS))
        for statistic, suffix in STATISTICS.items():
            for start, value in found[statistic]:
                yield labels(due.key, suffix), value, int(start * 1000)


def endpoint_of(url: str) -> Endpoint:
    """Raises ``OperatorError`` for what is no ``http://`` or ``https://`` address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
        raise OperatorError(f"{url} takes no remote writes. Write it as http://HOST:9090/api/v1/write, without keys.")
    tls = parts.scheme == "https"
    path = (parts.path or "/api/v1/write") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(TcpAddress(parts.hostname, port or (443 if tls else 80), tls=tls), path)


def labels(key: MetricKey, suffix: str) -> list[tuple[str, str]]:
    """The labels of a series, sorted: its name, the region, and the dimensions.

    ``AWS/ECS`` ``CPUUtilization`` becomes ``AWS_ECS_CPUUtilization_sum``.
    """
    name = _legal(f"{key.namespace}_{key.name}_{suffix}")
    found = {_legal(dimension): value for dimension, value in key.dimensions}
    return sorted({**found, "region": key.region, "__name__": name}.items())


def write_request(series: Iterable[tuple[list[tuple[str, str]], float, int]]) -> bytes:
    """The protobuf message ``WriteRequest``: labels, value, and milliseconds of each series' only sample."""
    found = bytearray()
    for pairs, value, at in series:
        body = bytearray()
        for name, text in pairs:
            body += _field(1, _field(1, name.encode()) + _field(2, text.encode()))
        # A fixed 64-bit value, then a varint.
        body += _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at))
        found += _field(1, bytes(body))
    return bytes(found)


def _field(number: int, content: bytes) -> bytes:
    """A field of a length and that many bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _legal(name: str) -> str:
    found = _ILLEGAL.sub("_", name)
    return f"_{found}" if found[:1].isdecimal() else found
