"""DAEMON, capacity providers, zone rebalancing and deployment configuration of services."""

from __future__ import annotations

from typing import Any

import pytest
from service_kit import FARGATE, PREFIX, Api

from openecs.shapes import ecs

ZONE_SPREAD = [{"type": "spread", "field": "attribute:ecs.availability-zone"}]


@pytest.fixture
def api() -> Api:
    return Api()


# DAEMON


def test_a_daemon_service_wants_no_count_and_gets_its_own_defaults(api: Api):
    service = api.create(schedulingStrategy="DAEMON", desiredCount=None)
    assert (service["schedulingStrategy"], service["desiredCount"]) == ("DAEMON", 0)
    configuration = service["deploymentConfiguration"]
    assert (configuration["minimumHealthyPercent"], configuration["maximumPercent"]) == (0, 100)
    assert service["availabilityZoneRebalancing"] == "DISABLED"
    assert api("list", schedulingStrategy="DAEMON")["serviceArns"] == [service["serviceArn"]]
    assert api.create(schedulingStrategy="DAEMON", desiredCount=None) == service
    assert len(api.update(taskDefinition="web:2")["deployments"]) == 2


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"desiredCount": 1}, "The daemon scheduling strategy does not support a desired count for services. Remove"),
        ({"placementStrategy": [{"type": "random"}]}, "The daemon scheduling strategy does not support placement"),
        ({"availabilityZoneRebalancing": "ENABLED"}, "Availability Zone rebalancing"),
        ({"deploymentConfiguration": {"maximumPercent": 150}}, "values above 100 for maximumPercent"),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
            "Specifying a capacity provider strategy is not supported",
        ),
    ],
)
def test_what_daemons_do_not_support(api: Api, members: dict[str, Any], text: str):
    api.refused_create(
        "InvalidParameterException", text, **{"desiredCount": None, **members}, schedulingStrategy="DAEMON"
    )
    api.create(schedulingStrategy="DAEMON", desiredCount=None)
    api.refused("update", "InvalidParameterException", text, service="web", **members)


def test_daemons_run_on_container_instances_only(api: Api):
    daemon = {"schedulingStrategy": "DAEMON", "desiredCount": None}
    api.refused_create("InvalidParameterException", "Fargate launch type", **{**FARGATE, **daemon})
    api.providers("FARGATE", default=(ecs.CapacityProviderStrategyItem(capacity_provider="FARGATE", weight=1),))
    text = "Specifying a capacity provider strategy is not supported when you create a service using the DAEMON"
    api.refused_create("InvalidParameterException", text, **daemon)
    assert api.create(**daemon, launchType="EC2")["launchType"] == "EC2"


def test_a_daemon_service_is_deleted_without_force(api: Api):
    api.create(schedulingStrategy="DAEMON", desiredCount=None)
    assert api("delete", service="web")["service"]["status"] == "DRAINING"


# Capacity providers

SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 3}, {"capacityProvider": "FARGATE", "weight": 1, "base": 2}]
SPOT_SHOWN = [
    {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0},
    {"capacityProvider": "FARGATE", "weight": 1, "base": 2},
]
ON_FARGATE = {key: FARGATE[key] for key in ("taskDefinition", "networkConfiguration")}


def test_a_strategy_is_shown_instead_of_a_launch_type(api: Api):
    api.providers("FARGATE", "FARGATE_SPOT")
    service = api.create(**ON_FARGATE, capacityProviderStrategy=SPOT)
    for shown in (service, service["deployments"][0]):
        assert shown["capacityProviderStrategy"] == SPOT_SHOWN
        assert "launchType" not in shown
    assert (service["platformVersion"], service["deployments"][0]["platformVersion"]) == ("LATEST", "1.4.0")
    arn = service["currentServiceRevisions"][0]["arn"]
    (revision,) = api("describe_revisions", serviceRevisionArns=[arn])["serviceRevisions"]
    assert revision["capacityProviderStrategy"] == SPOT_SHOWN
    assert "launchType" not in revision
    assert api("list", launchType="FARGATE")["serviceArns"] == []


