"""The row of alarms: what evaluating many of them costs, in this process, with everything but HTTP.

The floor is reading their data from the same store, which every evaluation has to do.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from table import Row

from openecs.clock import SystemClock
from openecs.control.alarm_parts import AlarmParts
from openecs.control.loop import Loop, Timing
from openecs.ids import RandomIds
from openecs.metrics.metric import MetricKey, single
from openecs.metrics.store import MetricStore
from openecs.model.alarm import MetricAlarm, alarm_arn
from openecs.planning.alarms.window import evaluation_range
from openecs.shapes import cloudwatch as cw
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

ALARMS = 10_000
#: Minutes for which there are data.
MINUTES = 60
REGION, ACCOUNT = "us-east-1", "000000000000"
#: The part of a core that evaluating all alarms once a minute may take.
GOAL = 0.05


def measure(folder: Path) -> list[Row]:
    """The one row."""
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> list[Row]:
    clock = SystemClock()
    state = State(journal := MemoryJournal())
    journal.start(state.store.journal_reached, state.store.journal_failed)
    store = MetricStore(folder / "metrics", clock)
    await store.open()
    keys = [MetricKey(REGION, "Bench", "Load", (("Service", f"s{number}"),)) for number in range(ALARMS)]
    now = clock.now() // 60 * 60
    for minute in range(MINUTES):
        store.add([single(key, now - 60 * minute, 1.0) for key in keys])
    await store.checkpoint()
    store.add([single(key, now, 1.0) for key in keys])
    with state.transaction() as tx:
        for key in keys:
            tx.put(_alarm(key, now))
    parts = AlarmParts(state, store, clock, RandomIds(), {})
    evaluation = parts.loops(Timing(time.monotonic, asyncio.sleep, random.random))[0]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(evaluation.run())
        # The first time every alarm finds its state.
        await _all_evaluated(evaluation, 1)
        floor = _reading(store, keys, clock.now())
        before, done = time.process_time(), evaluation.reconciled // ALARMS + 1
        for alarm in state.metric_alarms:
            evaluation.enqueue(alarm.arn)
        await _all_evaluated(evaluation, done)
        mine = (time.process_time() - before) / 60
        task.cancel()
    await store.close()
    return [
        Row(
            f"{ALARMS} alarms evaluated a minute, part of a core",
            "reading their data",
            f"{floor:.2%}",
            f"{mine:.2%}",
            mine / floor,
            f"< {GOAL:.0%}",
            mine < GOAL,
        )
    ]


async def _all_evaluated(loop: Loop, times: int) -> None:
    while loop.reconciled < ALARMS * times:  # noqa: ASYNC110 -- the loop only counts
        await asyncio.sleep(0.01)


def _reading(store: MetricStore, keys: list[MetricKey], now: float) -> float:
    """The part of a core that it takes to read the data of all alarms once a minute."""
    window = evaluation_range(_alarm(keys[0], now).settings, now)
    before = time.process_time()
    for key in keys:
        store.statistics(key, window.start, window.end, window.period, ("Average",))
    return (time.process_time() - before) / 60


def _alarm(key: MetricKey, now: float) -> MetricAlarm:
    name = key.dimensions[0][1]
    settings = cw.PutMetricAlarmInput(
        alarm_name=name,
        namespace=key.namespace,
        metric_name=key.name,
        dimensions=tuple(cw.Dimension(name=name, value=value) for name, value in key.dimensions),
        statistic="Average",
        period=60,
        evaluation_periods=3,
        threshold=5.0,
        comparison_operator="GreaterThanThreshold",
    )
    return MetricAlarm(
        arn=alarm_arn(REGION, ACCOUNT, name), region=REGION, name=name, configured_at=now, settings=settings
    )
