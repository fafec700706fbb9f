"""The control plane is killed under load, again and again, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from chaos_load import Ledger, LoadClient
from chaos_processes import Cell, eventually

from openecs.clock import SystemClock

SOAK = os.environ.get("OPENECS_SOAK") == "1"
ROUNDS = int(os.environ.get("OPENECS_CHAOS_ROUNDS", "400" if SOAK else "25"))
CLIENTS = 4


class Acknowledgements:
    """Counts answers, so that a kill comes after so many of them and not after so much time."""

    def __init__(self) -> None:
        self._count = 0
        self._more = threading.Condition()

    def one(self) -> None:
        with self._more:
            self._count += 1
            self._more.notify_all()

    def wait_for(self, further: int) -> None:
        with self._more:
            goal = self._count + further
            assert self._more.wait_for(lambda: self._count >= goal, timeout=60), "the clients get no answers"


@pytest.mark.timeout(ROUNDS * 20 + 120)
def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(cell: Cell) -> None:
    rng = random.Random(20)
    answers = Acknowledgements()
    clients = [LoadClient(n, rng.getrandbits(32), cell.client, answers.one) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for number in range(ROUNDS):
            answers.wait_for(rng.randint(1, 60))
            if number % 6 == 5:
                # An orderly end must be no worse than a kill.
                assert cell.server.terminate() == 0
            else:
                cell.server.kill()
            if number % 4 == 3:
                # Another kill somewhere within the start.
                cell.server.start()
                time.sleep(rng.uniform(0.0, 0.6))
                cell.server.kill()
            cell.start_server()
            if number % 5 == 4:
                # Now and then there is peace for long enough that tasks come up.
                cell.until_connected()
                answers.wait_for(40)
    finally:
        for client in clients:
            client.stop()
    cell.until_connected()
    for client in clients:
        check_ledger(cell, client.ledger)
    tasks = settled(cell)
    check_engine(cell, tasks)
    stop_everything(cell)


def check_ledger(cell: Cell, ledger: Ledger) -> None:
    """Everything that a client was told is so."""
    tasks = cell.tasks()
    for arn in ledger.tasks:
        assert arn in tasks, f"lost: {arn}"
        assert tasks[arn]["startedBy"] == ledger.tasks[arn]
    started = Counter(task.get("startedBy") for task in tasks.values())
    for token, count in ledger.tokens.items():
        assert started[token] in (0, count), f"{token}: {started[token]} tasks instead of {count}"
        assert set(ledger.tasks.values()).isdisjoint({token}) or started[token] == count
    for arn, reason in ledger.stopped.items():
        assert tasks[arn]["desiredStatus"] == "STOPPED", arn
        assert tasks[arn]["stopCode"] == "UserInitiated", tasks[arn]
        assert tasks[arn]["stoppedReason"] == reason
    for arn, task in tasks.items():
        if arn in ledger.tasks and arn not in ledger.stopping:
            assert task["desiredStatus"] == "RUNNING", task
    for arn, definition in ledger.definitions.items():
        shown = cell.call("DescribeTaskDefinition", taskDefinition=arn, include=["TAGS"])
        status = "INACTIVE" if arn in ledger.deregistered else None
        assert status is None or shown["taskDefinition"]["status"] == status
        for name in ("containerDefinitions", "revision", "family", "registeredAt"):
            assert shown["taskDefinition"][name] == definition[name]
        tags = {tag["key"]: tag["value"] for tag in shown.get("tags", [])}
        for key, values in ledger.tags.get(arn, {}).items():
            assert tags.get(key, "") in values, (arn, tags, values)
    for name, counts in ledger.services.items():
        found = cell.call("DescribeServices", services=[name])["services"]
        alive = [service for service in found if service["status"] == "ACTIVE"]
        desired = alive[0]["desiredCount"] if alive else -1
        assert desired in counts, (name, desired, counts)


def settled(cell: Cell) -> dict[str, dict[str, Any]]:
    """The tasks once each is RUNNING or STOPPED and each service has what it wants."""

    def rest() -> Any:
        tasks = cell.tasks()
        if any(task["lastStatus"] not in ("RUNNING", "STOPPED") for task in tasks.values()):
            return None
        names = cell.call("ListServices", maxResults=100)["serviceArns"]
        for first in range(0, len(names), 10):
            for service in cell.call("DescribeServices", services=names[first : first + 10])["services"]:
                if service["runningCount"] != service["desiredCount"] or service["pendingCount"]:
                    return None
        return tasks

    found: dict[str, dict[str, Any]] = eventually(rest, "all tasks are RUNNING or STOPPED")
    return found


def check_engine(cell: Cell, tasks: dict[str, dict[str, Any]]) -> None:
    """One container for each container of a running task, and none beyond."""
    containers = cell.containers()
    twice = [at for at, count in Counter((c["task"], c["name"]) for c in containers).items() if count > 1]
    assert twice == []
    running = {(c["task"], c["id"]) for c in containers if c["status"] == "running"}
    wanted = {
        (arn, container["runtimeId"])
        for arn, task in tasks.items()
        if task["lastStatus"] == "RUNNING"
        for container in task["containers"]
    }
    assert running == wanted


def stop_everything(cell: Cell) -> None:
    """Stop all services and tasks: at the end no container runs."""
    for arn in cell.call("ListServices", maxResults=100)["serviceArns"]:
        cell.call("DeleteService", service=arn, force=True)
    for arn, task in cell.tasks().items():
        if task["desiredStatus"] == "RUNNING":
            cell.call("StopTask", task=arn)
    eventually(lambda: all(task["lastStatus"] == "STOPPED" for task in cell.tasks().values()), "every task has stopped")
    assert [c for c in cell.containers() if c["status"] == "running"] == []


def test_log_events_that_were_acknowledged_survive(cell: Cell, tmp_path: Path) -> None:
    call = cell.client.call
    call("logs", "CreateLogGroup", logGroupName="chaos")
    call("logs", "CreateLogStream", logGroupName="chaos", logStreamName="s")
    written: list[str] = []
    now = round(SystemClock().now() * 1000)
    for number in range(60):
        event = {"timestamp": now + number, "message": f"line {number}"}
        call("logs", "PutLogEvents", logGroupName="chaos", logStreamName="s", logEvents=[event])
        written.append(event["message"])
        if number % 12 == 11:
            cell.server.kill()
            cell.start_server()
    found = call("logs", "GetLogEvents", logGroupName="chaos", logStreamName="s", startFromHead=True, startTime=0)
    assert [event["message"] for event in found["events"]] == written
