"""Standalone tasks through boto3: the rest of their operations, beside ``test_tasks``."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}


def register(ecs: Any, family: str, **container: Any) -> str:
    main = {"name": "main", "image": "busybox", "memory": 16, **container}
    reply = ecs.register_task_definition(family=family, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def run(ecs: Any, family: str, **more: Any) -> list[str]:
    reply = ecs.run_task(taskDefinition=family, **more)
    assert reply["failures"] == []
    return [task["taskArn"] for task in reply["tasks"]]


def running(ecs: Any, arns: list[str]) -> list[dict[str, Any]]:
    ecs.get_waiter("tasks_running").wait(tasks=arns, WaiterConfig=QUICK)
    found: list[dict[str, Any]] = ecs.describe_tasks(tasks=arns)["tasks"]
    return found


def stopped(ecs: Any, arns: list[str]) -> list[dict[str, Any]]:
    for arn in arns:
        ecs.stop_task(task=arn)
    ecs.get_waiter("tasks_stopped").wait(tasks=arns, WaiterConfig=QUICK)
    found: list[dict[str, Any]] = ecs.describe_tasks(tasks=arns)["tasks"]
    return found


def test_ten_tasks_start_with_one_call(ecs: Any, name: str) -> None:
    register(ecs, name)
    arns = run(ecs, name, count=10, group="batch")
    assert len(set(arns)) == 10
    for task in running(ecs, arns):
        assert task["group"] == "batch"
        assert task["desiredStatus"] == "RUNNING"
    stopped(ecs, arns)


def test_overrides_are_shown_and_obeyed(ecs: Any, name: str) -> None:
    register(ecs, name)
    override = {"name": "main", "command": ["exit", "7"], "environment": [{"name": "A", "value": "1"}], "memory": 32}
    arns = run(ecs, name, overrides={"containerOverrides": [override], "cpu": "128"})
    ecs.get_waiter("tasks_stopped").wait(tasks=arns, WaiterConfig=QUICK)
    (task,) = ecs.describe_tasks(tasks=arns)["tasks"]
    assert task["overrides"]["containerOverrides"] == [override]
    assert task["overrides"]["cpu"] == "128"
    assert task["containers"][0]["exitCode"] == 7


def test_a_stopped_task_shows_its_whole_life(ecs: Any, name: str) -> None:
    register(ecs, name)
    arns = run(ecs, name)
    running(ecs, arns)
    (task,) = stopped(ecs, arns)
    assert task["createdAt"] <= task["pullStartedAt"] <= task["pullStoppedAt"] <= task["startedAt"]
    assert task["startedAt"] <= task["stoppingAt"] <= task["executionStoppedAt"] <= task["stoppedAt"]
    assert (task["lastStatus"], task["desiredStatus"]) == ("STOPPED", "STOPPED")
    assert task["stoppedReason"] == "Task stopped by user"
    assert task["containers"][0]["lastStatus"] == "STOPPED"
    assert task["containers"][0]["exitCode"] == 143
    again = ecs.stop_task(task=arns[0], reason="other")["task"]
    assert (again["lastStatus"], again["stoppedReason"]) == ("STOPPED", "Task stopped by user")


def test_a_command_that_is_not_there_stops_the_task(ecs: Any, name: str) -> None:
    register(ecs, name, command=["no-such-command"])
    arns = run(ecs, name)
    with pytest.raises(WaiterError, match="terminal failure"):
        ecs.get_waiter("tasks_running").wait(tasks=arns, WaiterConfig=QUICK)
    ecs.get_waiter("tasks_stopped").wait(tasks=arns, WaiterConfig=QUICK)
    (task,) = ecs.describe_tasks(tasks=arns)["tasks"]
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["containers"][0]["reason"]
    assert "startedAt" not in task


def test_the_waiters_fail_for_tasks_that_are_not_there(ecs: Any) -> None:
    missing = "0" * 32
    with pytest.raises(WaiterError, match="terminal failure") as caught:
        ecs.get_waiter("tasks_running").wait(tasks=[missing], WaiterConfig=QUICK)
    assert caught.value.last_response["failures"][0]["reason"] == "MISSING"
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        ecs.get_waiter("tasks_stopped").wait(tasks=[missing], WaiterConfig={"Delay": 0, "MaxAttempts": 1})


def test_lists_are_filtered(ecs: Any, name: str) -> None:
    register(ecs, name)
    register(ecs, f"{name}-other")
    (first,) = run(ecs, name, startedBy=name)
    (second,) = run(ecs, f"{name}-other")
    one = running(ecs, [first, second])[0]
    listed = ecs.list_tasks
    assert listed(family=name)["taskArns"] == [first]
    assert listed(startedBy=name)["taskArns"] == [first]
    assert set(listed(containerInstance=one["containerInstanceArn"])["taskArns"]) >= {first, second}
    assert listed(family=name, launchType="FARGATE")["taskArns"] == []
    assert listed(family=name, desiredStatus="STOPPED")["taskArns"] == []
    stopped(ecs, [first])
    assert listed(family=name)["taskArns"] == []
    assert listed(family=name, desiredStatus="STOPPED")["taskArns"] == [first]
    stopped(ecs, [second])
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        listed(serviceName="nothing")


def test_the_paginator_lists_every_task_once(ecs: Any, name: str) -> None:
    register(ecs, name)
    arns = run(ecs, name, count=7)
    pages = list(ecs.get_paginator("list_tasks").paginate(family=name, PaginationConfig={"PageSize": 3}))
    found = [arn for page in pages for arn in page["taskArns"]]
    assert len(pages) == 3
    assert sorted(found) == sorted(arns)
    stopped(ecs, arns)


def test_absent_tasks_are_failures(ecs: Any, name: str) -> None:
    register(ecs, name)
    (arn,) = run(ecs, name)
    reply = ecs.describe_tasks(tasks=[arn, "0" * 32])
    assert [task["taskArn"] for task in reply["tasks"]] == [arn]
    (failure,) = reply["failures"]
    assert (failure["reason"], failure["arn"].rpartition("/")[2]) == ("MISSING", "0" * 32)
    with pytest.raises(ClientError, match=r"The referenced task was not found\."):
        ecs.stop_task(task="0" * 32)
    stopped(ecs, [arn])


def test_tags_of_a_task_are_shown_on_request(ecs: Any, name: str) -> None:
    tags = [{"key": "team", "value": "blue"}]
    ecs.register_task_definition(
        family=name, containerDefinitions=[{"name": "main", "image": "busybox", "memory": 16}], tags=tags
    )
    (arn,) = run(ecs, name, propagateTags="TASK_DEFINITION", tags=[{"key": "own", "value": "1"}])
    assert ecs.describe_tasks(tasks=[arn])["tasks"][0]["tags"] == []
    shown = ecs.describe_tasks(tasks=[arn], include=["TAGS"])["tasks"][0]["tags"]
    assert {tag["key"]: tag["value"] for tag in shown} == {"team": "blue", "own": "1"}
    stopped(ecs, [arn])


def test_start_task_runs_on_the_instance_that_is_named(ecs: Any, name: str) -> None:
    register(ecs, name)
    (instance,) = ecs.list_container_instances()["containerInstanceArns"]
    reply = ecs.start_task(taskDefinition=name, containerInstances=[instance, "0" * 32], startedBy="me")
    (task,) = reply["tasks"]
    assert (task["containerInstanceArn"], task["startedBy"]) == (instance, "me")
    assert reply["failures"][0]["reason"] == "MISSING"
    running(ecs, [task["taskArn"]])
    stopped(ecs, [task["taskArn"]])


def test_ports_are_bound_and_shown(ecs: Any, name: str) -> None:
    register(ecs, name, portMappings=[{"containerPort": 80}])
    arns = run(ecs, name, count=2)
    tasks = running(ecs, arns)
    bindings = [task["containers"][0]["networkBindings"][0] for task in tasks]
    assert {binding["containerPort"] for binding in bindings} == {80}
    assert len({binding["hostPort"] for binding in bindings}) == 2
    stopped(ecs, arns)


def test_health_is_told(ecs: Any, name: str) -> None:
    register(ecs, name, healthCheck={"command": ["CMD-SHELL", "true"], "interval": 5, "timeout": 2, "retries": 1})
    register(ecs, f"{name}-none")
    (arn,) = run(ecs, name)
    (plain,) = run(ecs, f"{name}-none")
    running(ecs, [arn, plain])
    wait_for(lambda: ecs.describe_tasks(tasks=[arn])["tasks"][0]["healthStatus"] == "HEALTHY")
    healthy, unknown = ecs.describe_tasks(tasks=[arn, plain])["tasks"]
    assert healthy["containers"][0]["healthStatus"] == "HEALTHY"
    assert (unknown["healthStatus"], unknown["containers"][0]["healthStatus"]) == ("UNKNOWN", "UNKNOWN")
    stopped(ecs, [arn, plain])
