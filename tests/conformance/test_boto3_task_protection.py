"""UpdateTaskProtection and GetTaskProtection through boto3, and what protection does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}


@pytest.fixture
def service_tasks(ecs: Any, name: str) -> Iterator[list[str]]:
    """The ARNs of the three tasks of a steady service."""
    main = {"name": "main", "image": "busybox", "memory": 16}
    ecs.register_task_definition(family=name, containerDefinitions=[main])
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=3)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    yield ecs.list_tasks(serviceName=name)["taskArns"]
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def protect(ecs: Any, *tasks: str, minutes: int | None = None) -> list[dict[str, Any]]:
    more = {} if minutes is None else {"expiresInMinutes": minutes}
    reply = ecs.update_task_protection(cluster="default", tasks=list(tasks), protectionEnabled=True, **more)
    assert reply["failures"] == []
    found: list[dict[str, Any]] = reply["protectedTasks"]
    return found


def seconds_left(fake: Installation, shown: dict[str, Any]) -> float:
    expires: dt.datetime = shown["expirationDate"]
    return expires.timestamp() - fake.now() / 1000


def test_protection_is_set_shown_renewed_and_ended(ecs: Any, fake: Installation, service_tasks: list[str]) -> None:
    one, two, three = service_tasks
    shown = protect(ecs, one, two.rpartition("/")[2])
    assert [(task["taskArn"], task["protectionEnabled"]) for task in shown] == [(one, True), (two, True)]
    # Two hours, unless something else is asked for; ``now`` is cut to the second and up to one more behind.
    left = [seconds_left(fake, task) for task in shown]
    assert all(7170 < seconds <= 7203 for seconds in left), left
    reply = ecs.get_task_protection(cluster="default", tasks=[one, three])
    assert reply["failures"] == []
    assert reply["protectedTasks"] == [shown[0], {"taskArn": three, "protectionEnabled": False}]
    (renewed,) = protect(ecs, one, minutes=2880)
    assert 172_770 < seconds_left(fake, renewed) <= 172_803
    (ended,) = ecs.update_task_protection(cluster="default", tasks=[one], protectionEnabled=False)["protectedTasks"]
    assert ended == {"taskArn": one, "protectionEnabled": False}


def test_scale_in_spares_protected_tasks(ecs: Any, name: str, service_tasks: list[str]) -> None:
    kept = service_tasks[1]
    protect(ecs, kept, minutes=60)
    ecs.update_service(service=name, desiredCount=1)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    assert ecs.list_tasks(serviceName=name)["taskArns"] == [kept]
    ecs.update_service(service=name, desiredCount=0)

    def events() -> list[str]:
        (service,) = ecs.describe_services(services=[name])["services"]
        return [event["message"] for event in service["events"]]

    wait_for(lambda: any("1 tasks under protection" in text for text in events()), what="the event about protection")
    assert ecs.list_tasks(serviceName=name)["taskArns"] == [kept]
    ecs.update_task_protection(cluster="default", tasks=[kept], protectionEnabled=False)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    wait_for(lambda: ecs.list_tasks(serviceName=name)["taskArns"] == [], what="the task is stopped")


def test_a_deployment_waits_for_protected_tasks(ecs: Any, name: str, service_tasks: list[str]) -> None:
    kept = service_tasks[0]
    protect(ecs, kept)
    ecs.update_service(service=name, forceNewDeployment=True)
    wait_for(
        lambda: not set(service_tasks[1:]) & set(ecs.list_tasks(serviceName=name)["taskArns"]),
        what="the unprotected tasks are replaced",
    )
    (service,) = ecs.describe_services(services=[name])["services"]
    assert [d["status"] for d in service["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert kept in ecs.list_tasks(serviceName=name)["taskArns"]
    ecs.update_task_protection(cluster="default", tasks=[kept], protectionEnabled=False)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    assert kept not in ecs.list_tasks(serviceName=name)["taskArns"]


def test_what_cannot_be_protected_is_a_failure(ecs: Any, name: str, service_tasks: list[str]) -> None:
    (standalone,) = ecs.run_task(taskDefinition=name)["tasks"]
    stopping = service_tasks[0]
    ecs.stop_task(task=stopping)
    asked = [standalone["taskArn"], stopping, "nothing", service_tasks[1]]
    reply = ecs.update_task_protection(cluster="default", tasks=asked, protectionEnabled=True)
    assert [task["taskArn"] for task in reply["protectedTasks"]] == [service_tasks[1]]
    failed = [(failure["arn"].rpartition("/")[2], failure["reason"]) for failure in reply["failures"]]
    assert failed == [
        (standalone["taskArn"].rpartition("/")[2], "TASK_NOT_VALID"),
        (stopping.rpartition("/")[2], "TASK_NOT_VALID"),
        ("nothing", "MISSING"),
    ]
    assert all(failure["detail"] for failure in reply["failures"][:2])
    shown = ecs.get_task_protection(cluster="default", tasks=[standalone["taskArn"]])
    assert [failure["reason"] for failure in shown["failures"]] == ["TASK_NOT_VALID"]
    ecs.stop_task(task=standalone["taskArn"])


def test_more_protected_tasks_than_wanted_block_further_protection(
    ecs: Any, name: str, service_tasks: list[str]
) -> None:
    protect(ecs, *service_tasks)
    ecs.update_service(service=name, desiredCount=1)
    reply = ecs.update_task_protection(cluster="default", tasks=[service_tasks[0]], protectionEnabled=True)
    assert [failure["reason"] for failure in reply["failures"]] == ["DEPLOYMENT_BLOCKED"]
    ecs.update_task_protection(cluster="default", tasks=service_tasks, protectionEnabled=False)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    assert len(ecs.list_tasks(serviceName=name)["taskArns"]) == 1


@pytest.mark.parametrize(
    ("call", "change", "code", "words"),
    [
        ("update", {"tasks": []}, "InvalidParameterException", "Tasks"),
        ("update", {"tasks": ["t"] * 11}, "InvalidParameterException", "10"),
        ("get", {"tasks": ["t"] * 101}, "InvalidParameterException", "100"),
        ("update", {"expiresInMinutes": 0}, "InvalidParameterException", "expiresInMinutes"),
        ("update", {"expiresInMinutes": 2881}, "InvalidParameterException", "expiresInMinutes"),
        ("update", {"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ("get", {"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
    ],
)
def test_bad_requests_are_refused(ecs: Any, call: str, change: dict[str, Any], code: str, words: str) -> None:
    request: dict[str, Any] = {"cluster": "default", "tasks": ["t"], **change}
    if call == "update":
        request["protectionEnabled"] = True
    with pytest.raises(ClientError) as caught:
        getattr(ecs, f"{call}_task_protection")(**request)
    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]
