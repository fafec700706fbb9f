"""DescribeTasks of 100 with 1,000, 10,000 and 100,000 tasks in state.

The peer of the larger states is the smallest one: the ratio of the CPU that a request costs
says whether that grows with what exists.  The three servers take turns.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from pathlib import Path

from full_journal import CLUSTER, fill
from installation import Installation
from load import run
from signed_request import ecs_request
from table import Row

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 5
REQUESTS = 600
#: Caches of the processor make some difference; a scan would make it a hundredfold.
GOAL = 1.5


def measure(folder: Path) -> list[Row]:
    """One row for each of the larger states."""
    with ExitStack() as stack:
        servers = {size: _server(stack, folder, size) for size in SIZES}
        costs: dict[int, list[float]] = {size: [] for size in SIZES}
        for number in range(ROUNDS + 1):
            for size, (ours, tasks) in servers.items():
                parameters = {"cluster": CLUSTER, "tasks": tasks}
                requests = [ecs_request(ours.endpoint, "DescribeTasks", parameters) for _ in range(REQUESTS)]
                before = ours.cpu()["server"]
                run((ours.endpoint.host, ours.endpoint.port), requests, count=REQUESTS)
                if number:  # The first round warms up.
                    costs[size].append((ours.cpu()["server"] - before) / REQUESTS * 1000)
    typical = {size: statistics.median(values) for size, values in costs.items()}
    floor = typical[SIZES[0]]
    return [
        Row(
            f"DescribeTasks of 100, CPU, {size:,} tasks in state",
            f"{SIZES[0]:,} tasks in state",
            f"{floor:.3f} ms",
            f"{typical[size]:.3f} ms",
            typical[size] / floor,
            f"<= {GOAL}",
            typical[size] <= GOAL * floor,
        )
        for size in SIZES[1:]
    ]


def _server(stack: ExitStack, folder: Path, size: int) -> tuple[Installation, list[str]]:
    ours = Installation(folder / str(size), "--runtime", "fake", "--no-agent")
    ours.up()
    ours.down("--keep-tasks")
    tasks = fill(ours.home / "journal.db", size)
    ours.up()
    stack.callback(ours.down, "--keep-tasks")
    return ours, tasks
