"""CPU time per task from RunTask to RUNNING, of the control plane and of the agent.

The peer is the engine: what dockerd, containerd and their shims burn for the same tasks.
"""

from __future__ import annotations

from pathlib import Path

import engine
import real_tasks
from api_rows import FAMILY, HUGE, _all_running, container
from installation import Installation, installation
from processes import cpu_seconds, named
from table import Row

FAKE_TASKS = 500
REAL_TASKS = 50
GOALS = {"server": 5.0, "agent": 10.0}
_NAMES = {"server": "control plane", "agent": "agent"}


def measure(folder: Path) -> list[Row]:
    """Control plane and agent, for real and for fake tasks."""
    with engine.image(), installation(folder / "real", "--runtime", "docker") as ours:
        real_tasks.register(ours)
        arn, _ = real_tasks.run_one(ours)
        engines = named("dockerd") + named("containerd")
        before, engine_before = ours.cpu(), sum(map(cpu_seconds, engines))
        arns, _ = real_tasks.run_many(ours, REAL_TASKS)
        after, engine_after = ours.cpu(), sum(map(cpu_seconds, engines))
        real_tasks.stop(ours, [arn, *arns])
    floor = (engine_after - engine_before) / REAL_TASKS * 1000
    rows = _rows(f"{REAL_TASKS} real tasks", before, after, REAL_TASKS, floor)
    with installation(folder / "fake", "--runtime", "fake", *HUGE, keep_tasks=True) as ours:
        before, after = _fake(ours)
    return rows + _rows(f"{FAKE_TASKS} tasks, fake engine", before, after, FAKE_TASKS, floor)


def _fake(ours: Installation) -> tuple[dict[str, float], dict[str, float]]:
    ours.call("RegisterTaskDefinition", family=FAMILY, networkMode="host", containerDefinitions=[container()])
    ours.call("RunTask", taskDefinition=FAMILY)
    _all_running(ours, 1)
    before = ours.cpu()
    for _ in range(FAKE_TASKS):
        ours.call("RunTask", taskDefinition=FAMILY)
    _all_running(ours, 1 + FAKE_TASKS)
    return before, ours.cpu()


def _rows(what: str, before: dict[str, float], after: dict[str, float], count: int, floor: float) -> list[Row]:
    rows = []
    for name, goal in GOALS.items():
        mine = (after[name] - before[name]) / count * 1000
        rows.append(
            Row(
                f"CPU per task, {_NAMES[name]}, {what}",
                "engine, real tasks",
                f"{floor:.0f} ms",
                f"{mine:.2f} ms",
                mine / floor,
                f"<= {goal:.0f} ms",
                mine <= goal,
            )
        )
    return rows
