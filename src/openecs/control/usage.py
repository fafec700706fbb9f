"""What tasks use, gathered by the minute from agents' messages and published as AWS's metrics.

A minute is published a few seconds after its end, when the messages about it have come; what comes
later is published with the next one, at its own time.  Services that asked for it have their
utilisation every 20 seconds.  Nothing here is durable: a restart loses the minute under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from openecs.acs.telemetry_messages import ContainerMetric, PublishMetricsRequest, StatsSet
from openecs.clock import Clock
from openecs.control.performance_events import PerformanceEvent, cluster_events, task_events
from openecs.control.usage_instances import HostUse, add_host, instance_metrics
from openecs.control.usage_metrics import (
    TaskUse,
    Used,
    cluster_counts,
    cluster_utilisation,
    fine_metrics,
    insights,
    task_metrics,
)
from openecs.metrics.metric import Datum
from openecs.model.task import Task
from openecs.state.state import State

MINUTE = 60.0
#: Seconds after a minute's end when it is published.
PATIENCE = 5.0
#: Messages about earlier times than these seconds ago are dropped; so are those about times to come.
OLDEST, AHEAD = 3 * 3600.0, 120.0
#: Seconds for which it is remembered which tasks were told of.
REMEMBERED = 15 * MINUTE
#: Seconds for which a task's newest message is taken for what the task uses.
KEPT_NEWEST = 90.0


class UsageMetrics:
    """Takes messages, publishes metrics."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        publish: Callable[[Iterable[Datum]], None],
        perform: Callable[[Iterable[PerformanceEvent]], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._state = state
        self._clock = clock
        self._publish = publish
        self._perform = perform
        self._sleep = sleep
        #: Beginning of a minute → task → what it used.
        self._minutes: dict[float, dict[str, TaskUse]] = {}
        #: The same for hosts, by node.
        self._hosts: dict[float, dict[str, HostUse]] = {}
        #: Task → when its newest message was cut, and what that said.
        self.newest: dict[str, tuple[float, TaskUse]] = {}
        #: Of the newest minutes that were published: the tasks and nodes that were told of.
        self._told: dict[float, frozenset[str]] = {}

    def take(self, node_id: str, message: PublishMetricsRequest) -> None:
        """What tasks of a node used in the seconds before the message's time."""
        now = self._clock.now()
        at = now if message.timestamp is None else message.timestamp
        node = self._state.nodes.get(node_id)
        if node is None or not now - OLDEST <= at <= now + AHEAD:
            return
        # Per cent are of all cores of the host, of which the agent may offer fewer.
        units = 1024.0 * message.metadata.openecs_cores if message.metadata.openecs_cores else float(node.capacity.cpu)
        # A message that is cut at the end of a minute is about that minute.
        minute = (at - 1.0) // MINUTE * MINUTE
        uses = self._minutes.setdefault(minute, {})
        told = self._told.get(minute, frozenset())
        # A minute that was published is not published again.
        if message.openecs_host is not None and node_id not in told:
            hosts = self._hosts.setdefault(minute, {})
            add_host(hosts.setdefault(node_id, HostUse(units)), message.openecs_host)
        fine: list[Datum] = []
        for said in message.task_metrics:
            task = self._state.tasks.get(said.task_arn)
            # A task has one sample a minute: what comes of it when that is published is too late.
            if task is None or task.node_id != node_id or task.arn in told:
                continue
            use = uses.setdefault(task.arn, TaskUse())
            just_now = TaskUse()
            for container in said.container_metrics:
                add(use, container, units)
                add(just_now, container, units)
            self.newest[task.arn] = at, just_now
            fine.extend(fine_metrics(self._state, task, just_now, at - 20.0))
        if fine:
            self._publish(fine)

    async def run(self) -> None:
        """Publish every minute, for ever."""
        while True:
            now = self._clock.now()
            await self._sleep((now - PATIENCE) // MINUTE * MINUTE + MINUTE + PATIENCE - now)
            self.publish(self._clock.now())

    def publish(self, now: float) -> None:
        """Publish every minute that has ended."""
        last = (now - PATIENCE) // MINUTE * MINUTE - MINUTE
        ended = sorted(minute for minute in self._minutes if minute <= last)
        for minute in ended:
            uses = self._minutes.pop(minute)
            found = [(task, use) for arn, use in uses.items() if (task := self._state.tasks.get(arn)) is not None]
            self._publish(self._data(found, minute))
            self._perform(task_events(self._state, found, minute))
            self._told[minute] = self._told.get(minute, frozenset()) | frozenset(uses)
        for minute in sorted(minute for minute in self._hosts if minute <= last):
            hosts = self._hosts.pop(minute)
            self._publish(instance_metrics(self._state, hosts, minute))
            self._told[minute] = self._told.get(minute, frozenset()) | frozenset(hosts)
        for minute in [minute for minute in self._told if minute < last - REMEMBERED]:
            del self._told[minute]
        for arn in [arn for arn, (at, _) in self.newest.items() if at < now - KEPT_NEWEST]:
            del self.newest[arn]
        # Counts are those of now: there is no telling what they were before.
        self._publish(cluster_counts(self._state, last))
        self._perform(cluster_events(self._state, last))

    def _data(self, found: list[tuple[Task, TaskUse]], minute: float) -> Iterable[Datum]:
        used: dict[str, Used] = {}
        for task, use in found:
            yield from task_metrics(self._state, task, use, minute)
            yield from insights(self._state, task, use, minute)
            if task.launch_type == "EC2":
                used[task.cluster_arn] = used.get(task.cluster_arn, Used()) + use
        yield from cluster_utilisation(self._state, used, minute)


def add(use: TaskUse, container: ContainerMetric, units: float) -> None:
    """Add what a container used to its task's minute; ``units`` are the CPU units of the whole host."""
    part = use.containers.setdefault(container.container_name, Used())
    for figure, samples, scale in (
        ("cpu", container.cpu_stats_set, units / 100.0),
        ("memory", container.memory_stats_set, 1.0),
    ):
        if samples is not None and samples.sample_count:
            part.add(figure, samples.mean * scale, samples.min * scale, samples.max * scale, samples.sample_count)
    network, storage = container.network_stats_set, container.storage_stats_set
    if network is not None:
        part.add_mean("received", network.rx_bytes_per_second or StatsSet())
        part.add_mean("sent", network.tx_bytes_per_second or StatsSet())
    if storage is not None:
        part.read = max(part.read or 0.0, (storage.read_size_bytes or StatsSet()).max)
        part.written = max(part.written or 0.0, (storage.write_size_bytes or StatsSet()).max)
    if container.restart_stats_set is not None:
        part.restarts = container.restart_stats_set.restart_count
