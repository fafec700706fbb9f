"""Start of the server with 100,000 tasks in its journal.

The floor is reading the same rows and decoding them untyped, with nothing else.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from pathlib import Path

import msgspec
from full_journal import fill
from installation import Installation
from table import Row

TASKS = 100_000
ROUNDS = 3
GOAL = 5.0


def measure(folder: Path) -> list[Row]:
    """``openecs up`` until it says that the control plane answers."""
    ours = Installation(folder, "--runtime", "fake", "--no-agent")
    ours.up()
    ours.down("--keep-tasks")
    fill(folder / "journal.db", TASKS)
    floors: list[float] = []
    starts: list[float] = []
    for _ in range(ROUNDS):
        floors.append(_read(folder / "journal.db"))
        starts.append(ours.up())
        ours.down("--keep-tasks")
    floor, mine = statistics.median(floors), statistics.median(starts)
    return [
        Row(
            f"openecs up with {TASKS:,} tasks in the journal",
            "reading the rows",
            f"{floor:.2f} s",
            f"{mine:.2f} s",
            mine / floor,
            f"< {GOAL:.0f} s",
            mine < GOAL,
        )
    ]


def _read(journal: Path) -> float:
    started = time.perf_counter()
    connection = sqlite3.connect(journal)
    decode = msgspec.json.Decoder().decode
    rows = [decode(body) for (body,) in connection.execute("SELECT body FROM record")]
    connection.close()
    if len(rows) < TASKS:
        raise RuntimeError(f"the journal holds {len(rows)} records only")
    return time.perf_counter() - started
