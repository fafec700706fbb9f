"""When the counters of Envoy are read, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from test_edge_traffic import serving

from openecs.agent.edge.envoy_admin import AdminError
from openecs.agent.edge.meter import TrafficMeter


class Clockwork:
    """A clock that goes on while somebody sleeps, and an Envoy that gets requests at certain times."""

    def __init__(self, *asked_at: float, starts_at: float = 0.0) -> None:
        self.at = 100.0
        self.asked_at, self.starts_at = asked_at, starts_at
        self.looks: list[float] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += max(seconds, 0.0)
        await asyncio.sleep(0)

    async def json(self, _: str) -> Any:
        self.looks.append(self.at)
        if self.at < self.starts_at:
            raise AdminError("not there yet")
        count = sum(self.starts_at <= at <= self.at for at in self.asked_at)
        return {"stats": [{"name": "cluster.web/3.upstream_rq_completed", "value": count}]}

    def meter(self) -> TrafficMeter:
        return TrafficMeter(self, self, self.sleep)  # type: ignore[arg-type]

    async def until(self, meter: TrafficMeter, done: Callable[[], bool]) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(meter.run())
            while not done():
                await asyncio.sleep(0)
            running.cancel()


def requests(meter: TrafficMeter) -> list[tuple[float, int]]:
    return [(message.timestamp, sum(group.sent.requests for group in message.groups)) for message in meter.messages]


@pytest.mark.parametrize(
    ("adopted", "first"), [(False, 3), (True, 1)], ids=["an Envoy of its own", "one that an earlier agent started"]
)
async def test_every_full_minute_is_told(adopted: bool, first: int) -> None:
    # Two requests came before the first look, one in the first minute, two in the second.
    clockwork = Clockwork(90, 95, 110, 121, 179)
    meter = clockwork.meter()
    if not adopted:
        meter.begin()
    meter.see(serving(), {})
    await clockwork.until(meter, lambda: len(meter.messages) == 2)
    assert requests(meter) == [(120.0, first), (180.0, 2)]
    assert clockwork.looks == [100, 120, 140, 160, 180]
    assert meter.ready.is_set()


async def test_an_envoy_that_starts_late_loses_nothing() -> None:
    clockwork = Clockwork(105, 106, 119, starts_at=104)
    meter = clockwork.meter()
    meter.begin()
    meter.see(serving(), {})
    await clockwork.until(meter, lambda: bool(meter.messages))
    assert requests(meter) == [(120.0, 3)]


async def test_envoy_is_not_asked_where_nothing_is_served() -> None:
    clockwork = Clockwork()
    meter = clockwork.meter()
    meter.see(serving()._replace(parts=(), connect=()), {})
    rounds = iter(range(10))
    await clockwork.until(meter, lambda: next(rounds, None) is None)
    assert clockwork.looks == []


async def test_what_is_gone_by_the_end_of_the_minute_is_still_told() -> None:
    clockwork = Clockwork(105)
    meter = clockwork.meter()
    meter.begin()
    meter.see(serving(), {})
    await meter.look()
    clockwork.at = 110.0
    await meter.look()
    meter.see(serving()._replace(parts=(), groups={}), {})
    meter.cut(120.0)
    assert requests(meter) == [(120.0, 1)]
