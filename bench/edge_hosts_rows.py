"""How soon every host knows of a new task's address: 100 connected agents, each told by a document of its own.

The clock runs from RunTask (awsvpc) until the last agent has the document of the new interface.
The peer is the first agent that has it, before which the task is placed and durable.  The agents
are the product's own connections in two other processes on the same machine; see ``fake_agents``.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from api_rows import container
from edge_rollout_rows import client
from installation import Installation, installation
from load import LoadError
from machines import machines
from processes import cpu_seconds
from table import Row

AGENTS, TASKS = 100, 15
FAMILY = "edge-hosts"
GOAL_MS = 100.0
_PATIENCE = 30.0


def measure(folder: Path) -> list[Row]:
    """The time, and what it costs the control plane."""
    folder.mkdir(parents=True)
    told = folder / "told"
    told.touch()
    with (
        installation(folder / "home", "--runtime", "fake", "--no-agent", keep_tasks=True) as ours,
        machines(ours, AGENTS, documents=told),
    ):
        subnets = client(ours, "ec2").describe_subnets()["Subnets"]
        network = {"awsvpcConfiguration": {"subnets": [subnets[0]["SubnetId"]]}}
        ours.call("RegisterTaskDefinition", family=FAMILY, networkMode="awsvpc", containerDefinitions=[container()])
        _task(ours, network, told)  # What happens once only is no part of the figures.
        before = cpu_seconds(ours.pids["server"])
        times = [_task(ours, network, told) for _ in range(TASKS)]
        used = (cpu_seconds(ours.pids["server"]) - before) / TASKS * 1000
    first = statistics.median(times[0] for times in times) * 1000
    last = statistics.median(times[1] for times in times) * 1000
    return [
        Row(
            f"RunTask to the new address being known on {AGENTS} hosts",
            "the first host that knows",
            f"{first:.1f} ms",
            f"{last:.1f} ms",
            last / first,
            f"< {GOAL_MS:.0f} ms",
            last < GOAL_MS,
        ),
        Row(
            f"CPU of the control plane for one awsvpc task from RunTask to STOPPED, {AGENTS} hosts told",
            "its share of a host",
            f"{used / AGENTS:.2f} ms",
            f"{used:.1f} ms",
            AGENTS,
            "reported",
            True,
        ),
    ]


def _task(ours: Installation, network: dict[str, Any], told: Path) -> tuple[float, float]:
    """Start a task and stop it; seconds until the first and until the last agent was told."""
    offset = told.stat().st_size
    started = time.monotonic()
    reply = ours.call("RunTask", taskDefinition=FAMILY, networkConfiguration=network)
    (task,) = reply["tasks"]
    (attachment,) = task["attachments"]
    key = {detail["name"]: detail["value"] for detail in attachment["details"]}["networkInterfaceId"]
    while len(found := _told(told, offset, key)) < AGENTS:
        if time.monotonic() - started > _PATIENCE:
            raise LoadError(f"{len(found)} of {AGENTS} agents were told of {key}")
        time.sleep(0.01)
    ours.call("StopTask", task=task["taskArn"])
    while ours.call("DescribeTasks", tasks=[task["taskArn"]])["tasks"][0]["lastStatus"] != "STOPPED":
        time.sleep(0.01)
    return min(found.values()) - started, max(found.values()) - started


def _told(file: Path, offset: int, key: str) -> dict[str, float]:
    """Agent → when it was told first."""
    found: dict[str, float] = {}
    with file.open() as lines:
        lines.seek(offset)
        for line in lines.read().splitlines():
            when, agent, which = line.split()
            if which == key:
                found.setdefault(agent, float(when))
    return found
