"""Random histories of a store beside a plain list: what is read is always what was acknowledged."""

from __future__ import annotations

import asyncio
import random

import pytest
from test_logs_store import DAY

from openecs.clock import ManualClock
from openecs.logs.event import Range
from openecs.logs.store import LogStore

OPTIONS = {"segment_bytes": 3000, "loose_bytes": 2000, "scan_bytes": 500}
STREAMS = 4


class Ending:
    """Messages with a digit at the end."""

    def __init__(self, digit: int) -> None:
        self.needles = ((f"={digit}",),)
        self._end = f"={digit}"

    def matches(self, message: str) -> bool:
        return message.endswith(self._end)


class History:
    """One store, what it should hold, and steps that may happen."""

    def __init__(self, path, chance: random.Random) -> None:
        self.path, self.chance, self.clock = path, chance, ManualClock()
        self.expected: list[tuple[int, str, str]] = []
        self.count = 0

    async def open(self) -> None:
        self.store = LogStore(self.path, self.clock, **OPTIONS)
        await self.store.open()
        self.group = self.store.groups("r").get("g") or self.store.create_group("r", "g", {})
        self.store.set_retention(self.group, 2)

    async def append(self) -> None:
        name = f"s{self.chance.randrange(STREAMS)}"
        stream = self.group.streams.get(name) or self.store.create_stream(self.group, name)
        now = round(self.clock.now() * 1000)
        size = self.chance.choice((1, 1, 3, 40, 400))
        timestamps = sorted(now - self.chance.randrange(1000) for _ in range(size))
        messages = [f"{name} {self.count + i} {'pad' * self.chance.randrange(20)}={i % 7}" for i in range(size)]
        self.count += size
        await self.store.append(stream, timestamps, messages)
        self.expected += [(t, name, m) for t, m in zip(timestamps, messages, strict=True)]

    async def seal(self) -> None:
        await self.store.seal(self.clock.now())

    async def expire(self) -> None:
        await self.store.expire(self.clock.now())

    async def wait(self) -> None:
        self.clock.advance(self.chance.choice((1, 700, DAY / 3)))

    async def delete(self) -> None:
        if self.group.streams and self.chance.random() < 0.2:
            name = self.chance.choice(sorted(self.group.streams))
            self.store.delete_stream(self.group.streams[name])
            self.expected = [event for event in self.expected if event[1] != name]

    async def reopen(self) -> None:
        if self.path is not None:
            await self.store.close()
            await self.open()

    async def together(self) -> None:
        """Reading, sealing and expiring at once."""
        await asyncio.gather(self.check(), self.seal(), self.expire(), self.check())

    async def check(self) -> None:
        cutoff = self.group.cutoff(round(self.clock.now() * 1000))
        self.expected = [event for event in self.expected if event[0] >= cutoff]
        descending, matcher = self.chance.random() < 0.5, self.chance.choice((None, Ending(self.chance.randrange(7))))
        names = {stream.id: name for name, stream in self.group.streams.items()}
        wanted, got = Range(), []
        while True:
            page = await self.store.read(
                self.group.streams.values(), wanted, 300, descending=descending, matcher=matcher
            )
            got += [(event.timestamp, names[event.stream_id], event.message) for event in page.events]
            if not page.more:
                break
            wanted = Range(before=page.position) if descending else Range(after=page.position)
        times = [timestamp for timestamp, _, _ in got]
        assert times == sorted(times, reverse=descending)
        assert sorted(got) == sorted(e for e in self.expected if matcher is None or matcher.matches(e[2]))


@pytest.mark.parametrize("seed", range(6))
async def test_a_store_holds_what_its_history_says(tmp_path, seed):
    chance = random.Random(seed)
    history = History(tmp_path if seed % 3 else None, chance)
    await history.open()
    steps = [history.append] * 8 + [
        *(history.seal, history.expire, history.wait, history.delete, history.check, history.reopen, history.together)
    ]
    for _ in range(120):
        await chance.choice(steps)()
    await history.check()
    await history.store.durable()
    assert history.group.stored_bytes == sum(history.store._files.sizes().values())
    assert history.count > 1000
    await history.store.close()
