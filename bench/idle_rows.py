"""Memory and CPU of an installation with 50 running tasks and nobody asking.

The peer is the engine (dockerd and containerd) in the same seconds.  All three processes of
the installation count: control plane, agent and their supervisor.
"""

from __future__ import annotations

import time
from pathlib import Path

import engine
import real_tasks
from installation import installation
from processes import cpu_seconds, named, resident_mib
from table import Row

TASKS = 50
SECONDS = 30.0
MEMORY_GOAL = 150.0
CPU_GOAL = 1.0


def measure(folder: Path) -> list[Row]:
    """Memory and CPU."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours:
        real_tasks.register(ours)
        arns, _ = real_tasks.run_many(ours, TASKS)
        time.sleep(5.0)  # What the start left to do is no idleness.
        engines = named("dockerd") + named("containerd")
        before, engine_before = sum(ours.cpu().values()), sum(map(cpu_seconds, engines))
        time.sleep(SECONDS)
        mine = (sum(ours.cpu().values()) - before) / SECONDS * 100
        theirs = (sum(map(cpu_seconds, engines)) - engine_before) / SECONDS * 100
        memory, engine_memory = ours.resident(), resident_mib(engines)
        real_tasks.stop(ours, arns)
    return [
        Row(
            f"Memory with {TASKS} tasks running",
            "dockerd and containerd",
            f"{engine_memory:.0f} MiB",
            f"{memory:.0f} MiB",
            memory / engine_memory,
            f"< {MEMORY_GOAL:.0f} MiB",
            memory < MEMORY_GOAL,
        ),
        Row(
            f"CPU with {TASKS} tasks running, of a core",
            "dockerd and containerd",
            f"{theirs:.2f} %",
            f"{mine:.2f} %",
            mine / max(theirs, 0.01),
            f"< {CPU_GOAL:.0f} %",
            mine < CPU_GOAL,
        ),
    ]
