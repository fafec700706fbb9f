"""Processes that hang instead of ending: nothing is made up while nobody answers."""

from __future__ import annotations

import signal

import pytest
from chaos_processes import Cell, eventually

from openecs.cli.client import Client, UnreachableError
from openecs.config import RootCredentials, read_file


def register(cell: Cell, family: str, *command: str) -> None:
    container = {"name": "main", "image": "busybox", "memory": 8, "command": list(command)}
    cell.call("RegisterTaskDefinition", family=family, containerDefinitions=[container])


def test_a_frozen_agent_stops_nothing_until_it_goes_on(cell: Cell) -> None:
    register(cell, "sleeper", "sleep", "infinity")
    (arn,) = cell.run("sleeper")
    cell.agent.signal(signal.SIGSTOP)
    task = cell.call("StopTask", task=arn, reason="frozen")["task"]
    assert task["desiredStatus"] == "STOPPED"
    (new,) = cell.call("RunTask", taskDefinition="sleeper")["tasks"]
    for _ in range(20):
        (old, young) = cell.call("DescribeTasks", tasks=[arn, new["taskArn"]])["tasks"]
        assert old["lastStatus"] != "STOPPED"
        assert old["containers"][0]["lastStatus"] == "RUNNING"
        assert young["lastStatus"] in ("PROVISIONING", "PENDING")
    cell.agent.signal(signal.SIGCONT)
    (old,) = cell.until_status("STOPPED", arn)
    assert old["stoppedReason"] == "frozen"
    cell.until_status("RUNNING", new["taskArn"])
    running = {container["id"] for container in cell.containers() if container["status"] == "running"}
    assert running == cell.runtime_ids(new["taskArn"])


def test_what_happens_while_the_control_plane_is_frozen_is_told_later(cell: Cell) -> None:
    register(cell, "short", "sh", "-c", "sleep 1; exit 3")
    (arn,) = cell.run("short")
    cell.server.signal(signal.SIGSTOP)
    hurried = Client(read_file(cell.layout.credentials_file, RootCredentials), timeout=0.5)
    with pytest.raises(UnreachableError):
        hurried.call("ecs", "StopTask", task=arn)
    eventually(lambda: [c["status"] for c in cell.containers()] == ["exited"], "the container ends by itself")
    cell.server.signal(signal.SIGCONT)
    (task,) = cell.until_status("STOPPED", arn)
    assert task["containers"][0]["exitCode"] == 3
    assert task["startedAt"] <= task["executionStoppedAt"] <= task["stoppedAt"]


def test_tasks_whose_engine_is_gone_for_good_are_reported_stopped(cell: Cell) -> None:
    """The fake engine lives in the agent, so its containers end with the agent's process."""
    register(cell, "sleeper", "sleep", "infinity")
    arns = cell.run("sleeper", count=3)
    cell.agent.kill()
    cell.agent.start()
    for task in cell.until_status("STOPPED", *arns):
        assert task["stopCode"] == "EssentialContainerExited"
        assert task["containers"][0]["lastStatus"] == "STOPPED"
        assert task["stoppedReason"]
    cell.until_connected()
    again = cell.run("sleeper")
    assert {container["id"] for container in cell.containers()} == cell.runtime_ids(*again)


def test_agents_and_control_planes_killed_in_turn(cell: Cell) -> None:
    register(cell, "sleeper", "sleep", "infinity")
    cell.call("CreateService", serviceName="s", taskDefinition="sleeper", desiredCount=3)
    for number in range(4):
        if number % 2:
            cell.agent.kill()
            cell.agent.start()
        else:
            cell.server.kill()
            cell.start_server()
        cell.until_connected()

        def whole() -> bool:
            (service,) = cell.call("DescribeServices", services=["s"])["services"]
            running = [container for container in cell.containers() if container["status"] == "running"]
            return service["runningCount"] == 3 == len(running) and service["pendingCount"] == 0

        eventually(whole, "three tasks run")
