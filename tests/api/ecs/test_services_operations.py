"""CreateService, UpdateService, DeleteService, DescribeServices, ListServices on state."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_kit import CALLER, FARGATE, NOW, PREFIX, REQUESTS, SUBNET, Api, task


@pytest.fixture
def api() -> Api:
    return Api()


# CreateService


def test_create_answers_with_the_whole_service(api: Api):
    service = api.create(tags=[{"key": "team", "value": "blue"}])
    identifier = service["deployments"][0]["id"]
    assert identifier.startswith("ecs-svc/")
    assert service == {
        "serviceArn": f"{PREFIX}:service/default/web",
        "serviceName": "web",
        "clusterArn": f"{PREFIX}:cluster/default",
        "loadBalancers": [],
        "serviceRegistries": [],
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 0,
        "pendingCount": 0,
        "launchType": "EC2",
        "taskDefinition": f"{PREFIX}:task-definition/web:1",
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": BREAKER,
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
            "bakeTimeInMinutes": 0,
        },
        "deployments": [
            {
                "id": identifier,
                "status": "PRIMARY",
                "taskDefinition": f"{PREFIX}:task-definition/web:1",
                "desiredCount": 2,
                "pendingCount": 0,
                "runningCount": 0,
                "failedTasks": 0,
                "createdAt": NOW,
                "updatedAt": NOW,
                "launchType": "EC2",
                "rolloutState": "IN_PROGRESS",
                "rolloutStateReason": f"ECS deployment {identifier} in progress.",
            }
        ],
        "events": [],
        "createdAt": NOW,
        "currentServiceDeployment": service["currentServiceDeployment"],
        "currentServiceRevisions": [
            {
                "arn": f"{PREFIX}:service-revision/default/web/{identifier.removeprefix('ecs-svc/')}",
                "requestedTaskCount": 2,
                "runningTaskCount": 0,
                "pendingTaskCount": 0,
            }
        ],
        "placementConstraints": [],
        "placementStrategy": [],
        "healthCheckGracePeriodSeconds": 0,
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "tags": [{"key": "team", "value": "blue"}],
        "createdBy": CALLER,
        "enableECSManagedTags": False,
        "propagateTags": "NONE",
        "enableExecuteCommand": False,
        "availabilityZoneRebalancing": "ENABLED",
    }


def test_fargate_shows_latest_for_the_service_and_the_version_for_the_deployment(api: Api):
    service = api.create(**FARGATE)
    deployment = service["deployments"][0]
    assert (service["platformVersion"], deployment["platformVersion"]) == ("LATEST", "1.4.0")
    assert (service["platformFamily"], deployment["platformFamily"]) == ("Linux", "Linux")
    network = {"awsvpcConfiguration": {"subnets": [SUBNET], "securityGroups": [], "assignPublicIp": "ENABLED"}}
    assert service["networkConfiguration"] == deployment["networkConfiguration"] == network


def test_family_without_revision_means_the_latest(api: Api):
    assert api.create(taskDefinition="web")["taskDefinition"].endswith("web:2")


def test_the_same_create_again_gives_the_same_service(api: Api):
    first = api.create()
    revision = api.state.store.revision
    api.now += 60
    assert api.create() == first
    assert api.state.store.revision == revision


def test_another_create_of_the_same_name_is_refused(api: Api):
    api.create()
    api.refused_create("InvalidParameterException", "Creation of service was not idempotent.", desiredCount=3)


def test_a_client_token_is_looked_up_before_the_definition(api: Api):
    first = api.create(clientToken="once")
    gone = api.state.task_definitions.get(f"{PREFIX}:task-definition/web:1")
    with api.state.transaction() as tx:
        tx.delete(gone)
    assert api.create(clientToken="once")["deployments"][0]["id"] == first["deployments"][0]["id"]


def test_client_token_gives_the_same_service_even_after_updates(api: Api):
    first = api.create(clientToken="once")
    api.update(desiredCount=5)
    again = api.create(clientToken="once")
    assert again["deployments"][0]["id"] == first["deployments"][0]["id"]
    assert again["desiredCount"] == 5
    api.refused_create("InvalidParameterException", "not idempotent", clientToken="once", desiredCount=9)
    api.refused_create("InvalidParameterException", "not idempotent", clientToken="once", serviceName="other")


def test_names_are_separate_by_cluster(api: Api):
    api.create()
    assert api.create(cluster="other")["serviceArn"] == f"{PREFIX}:service/other/web"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"serviceName": ""}, "Service name"),
        ({"serviceName": "a b"}, "Invalid service name"),
        ({"serviceName": "x" * 256}, "255"),
        ({"desiredCount": None}, "desiredCount is required"),
        ({"desiredCount": -1}, "desiredCount must not be negative"),
        ({"desiredCount": 5001}, "desiredCount can be at most"),
        ({"taskDefinition": None}, "TaskDefinition can not be blank."),
        ({"clientToken": "x" * 37}, "client token"),
        ({"healthCheckGracePeriodSeconds": -1}, "healthCheckGracePeriodSeconds"),
        ({"role": "ecsServiceRole"}, "role can only be specified"),
        ({"launchType": "FARGATE"}, "Task definition does not support launch_type FARGATE."),
        ({"platformVersion": "LATEST"}, "The platform version must be null when specifying an EC2 launch type."),
        ({"taskDefinition": "fargate"}, "Network Configuration must be provided when networkMode 'awsvpc'"),
        (
            {"networkConfiguration": FARGATE["networkConfiguration"]},
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ),
        ({**FARGATE, "placementStrategy": [{"type": "random"}]}, "Placement strategies are not supported with FARGATE"),
        ({"placementConstraints": [{"type": "memberOf", "expression": "!!"}]}, "Invalid expression"),
        ({"deploymentConfiguration": {"minimumHealthyPercent": 101}}, "minimumHealthyPercent must be at most 100"),
        ({"deploymentConfiguration": {"minimumHealthyPercent": -1}}, "minimumHealthyPercent must be at least 0"),
        ({"deploymentConfiguration": {"maximumPercent": 99}}, "maximumPercent must be at least 100"),
        ({"tags": [{"key": "aws:x", "value": "1"}]}, "aws:"),
        (
            {"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
            "Specifying both a launch type and capacity provider strategy",
        ),
    ],
)
def test_bad_input_is_refused(api: Api, members: dict[str, Any], text: str):
    api.refused_create("InvalidParameterException", text, **members)


BREAKER = {
    "enable": False,
    "rollback": False,
    "resetOnHealthyTask": True,
    "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
}

UNSERVED: list[tuple[str, dict[str, Any]]] = [
    ("deploymentController CODE_DEPLOY", {"deploymentController": {"type": "CODE_DEPLOY"}}),
    ("launchType MANAGED_INSTANCES", {"launchType": "MANAGED_INSTANCES"}),
    ("serviceConnectConfiguration", {"serviceConnectConfiguration": {"enabled": True}}),
    ("volumeConfigurations", {"volumeConfigurations": [{"name": "v"}]}),
    (
        "vpcLatticeConfigurations",
        {"vpcLatticeConfigurations": [{"roleArn": "a", "targetGroupArn": "b", "portName": "c"}]},
    ),
    ("enableExecuteCommand", {"enableExecuteCommand": True}),
    ("deploymentConfiguration.bakeTimeInMinutes", {"deploymentConfiguration": {"bakeTimeInMinutes": 5}}),
    (
        "deploymentConfiguration.lifecycleHooks with targetType AWS_LAMBDA",
        {
            "deploymentConfiguration": {
                "strategy": "BLUE_GREEN",
                "lifecycleHooks": [{"hookTargetArn": "a", "lifecycleStages": ["PRE_SCALE_UP"]}],
            }
        },
    ),
]


@pytest.mark.parametrize(("name", "members"), UNSERVED, ids=[name for name, _ in UNSERVED])
def test_what_is_not_served_is_refused_by_name(api: Api, name: str, members: dict[str, Any]):
    api.refused_create("ClientException", name, **members)
    api.create()
    changeable = {key for key in members if key in {f.encode_name for f in msgspec.structs.fields(REQUESTS["update"])}}
    if changeable:
        api.refused("update", "ClientException", name, service="web", **members)


def test_settings_that_are_off_are_accepted(api: Api):
    api.create(
        serviceConnectConfiguration={"enabled": False},
        loadBalancers=[],
        deploymentController={"type": "ECS"},
        enableExecuteCommand=False,
        deploymentConfiguration={
            "strategy": "ROLLING",
            "deploymentCircuitBreaker": {"enable": False, "rollback": False},
            "alarms": {"alarmNames": [], "rollback": False, "enable": False},
        },
    )


def test_unknown_cluster_and_definition(api: Api):
    api.refused_create("ClusterNotFoundException", "Cluster not found.", cluster="nowhere")
    api.refused_create("ClientException", "TaskDefinition not found.", taskDefinition="nothing:7")


# UpdateService


def test_desired_count_changes_without_a_deployment(api: Api):
    before = api.create()["deployments"][0]["id"]
    service = api.update(desiredCount=7)
    assert service["desiredCount"] == 7
    assert [d["id"] for d in service["deployments"]] == [before]


@pytest.mark.parametrize(
    "members",
    [
        {"deploymentConfiguration": {"maximumPercent": 150}},
        {"availabilityZoneRebalancing": "DISABLED"},
        {"availabilityZoneRebalancing": "DISABLED", "placementStrategy": [{"type": "random"}]},
        {"placementStrategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}]},
        {"placementConstraints": [{"type": "distinctInstance"}]},
        {"healthCheckGracePeriodSeconds": 30},
        {"propagateTags": "SERVICE"},
        {"enableECSManagedTags": True},
        {"taskDefinition": "web:1"},
    ],
)
def test_changes_that_start_no_deployment(api: Api, members: dict[str, Any]):
    before = api.create()["deployments"][0]["id"]
    service = api.update(**members)
    assert [d["id"] for d in service["deployments"]] == [before]
    for name in ("placementStrategy", "placementConstraints", "healthCheckGracePeriodSeconds", "propagateTags"):
        assert service[name] == members.get(name, service[name])
    assert len(api("list_deployments", service="web")["serviceDeployments"]) == 1


@pytest.mark.parametrize("members", [{"taskDefinition": "web:2"}, {"forceNewDeployment": True}])
def test_changes_that_start_a_deployment(api: Api, members: dict[str, Any]):
    before = api.create()["deployments"][0]["id"]
    api.now += 10
    service = api.update(**members)
    new, old = service["deployments"]
    assert (new["status"], old["status"], old["id"]) == ("PRIMARY", "ACTIVE", before)
    assert new["createdAt"] == NOW + 10
    assert service["taskDefinition"] == new["taskDefinition"]


def test_network_configuration_starts_a_deployment_when_it_differs(api: Api):
    api.create(**FARGATE)
    same = {"awsvpcConfiguration": {"subnets": [SUBNET], "assignPublicIp": "ENABLED"}}
    assert len(api.update(networkConfiguration=same)["deployments"]) == 1
    other = {"awsvpcConfiguration": {"subnets": [SUBNET], "assignPublicIp": "DISABLED"}}
    assert len(api.update(networkConfiguration=other)["deployments"]) == 2
    assert len(api.update(platformVersion="1.4.0")["deployments"]) == 3


def test_a_definition_with_another_network_mode_does_not_fit(api: Api):
    api.create(**FARGATE)
    api.refused("update", "InvalidParameterException", "does not support", service="web", taskDefinition="web:1")


def test_deployment_configuration_is_merged(api: Api):
    api.create(deploymentConfiguration={"minimumHealthyPercent": 50})
    configuration = api.update(deploymentConfiguration={"maximumPercent": 150})["deploymentConfiguration"]
    assert (configuration["minimumHealthyPercent"], configuration["maximumPercent"]) == (50, 150)


def test_an_empty_object_removes_the_placement_strategy(api: Api):
    api.create(placementStrategy=[{"type": "random"}])
    assert api.update(placementStrategy=[{}])["placementStrategy"] == []


def test_any_update_ends_the_back_off(api: Api):
    api.create()
    record = api.record()
    failing = msgspec.structs.replace(record.deployments[0], failed_tasks=9)
    api.put(msgspec.structs.replace(record, deployments=(failing,)))
    api.now += 5
    api.update(desiredCount=1)
    assert api.record().deployments[0].failed_tasks == 0
    assert api.record().deployments[0].updated_at == NOW + 5


def test_updating_what_is_not_there_or_not_active(api: Api):
    api.refused("update", "ServiceNotFoundException", "Service not found.", service="web")
    api.create()
    api("delete", service="web", force=True)
    api.refused("update", "ServiceNotActiveException", "Service was not ACTIVE.", service="web")


# DeleteService


def test_delete_needs_zero_or_force(api: Api):
    api.create()
    text = "The service cannot be stopped while it is scaled above 0."
    api.refused("delete", "InvalidParameterException", text, service="web")
    assert api("delete", service="web", force=True)["service"]["status"] == "DRAINING"
    assert api.describe()["status"] == "DRAINING"
    assert api.describe()["desiredCount"] == 0
    assert api("delete", service="web")["service"]["status"] == "DRAINING"


def test_a_draining_name_is_taken_and_an_inactive_one_is_free(api: Api):
    api.create(tags=[{"key": "old", "value": "1"}])
    api.update(desiredCount=0)
    api("delete", service="web")
    api.refused_create("InvalidParameterException", "Unable to Start a service that is still Draining.")
    last = msgspec.structs.replace(api.record().deployments[0], status="INACTIVE")
    api.put(msgspec.structs.replace(api.record(), status="INACTIVE", deployments=(last,), deleted_at=NOW))
    gone = api.describe()
    assert (gone["status"], gone["deployments"], gone["taskDefinition"]) == (
        "INACTIVE",
        [],
        f"{PREFIX}:task-definition/web:1",
    )
    api.refused("delete", "ServiceNotFoundException", "Service not found.", service="web")
    assert api.create()["tags"] == []
    assert api.describe()["status"] == "ACTIVE"


# DescribeServices and ListServices


def test_describe_knows_names_arns_and_what_is_missing(api: Api):
    api.create("a")
    api.create("b")
    arn = f"{PREFIX}:service/default/b"
    answer = api("describe", services=["a", arn, "gone", "a"])
    assert [service["serviceName"] for service in answer["services"]] == ["a", "b"]
    assert answer["failures"] == [{"arn": f"{PREFIX}:service/default/gone", "reason": "MISSING"}]
    assert api.describe(f"{PREFIX}:service/a")["serviceName"] == "a"


def test_describe_shows_tags_only_when_asked(api: Api):
    api.create(tags=[{"key": "k", "value": "v"}])
    assert "tags" not in api.describe()
    assert api.describe(include=["TAGS"])["tags"] == [{"key": "k", "value": "v"}]


def test_describe_takes_one_to_ten(api: Api):
    api.refused("describe", "InvalidParameterException", "Services cannot be empty.", services=[])
    api.refused("describe", "InvalidParameterException", "at most 10", services=[f"s{n}" for n in range(11)])
    api.refused("describe", "InvalidParameterException", "resource type", services=[f"{PREFIX}:cluster/default"])
    api.refused(
        "describe", "InvalidParameterException", "is for cluster other", services=[f"{PREFIX}:service/other/web"]
    )


def test_counts_come_from_tasks_and_leave_out_what_was_told_to_stop(api: Api):
    first = api.create()["deployments"][0]["id"]
    second = api.update(forceNewDeployment=True)["deployments"][0]["id"]
    api.put(task(1, first, "RUNNING"), task(2, first, "DEACTIVATING", "STOPPED"), task(3, first, "RUNNING", "STOPPED"))
    api.put(task(4, second, "PENDING"), task(5, second, "PROVISIONING"), task(6, second, "STOPPED", "STOPPED"))
    service = api.describe()
    assert (service["runningCount"], service["pendingCount"]) == (1, 2)
    counts = [(d["desiredCount"], d["runningCount"], d["pendingCount"]) for d in service["deployments"]]
    assert counts == [(2, 0, 2), (1, 1, 0)]


def test_list_pages_ten_at_a_time_and_hides_draining(api: Api):
    for number in range(12):
        api.create(f"s{number:02}")
    api("delete", service="s03", force=True)
    first = api("list")
    assert len(first["serviceArns"]) == 10
    second = api("list", nextToken=first["nextToken"])
    assert "nextToken" not in second
    names = [arn.rsplit("/", 1)[1] for arn in first["serviceArns"] + second["serviceArns"]]
    assert names == [f"s{number:02}" for number in range(12) if number != 3]
    api.refused("list", "InvalidParameterException", "101", maxResults=101)


def test_list_filters(api: Api):
    api.create("ec2")
    api.create("fargate", **FARGATE)

    def names(**members: Any) -> list[str]:
        return [arn.rsplit("/", 1)[1] for arn in api("list", **members)["serviceArns"]]

    assert names(launchType="FARGATE") == ["fargate"]
    assert names(launchType="EC2") == ["ec2"]
    assert names(schedulingStrategy="DAEMON") == []
    assert names(schedulingStrategy="REPLICA") == ["ec2", "fargate"]
    assert names(resourceManagementType="ECS") == []
    assert names(cluster="other") == []


def test_there_are_no_namespaces(api: Api):
    api.refused("list_by_namespace", "NamespaceNotFoundException", "internal", namespace="internal")