def test_the_clusters_default_strategy_holds_where_nothing_is_said(api: Api):
    item = ecs.CapacityProviderStrategyItem(capacity_provider="FARGATE", weight=1, base=0)
    api.providers("FARGATE", default=(item,))
    shown = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
    assert api.create(**ON_FARGATE)["capacityProviderStrategy"] == shown
    assert "capacityProviderStrategy" not in api.create("ec2", launchType="EC2")


def test_a_changed_strategy_starts_a_deployment_and_the_same_does_not(api: Api):
    api.providers("FARGATE", "FARGATE_SPOT")
    api.create(**ON_FARGATE, capacityProviderStrategy=SPOT)
    assert len(api.update(capacityProviderStrategy=SPOT)["deployments"]) == 1
    assert len(api.update(desiredCount=9)["deployments"]) == 1
    other = api.update(capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}])
    assert [len(d["capacityProviderStrategy"]) for d in other["deployments"]] == [1, 2]
    back = api.update(capacityProviderStrategy=[])
    assert (back["launchType"], len(back["deployments"])) == ("FARGATE", 3)
    assert "capacityProviderStrategy" not in back
    assert len(api.update(capacityProviderStrategy=[])["deployments"]) == 3


def test_an_ec2_service_moves_to_fargate_only_with_a_fitting_definition(api: Api):
    api.providers("FARGATE")
    api.create()
    strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
    text = "does not support launch_type FARGATE"
    api.refused("update", "InvalidParameterException", text, service="web", capacityProviderStrategy=strategy)
    moved = api.update(**ON_FARGATE, capacityProviderStrategy=strategy)
    assert (moved["platformVersion"], moved["platformFamily"]) == ("LATEST", "Linux")


def test_bad_strategies_are_refused(api: Api):
    strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
    api.refused_create("InvalidParameterException", "not associated", **ON_FARGATE, capacityProviderStrategy=strategy)
    api.create()
    api.refused(
        "update", "InvalidParameterException", "not associated", service="web", capacityProviderStrategy=strategy
    )


# Availability Zone rebalancing


@pytest.mark.parametrize(
    "members",
    [
        {"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0}},
        {"placementStrategy": [{"type": "binpack", "field": "memory"}]},
        {"placementStrategy": [{"type": "random"}, *ZONE_SPREAD]},
        {"placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.availability-zone == a"}]},
    ],
)
def test_rebalancing_is_off_where_it_cannot_be_and_refused_when_asked_for(api: Api, members: dict[str, Any]):
    assert api.create(**members)["availabilityZoneRebalancing"] == "DISABLED"
    text = "Availability Zone rebalancing is not supported for services with"
    more = {"serviceName": "new", "availabilityZoneRebalancing": "ENABLED"}
    api.refused_create("InvalidParameterException", text, **more, **members)
    api.refused("update", "InvalidParameterException", text, service="web", availabilityZoneRebalancing="ENABLED")
    assert api.create("on")["availabilityZoneRebalancing"] == "ENABLED"
    api.refused("update", "InvalidParameterException", text, service="on", **members)
    off = api.update("on", availabilityZoneRebalancing="DISABLED", **members)
    assert off["availabilityZoneRebalancing"] == "DISABLED"


def test_rebalancing_follows_a_spread_over_zones(api: Api):
    assert api.create(placementStrategy=[*ZONE_SPREAD, {"type": "random"}])["availabilityZoneRebalancing"] == "ENABLED"
    assert api.create("off", availabilityZoneRebalancing="DISABLED")["availabilityZoneRebalancing"] == "DISABLED"
    assert api.update("off", desiredCount=4)["availabilityZoneRebalancing"] == "DISABLED"
    assert api.update("off", availabilityZoneRebalancing="ENABLED")["availabilityZoneRebalancing"] == "ENABLED"


# deploymentConfiguration


def breaker(**members: Any) -> dict[str, Any]:
    return {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True, **members}}}


def test_the_circuit_breaker_is_echoed_in_full_and_keeps_what_is_left_out(api: Api):
    count = {"type": "COUNT", "value": 7}
    service = api.create(**breaker(thresholdConfiguration=count, resetOnHealthyTask=False))
    whole = {"enable": True, "rollback": True, "resetOnHealthyTask": False, "thresholdConfiguration": count}
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == whole
    changed = api.update(**breaker(rollback=False))
    assert changed["deploymentConfiguration"]["deploymentCircuitBreaker"] == {**whole, "rollback": False}
    assert len(changed["deployments"]) == 1


