"""The parts of a control plane that see: logs, metrics, usage, alarms.  Built, run and closed together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from openecs.clock import Clock
from openecs.config import ServerConfig
from openecs.control.alarm_parts import AlarmParts
from openecs.control.loop import Loop, Timing
from openecs.control.metric_filters import MetricFilterWorker
from openecs.control.performance_log import PerformanceLog
from openecs.control.subscription_delivery import Delivery
from openecs.control.subscriptions import Subscriptions
from openecs.control.traffic import TrafficMetrics
from openecs.control.usage import UsageMetrics
from openecs.ids import Ids
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.metrics.remote_write import RemoteWrite, endpoint_of
from openecs.metrics.store import MetricStore
from openecs.state.state import State

#: Seconds between two looks for log events that are past their group's retention.
EXPIRY_INTERVAL = 300.0


class ObservingParts:
    """Stores for what is seen, and what fills and watches them."""

    def __init__(self, config: ServerConfig, state: State, clock: Clock, ids: Ids) -> None:
        folder: Path | None = None if config.ephemeral else config.layout.state
        self._clock = clock
        self.logs = LogStore(folder and folder / "logs", clock, engine_url=config.log_engine)
        self.log_queries = Runner(self.logs, clock)
        self.metrics = MetricStore(folder and folder / "metrics", clock)
        self.performance = PerformanceLog(self.logs)
        self.usage = UsageMetrics(state, clock, self.metrics.add, self.performance.put)
        self.traffic = TrafficMetrics(state, clock, self.metrics.add)
        self.alarms = AlarmParts(state, self.metrics, clock, ids, dict(config.alarm_topics))
        self.loops: tuple[Loop, ...] = ()
        url = config.metrics_remote_write
        self.remote_write = RemoteWrite(self.metrics, endpoint_of(url), clock) if url is not None else None
        self._metric_filters = MetricFilterWorker(state, self.logs, clock, self.metrics.add, config.account_id)
        self._subscriptions = Subscriptions(state, self.logs, clock, Delivery(self.logs, config.account_id))

    async def open(self) -> None:
        """Load the stores."""
        await self.logs.open()
        await self.metrics.open()

    def run(self, group: asyncio.TaskGroup, timing: Timing) -> None:
        """Start everything that works beside the listener."""
        self.loops = self.alarms.loops(timing)
        for loop in self.loops:
            group.create_task(loop.run())
        group.create_task(self.logs.wait_failed())
        group.create_task(self.metrics.wait_failed())
        group.create_task(self.metrics.maintain())
        group.create_task(self.usage.run())
        group.create_task(self.performance.run())
        if self.remote_write is not None:
            group.create_task(self.remote_write.run())
        group.create_task(self.log_queries.run())
        group.create_task(self._metric_filters.run())
        group.create_task(self._subscriptions.run())
        group.create_task(self._keep_logs())

    async def close(self) -> None:
        """Write what is queued and let go of the files."""
        await self.logs.close()
        await self.metrics.close()

    async def _keep_logs(self) -> None:
        """Drop what has expired, compress what is complete, move what an engine is to have, for ever."""
        while True:
            await self.logs.expire(self._clock.now())
            await self.logs.seal(self._clock.now())
            await self.logs.move(self._clock.now())
            await asyncio.sleep(EXPIRY_INTERVAL)
