"""Starting and stopping real tasks of an installation, and seeing when they run."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from api_rows import container
from engine import FAMILY, IMAGE, SLEEP
from installation import Installation
from load import LoadError

_DESCRIBED = 100


def register(ours: Installation) -> None:
    """The definition of a task that sleeps on the host's network."""
    ours.call(
        "RegisterTaskDefinition",
        family=FAMILY,
        networkMode="host",
        containerDefinitions=[container(image=IMAGE, command=SLEEP, cpu=1, memory=16, stopTimeout=2)],
    )


def run_one(ours: Installation) -> tuple[str, float]:
    """Run one task; its ARN and the seconds until the API showed it RUNNING."""
    started = time.perf_counter()
    (task,) = ours.call("RunTask", taskDefinition=FAMILY)["tasks"]
    wait_for(ours, [task["taskArn"]], "RUNNING", pause=0.002)
    return task["taskArn"], time.perf_counter() - started


def run_many(ours: Installation, count: int) -> tuple[list[str], float]:
    """Run ``count`` tasks with concurrent calls of ten; ARNs, and seconds until all are RUNNING."""

    def ten(_: int) -> list[str]:
        reply = ours.call("RunTask", taskDefinition=FAMILY, count=10)
        if reply["failures"]:
            raise LoadError(f"tasks were not placed: {reply['failures'][:2]}")
        return [task["taskArn"] for task in reply["tasks"]]

    with ThreadPoolExecutor(count // 10) as pool:
        started = time.perf_counter()
        arns = [arn for some in pool.map(ten, range(count // 10)) for arn in some]
        wait_for(ours, arns, "RUNNING", pause=0.02)
        return arns, time.perf_counter() - started


def stop(ours: Installation, arns: list[str]) -> None:
    """Stop tasks and wait until they are STOPPED."""
    for arn in arns:
        ours.call("StopTask", task=arn)
    wait_for(ours, arns, "STOPPED", pause=0.1)


def wait_for(ours: Installation, arns: list[str], status: str, *, pause: float) -> None:
    """Ask until every task has the status; a task that is STOPPED instead is an error."""
    deadline = time.monotonic() + 300
    left = list(arns)
    while left:
        tasks = ours.call("DescribeTasks", tasks=left[:_DESCRIBED])["tasks"]
        ended = [task for task in tasks if task["lastStatus"] == "STOPPED"]
        if status != "STOPPED" and ended:
            raise LoadError(f"a task stopped: {ended[0].get('stoppedReason')}")
        there = {task["taskArn"] for task in tasks if task["lastStatus"] == status}
        left = [arn for arn in left if arn not in there]
        if time.monotonic() > deadline:
            raise LoadError(f"{len(left)} tasks are not {status}")
        if left and not there:
            time.sleep(pause)
