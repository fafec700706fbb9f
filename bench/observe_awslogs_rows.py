"""The row of the awslogs driver: lines of a container until they have come to a log service.

Ours, and one that keeps nothing.

Docker's driver is the same on both sides, with the options and keys that it has from a task of
ours; the two take turns.  A container writes what it can and ends.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import engine
from installation import Installation, installation
from load import ask
from signed_request import json_request
from table import Row

LINES, ROUNDS = 300_000, 3
GOAL = 0.9
#: As long as a line of an access log; the last word is the line's number.
LINE = '10.0.3.17 - - [23/Nov/2026:10:00:00 +0000] "GET /api/v1/orders/4711 HTTP/1.1" 200 1532 "-" "curl/8.5.0" request'
_SCRIPT = "BEGIN {for (i = 1; i <= n; i++) print line, i}"
WRITES = ["/bin/busybox", "awk", "-v", f"n={LINES}", "-v", f"line={LINE}", _SCRIPT]
GROUP = "/bench/awslogs"
ROLE = "arn:aws:iam::000000000000:role/bench"


def measure(folder: Path) -> list[Row]:
    """The one row."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours, null_endpoint() as null:
        options = driver_options(ours)
        speeds: dict[str, list[float]] = {"ours": [], "null": []}
        for turn in range(ROUNDS):
            stream = f"turn-{turn}"
            before = counted(null)
            speeds["null"].append(lines_a_second(options, null, stream, partial(counted, null, before)))
            before = taken(ours)
            speeds["ours"].append(lines_a_second(options, "", stream, partial(taken, ours, before)))
            if newest(ours, stream) != LINES:
                raise RuntimeError("lines were counted that are not there")
    peer, mine = (statistics.median(speeds[name]) for name in ("null", "ours"))
    return [
        Row(
            f"Lines a second through awslogs ({LINES:,} lines)",
            "an endpoint that keeps nothing",
            f"{peer:,.0f}",
            f"{mine:,.0f}",
            mine / peer,
            f">= {GOAL:.0%}",
            mine >= GOAL * peer,
        )
    ]


def driver_options(ours: Installation) -> dict[str, str]:
    """What a task of ours gives the driver; the task stays, so that its keys hold."""
    logs(ours, "CreateLogGroup", logGroupName=GROUP)
    log = {"awslogs-group": GROUP, "awslogs-region": ours.endpoint.region, "mode": "blocking"}
    container = {
        "name": "main",
        "image": engine.IMAGE,
        "memory": 32,
        "command": engine.STAYS,
        "logConfiguration": {"logDriver": "awslogs", "options": log},
    }
    ours.call("RegisterTaskDefinition", family="bench-logs", containerDefinitions=[container], executionRoleArn=ROLE)
    (task,) = ours.call("RunTask", taskDefinition="bench-logs")["tasks"]
    label = f"com.amazonaws.ecs.task-arn={task['taskArn']}"
    while not engine.running(label):
        time.sleep(engine.POLL)
    (found,) = engine.api("GET", f'/containers/json?filters={{"label":["{label}"]}}')
    config: dict[str, str] = engine.api("GET", f"/containers/{found['Id']}/json")["HostConfig"]["LogConfig"]["Config"]
    return config


def lines_a_second(options: dict[str, str], endpoint: str, stream: str, arrived: Callable[[], int]) -> float:
    """From the container's start until the last line has come."""
    config = {**options, "awslogs-stream": stream} | ({"awslogs-endpoint": endpoint} if endpoint else {})
    host: dict[str, Any] = {"NetworkMode": "none", "LogConfig": {"Type": "awslogs", "Config": config}}
    started = time.perf_counter()
    engine.start_one(command=WRITES, network="none", HostConfig=host)
    while arrived() < LINES:
        time.sleep(engine.POLL)
        if time.perf_counter() - started > 120:
            raise RuntimeError(f"of {LINES} lines {arrived()} came")
    return LINES / (time.perf_counter() - started)


def taken(ours: Installation, before: int = 0) -> int:
    """Events that the log service has taken after the first so many; asking for it costs it nothing."""
    token = (ours.home / "metrics-token").read_text().strip()
    with urlopen(Request(f"{ours.endpoint.url}/metrics", headers={"Authorization": f"Bearer {token}"})) as reply:
        page = reply.read().decode()
    return int(page.partition("\nopenecs_log_events_total ")[2].partition("\n")[0]) - before


def newest(ours: Installation, stream: str) -> int:
    """The number of the newest line, once it is written down."""
    time.sleep(1.0)
    events = logs(ours, "GetLogEvents", logGroupName=GROUP, logStreamName=stream, limit=1)["events"]
    return int(events[-1]["message"].rpartition(" ")[2]) if events else 0


def logs(ours: Installation, operation: str, **parameters: Any) -> dict[str, Any]:
    """One call of CloudWatch Logs."""
    endpoint = ours.endpoint
    reply = ask(
        (endpoint.host, endpoint.port), json_request(endpoint, "logs", f"Logs_20140328.{operation}", parameters)
    )
    decoded: dict[str, Any] = json.loads(reply or b"{}")
    return decoded


def counted(endpoint: str, before: int = 0) -> int:
    """Events that came after the first so many."""
    with urlopen(f"{endpoint}/count") as reply:
        return int(reply.read()) - before


@contextmanager
def null_endpoint() -> Iterator[str]:
    """In a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("null_log_endpoint.py"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
