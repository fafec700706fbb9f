"""Standalone tasks through boto3: their whole life on the fake engine."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import wait_for

SLEEPER = {"name": "main", "image": "busybox", "cpu": 10, "memory": 16, "essential": True}


def register(ecs: Any, family: str, **container: Any) -> str:
    reply = ecs.register_task_definition(family=family, containerDefinitions=[{**SLEEPER, **container}])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def describe(ecs: Any, arn: str, cluster: str = "default") -> dict[str, Any]:
    (task,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
    result: dict[str, Any] = task
    return result


def test_a_task_runs_until_it_is_stopped(ecs: Any, name: str) -> None:
    definition = register(ecs, name)
    reply = ecs.run_task(taskDefinition=name, startedBy="tests")
    assert reply["failures"] == []
    (task,) = reply["tasks"]
    assert task["taskDefinitionArn"] == definition
    assert task["lastStatus"] in ("PROVISIONING", "PENDING")
    assert task["group"] == f"family:{name}"
    arn = task["taskArn"]
    ecs.get_waiter("tasks_running").wait(tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    running = describe(ecs, arn)
    assert running["lastStatus"] == "RUNNING"
    assert running["startedAt"] >= running["createdAt"]
    assert running["containers"][0]["runtimeId"]
    stopping = ecs.stop_task(task=arn, reason="enough")["task"]
    assert stopping["desiredStatus"] == "STOPPED"
    ecs.get_waiter("tasks_stopped").wait(tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    stopped = describe(ecs, arn)
    assert stopped["stopCode"] == "UserInitiated"
    assert stopped["stoppedReason"] == "enough"
    assert stopped["stoppedAt"] >= stopped["stoppingAt"] >= stopped["startedAt"]


def test_an_exit_code_is_told(ecs: Any, name: str) -> None:
    register(ecs, name, command=["exit", "3"])
    arn = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    task = wait_for(lambda: (t := describe(ecs, arn))["lastStatus"] == "STOPPED" and t)
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert task["containers"][0]["exitCode"] == 3


def test_client_token_makes_a_repeated_call_harmless(ecs: Any, name: str) -> None:
    register(ecs, name)
    first = ecs.run_task(taskDefinition=name, clientToken=name)["tasks"][0]["taskArn"]
    assert ecs.run_task(taskDefinition=name, clientToken=name)["tasks"][0]["taskArn"] == first
    with pytest.raises(ClientError) as caught:
        ecs.run_task(taskDefinition=name, clientToken=name, count=2)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    assert len(ecs.list_tasks(family=name)["taskArns"]) == 1
    ecs.stop_task(task=first)


def test_a_task_that_fits_nowhere_is_a_failure(ecs: Any, name: str) -> None:
    register(ecs, name, memory=10_000_000)
    reply = ecs.run_task(taskDefinition=name)
    assert reply["tasks"] == []
    (failure,) = reply["failures"]
    assert failure["reason"] == "RESOURCE:MEMORY"
    assert ":container-instance/default/" in failure["arn"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "none-such"}, "ClientException", ""),
        ({"count": 11}, "InvalidParameterException", "10"),
        ({"launchType": "FARGATE"}, "InvalidParameterException", "launch_type FARGATE"),
        (
            {"overrides": {"containerOverrides": [{"name": "other"}]}},
            "InvalidParameterException",
            "Override for container named other is not a container in the TaskDefinition.",
        ),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
            "InvalidParameterException",
            "Network Configuration is not valid",
        ),
        (
            {"placementConstraints": [{"type": "memberOf", "expression": "colour == red"}]},
            "InvalidParameterException",
            "column 1",
        ),
        ({"enableExecuteCommand": True}, "ClientException", "enableExecuteCommand"),
    ],
)
def test_refusals_name_the_cause_and_start_nothing(
    ecs: Any, name: str, arguments: dict[str, Any], code: str, text: str
) -> None:
    register(ecs, name)
    with pytest.raises(ClientError) as caught:
        ecs.run_task(**{"taskDefinition": name, **arguments})
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]
    assert ecs.list_tasks(family=name)["taskArns"] == []


def test_fargate_tasks_have_an_interface_and_no_instance(ecs: Any, fake: Any, name: str) -> None:
    ecs.register_task_definition(
        family=name,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )
    network = {"awsvpcConfiguration": {"subnets": [fake.subnet()], "assignPublicIp": "ENABLED"}}
    reply = ecs.run_task(taskDefinition=name, launchType="FARGATE", networkConfiguration=network)
    (task,) = reply["tasks"]
    assert "containerInstanceArn" not in task
    ecs.get_waiter("tasks_running").wait(tasks=[task["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    running = describe(ecs, task["taskArn"])
    details = {d["name"]: d["value"] for d in running["attachments"][0]["details"]}
    assert running["attachments"][0]["status"] == "ATTACHED"
    assert details["subnetId"] == fake.subnet()
    address = details["privateIPv4Address"]
    assert running["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] == address
    assert running["platformVersion"] == "1.4.0"
    ecs.stop_task(task=task["taskArn"])


def test_regions_are_separate(fake: Any, ecs: Any, name: str) -> None:
    elsewhere = fake.client("ecs", "eu-central-1")
    ecs.create_cluster(clusterName=name)
    assert elsewhere.describe_clusters(clusters=[name])["failures"][0]["reason"] == "MISSING"
    arn = elsewhere.create_cluster(clusterName=name)["cluster"]["clusterArn"]
    assert ":eu-central-1:" in arn
