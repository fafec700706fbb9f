"""Services with the EXTERNAL deployment controller and the operations on their task sets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_kit import FARGATE, NOW, PREFIX, Api, task

from openecs.api.ecs import cluster_view

SETS = {"cluster": "default", "service": "ext"}


@pytest.fixture
def api() -> Api:
    made = Api()
    made.external()
    return made


def scale(percent: float) -> dict[str, Any]:
    return {"value": percent, "unit": "PERCENT"}


def listed(api: Api, **members: Any) -> dict[str, str]:
    """Id to status, as DescribeTaskSets says."""
    return {found["id"]: found["status"] for found in api("describe_task_sets", **SETS, **members)["taskSets"]}


# The service


def test_an_external_service_has_no_deployments(api: Api):
    service = api.describe("ext")
    assert service["deployments"] == service["taskSets"] == []
    assert service["deploymentController"] == {"type": "EXTERNAL"}
    assert (service["launchType"], service["status"], service["desiredCount"]) == ("EC2", "ACTIVE", 3)
    assert service["availabilityZoneRebalancing"] == "DISABLED"
    assert not {"taskDefinition", "currentServiceDeployment", "currentServiceRevisions"} & service.keys()
    assert api("list_deployments", service="ext")["serviceDeployments"] == []


def test_the_only_thing_it_needs_is_a_name(api: Api):
    made = api("create", serviceName="bare", deploymentController={"type": "EXTERNAL"})["service"]
    assert made["desiredCount"] == 0
    assert api("create", serviceName="bare", deploymentController={"type": "EXTERNAL"})["service"] == made


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"taskDefinition": "web:1"}, "TaskDefinition must be blank"),
        ({"taskDefinition": ""}, "TaskDefinition must be blank"),
        ({"launchType": "FARGATE"}, "launchType must be blank"),
        ({"networkConfiguration": FARGATE["networkConfiguration"]}, "networkConfiguration must be blank"),
        ({"platformVersion": "LATEST"}, "platformVersion must be blank"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "capacityProviderStrategy must be blank"),
        ({"loadBalancers": [{"targetGroupArn": "x"}]}, "loadBalancers must be blank"),
        ({"availabilityZoneRebalancing": "ENABLED"}, "Availability Zone rebalancing"),
        ({"deploymentConfiguration": {"maximumPercent": 150}}, "maximumPercent can not be set"),
        ({"deploymentConfiguration": {"minimumHealthyPercent": 0}}, "minimumHealthyPercent can not be set"),
        (
            {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}},
            "deploymentCircuitBreaker can not be set",
        ),
        ({"schedulingStrategy": "DAEMON"}, "does not support the EXTERNAL deployment controller"),
    ],
)
def test_what_belongs_to_task_sets_is_refused(api: Api, members: dict[str, Any], text: str):
    external = {"serviceName": "new", "deploymentController": {"type": "EXTERNAL"}}
    api.refused("create", "InvalidParameterException", text, **external, **members)


def test_an_update_may_change_what_is_not_of_task_sets(api: Api):
    changes = {
        "desiredCount": 5,
        "placementConstraints": [{"type": "distinctInstance"}],
        "placementStrategy": [{"type": "random"}],
        "healthCheckGracePeriodSeconds": 7,
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
    }
    service = api.update("ext", **changes, deploymentController={"type": "EXTERNAL"})
    assert {name: service[name] for name in changes} == changes
    for members in ({"taskDefinition": "web:1"}, {"forceNewDeployment": True}, {"platformVersion": "LATEST"}):
        api.refused("update", "InvalidParameterException", "EXTERNAL", service="ext", **members)
    api.refused(
        "update", "ClientException", "deploymentController ECS", service="ext", deploymentController={"type": "ECS"}
    )


# CreateTaskSet


def test_create_answers_with_the_whole_task_set(api: Api):
    made = api.task_set(externalId="blue", scale=scale(50), tags=[{"key": "k", "value": "v"}])
    arn = f"{PREFIX}:task-set/default/ext/{made['id']}"
    assert made == {
        "id": made["id"],
        "taskSetArn": arn,
        "serviceArn": f"{PREFIX}:service/default/ext",
        "clusterArn": f"{PREFIX}:cluster/default",
        "externalId": "blue",
        "status": "ACTIVE",
        "taskDefinition": f"{PREFIX}:task-definition/web:1",
        "computedDesiredCount": 2,
        "pendingCount": 0,
        "runningCount": 0,
        "createdAt": NOW,
        "updatedAt": NOW,
        "launchType": "EC2",
        "loadBalancers": [],
        "serviceRegistries": [],
        "scale": scale(50),
        "stabilityStatus": "STABILIZING",
        "stabilityStatusAt": NOW,
        "tags": [{"key": "k", "value": "v"}],
    }
    (shown,) = api.describe("ext")["taskSets"]
    assert shown == {name: value for name, value in made.items() if name != "tags"}
    assert api("list_tags", resourceArn=arn)["tags"] == [{"key": "k", "value": "v"}]
    api("tag", resourceArn=arn, tags=[{"key": "k", "value": "w"}])
    (tagged,) = api("describe_task_sets", **SETS, include=["TAGS"])["taskSets"]
    assert tagged["tags"] == [{"key": "k", "value": "w"}]


def test_without_a_scale_a_task_set_runs_nothing(api: Api):
    assert api.task_set()["scale"] == scale(0)
    assert api.task_set(scale={})["computedDesiredCount"] == 0


@pytest.mark.parametrize(
    ("percent", "desired", "computed"), [(33.4, 3, 2), (7, 100, 7), (100, 5, 5), (0.01, 1, 1), (28.0, 25, 7)]
)
def test_the_share_is_rounded_up(api: Api, percent: float, desired: int, computed: int):
    api.update("ext", desiredCount=desired)
    assert api.task_set(scale=scale(percent))["computedDesiredCount"] == computed


def test_counts_come_from_the_tasks_of_each_set(api: Api):
    first, second = api.task_set(scale=scale(100))["id"], api.task_set(scale=scale(100))["id"]
    tasks = task(1, first, "RUNNING"), task(2, second, "PENDING"), task(3, second, "RUNNING", "STOPPED")
    arn = f"{PREFIX}:service/default/ext"
    api.put(
        *(msgspec.structs.replace(t, service_arn=arn, group="service:ext", started_by=t.deployment_id) for t in tasks)
    )
    counts = {t["id"]: (t["runningCount"], t["pendingCount"]) for t in api("describe_task_sets", **SETS)["taskSets"]}
    assert counts == {first: (1, 0), second: (0, 1)}
    service = api.describe("ext")
    assert (service["runningCount"], service["pendingCount"]) == (1, 1)


@pytest.mark.parametrize(
    ("code", "members", "text"),
    [
        ("InvalidParameterException", {"taskDefinition": ""}, "TaskDefinition can not be blank."),
        ("ClientException", {"taskDefinition": "nothing:1"}, "TaskDefinition not found."),
        ("InvalidParameterException", {"scale": {"value": 101}}, "between 0 and 100"),
        ("InvalidParameterException", {"scale": {"value": -0.5}}, "between 0 and 100"),
        ("InvalidParameterException", {"serviceRegistries": [{"registryArn": "x"}]}, "Invalid ARN syntax."),
        ("InvalidParameterException", {"launchType": "FARGATE"}, "does not support launch_type FARGATE"),
        ("InvalidParameterException", {"taskDefinition": "fargate:1"}, "Network Configuration must be provided"),
        ("InvalidParameterException", {"platformVersion": "LATEST"}, "platform version"),
        ("InvalidParameterException", {"clientToken": "x" * 37}, "client token"),
        ("InvalidParameterException", {"tags": [{"key": "aws:x", "value": "1"}]}, "aws:"),
        ("InvalidParameterException", {"capacityProviderStrategy": [{"capacityProvider": "none"}]}, "associated"),
        ("ServiceNotFoundException", {"service": "none"}, "Service not found."),
        ("ClusterNotFoundException", {"cluster": "none"}, "Cluster not found."),
    ],
)
def test_bad_task_sets_are_refused(api: Api, code: str, members: dict[str, Any], text: str):
    api.refused("create_task_set", code, text, **{**SETS, "taskDefinition": "web:1", **members})


def test_only_external_services_have_task_sets(api: Api):
    api.create()
    text = "Amazon ECS only supports task set management on services configured to use external deployment controllers."
    of_web = {"cluster": "default", "service": "web"}
    api.refused("create_task_set", "InvalidParameterException", text, **of_web, taskDefinition="web:1")
    api.refused("describe_task_sets", "InvalidParameterException", text, **of_web)


def test_a_service_has_at_most_five(api: Api):
    for _ in range(5):
        api.task_set()
    text = "5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit."
    api.refused("create_task_set", "InvalidParameterException", text, **SETS, taskDefinition="web:1")


def test_a_client_token_makes_one_task_set(api: Api):
    made = api.task_set(clientToken="once")
    revision = api.state.store.revision
    assert api.task_set(clientToken="once") == made
    assert api.state.store.revision == revision
    other = {"clientToken": "once", "taskDefinition": "web:2"}
    api.refused("create_task_set", "InvalidParameterException", "not idempotent", **SETS, **other)


def test_fargate_task_sets_and_providers(api: Api):
    api.providers("FARGATE", "FARGATE_SPOT")
    made = api.task_set(
        taskDefinition="fargate:1",
        networkConfiguration=FARGATE["networkConfiguration"],
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    )
    assert made["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    assert "launchType" not in made
    assert (made["platformVersion"], made["platformFamily"]) == ("LATEST", "Linux")
    assert made["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


# UpdateTaskSet, UpdateServicePrimaryTaskSet, DeleteTaskSet, DescribeTaskSets


def test_a_new_scale_is_not_steady_yet(api: Api):
    made = api.task_set(scale=scale(100))
    record = api.record("ext")
    (deployment,) = record.deployments
    steady = msgspec.structs.replace(deployment.task_set, stability_status="STEADY_STATE")
    api.put(msgspec.structs.replace(record, deployments=(msgspec.structs.replace(deployment, task_set=steady),)))
    api.now += 9
    same = api("update_task_set", **SETS, taskSet=made["id"], scale=scale(99.9))["taskSet"]
    assert (same["stabilityStatus"], same["computedDesiredCount"], same["updatedAt"]) == ("STEADY_STATE", 3, NOW + 9)
    less = api("update_task_set", **SETS, taskSet=made["taskSetArn"], scale=scale(50))["taskSet"]
    assert (less["stabilityStatus"], less["computedDesiredCount"], less["scale"]) == ("STABILIZING", 2, scale(50))


def test_one_task_set_is_primary_and_the_service_shows_what_it_runs(api: Api):
    first, second = api.task_set()["id"], api.task_set(taskDefinition="web:2")["id"]
    assert "taskDefinition" not in api.describe("ext")
    assert api("update_primary", **SETS, primaryTaskSet=first)["taskSet"]["status"] == "PRIMARY"
    assert api.describe("ext")["taskDefinition"].endswith("web:1")
    api("update_primary", **SETS, primaryTaskSet=second)
    assert listed(api) == {second: "PRIMARY", first: "ACTIVE"}
    assert api.describe("ext")["taskDefinition"].endswith("web:2")


def test_delete_needs_a_scale_of_zero_or_force(api: Api):
    first, second = api.task_set(scale=scale(10))["id"], api.task_set()["id"]
    api("update_primary", **SETS, primaryTaskSet=second)
    api.refused("delete_task_set", "InvalidParameterException", "scaled above 0", **SETS, taskSet=first)
    api.refused("delete_task_set", "InvalidParameterException", "primary task set", **SETS, taskSet=second)
    gone = api("delete_task_set", **SETS, taskSet=first, force=True)["taskSet"]
    assert (gone["status"], gone["computedDesiredCount"]) == ("DRAINING", 0)
    assert api("delete_task_set", **SETS, taskSet=first)["taskSet"] == gone
    for operation, member in (("update_task_set", "taskSet"), ("update_primary", "primaryTaskSet")):
        more = {"scale": scale(1)} if operation == "update_task_set" else {}
        api.refused(operation, "InvalidParameterException", "being deleted", **SETS, **{member: first}, **more)
    assert listed(api) == {second: "PRIMARY", first: "DRAINING"}


def test_references_to_task_sets(api: Api):
    api.external("other")
    foreign = api.task_set(service="other")["taskSetArn"]
    made = api.task_set()
    missing = "ecs-svc/1"
    answer = api("describe_task_sets", **SETS, taskSets=[made["taskSetArn"], missing, made["id"]])
    assert [found["id"] for found in answer["taskSets"]] == [made["id"]]
    assert answer["failures"] == [{"arn": f"{PREFIX}:task-set/default/ext/ecs-svc/1", "reason": "MISSING"}]
    wrong = "InvalidParameterException"
    for text in ("web", "ecs-svc/", "ecs-svc/x", "", f"{PREFIX}:task/default/1"):
        api.refused("describe_task_sets", wrong, "Task Set Identifier is invalid", **SETS, taskSets=[text])
    api.refused("describe_task_sets", wrong, "another service", **SETS, taskSets=[foreign])
    for operation, member in (("delete_task_set", "taskSet"), ("update_primary", "primaryTaskSet")):
        api.refused(operation, "TaskSetNotFoundException", "not found", **SETS, **{member: missing})


def test_a_deleted_service_takes_no_more_changes(api: Api):
    made = api.task_set(scale=scale(100))["id"]
    api.refused("delete", "InvalidParameterException", "scaled above 0", service="ext")
    api("delete", service="ext", force=True)
    api.refused("delete_task_set", "ServiceNotActiveException", "not ACTIVE", **SETS, taskSet=made)
    assert api.describe("ext")["status"] == "DRAINING"


def test_the_clusters_statistics_count_it(api: Api):
    def services() -> dict[str, str]:
        record = api.state.clusters.get(f"{PREFIX}:cluster/default")
        assert record is not None
        shown = cluster_view.view(api.state, record, ["STATISTICS"]).statistics or ()
        return {pair.name or "": pair.value or "" for pair in shown if (pair.name or "").endswith("ServiceCount")}

    assert (services()["activeEC2ServiceCount"], services()["activeFargateServiceCount"]) == ("1", "0")
    fargate = {key: FARGATE[key] for key in ("taskDefinition", "launchType", "networkConfiguration")}
    made = api.task_set(**fargate)
    api("update_primary", **SETS, primaryTaskSet=made["id"])
    assert (services()["activeEC2ServiceCount"], services()["activeFargateServiceCount"]) == ("0", "1")
