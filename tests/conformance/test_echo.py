"""What was asked for is answered in full: every member as given, the rest with AWS's defaults.

Replies are compared as a whole, so that a member too much is found as well as one too few.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from conformance_support import Installation

ARN = "arn:aws:ecs:us-east-1:000000000000"
NO_BREAKER = {
    "enable": False,
    "rollback": False,
    "resetOnHealthyTask": True,
    "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
}
ROLLING = {
    "deploymentCircuitBreaker": NO_BREAKER,
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "strategy": "ROLLING",
    "bakeTimeInMinutes": 0,
}
#: A service of which nothing but the least was said; what depends on its name is left out.
SERVICE: dict[str, Any] = {
    "clusterArn": f"{ARN}:cluster/default",
    "loadBalancers": [],
    "serviceRegistries": [],
    "status": "ACTIVE",
    "desiredCount": 0,
    "runningCount": 0,
    "pendingCount": 0,
    "launchType": "EC2",
    "deploymentConfiguration": ROLLING,
    "events": [],
    "placementConstraints": [],
    "placementStrategy": [],
    "healthCheckGracePeriodSeconds": 0,
    "schedulingStrategy": "REPLICA",
    "deploymentController": {"type": "ECS"},
    "tags": [],
    "createdBy": "arn:aws:iam::000000000000:root",
    "enableECSManagedTags": False,
    "propagateTags": "NONE",
    "enableExecuteCommand": False,
    "availabilityZoneRebalancing": "ENABLED",
}
CONSTRAINTS = [
    {"type": "memberOf", "expression": "attribute:ecs.os-type == linux and not(task:group == x)"},
    {"type": "distinctInstance"},
]
EARLY = {"enable": True, "healthyPercent": 100, "sourceServiceRevisionCleanup": "DEFERRED"}
TAGS = [{"key": "team", "value": "blue"}, {"key": "empty", "value": ""}]

#: What is asked for beside the least → what is answered otherwise than for the least.
#: ``None`` means that the member is absent then.
CREATED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the least": ({}, {}),
    "counts and periods": (
        {"desiredCount": 5000, "healthCheckGracePeriodSeconds": 7, "launchType": "EXTERNAL"},
        {
            "desiredCount": 5000,
            "healthCheckGracePeriodSeconds": 7,
            "launchType": "EXTERNAL",
            "availabilityZoneRebalancing": "DISABLED",
        },
    ),
    "percents": (
        {"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0}},
        {
            "deploymentConfiguration": {**ROLLING, "maximumPercent": 100, "minimumHealthyPercent": 0},
            "availabilityZoneRebalancing": "DISABLED",
        },
    ),
    "a breaker": (
        {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}},
        {"deploymentConfiguration": {**ROLLING, "deploymentCircuitBreaker": {**NO_BREAKER, "enable": True}}},
    ),
    "thresholds": (
        {
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {
                    "enable": True,
                    "rollback": True,
                    "resetOnHealthyTask": False,
                    "thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 10},
                },
                "strategy": "ROLLING",
                "bakeTimeInMinutes": 0,
                "earlySuccessCriteria": EARLY,
                "alarms": {"alarmNames": ["a"], "enable": False, "rollback": False},
                "lifecycleHooks": [],
            }
        },
        {
            "deploymentConfiguration": {
                **ROLLING,
                "deploymentCircuitBreaker": {
                    "enable": True,
                    "rollback": True,
                    "resetOnHealthyTask": False,
                    "thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 10},
                },
                "earlySuccessCriteria": EARLY,
                "alarms": {"alarmNames": ["a"], "enable": False, "rollback": False},
            }
        },
    ),
    "placement": (
        {
            "placementConstraints": CONSTRAINTS,
            "placementStrategy": [{"type": "spread", "field": "host"}, {"type": "binpack", "field": "CPU"}],
        },
        {
            "placementConstraints": CONSTRAINTS,
            "placementStrategy": [{"type": "spread", "field": "instanceId"}, {"type": "binpack", "field": "CPU"}],
            "availabilityZoneRebalancing": "DISABLED",
        },
    ),
    "tags": (
        {"tags": TAGS, "propagateTags": "TASK_DEFINITION", "enableECSManagedTags": True},
        {"tags": TAGS, "propagateTags": "TASK_DEFINITION", "enableECSManagedTags": True},
    ),
    "zones": ({"availabilityZoneRebalancing": "DISABLED"}, {"availabilityZoneRebalancing": "DISABLED"}),
    "nothing, in other words": (
        {
            "loadBalancers": [],
            "serviceRegistries": [],
            "capacityProviderStrategy": [],
            "placementConstraints": [],
            "placementStrategy": [],
            "serviceConnectConfiguration": {"enabled": False},
            "volumeConfigurations": [],
            "vpcLatticeConfigurations": [],
            "enableExecuteCommand": False,
            "deploymentConfiguration": {},
            "deploymentController": {"type": "ECS"},
            "schedulingStrategy": "REPLICA",
        },
        {},
    ),
    "a DAEMON": (
        {"schedulingStrategy": "DAEMON", "desiredCount": None, "deploymentConfiguration": {}},
        {
            "schedulingStrategy": "DAEMON",
            "deploymentConfiguration": {**ROLLING, "maximumPercent": 100, "minimumHealthyPercent": 0},
            "availabilityZoneRebalancing": "DISABLED",
        },
    ),
    "task sets": (
        {"deploymentController": {"type": "EXTERNAL"}, "taskDefinition": None, "desiredCount": 3},
        {
            "deploymentController": {"type": "EXTERNAL"},
            "desiredCount": 3,
            "taskDefinition": None,
            "deployments": [],
            "taskSets": [],
            "currentServiceDeployment": None,
            "currentServiceRevisions": None,
            "availabilityZoneRebalancing": "DISABLED",
        },
    ),
}


@pytest.fixture
def definition(ecs: Any, name: str) -> str:
    """A definition that no machine has room for, so that no task gets into what is compared."""
    main = {"name": "main", "image": "busybox", "memory": 100_000_000}
    reply = ecs.register_task_definition(family=name, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def without(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


@pytest.mark.parametrize("case", CREATED)
def test_a_created_service_is_answered_in_full(ecs: Any, name: str, definition: str, case: str) -> None:
    asked, differs = CREATED[case]
    request = without({"serviceName": name, "taskDefinition": name, "desiredCount": 0, **asked})
    service = ecs.create_service(**request)["service"]
    shown = ecs.describe_services(services=[name], include=["TAGS"])["services"][0]
    assert {member: shown[member] for member in ("tags", "createdAt", "deploymentConfiguration")} == {
        member: service[member] for member in ("tags", "createdAt", "deploymentConfiguration")
    }
    created = service.pop("createdAt")
    assert isinstance(created, dt.datetime)
    expected: dict[str, Any] = {**SERVICE, "serviceArn": f"{ARN}:service/default/{name}", "serviceName": name}
    if "deployments" not in differs:
        (deployment,) = service["deployments"]
        number = deployment["id"].removeprefix("ecs-svc/")
        launch_type = differs.get("launchType", "EC2")
        wanted = differs.get("desiredCount", 0)
        revision = f"{ARN}:service-revision/default/{name}/{number}"
        counts = {"runningTaskCount": 0, "pendingTaskCount": 0}
        expected |= {
            "taskDefinition": definition,
            "deployments": [
                {
                    "id": f"ecs-svc/{number}",
                    "status": "PRIMARY",
                    "taskDefinition": definition,
                    "desiredCount": wanted,
                    "pendingCount": 0,
                    "runningCount": 0,
                    "failedTasks": 0,
                    "createdAt": created,
                    "updatedAt": created,
                    "launchType": launch_type,
                    "rolloutState": "IN_PROGRESS",
                    "rolloutStateReason": f"ECS deployment ecs-svc/{number} in progress.",
                }
            ],
            "currentServiceRevisions": [{"arn": revision, "requestedTaskCount": wanted, **counts}],
            "currentServiceDeployment": service["currentServiceDeployment"],
        }
        assert service["currentServiceDeployment"].startswith(f"{ARN}:service-deployment/default/{name}/")
        (deployed,) = ecs.describe_service_deployments(serviceDeploymentArns=[service["currentServiceDeployment"]])[
            "serviceDeployments"
        ]
        assert deployed["deploymentConfiguration"] == service["deploymentConfiguration"]
        assert deployed["targetServiceRevision"]["arn"] == revision
        (revised,) = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
        assert revised == {
            "serviceRevisionArn": revision,
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "taskDefinition": definition,
            "launchType": launch_type,
            "containerImages": [{"containerName": "main", "image": "busybox"}],
            "guardDutyEnabled": False,
            "createdAt": created,
        }
    assert service == without({**expected, **differs})
    ecs.delete_service(service=name, force=True)


#: What an update asks for → what then differs from the service before; the rest stays.
UPDATED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "a count": ({"desiredCount": 2}, {"desiredCount": 2}),
    "one percent of two": (
        {"deploymentConfiguration": {"minimumHealthyPercent": 30}},
        {"deploymentConfiguration": {**ROLLING, "minimumHealthyPercent": 30}},
    ),
    "a breaker": (
        {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}},
        {
            "deploymentConfiguration": {
                **ROLLING,
                "deploymentCircuitBreaker": {**NO_BREAKER, "enable": True, "rollback": True},
            }
        },
    ),
    "placement": (
        {"placementConstraints": CONSTRAINTS, "placementStrategy": [{"type": "random"}]},
        {"placementConstraints": CONSTRAINTS, "placementStrategy": [{"type": "random"}]},
    ),
    "no placement": ({"placementConstraints": [], "placementStrategy": [{}]}, {}),
    "tags": (
        {"propagateTags": "SERVICE", "enableECSManagedTags": True},
        {"propagateTags": "SERVICE", "enableECSManagedTags": True},
    ),
    "a grace period": ({"healthCheckGracePeriodSeconds": 9}, {"healthCheckGracePeriodSeconds": 9}),
    "nothing, in other words": (
        {"enableExecuteCommand": False, "loadBalancers": [], "serviceRegistries": [], "volumeConfigurations": []},
        {},
    ),
}


@pytest.mark.parametrize("case", UPDATED)
def test_an_update_changes_what_it_names_and_begins_no_deployment(
    ecs: Any, name: str, definition: str, case: str
) -> None:
    asked, differs = UPDATED[case]
    # Rebalancing would exclude some of what is asked for.
    ecs.create_service(
        serviceName=name, taskDefinition=definition, desiredCount=0, availabilityZoneRebalancing="DISABLED"
    )
    volatile = ("events", "deployments", "currentServiceRevisions", "tags", "pendingCount")
    before = ecs.describe_services(services=[name])["services"][0]
    after = ecs.update_service(service=name, **asked)["service"]
    assert [d["id"] for d in after["deployments"]] == [d["id"] for d in before["deployments"]]
    assert after["currentServiceDeployment"] == before["currentServiceDeployment"]
    kept = {member: value for member, value in before.items() if member not in volatile}
    assert {m: v for m, v in after.items() if m not in volatile} == {**kept, **differs}
    ecs.delete_service(service=name, force=True)


def test_a_task_set_is_answered_in_full(ecs: Any, fake: Installation, name: str) -> None:
    main = {"name": "main", "image": "busybox", "memory": 100_000_000}
    definition = ecs.register_task_definition(family=name, networkMode="awsvpc", containerDefinitions=[main])
    ecs.create_service(serviceName=name, deploymentController={"type": "EXTERNAL"}, desiredCount=3)
    network = {"awsvpcConfiguration": {"subnets": [fake.subnet()], "securityGroups": [fake.security_group()]}}
    asked = {
        "externalId": "green",
        "launchType": "EC2",
        "scale": {"value": 34.5, "unit": "PERCENT"},
        "tags": TAGS,
    }
    made = ecs.create_task_set(
        cluster="default", service=name, taskDefinition=name, networkConfiguration=network, **asked
    )["taskSet"]
    identifier, at = made["id"], made["createdAt"]
    network["awsvpcConfiguration"] |= {"assignPublicIp": "DISABLED"}
    assert made == {
        **asked,
        "id": identifier,
        "taskSetArn": f"{ARN}:task-set/default/{name}/{identifier}",
        "serviceArn": f"{ARN}:service/default/{name}",
        "clusterArn": f"{ARN}:cluster/default",
        "status": "ACTIVE",
        "taskDefinition": definition["taskDefinition"]["taskDefinitionArn"],
        "computedDesiredCount": 2,
        "pendingCount": 0,
        "runningCount": 0,
        "createdAt": at,
        "updatedAt": at,
        "networkConfiguration": network,
        "loadBalancers": [],
        "serviceRegistries": [],
        "stabilityStatus": "STABILIZING",
        "stabilityStatusAt": at,
    }
    (service,) = ecs.describe_services(services=[name])["services"]
    assert [task_set["id"] for task_set in service["taskSets"]] == [identifier]
    primary = ecs.update_service_primary_task_set(cluster="default", service=name, primaryTaskSet=identifier)["taskSet"]
    assert (primary["id"], primary["status"]) == (identifier, "PRIMARY")
    # A service shows what its PRIMARY task set is made of.
    (service,) = ecs.describe_services(services=[name])["services"]
    assert service["networkConfiguration"] == network
    assert service["taskDefinition"] == made["taskDefinition"]
    ecs.delete_service(service=name, force=True)
