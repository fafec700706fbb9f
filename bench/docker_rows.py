"""Real tasks against the engine itself: one task and ``docker run``, fifty and fifty API calls.

Host network and a local image on both sides; the two take turns.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import engine
import real_tasks
from installation import Installation, installation
from table import Row

SINGLE_ROUNDS = 15
MANY = 50
MANY_ROUNDS = 3
GOAL = 1.15


def measure(folder: Path) -> list[Row]:
    """Both rows."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours:
        real_tasks.register(ours)
        return [_single(ours), _many(ours)]


def _single(ours: Installation) -> Row:
    theirs_s: list[float] = []
    ours_s: list[float] = []
    for number in range(SINGLE_ROUNDS + 1):
        engine_seconds = engine.docker_run()
        arn, seconds = real_tasks.run_one(ours)
        if number:  # The first round warms both up.
            theirs_s.append(engine_seconds)
            ours_s.append(seconds)
        real_tasks.stop(ours, [arn])
        engine.remove_started()
    return _row("RunTask to RUNNING, one task", "docker run -d", theirs_s, ours_s)


def _many(ours: Installation) -> Row:
    theirs_s: list[float] = []
    ours_s: list[float] = []
    for _ in range(MANY_ROUNDS):
        theirs_s.append(engine.start_many(MANY))
        engine.remove_started()
        arns, seconds = real_tasks.run_many(ours, MANY)
        ours_s.append(seconds)
        real_tasks.stop(ours, arns)
    return _row(f"RunTask to RUNNING, {MANY} at once", f"{MANY} concurrent create+start", theirs_s, ours_s)


def _row(measure: str, peer: str, theirs: list[float], ours: list[float]) -> Row:
    floor, mine = statistics.median(theirs), statistics.median(ours)
    ratio = mine / floor
    return Row(measure, peer, f"{floor:.3f} s", f"{mine:.3f} s", ratio, f"<= {GOAL}", ratio <= GOAL)
