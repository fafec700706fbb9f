"""The program that the crash test kills: writes to a log store and says what was acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from openecs.clock import SystemClock
from openecs.logs.store import LogStore

STREAMS = 6
T = 1_700_000_000_000


def message(writer: int, number: int) -> str:
    return f"{writer}:{number}:" + "é" * (number * 37 % 200)


async def write(store: LogStore, run: int, writer: int) -> None:
    group = store.groups("r").get("g") or store.create_group("r", "g", {})
    name = f"s{run}.{writer}" if writer % 2 else f"s{writer}"
    stream = group.streams.get(name) or store.create_stream(group, name)
    await store.durable()
    number = 0
    while True:
        count = 1 + number % 7
        timestamps = [T + run * 1_000_000 + number + i for i in range(count)]
        await store.append(stream, timestamps, [message(run, number + i) for i in range(count)])
        number += count
        sys.stdout.write(f"{name} {run} {number}\n")
        sys.stdout.flush()


async def main() -> None:
    # Sealing all the time, so that some of the kills fall into it.
    store = LogStore(Path(sys.argv[1]), SystemClock(), segment_bytes=20_000)
    await store.open()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        for writer in range(STREAMS):
            tasks.create_task(write(store, int(sys.argv[2]), writer))
        while True:
            await store.seal(store._clock.now())
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main())
