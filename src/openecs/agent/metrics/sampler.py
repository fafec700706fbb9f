"""Samples every running container of this host and makes messages of it, three a minute.

Messages are cut when the clock shows a multiple of their period, so that those of one minute are
told when it ends.  While nobody takes them the newest are kept, with the times that they are of.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from openecs.agent.engine.worker import TaskWorker
from openecs.agent.metrics.counters import Counters, KernelSource, Source
from openecs.agent.metrics.host import HostSampler
from openecs.agent.metrics.stats_set import StatsSet
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, Runtime
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")

#: Seconds between samples, and what one message covers.
SAMPLE_EVERY, PERIOD = 2.5, 20.0
#: Messages that are kept for a control plane that is away: half an hour of them.
KEPT = 90
MIB = 1024 * 1024

OpenSource = Callable[[int, int | None], Source]


@dataclass
class _Watched:
    """One run of a container."""

    source: Source
    last: Counters
    last_at: float
    cpu: StatsSet = field(default_factory=StatsSet)
    memory: StatsSet = field(default_factory=StatsSet)
    received: StatsSet = field(default_factory=StatsSet)
    sent: StatsSet = field(default_factory=StatsSet)


@dataclass
class Batch:
    """What one period came to: ``at`` is its end, in seconds since the epoch.  Who sends it takes parts off."""

    at: float
    tasks: list[dict[str, Any]]
    #: What the host as a whole used; ``None`` when that is not known.
    host: dict[str, Any] | None = None


class Sampler:
    """Looks at the containers of the tasks that ``workers`` lists."""

    def __init__(
        self,
        runtime: Runtime,
        workers: Callable[[], Iterable[TaskWorker]],
        clock: Clock,
        *,
        cores: int,
        host: HostSampler | None = None,
        open_source: OpenSource = KernelSource,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runtime = runtime
        self._workers = workers
        self._clock = clock
        self.cores = cores
        self._host = host
        self._open = open_source
        self._sleep = sleep
        #: (container id, its newest start) → what is known of that run; ``None``: it cannot be read.
        self._watched: dict[tuple[str, float | None], _Watched | None] = {}
        self.batches: deque[Batch] = deque(maxlen=KEPT)
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Sample for ever."""
        cut_at = next_cut(self._clock.now())
        try:
            while True:
                now = self._clock.now()
                await self._sleep(max(min(SAMPLE_EVERY, cut_at - now), 0.0))
                await self.sample()
                now = self._clock.now()
                if now >= cut_at or cut_at - now > PERIOD:
                    self.cut(cut_at if now - cut_at < PERIOD else now)
                    cut_at = next_cut(now)
        finally:
            for watched in self._watched.values():
                if watched is not None:
                    watched.source.close()

    async def sample(self) -> None:
        """Look once at everything that runs, and at the host."""
        if self._host is not None:
            self._host.sample(self._clock.now())
        running = {
            (container.container_id or "", container.started_at): worker
            for worker in self._workers()
            for container in worker.state.containers
            if container.status == "RUNNING" and container.container_id is not None
        }
        for key in [key for key in self._watched if key not in running]:
            watched = self._watched.pop(key)
            if watched is not None:
                watched.source.close()
        for key, worker in running.items():
            if key not in self._watched:
                self._watched[key] = await self._begin(key[0], worker)
            watched = self._watched[key]
            if watched is not None:
                self._add(key, watched)

    def latest(self) -> Iterator[tuple[dict[str, str], Counters, bool]]:
        """Every container's labels and counters, and whether the traffic in them is its own.

        The containers of a task that share a network have it counted with the first of them.
        """
        for worker in self._workers():
            networks = 0
            for container in worker.state.containers:
                watched = self._watched.get((container.container_id or "", container.started_at))
                if watched is None:
                    continue
                labels = {
                    "cluster": worker.cluster.rpartition("/")[2],
                    "family": worker.payload.family,
                    "task": worker.payload.arn.rpartition("/")[2],
                    "container": container.name,
                }
                mode = worker.payload.network_mode
                yield labels, watched.last, mode != "host" and not (mode == "awsvpc" and networks)
                networks += 1

    def cut(self, at: float) -> None:
        """Make a message of the samples since the last one."""
        tasks = [entry for worker in self._workers() if (entry := self._entry(worker)) is not None]
        host = self._host.told() if self._host is not None else None
        if tasks or host:
            self.batches.append(Batch(at, tasks, host))
            self.ready.set()

    async def _begin(self, container_id: str, worker: TaskWorker) -> _Watched | None:
        try:
            info = await self._runtime.inspect(container_id)
            if not info.pid:
                return None
            on_host = worker.payload.network_mode == "host"
            source = self._open(info.pid, None if on_host else info.pid)
            return _Watched(source, source.read(), self._clock.now())
        except (OSError, KeyError, ValueError, EngineError, EngineUnavailable) as error:
            _log.debug("container is not measured", container=container_id, error=str(error) or type(error).__name__)
            return None

    def _add(self, key: tuple[str, float | None], watched: _Watched) -> None:
        now = self._clock.now()
        seconds = now - watched.last_at
        if seconds < SAMPLE_EVERY / 5:
            return
        try:
            counters = watched.source.read()
        except (OSError, ValueError):
            # It has just ended; the engine will say so.
            watched.source.close()
            self._watched[key] = None
            return
        last, watched.last, watched.last_at = watched.last, counters, now
        watched.cpu.add(max(counters.cpu - last.cpu, 0) / 1e9 / seconds / self.cores * 100)
        watched.memory.add(counters.memory / MIB)
        watched.received.add(max(counters.received - last.received, 0) / seconds)
        watched.sent.add(max(counters.sent - last.sent, 0) / seconds)

    def _entry(self, worker: TaskWorker) -> dict[str, Any] | None:
        """A task's part of a message; ``None`` when nothing of it was measured."""
        containers = []
        found = [
            (container, watched)
            for container in worker.state.containers
            if (watched := self._watched.get((container.container_id or "", container.started_at))) is not None
            and watched.cpu.count
        ]
        # Containers that share a network share its traffic, as AWS's agent has it.
        sharing = len(found) if worker.payload.network_mode == "awsvpc" else 1
        for container, watched in found:
            containers.append(
                {
                    "containerName": container.name,
                    "cpuStatsSet": watched.cpu.told(),
                    "memoryStatsSet": watched.memory.told(),
                    "networkStatsSet": {
                        "rxBytes": _level(watched.last.received / sharing),
                        "txBytes": _level(watched.last.sent / sharing),
                        "rxBytesPerSecond": _divided(watched.received, sharing),
                        "txBytesPerSecond": _divided(watched.sent, sharing),
                    },
                    "restartStatsSet": {"restartCount": container.restarts},
                }
            )
            if worker.payload.network_mode == "host":
                del containers[-1]["networkStatsSet"]
            if watched.last.read is not None and watched.last.written is not None:
                containers[-1]["storageStatsSet"] = {
                    "readSizeBytes": _level(watched.last.read),
                    "writeSizeBytes": _level(watched.last.written),
                }
            watched.cpu, watched.memory, watched.received, watched.sent = (StatsSet() for _ in range(4))
        if not containers:
            return None
        return {
            "taskArn": worker.payload.arn,
            "clusterArn": worker.cluster,
            "taskDefinitionFamily": worker.payload.family,
            "taskDefinitionVersion": worker.payload.version,
            "containerMetrics": containers,
        }


def next_cut(now: float) -> float:
    """The next multiple of the period."""
    return (now // PERIOD + 1) * PERIOD


def _level(value: float) -> dict[str, float]:
    """A counter's value as a set of one sample."""
    return {"min": value, "max": value, "sampleCount": 1, "sum": value}


def _divided(samples: StatsSet, by: int) -> dict[str, float]:
    told = samples.told()
    return {name: value if name == "sampleCount" else value / by for name, value in told.items()}
