"""A full scale-out: 0 to 20,000 tasks of services, on 200 machines whose agents are other processes.

The clock runs from the first UpdateService to the answer that shows the last task RUNNING.
Everything is as in production but the containers: signed calls, SQLite, ACS, reports.
The floor is what the control plane's own parts need at least: one durable write, one message and one
report a task, taken from the rows above it when they are measured alone.
"""

from __future__ import annotations

import time
from pathlib import Path

from installation import Installation, installation
from load import LoadError
from machines import machines
from processes import cpu_seconds, resident_mib
from table import Row

from api_rows import container

AGENTS = 200
TASKS = 20_000
#: ECS's own limit of a service.
A_SERVICE = 5_000
FAMILY = "bench-scale"
GOAL = 1_000.0
#: Seconds after which a run that is stuck is given up.
_PATIENCE = 240.0
#: What each task may cost the control plane on two cores of which the agents need one, in ms.
_KUBERNETES = 680.0


def measure(folder: Path) -> list[Row]:
    """The rate, what a task costs each side, and the control plane's memory."""
    with installation(folder, "--runtime", "fake", "--no-agent", keep_tasks=True) as ours:
        with machines(ours, AGENTS) as agents:
            names = services(ours, TASKS, A_SERVICE)
            server = ours.pids["server"]
            idle = resident_mib([server])
            before = cpu_seconds(server), sum(map(cpu_seconds, agents))
            seconds = scale(ours, names, A_SERVICE)
            after = cpu_seconds(server), sum(map(cpu_seconds, agents))
            memory = resident_mib([server])
    rate = TASKS / seconds
    each = [(b - a) / TASKS * 1000 for a, b in zip(before, after, strict=True)]
    floor = 1000 / (each[0])
    return [
        Row(
            f"0 to {TASKS:,} tasks RUNNING, {AGENTS} agents",
            "kube-scheduler's own floor, binding only",
            f"{_KUBERNETES:.0f}/s",
            f"{rate:.0f}/s",
            rate / _KUBERNETES,
            f">= {GOAL:.0f}/s",
            rate >= GOAL,
        ),
        Row(
            "CPU per task of that, control plane",
            "one core, nothing else",
            f"{floor:.0f}/s",
            f"{each[0]:.2f} ms",
            rate / floor,
            "<= 1 ms",
            each[0] <= 1.0,
        ),
        Row(
            f"Memory of the control plane, {TASKS:,} tasks",
            f"the same, no task, {AGENTS} agents",
            f"{idle:.0f} MiB",
            f"{memory:.0f} MiB",
            memory / idle,
            "reported",
            True,
        ),
    ]


def services(ours: Installation, tasks: int, each: int, *, desired: int = 0) -> list[str]:
    """As many services as ``tasks`` need with ``each`` a service; their names."""
    ours.call("RegisterTaskDefinition", family=FAMILY, networkMode="host", containerDefinitions=[container()])
    names = [f"scale-{number}" for number in range(tasks // each)]
    for name in names:
        ours.call("CreateService", serviceName=name, taskDefinition=FAMILY, desiredCount=desired)
    return names


def scale(ours: Installation, names: list[str], each: int, *, show: bool = False) -> float:
    """Seconds until every service has ``each`` tasks RUNNING."""
    started = time.perf_counter()
    for name in names:
        ours.call("UpdateService", service=name, desiredCount=each)
        if show:
            print(f"{time.perf_counter() - started:6.1f} s UpdateService {name} answered")
    left = names
    while left:
        time.sleep(0.1)
        found = [s for at in range(0, len(left), 10) for s in _describe(ours, left[at : at + 10])]
        left = [s["serviceName"] for s in found if s["runningCount"] < each]
        seconds = time.perf_counter() - started
        if show:
            print(f"{seconds:6.1f} s {[(s['runningCount'], s['pendingCount']) for s in found]}")
        if seconds > _PATIENCE:
            raise LoadError(f"only {[s['runningCount'] for s in found]} tasks are RUNNING after {seconds:.0f} s")
    return time.perf_counter() - started


def _describe(ours: Installation, names: list[str]) -> list[dict[str, object]]:
    described: list[dict[str, object]] = ours.call("DescribeServices", services=names)["services"]
    return described
