"""Writes Container Insights' performance log events into log groups of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from openecs.control.performance_events import PerformanceEvent
from openecs.logs.store import LogStore, StoreFailedError

_log = structlog.get_logger("openecs.control")
#: Days for which AWS keeps them unless somebody says otherwise.
RETENTION_DAYS = 1
_encode = msgspec.json.Encoder().encode


class PerformanceLog:
    """Takes events, writes them soon.  What is under way when the process ends is lost, as its minute is."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._waiting: list[PerformanceEvent] = []
        self._wake = asyncio.Event()

    def put(self, events: Iterable[PerformanceEvent]) -> None:
        """Write them soon."""
        self._waiting.extend(events)
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            streams: dict[tuple[str, str, str], list[PerformanceEvent]] = {}
            for event in self._waiting:
                streams.setdefault((event.region, event.cluster, event.stream), []).append(event)
            self._waiting = []
            for (region, cluster, stream), events in streams.items():
                try:
                    await self._write(region, group_name(cluster), stream, events)
                except (OSError, StoreFailedError) as error:
                    _log.warning("performance log events are lost", cluster=cluster, reason=str(error))

    async def _write(self, region: str, name: str, stream_name: str, events: list[PerformanceEvent]) -> None:
        group = self._store.groups(region).get(name)
        if group is None:
            group = self._store.create_group(region, name, {})
            self._store.set_retention(group, RETENTION_DAYS)
        stream = group.streams.get(stream_name) or self._store.create_stream(group, stream_name)
        # Minutes may come late: a stream's events ascend.
        events.sort(key=lambda event: event.members["Timestamp"])
        times = [event.members["Timestamp"] for event in events]
        await self._store.append(stream, times, [_encode(event.members).decode() for event in events])


def group_name(cluster: str) -> str:
    """The log group of a cluster."""
    return f"/aws/ecs/containerinsights/{cluster}/performance"
