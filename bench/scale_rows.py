"""A full scale-out: 0 to 20,000 tasks of services, on 200 machines whose agents are other processes.

The clock runs from the first UpdateService to the answer that shows the last task RUNNING.
Everything is as in production but the containers: signed calls, SQLite, ACS, reports.  The peer
is a published figure, the rate below which Kubernetes' own tests fail, for scheduling alone.
"""

from __future__ import annotations

import time
from pathlib import Path

from api_rows import container
from installation import Installation, installation
from load import LoadError
from machines import machines
from processes import cpu_seconds, resident_mib
from table import Row

AGENTS = 200
TASKS = 20_000
#: ECS's own limit of a service.
A_SERVICE = 5_000
FAMILY = "bench-scale"
GOAL = 1_000.0
#: Seconds; every call is on a connection of its own, as a command line's is.
SLOWEST_GOAL = 1.0
#: Seconds after which a run that is stuck is given up.
_PATIENCE = 240.0
#: Pods a second with 5,000 nodes and 10,000 pods: kubernetes/kubernetes, scheduler_perf, 2026.
_KUBERNETES = 680.0


def measure(folder: Path) -> list[Row]:
    """The rate, what a task costs each side, and the control plane's memory."""
    with (
        installation(folder, "--runtime", "fake", "--no-agent", keep_tasks=True) as ours,
        machines(ours, AGENTS) as agents,
    ):
        names = services(ours, TASKS, A_SERVICE)
        server = ours.pids["server"]
        idle = resident_mib([server])
        before = cpu_seconds(server), sum(map(cpu_seconds, agents))
        seconds, slowest = scale(ours, names, A_SERVICE)
        after = cpu_seconds(server), sum(map(cpu_seconds, agents))
        memory = resident_mib([server])
    rate = TASKS / seconds
    each = [(b - a) / TASKS * 1000 for a, b in zip(before, after, strict=True)]
    return [
        Row(
            f"0 to {TASKS:,} tasks RUNNING, {AGENTS} agents",
            "kube-scheduler's test, published",
            f"{_KUBERNETES:.0f}/s",
            f"{rate:.0f}/s",
            rate / _KUBERNETES,
            f">= {GOAL:.0f}/s",
            rate >= GOAL,
        ),
        Row(
            "CPU per task of that, control plane",
            "the agents, which do little else",
            f"{each[1]:.2f} ms",
            f"{each[0]:.2f} ms",
            each[0] / each[1],
            "<= 1 ms",
            each[0] <= 1.0,
        ),
        Row(
            "Slowest UpdateService or DescribeServices meanwhile",
            "Kubernetes' objective, 99 of 100",
            f"{SLOWEST_GOAL:.1f} s",
            f"{slowest:.2f} s",
            slowest / SLOWEST_GOAL,
            f"< {SLOWEST_GOAL:.0f} s",
            slowest < SLOWEST_GOAL,
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


def scale(ours: Installation, names: list[str], each: int) -> tuple[float, float]:
    """Seconds until every service has ``each`` tasks RUNNING, and seconds of the slowest answer meanwhile."""
    started = time.perf_counter()
    slowest = 0.0
    for name in names:
        asked = time.perf_counter()
        ours.call("UpdateService", service=name, desiredCount=each)
        slowest = max(slowest, time.perf_counter() - asked)
    left = names
    while left:
        time.sleep(0.1)
        asked = time.perf_counter()
        found = ours.call("DescribeServices", services=left[:10])["services"]
        now = time.perf_counter()
        slowest = max(slowest, now - asked)
        there = {service["serviceName"] for service in found if service["runningCount"] == each}
        left = [name for name in left if name not in there]
        if now - started > _PATIENCE:
            raise LoadError(f"only {[s['runningCount'] for s in found]} tasks are RUNNING after {now - started:.0f} s")
    return time.perf_counter() - started, slowest
