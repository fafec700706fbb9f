"""What services cost that have nothing to do: one reconcile of a large one, and 5,000 small ones idle.

The reconcile runs in this process on the state that a server wrote, through the same controller;
the run fails if it writes anything.  The idle row counts the control plane only: its agents are fake.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from pathlib import Path

from installation import Installation, installation
from load import LoadError, run
from machines import machines
from processes import cpu_seconds
from scale_rows import FAMILY, scale, services
from signed_request import ecs_request
from table import Row

from openecs.clock import SystemClock
from openecs.control.launch import Launcher
from openecs.control.region_networks import RegionNetworks
from openecs.control.services import ServiceController
from openecs.ids import RandomIds
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State

LARGE = 5_000
RECONCILES = 200
RECONCILE_GOAL_MS = 2.0
SERVICES = 5_000
AGENTS = 20
#: What starting left to do (back-off, steady-state events) is no idleness.
SETTLED_AFTER = 10.0
SECONDS = 40.0
IDLE_GOAL = 2.0
_PATIENCE = 180.0


def measure(folder: Path) -> list[Row]:
    """Both rows."""
    return [_reconcile(folder / "large"), _idle(folder / "idle")]


def _reconcile(folder: Path) -> Row:
    copy = folder / "copy.db"
    with installation(folder, "--runtime", "fake", "--no-agent", keep_tasks=True) as ours, machines(ours, AGENTS):
        scale(ours, services(ours, LARGE, LARGE), LARGE)
        _wait_completed(ours, "scale-0")
        # Agents that left would be news for the reconciler, so it gets the state as it is now.
        source, target = sqlite3.connect(folder / "journal.db"), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()
    floor, mine = _time_reconciles(copy)
    return Row(
        f"Reconcile of a service with {LARGE:,} tasks, no change",
        "a loop that reads each status",
        f"{floor:.2f} ms",
        f"{mine:.2f} ms",
        mine / floor,
        f"< {RECONCILE_GOAL_MS:.0f} ms",
        mine < RECONCILE_GOAL_MS,
    )


def _time_reconciles(journal: Path) -> tuple[float, float]:
    """Milliseconds of a bare look at every task and of a reconcile, medians."""
    state = State(SqliteJournal(journal))
    state.store.load()
    launcher = Launcher(state, RegionNetworks(state, "000000000000", "10.208.0.0/16"), random.Random(1))
    controller = ServiceController(state, launcher, SystemClock(), RandomIds())
    (service,) = state.services
    before = state.store.revision
    floors: list[float] = []
    ours: list[float] = []
    for _ in range(RECONCILES):
        started = time.perf_counter()
        running = sum(task.last_status == "RUNNING" for task in state.tasks.by("service", service.arn))
        between = time.perf_counter()
        controller.reconcile(service.arn)
        ended = time.perf_counter()
        floors.append((between - started) * 1000)
        ours.append((ended - between) * 1000)
    if state.store.revision != before or running != LARGE:
        raise LoadError("the service was not at rest")
    return statistics.median(floors), statistics.median(ours)


def _wait_completed(ours: Installation, name: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        (service,) = ours.call("DescribeServices", services=[name])["services"]
        if service["deployments"][0]["rolloutState"] == "COMPLETED":
            return
        if time.monotonic() > deadline:
            raise LoadError(f"{name} is not steady: {service['events'][:1]}")
        time.sleep(0.1)


def _idle(folder: Path) -> Row:
    with installation(folder, "--runtime", "fake", "--no-agent", keep_tasks=True) as ours, machines(ours, AGENTS):
        services(ours, 1, 1)
        floor = _cpu_share(ours, SECONDS / 4)
        create = [
            {"serviceName": f"idle-{number}", "taskDefinition": FAMILY, "desiredCount": 1}
            for number in range(1, SERVICES)
        ]
        requests = [ecs_request(ours.endpoint, "CreateService", parameters) for parameters in create]
        run((ours.endpoint.host, ours.endpoint.port), requests, count=len(requests))
        _wait_running(ours, SERVICES - 1)
        time.sleep(SETTLED_AFTER)
        mine = _cpu_share(ours, SECONDS)
    return Row(
        f"CPU of {SERVICES:,} idle services, {SERVICES:,} tasks, of a core",
        "one service without tasks",
        f"{floor:.2f} %",
        f"{mine:.2f} %",
        mine / max(floor, 0.01),
        f"< {IDLE_GOAL:.0f} %",
        mine < IDLE_GOAL,
    )


def _wait_running(ours: Installation, wanted: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        running: int = ours.call("DescribeClusters", clusters=["default"])["clusters"][0]["runningTasksCount"]
        if running == wanted:
            return
        if time.monotonic() > deadline:
            raise LoadError(f"{running} of {wanted} tasks are RUNNING")
        time.sleep(0.1)


def _cpu_share(ours: Installation, seconds: float) -> float:
    """Percent of a core that the control plane used for that long."""
    before = cpu_seconds(ours.pids["server"])
    time.sleep(seconds)
    return (cpu_seconds(ours.pids["server"]) - before) / seconds * 100
