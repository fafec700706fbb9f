"""Kill the process that writes, look at what its disk holds: everything acknowledged, nothing in halves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from crash_writer import message

from openecs.logs.event import Range

PROGRAM = Path(__file__).with_name("crash_writer.py")
RUNS = 200 if os.environ.get("OPENECS_SOAK") == "1" else 8


def run_and_kill(path: Path, run: int, lines: int) -> dict[tuple[str, int], int]:
    """Let the writer acknowledge ``lines`` batches, kill it; returns the events acknowledged by stream and run."""
    acknowledged: dict[tuple[str, int], int] = {}
    process = subprocess.Popen([sys.executable, PROGRAM, path, str(run)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        for _ in range(lines):
            name, _, number = process.stdout.readline().split()
            acknowledged[name, run] = int(number)
        process.kill()
        # What it printed before it died was acknowledged as well; the last line may be cut.
        for line in process.stdout.read().rpartition("\n")[0].splitlines():
            name, _, number = line.split()
            acknowledged[name, run] = int(number)
    return acknowledged


async def test_killed_at_random_points_nothing_acknowledged_is_lost(tmp_path, reopen):
    chance = random.Random(7)
    acknowledged: dict[tuple[str, int], int] = {}
    for run in range(RUNS):
        acknowledged |= run_and_kill(tmp_path, run, chance.randrange(1, 400))
        async with reopen(segment_bytes=20_000) as store:
            await check(store, acknowledged)


async def check(store, acknowledged: dict[tuple[str, int], int]) -> None:
    streams = store.groups("r")["g"].streams
    assert {name for name, _ in acknowledged} <= streams.keys()
    for name, stream in streams.items():
        found: dict[int, list[str]] = defaultdict(list)
        wanted = Range()
        while True:
            page = await store.read([stream], wanted, 1000)
            for event in page.events:
                found[int(event.message.partition(":")[0])].append(event.message)
            if not page.more:
                break
            wanted = Range(after=page.events[-1].key)
        for run, messages in found.items():
            # Whole batches only, each in its place: what is there is a beginning of what was sent.
            assert messages == [message(run, number) for number in range(len(messages))]
            assert len(messages) in batch_ends(len(messages))
        for (acknowledged_name, run), number in acknowledged.items():
            if acknowledged_name == name:
                assert len(found[run]) >= number


def batch_ends(until: int) -> set[int]:
    """The event counts at which a batch of the writer ends, up to ``until``."""
    ends, number = set(), 0
    while number < until:
        number += 1 + number % 7
        ends.add(number)
    return ends
