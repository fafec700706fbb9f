"""Service operations and their waiters through boto3, on the fake engine."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from waiting import wait_for

#: The waiters' own 15 seconds between looks are for AWS.
QUICK = {"Delay": 0, "MaxAttempts": 3000}
ONCE = {"Delay": 0, "MaxAttempts": 1}


def register(ecs: Any, family: str, **container: Any) -> str:
    main = {"name": "main", "image": "busybox", "memory": 16, **container}
    reply = ecs.register_task_definition(family=family, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def create(ecs: Any, name: str, **more: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"serviceName": name, "taskDefinition": name, "desiredCount": 1, **more}
    found: dict[str, Any] = ecs.create_service(**request)["service"]
    return found


def described(ecs: Any, name: str, **more: Any) -> dict[str, Any]:
    (found,) = ecs.describe_services(services=[name], **more)["services"]
    result: dict[str, Any] = found
    return result


def stable(ecs: Any, *names: str, **more: Any) -> None:
    ecs.get_waiter("services_stable").wait(services=list(names), WaiterConfig=QUICK, **more)


def remove(ecs: Any, name: str) -> None:
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def test_a_service_is_created_with_the_documented_defaults(ecs: Any, name: str) -> None:
    definition = register(ecs, name)
    service = create(ecs, name, desiredCount=0)
    expected = {
        "serviceName": name,
        "status": "ACTIVE",
        "taskDefinition": definition,
        "launchType": "EC2",
        "desiredCount": 0,
        "runningCount": 0,
        "pendingCount": 0,
        "loadBalancers": [],
        "serviceRegistries": [],
        "events": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
    }
    assert {member: service[member] for member in expected} == expected
    assert service["deploymentConfiguration"]["maximumPercent"] == 200
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 100
    (deployment,) = service["deployments"]
    assert (deployment["status"], deployment["taskDefinition"]) == ("PRIMARY", definition)
    assert deployment["id"].startswith("ecs-svc/")
    assert "networkConfiguration" not in service
    remove(ecs, name)


def test_a_service_becomes_stable_and_says_so(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name, desiredCount=2)
    stable(ecs, name)
    service = wait_for(lambda: (s := described(ecs, name))["deployments"][0]["rolloutState"] == "COMPLETED" and s)
    assert service["runningCount"] == 2
    messages = [event["message"] for event in service["events"]]
    assert any("has reached a steady state." in message for message in messages)
    assert any(f"(service {name}) has started 2 tasks:" in message for message in messages)
    tasks = ecs.list_tasks(serviceName=name)["taskArns"]
    assert len(tasks) == 2
    for task in ecs.describe_tasks(tasks=tasks)["tasks"]:
        assert task["group"] == f"service:{name}"
        assert task["startedBy"] == service["deployments"][0]["id"]
    remove(ecs, name)
    assert ecs.list_tasks(serviceName=name)["taskArns"] == []


def test_a_new_definition_replaces_all_tasks(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name, desiredCount=2)
    stable(ecs, name)
    before = set(ecs.list_tasks(serviceName=name)["taskArns"])
    second = register(ecs, name, environment=[{"name": "A", "value": "1"}])
    updated = ecs.update_service(service=name, taskDefinition=name)["service"]
    assert [d["status"] for d in updated["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert updated["taskDefinition"] == second
    stable(ecs, name)
    after = ecs.list_tasks(serviceName=name)["taskArns"]
    assert not before & set(after)
    assert {task["taskDefinitionArn"] for task in ecs.describe_tasks(tasks=after)["tasks"]} == {second}
    remove(ecs, name)


def test_a_forced_deployment_replaces_tasks_and_scaling_does_not(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name)
    stable(ecs, name)
    (first,) = ecs.list_tasks(serviceName=name)["taskArns"]
    ecs.update_service(service=name, desiredCount=3)
    stable(ecs, name)
    assert first in ecs.list_tasks(serviceName=name)["taskArns"]
    ecs.update_service(service=name, forceNewDeployment=True, desiredCount=1)
    stable(ecs, name)
    (last,) = ecs.list_tasks(serviceName=name)["taskArns"]
    assert last != first
    remove(ecs, name)


def test_a_scaled_service_is_deleted_by_force_only(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name)
    with pytest.raises(ClientError) as caught:
        ecs.delete_service(service=name)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"
    assert described(ecs, name)["status"] == "ACTIVE"
    assert ecs.delete_service(service=name, force=True)["service"]["status"] == "DRAINING"
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)
    gone = described(ecs, name)
    assert (gone["status"], gone["desiredCount"], gone["deployments"]) == ("INACTIVE", 0, [])
    arns = [arn for page in ecs.get_paginator("list_services").paginate() for arn in page["serviceArns"]]
    assert gone["serviceArn"] not in arns
    with pytest.raises(ecs.exceptions.ServiceNotActiveException):
        ecs.update_service(service=name, desiredCount=1)
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        ecs.update_service(service="nothing", desiredCount=1)


def test_a_name_can_be_used_again_when_the_service_is_gone(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name, desiredCount=0)
    remove(ecs, name)
    assert create(ecs, name, desiredCount=0)["status"] == "ACTIVE"
    remove(ecs, name)


def test_creating_it_again_is_harmless_only_when_it_is_the_same(ecs: Any, name: str) -> None:
    register(ecs, name)
    first = create(ecs, name, desiredCount=0)
    assert create(ecs, name, desiredCount=0)["serviceArn"] == first["serviceArn"]
    with pytest.raises(ClientError, match=r"Creation of service was not idempotent\."):
        create(ecs, name, desiredCount=1)
    assert described(ecs, name)["desiredCount"] == 0
    remove(ecs, name)


def test_services_stable_fails_on_what_will_not_be_stable(ecs: Any, name: str) -> None:
    waiter = ecs.get_waiter("services_stable")
    with pytest.raises(WaiterError, match="terminal failure") as caught:
        waiter.wait(services=[name], WaiterConfig=QUICK)
    assert caught.value.last_response["failures"][0]["reason"] == "MISSING"
    register(ecs, name)
    create(ecs, name, desiredCount=0)
    remove(ecs, name)
    with pytest.raises(WaiterError, match="terminal failure"):
        waiter.wait(services=[name], WaiterConfig=QUICK)


def test_services_inactive_fails_for_a_service_that_never_was(ecs: Any, name: str) -> None:
    with pytest.raises(WaiterError, match="terminal failure"):
        ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def test_a_service_that_cannot_be_placed_says_why_and_is_not_stable(ecs: Any, name: str) -> None:
    register(ecs, name, memory=10_000_000)
    create(ecs, name)
    event = wait_for(lambda: described(ecs, name)["events"])[0]["message"]
    assert event.startswith(f"(service {name}) was unable to place a task because no container instance met all of ")
    assert "has insufficient memory available" in event
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=ONCE)
    remove(ecs, name)


def test_a_container_that_ends_is_started_again(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name)
    stable(ecs, name)
    (first,) = ecs.list_tasks(serviceName=name)["taskArns"]
    ecs.stop_task(task=first)
    wait_for(lambda: first not in ecs.list_tasks(serviceName=name)["taskArns"])
    stable(ecs, name)
    assert ecs.list_tasks(serviceName=name)["taskArns"] != [first]
    assert ecs.describe_tasks(tasks=[first])["tasks"][0]["desiredStatus"] == "STOPPED"
    remove(ecs, name)


def test_absent_services_are_failures(ecs: Any, name: str) -> None:
    register(ecs, name)
    create(ecs, name, desiredCount=0)
    reply = ecs.describe_services(services=[name, "nothing"])
    assert [service["serviceName"] for service in reply["services"]] == [name]
    (failure,) = reply["failures"]
    assert failure["reason"] == "MISSING"
    assert failure["arn"].endswith(":service/default/nothing")
    remove(ecs, name)


def test_tags_are_shown_on_request_and_propagated(ecs: Any, name: str) -> None:
    register(ecs, name)
    tags = [{"key": "team", "value": "blue"}]
    create(ecs, name, tags=tags, propagateTags="SERVICE", enableECSManagedTags=True)
    stable(ecs, name)
    assert "tags" not in described(ecs, name)
    assert described(ecs, name, include=["TAGS"])["tags"] == tags
    (task,) = ecs.describe_tasks(tasks=ecs.list_tasks(serviceName=name)["taskArns"], include=["TAGS"])["tasks"]
    found = {tag["key"]: tag["value"] for tag in task["tags"]}
    assert found == {"team": "blue", "aws:ecs:clusterName": "default", "aws:ecs:serviceName": name}
    remove(ecs, name)


def test_lists_are_filtered_and_come_in_pages(ecs: Any, cluster: str) -> None:
    register(ecs, cluster)
    arns = {
        create(ecs, f"s{number}", cluster=cluster, taskDefinition=cluster, desiredCount=0)["serviceArn"]
        for number in range(12)
    }
    assert len(ecs.list_services(cluster=cluster)["serviceArns"]) == 10
    listed = [
        arn for page in ecs.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]
    ]
    assert len(listed) == 12
    assert set(listed) == arns
    assert ecs.list_services(cluster=cluster, launchType="FARGATE")["serviceArns"] == []
    assert len(ecs.list_services(cluster=cluster, launchType="EC2", maxResults=100)["serviceArns"]) == 12
    assert ecs.list_services(cluster=cluster, schedulingStrategy="DAEMON")["serviceArns"] == []


def test_a_fargate_service_shows_its_network(ecs: Any, fake: Any, name: str) -> None:
    ecs.register_task_definition(
        family=name,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )
    subnet, group = fake.subnet(), fake.security_group()
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}}
    service = create(ecs, name, launchType="FARGATE", networkConfiguration=network)
    assert service["networkConfiguration"] == network
    assert (service["platformVersion"], service["deployments"][0]["platformVersion"]) == ("LATEST", "1.4.0")
    stable(ecs, name)
    (task,) = ecs.describe_tasks(tasks=ecs.list_tasks(serviceName=name, launchType="FARGATE")["taskArns"])["tasks"]
    assert task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    remove(ecs, name)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "none-such"}, "ClientException", ""),
        ({"serviceName": "with space"}, "InvalidParameterException", "ervice name"),
        ({"desiredCount": -1}, "InvalidParameterException", "desired"),
        ({"schedulingStrategy": "DAEMON"}, "InvalidParameterException", "desired count"),
        ({"launchType": "FARGATE"}, "InvalidParameterException", "FARGATE"),
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "ClientException", "CODE_DEPLOY"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "InvalidParameterException", "associated"),
        (
            {"loadBalancers": [{"targetGroupArn": "a", "containerName": "main", "containerPort": 80}]},
            "InvalidParameterException",
            "The target group with targetGroupArn a does not exist.",
        ),
        ({"serviceConnectConfiguration": {"enabled": True}}, "ClientException", "serviceConnectConfiguration"),
        ({"enableExecuteCommand": True}, "ClientException", "enableExecuteCommand"),
        (
            {"deploymentConfiguration": {"alarms": {"alarmNames": [], "enable": True, "rollback": True}}},
            "InvalidParameterException",
            "deploymentConfiguration.alarms.alarmNames",
        ),
        ({"deploymentConfiguration": {"maximumPercent": 50}}, "InvalidParameterException", "maximumPercent"),
        ({"placementStrategy": [{"type": "spread", "field": "colour"}]}, "InvalidParameterException", "colour"),
    ],
)
def test_what_cannot_be_is_refused_and_not_created(
    ecs: Any, name: str, change: dict[str, Any], code: str, text: str
) -> None:
    register(ecs, name)
    with pytest.raises(ClientError) as caught:
        create(ecs, name, **change)
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]
    assert ecs.describe_services(services=[name])["services"] == []
