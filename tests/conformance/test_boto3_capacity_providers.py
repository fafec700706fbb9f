"""Capacity providers through boto3: their life, their clusters, and tasks on them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}
DEFAULT_SCALING = {
    "status": "DISABLED",
    "targetCapacity": 100,
    "minimumScalingStepSize": 1,
    "maximumScalingStepSize": 10000,
    "instanceWarmupPeriod": 300,
}


def create(ecs: Any, name: str, **more: Any) -> dict[str, Any]:
    reply = ecs.create_capacity_provider(
        name=name, autoScalingGroupProvider={"autoScalingGroupArn": f"group-of-{name}", **more}
    )
    found: dict[str, Any] = reply["capacityProvider"]
    return found


def described(ecs: Any, *names: str, **more: Any) -> list[dict[str, Any]]:
    reply = ecs.describe_capacity_providers(capacityProviders=list(names), **more)
    assert reply["failures"] == []
    found: list[dict[str, Any]] = reply["capacityProviders"]
    return found


def refused(call: Any, code: str, words: str, **parameters: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]


def test_a_provider_from_its_creation_to_its_end(apart: Any, name: str) -> None:
    made = create(apart, name)
    assert made == {
        "capacityProviderArn": f"arn:aws:ecs:{name}:000000000000:capacity-provider/{name}",
        "name": name,
        "status": "ACTIVE",
        "autoScalingGroupProvider": {
            "autoScalingGroupArn": f"group-of-{name}",
            "managedScaling": DEFAULT_SCALING,
            "managedTerminationProtection": "DISABLED",
            "managedDraining": "DISABLED",
        },
        "tags": [],
        "type": "EC2_AUTOSCALING",
    }
    assert described(apart, name) == described(apart, made["capacityProviderArn"]) == [made]
    scaling = {"targetCapacity": 70, "minimumScalingStepSize": 5}
    updated = apart.update_capacity_provider(name=name, autoScalingGroupProvider={"managedScaling": scaling})
    made["autoScalingGroupProvider"]["managedScaling"] = {**DEFAULT_SCALING, **scaling}
    assert updated["capacityProvider"] == {**made, "updateStatus": "UPDATE_COMPLETE"}
    deleted = apart.delete_capacity_provider(capacityProvider=name)["capacityProvider"]
    assert (deleted["status"], deleted["updateStatus"]) == ("INACTIVE", "DELETE_COMPLETE")
    listed = apart.describe_capacity_providers()["capacityProviders"]
    assert name not in [provider["name"] for provider in listed]
    # The name and the group are free again.
    assert create(apart, name)["status"] == "ACTIVE"


def test_tags_are_shown_on_request(apart: Any, name: str) -> None:
    tags = [{"key": "team", "value": "blue"}]
    group = {"autoScalingGroupArn": "tagged"}
    made = apart.create_capacity_provider(name=name, autoScalingGroupProvider=group, tags=tags)["capacityProvider"]
    assert made["tags"] == tags
    assert described(apart, name)[0]["tags"] == []
    assert described(apart, name, include=["TAGS"])[0]["tags"] == tags
    apart.tag_resource(resourceArn=made["capacityProviderArn"], tags=[{"key": "more", "value": ""}])
    assert len(apart.list_tags_for_resource(resourceArn=made["capacityProviderArn"])["tags"]) == 2
    apart.untag_resource(resourceArn=made["capacityProviderArn"], tagKeys=["team"])
    assert described(apart, name, include=["TAGS"])[0]["tags"] == [{"key": "more", "value": ""}]


def test_the_providers_of_fargate_are_always_there(apart: Any) -> None:
    found = {provider["name"]: provider for provider in apart.describe_capacity_providers()["capacityProviders"]}
    assert sorted(found) == ["FARGATE", "FARGATE_SPOT"]
    assert {provider["status"] for provider in found.values()} == {"ACTIVE"}
    for fixed in found:
        refused(apart.delete_capacity_provider, "ClientException", "reserved", capacityProvider=fixed)


def test_providers_come_in_pages(apart: Any, name: str) -> None:
    names = {create(apart, f"p{number}-{name}")["name"] for number in range(13)}
    seen: list[str] = []
    token: dict[str, str] = {}
    sizes = []
    while True:
        page = apart.describe_capacity_providers(**token)
        sizes.append(len(page["capacityProviders"]))
        seen += [provider["name"] for provider in page["capacityProviders"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert sizes == [10, 5]
    assert len(seen) == 15
    assert set(seen) == names | {"FARGATE", "FARGATE_SPOT"}
    refused(apart.describe_capacity_providers, "InvalidParameterException", "oken", nextToken="x")


def test_absent_providers_are_failures(apart: Any, name: str) -> None:
    create(apart, name)
    reply = apart.describe_capacity_providers(capacityProviders=[name, "nothing"])
    assert [provider["name"] for provider in reply["capacityProviders"]] == [name]
    (failure,) = reply["failures"]
    assert (failure["arn"].rpartition("/")[2], failure["reason"]) == ("nothing", "MISSING")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"name": "fargate-like"}, "ClientException", "name is invalid"),
        ({"name": "with space"}, "ClientException", "name is invalid"),
        ({"autoScalingGroupProvider": {"autoScalingGroupArn": ""}}, "InvalidParameterException", "Auto Scaling group"),
        (
            {"autoScalingGroupProvider": {"autoScalingGroupArn": "g", "managedScaling": {"status": "ENABLED"}}},
            "ClientException",
            "managedScaling.status ENABLED is not supported",
        ),
        (
            {"autoScalingGroupProvider": {"autoScalingGroupArn": "g", "managedTerminationProtection": "ENABLED"}},
            "ClientException",
            "managedTerminationProtection ENABLED is not supported",
        ),
        (
            {"autoScalingGroupProvider": {"autoScalingGroupArn": "g", "managedDraining": "ENABLED"}},
            "ClientException",
            "managedDraining ENABLED is not supported",
        ),
        (
            {
                "autoScalingGroupProvider": {
                    "autoScalingGroupArn": "g",
                    "managedScaling": {"minimumScalingStepSize": 3, "maximumScalingStepSize": 2},
                }
            },
            "ClientException",
            "minimumScalingStepSize",
        ),
        ({"tags": [{"key": "aws:mine", "value": "x"}]}, "InvalidParameterException", "aws:"),
    ],
)
def test_what_cannot_be_is_refused_and_not_created(
    apart: Any, name: str, change: dict[str, Any], code: str, words: str
) -> None:
    request = {"name": name, "autoScalingGroupProvider": {"autoScalingGroupArn": "g"}, **change}
    refused(apart.create_capacity_provider, code, words, **request)
    assert len(apart.describe_capacity_providers()["capacityProviders"]) == 2


def test_a_provider_of_a_cluster_is_not_deleted(apart: Any, name: str) -> None:
    create(apart, name)
    apart.create_cluster(clusterName=name, capacityProviders=[name])
    kept = apart.delete_capacity_provider(capacityProvider=name)["capacityProvider"]
    assert (kept["status"], kept["updateStatus"]) == ("ACTIVE", "DELETE_FAILED")
    assert f"associated with cluster: {name}" in kept["updateStatusReason"]
    (shown,) = described(apart, name)
    assert (shown["status"], shown["updateStatus"]) == ("ACTIVE", "DELETE_FAILED")
    apart.put_cluster_capacity_providers(cluster=name, capacityProviders=[], defaultCapacityProviderStrategy=[])
    assert apart.delete_capacity_provider(capacityProvider=name)["capacityProvider"]["status"] == "INACTIVE"


def test_a_cluster_shows_its_providers_and_default_strategy(apart: Any, name: str) -> None:
    create(apart, name)
    made = apart.create_cluster(
        clusterName=name,
        capacityProviders=[name],
        defaultCapacityProviderStrategy=[{"capacityProvider": name, "base": 2}],
    )["cluster"]
    assert made["capacityProviders"] == [name]
    assert made["defaultCapacityProviderStrategy"] == [{"capacityProvider": name, "weight": 0, "base": 2}]
    put = apart.put_cluster_capacity_providers(
        cluster=name,
        capacityProviders=["FARGATE_SPOT", "FARGATE"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
    )["cluster"]
    assert put["capacityProviders"] == ["FARGATE_SPOT", "FARGATE"]
    (shown,) = apart.describe_clusters(clusters=[name], include=["ATTACHMENTS"])["clusters"]
    assert shown["capacityProviders"] == put["capacityProviders"]
    assert shown["defaultCapacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
    assert (shown["attachments"], shown["attachmentsStatus"]) == ([], "UPDATE_COMPLETE")


FARGATE = [{"capacityProvider": "FARGATE", "weight": 1}]


@pytest.mark.parametrize(
    ("providers", "default", "words"),
    [
        (["nothing"], [], "capacity provider was not found"),
        (["FARGATE", "FARGATE"], [], "only once"),
        (["FARGATE_SPOT"], FARGATE, "not associated with the cluster"),
        (["FARGATE"], [*FARGATE, *FARGATE], "duplicate"),
        (["FARGATE"], [{"capacityProvider": "FARGATE", "weight": 1001}], "weight"),
        (["FARGATE"], [{"capacityProvider": "FARGATE", "base": 100_001}], "base"),
        (
            ["FARGATE", "FARGATE_SPOT"],
            [{"capacityProvider": "FARGATE", "base": 1}, {"capacityProvider": "FARGATE_SPOT", "base": 1}],
            "only one capacity provider with a base",
        ),
    ],
)
def test_what_a_cluster_cannot_have_is_refused(
    ecs: Any, cluster: str, providers: list[str], default: list[dict[str, Any]], words: str
) -> None:
    refused(
        ecs.put_cluster_capacity_providers,
        "InvalidParameterException",
        words,
        cluster=cluster,
        capacityProviders=providers,
        defaultCapacityProviderStrategy=default,
    )
    (shown,) = ecs.describe_clusters(clusters=[cluster])["clusters"]
    assert (shown["capacityProviders"], shown["defaultCapacityProviderStrategy"]) == ([], [])


def register_fargate(ecs: Any, family: str) -> None:
    ecs.register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )


def test_tasks_and_services_follow_the_default_strategy(ecs: Any, fake: Installation, cluster: str) -> None:
    register_fargate(ecs, cluster)
    ecs.put_cluster_capacity_providers(
        cluster=cluster,
        capacityProviders=["FARGATE", "FARGATE_SPOT"],
        defaultCapacityProviderStrategy=[
            {"capacityProvider": "FARGATE", "base": 1, "weight": 1},
            {"capacityProvider": "FARGATE_SPOT", "weight": 1},
        ],
    )
    network = {"awsvpcConfiguration": {"subnets": [fake.subnet()]}}
    run = ecs.run_task(cluster=cluster, taskDefinition=cluster, count=3, networkConfiguration=network)
    assert run["failures"] == []
    assert sorted(task["capacityProviderName"] for task in run["tasks"]) == ["FARGATE", "FARGATE", "FARGATE_SPOT"]
    assert {task["launchType"] for task in run["tasks"]} == {"FARGATE"}
    service = ecs.create_service(
        cluster=cluster, serviceName=cluster, taskDefinition=cluster, desiredCount=3, networkConfiguration=network
    )["service"]
    assert "launchType" not in service
    assert [item["capacityProvider"] for item in service["capacityProviderStrategy"]] == ["FARGATE", "FARGATE_SPOT"]
    ecs.get_waiter("services_stable").wait(cluster=cluster, services=[cluster], WaiterConfig=QUICK)
    arns = ecs.list_tasks(cluster=cluster, serviceName=cluster)["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
    assert sorted(task["capacityProviderName"] for task in tasks) == ["FARGATE", "FARGATE", "FARGATE_SPOT"]
    refused(
        ecs.put_cluster_capacity_providers,
        "ResourceInUseException",
        "in use",
        cluster=cluster,
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=[],
    )
    refused(
        ecs.run_task,
        "InvalidParameterException",
        "launch type and capacity provider strategy",
        cluster=cluster,
        taskDefinition=cluster,
        launchType="FARGATE",
        capacityProviderStrategy=FARGATE,
        networkConfiguration=network,
    )
    ecs.delete_service(cluster=cluster, service=cluster, force=True)
    ecs.get_waiter("services_inactive").wait(cluster=cluster, services=[cluster], WaiterConfig=QUICK)


def test_a_task_without_a_machine_waits_for_capacity(apart: Any, name: str) -> None:
    """No machine has joined under the group's name, so the task is PROVISIONING until it is stopped."""
    create(apart, name)
    apart.create_cluster(clusterName=name, capacityProviders=[name])
    apart.register_task_definition(
        family=name, containerDefinitions=[{"name": "main", "image": "busybox", "memory": 16}]
    )
    strategy = [{"capacityProvider": name, "weight": 1}]
    run = apart.run_task(cluster=name, taskDefinition=name, capacityProviderStrategy=strategy)
    assert run["failures"] == []
    (task,) = run["tasks"]
    assert (task["lastStatus"], task["capacityProviderName"]) == ("PROVISIONING", name)
    assert "containerInstanceArn" not in task
    (shown,) = apart.describe_tasks(cluster=name, tasks=[task["taskArn"]])["tasks"]
    assert shown["lastStatus"] == "PROVISIONING"
    assert apart.describe_clusters(clusters=[name])["clusters"][0]["pendingTasksCount"] == 1
    apart.stop_task(cluster=name, task=task["taskArn"], reason="enough")
    (shown,) = apart.describe_tasks(cluster=name, tasks=[task["taskArn"]])["tasks"]
    assert (shown["desiredStatus"], shown["stoppedReason"]) == ("STOPPED", "enough")
    wait_for(
        lambda: apart.describe_tasks(cluster=name, tasks=[task["taskArn"]])["tasks"][0]["lastStatus"] == "STOPPED",
        what="the waiting task is stopped",
    )