@pytest.mark.parametrize(
    ("threshold", "desired", "failures"),
    [
        (None, 4, 3),
        (None, 25, 13),
        (None, 1000, 200),
        ({"type": "COUNT", "value": 1}, 25, 1),
        ({"type": "UNBOUNDED_PERCENT", "value": 50}, 2, 1),
        ({"type": "BOUNDED_PERCENT", "value": 100}, 500, 200),
    ],
)
def test_the_threshold_of_a_deployment(api: Api, threshold: Any, desired: int, failures: int):
    given = breaker(thresholdConfiguration=threshold) if threshold else breaker()
    arn = api.create(desiredCount=desired, **given)["currentServiceDeployment"]
    (shown,) = api("describe_deployments", serviceDeploymentArns=[arn])["serviceDeployments"]
    assert shown["deploymentCircuitBreaker"]["threshold"] == failures


EARLY = {"enable": True, "healthyPercent": 80, "sourceServiceRevisionCleanup": "DEFERRED"}


def test_early_success_criteria_are_kept(api: Api):
    configuration = {"minimumHealthyPercent": 50, "earlySuccessCriteria": EARLY}
    service = api.create(deploymentConfiguration=configuration)
    assert service["deploymentConfiguration"]["earlySuccessCriteria"] == EARLY
    assert api.update(desiredCount=1)["deploymentConfiguration"]["earlySuccessCriteria"] == EARLY
    text = "healthyPercent must be greater than or equal to minimumHealthyPercent"
    more = {"service": "web", "deploymentConfiguration": {"minimumHealthyPercent": 81}}
    api.refused("update", "InvalidParameterException", text, **more)
    off = {"earlySuccessCriteria": {"enable": False}, "minimumHealthyPercent": 100}
    assert api.update(deploymentConfiguration=off)["deploymentConfiguration"]["minimumHealthyPercent"] == 100


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({"earlySuccessCriteria": {"enable": True}}, "are required"),
        ({"earlySuccessCriteria": {"enable": True, "healthyPercent": 100}}, "are required"),
        ({"earlySuccessCriteria": EARLY}, "greater than or equal to minimumHealthyPercent"),
        (breaker(thresholdConfiguration={"type": "COUNT", "value": 0})["deploymentConfiguration"], "at least 1"),
        (breaker(enable=False)["deploymentConfiguration"], "rollback can only be true"),
    ],
)
def test_bad_deployment_configurations(api: Api, configuration: dict[str, Any], text: str):
    api.refused_create("InvalidParameterException", text, deploymentConfiguration=configuration)


def test_what_terraform_sends_for_an_unchanged_service_changes_nothing(api: Api):
    """Its provider repeats the whole block of every attribute that it manages."""
    configuration = {
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        **breaker()["deploymentConfiguration"],
        "alarms": {"alarmNames": [], "enable": False, "rollback": False},
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    api.create(**FARGATE, deploymentConfiguration=configuration)
    before = api.describe()
    api.now += 60
    after = api.update(
        cluster="default",
        desiredCount=2,
        taskDefinition=before["taskDefinition"],
        deploymentConfiguration=configuration,
        networkConfiguration=before["networkConfiguration"],
        platformVersion="LATEST",
        forceNewDeployment=False,
        healthCheckGracePeriodSeconds=0,
        deploymentController={"type": "ECS"},
        enableExecuteCommand=False,
        enableECSManagedTags=False,
        propagateTags="NONE",
        loadBalancers=[],
        serviceRegistries=[],
        placementConstraints=[],
        placementStrategy=[],
        capacityProviderStrategy=[],
        volumeConfigurations=[],
        vpcLatticeConfigurations=[],
        serviceConnectConfiguration={"enabled": False},
        availabilityZoneRebalancing="ENABLED",
    )
    assert [d["id"] for d in after["deployments"]] == [d["id"] for d in before["deployments"]]
    changing = {"deployments", "currentServiceRevisions"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    assert after["currentServiceDeployment"].startswith(f"{PREFIX}:service-deployment/default/web/")
