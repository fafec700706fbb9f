"""The API's rows: requests per second against moto and against a bare server, and p99.

The three servers take turns in short slices, so that whatever else the machine does hits all
of them alike.  The fake engine runs the tasks of RunTask; the row counts only when every
accepted task is RUNNING at the end.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installation import Installation, installation
from load import LoadError, Result, ask, run
from peers import bare_server, call, moto_network, moto_server
from signed_request import Endpoint, ecs_request, forged
from table import Row

CONNECTIONS = 16
ROUNDS = 5
SLICE = 1.0
#: RunTask calls of one slice; a number and no time, since what is accepted must also run.
RUN_SLICE = 2000
#: Ready-made requests per operation, each signed for itself.
PREPARED = 1000
FAMILY = "bench"
#: Bigger than any run needs, so that capacity never decides.
HUGE = ("--cpu", "100000000", "--memory", "100000000")


@dataclass
class _Operation:
    """One operation with the parameters for ours and for moto."""

    name: str
    ours: dict[str, Any]
    moto: dict[str, Any]
    count: int | None = None
    results: dict[str, list[Result]] = field(default_factory=dict)

    def rate(self, server: str) -> float:
        return statistics.median(result.rate for result in self.results[server])

    def p99(self, server: str) -> float:
        return statistics.median(result.percentile(0.99) for result in self.results[server])


def container(**more: Any) -> dict[str, Any]:
    """The container definition of every benchmark."""
    return {"name": "main", "image": "openecs-bench:1", "cpu": 1, "memory": 8, "essential": True, **more}


def measure(folder: Path) -> list[Row]:
    """All API rows."""
    with installation(folder / "api", "--runtime", "fake", *HUGE, keep_tasks=True) as ours, moto_server() as moto:
        operations = _prepare(ours, moto)
        _check_signatures(ours.endpoint)
        answers = {
            op.name: ask(_address(ours.endpoint), ecs_request(ours.endpoint, op.name, op.ours)) for op in operations
        }
        with bare_server(answers, folder / "bare") as bare:
            rows: list[Row] = []
            accepted = len(json.loads(answers["RunTask"])["tasks"])
            settled: list[float] = []
            for op in operations:
                for number in range(ROUNDS + 1):
                    results = {
                        "bare": _slice(bare, op, op.ours, op.count, path=op.name),
                        "moto": _slice(moto, op, op.moto, None),
                    }
                    started = time.perf_counter()
                    results["ours"] = _slice(ours.endpoint, op, op.ours, op.count)
                    if op.count is not None:
                        accepted += op.count
                        _all_running(ours, 100 + accepted)
                        settled.append(op.count / (time.perf_counter() - started))
                    if number:  # The first round warms all three up.
                        for server, result in results.items():
                            op.results.setdefault(server, []).append(result)
                rows += _rows(op)
    return [*rows, _sustained(operations[-1], settled)]


def _prepare(ours: Installation, moto: Endpoint) -> list[_Operation]:
    moto_run = {"taskDefinition": FAMILY, "launchType": "FARGATE", "networkConfiguration": moto_network(moto)}
    definition = {"family": FAMILY, "networkMode": "host", "containerDefinitions": [container()]}
    call(moto, "CreateCluster", clusterName="default")
    for number in range(10):
        ours.call("CreateCluster", clusterName=f"bench{number}")
        call(moto, "CreateCluster", clusterName=f"bench{number}")
    ours.call("RegisterTaskDefinition", **definition)
    call(
        moto,
        "RegisterTaskDefinition",
        family=FAMILY,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[container()],
    )
    theirs = _hundred_tasks(lambda count: call(moto, "RunTask", **moto_run, count=count))
    tasks = _hundred_tasks(lambda count: ours.call("RunTask", taskDefinition=FAMILY, count=count))
    _all_running(ours, 100)
    return [
        _Operation("ListClusters", {}, {}),
        _Operation("DescribeTasks", {"tasks": tasks}, {"tasks": theirs}),
        _Operation("RegisterTaskDefinition", {**definition, "family": "bench-r"}, {**definition, "family": "bench-r"}),
        _Operation("RunTask", {"taskDefinition": FAMILY}, moto_run, count=RUN_SLICE),
    ]


def _hundred_tasks(run_tasks: Callable[[int], dict[str, Any]]) -> list[str]:
    arns: list[str] = []
    for _ in range(10):
        arns += [task["taskArn"] for task in run_tasks(10)["tasks"]]
    return arns


def _slice(
    server: Endpoint, op: _Operation, parameters: dict[str, Any], count: int | None, *, path: str = ""
) -> Result:
    requests = [ecs_request(server, op.name, parameters) for _ in range(count or PREPARED)]
    if path:
        requests = [request.replace(b"POST / ", f"POST /{path} ".encode(), 1) for request in requests]
    seconds = None if count else SLICE
    return run(_address(server), requests, connections=CONNECTIONS, seconds=seconds, count=count)


def _rows(op: _Operation) -> list[Row]:
    ours, bare, moto = op.rate("ours"), op.rate("bare"), op.rate("moto")
    p99, bare_p99 = op.p99("ours"), op.p99("bare")
    name = "DescribeTasks of 100" if op.name == "DescribeTasks" else op.name
    return [
        Row(f"{name}, requests/s", "moto_server", _rate(moto), _rate(ours), ours / moto, ">= 20", ours >= 20 * moto),
        Row(
            f"{name}, requests/s",
            "bare uvicorn+orjson",
            _rate(bare),
            _rate(ours),
            ours / bare,
            ">= 0.35",
            ours >= 0.35 * bare,
        ),
        Row(
            f"{name}, p99",
            "bare uvicorn+orjson",
            f"{bare_p99:.1f} ms",
            f"{p99:.1f} ms",
            p99 / bare_p99,
            "< 10 ms",
            p99 < 10,
        ),
    ]


def _sustained(op: _Operation, settled: list[float]) -> Row:
    """How many tasks a second go all the way; had one been dropped, ``_all_running`` had failed."""
    moto, mine = op.rate("moto"), statistics.median(settled)
    goal = "all RUNNING"
    return Row(
        "Tasks accepted and RUNNING", "moto_server, runs none", _rate(moto), _rate(mine), mine / moto, goal, True
    )


def _check_signatures(endpoint: Endpoint) -> None:
    """The figures mean nothing if the server believes everybody."""
    try:
        ask(_address(endpoint), forged(ecs_request(endpoint, "ListClusters", {})))
    except LoadError:
        return
    raise LoadError("the server answered a request whose signature is wrong")


def _all_running(ours: Installation, wanted: int) -> None:
    """Wait until every accepted task is RUNNING."""
    deadline = time.monotonic() + 300
    while True:
        clusters = ours.call("DescribeClusters", clusters=["default"])["clusters"]
        running, pending = clusters[0]["runningTasksCount"], clusters[0]["pendingTasksCount"]
        if running == wanted and not pending:
            return
        if time.monotonic() > deadline:
            raise LoadError(f"{running} of {wanted} accepted tasks are RUNNING, {pending} pending")
        time.sleep(0.02)


def _address(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host, endpoint.port


def _rate(value: float) -> str:
    return f"{value:.0f}/s"
