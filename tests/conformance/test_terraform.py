"""Terraform's view: what its AWS provider reads back after an apply is what was configured.

Each configuration is applied with the provider's calls; then a plan has to be empty, and it
has to stay so after a change and its apply.
"""

from __future__ import annotations

from typing import Any

import pytest
from conformance_support import Installation
from terraform_provider import (
    SERVICE_DEFAULTS,
    TASK_SET_DEFAULTS,
    Config,
    DeploymentFailedError,
    Provider,
    differences,
    read_strategy,
)

BREAKER = [{"enable": True, "rollback": True}]
GROUP_ARN = (
    "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:"
    "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111:autoScalingGroupName/"
)


@pytest.fixture
def provider(ecs: Any) -> Provider:
    return Provider(ecs)


@pytest.fixture
def definition(ecs: Any, name: str) -> str:
    return register(ecs, name)


def register(ecs: Any, family: str, **container: Any) -> str:
    main = {"name": "main", "image": "busybox", "memory": 16, **container}
    reply = ecs.register_task_definition(family=family, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def register_fargate(ecs: Any, family: str) -> str:
    reply = ecs.register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


#: What services are configured with → what is changed of it in a second apply.
SERVICES: dict[str, tuple[Config, Config]] = {
    "the least": ({}, {"desired_count": 1}),
    "a count": ({"desired_count": 2}, {"desired_count": 1}),
    "percents": (
        {"desired_count": 1, "deployment_maximum_percent": 150, "deployment_minimum_healthy_percent": 50},
        {"deployment_minimum_healthy_percent": 0},
    ),
    "a circuit breaker": ({"deployment_circuit_breaker": BREAKER}, {"deployment_circuit_breaker": []}),
    "a strategy": (
        {"deployment_configuration": [{"strategy": "ROLLING", "bake_time_in_minutes": "0"}]},
        {"deployment_circuit_breaker": BREAKER},
    ),
    "a controller": ({"deployment_controller": [{"type": "ECS"}]}, {"health_check_grace_period_seconds": 60}),
    "a grace period": ({"health_check_grace_period_seconds": 2147483647}, {"health_check_grace_period_seconds": 0}),
    "a spread over hosts": (
        {"ordered_placement_strategy": [{"type": "spread", "field": "host"}]},
        {"ordered_placement_strategy": [{"type": "random"}]},
    ),
    "several strategies": (
        {
            "ordered_placement_strategy": [
                {"type": "spread", "field": "attribute:ecs.availability-zone"},
                {"type": "binpack", "field": "memory"},
            ]
        },
        {"ordered_placement_strategy": []},
    ),
    "constraints": (
        {
            "placement_constraints": [
                {"type": "memberOf", "expression": "attribute:ecs.os-type == linux"},
                {"type": "distinctInstance"},
            ]
        },
        {"placement_constraints": []},
    ),
    "tags": (
        {"tags": {"team": "blue"}, "propagate_tags": "SERVICE", "enable_ecs_managed_tags": True},
        {"propagate_tags": "TASK_DEFINITION", "enable_ecs_managed_tags": False},
    ),
    "zones": ({"availability_zone_rebalancing": "ENABLED"}, {"availability_zone_rebalancing": "DISABLED"}),
    "a launch type": ({"launch_type": "EC2"}, {"desired_count": 1}),
    "a DAEMON": ({"scheduling_strategy": "DAEMON"}, {"placement_constraints": [{"type": "distinctInstance"}]}),
    "a DAEMON with a percent": (
        {"scheduling_strategy": "DAEMON", "deployment_minimum_healthy_percent": 50},
        {"enable_ecs_managed_tags": True},
    ),
}


@pytest.mark.parametrize("case", SERVICES)
def test_a_service_reads_back_as_configured(provider: Provider, name: str, definition: str, case: str) -> None:
    first, change = SERVICES[case]
    config = {"name": name, "task_definition": definition, **first}
    state = provider.create_service(config)
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    state = provider.update_service(state["arn"], config, change)
    # A block that is configured no more is not compared: the provider looks away then.
    gone = {key for key, value in change.items() if value == [] and key == "deployment_circuit_breaker"}
    config = {key: value for key, value in {**config, **change}.items() if key not in gone}
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    for key in gone:
        assert state[key] == [{"enable": False, "rollback": False}]
    provider.delete_service(state["arn"], daemon="scheduling_strategy" in config)


@pytest.mark.parametrize("by_arn", [True, False])
def test_names_stay_in_the_form_in_which_they_were_given(
    ecs: Any, provider: Provider, cluster: str, definition: str, by_arn: bool
) -> None:
    (shown,) = ecs.describe_clusters(clusters=[cluster])["clusters"]
    config = {
        "name": cluster,
        "cluster": shown["clusterArn"] if by_arn else cluster,
        "task_definition": definition if by_arn else definition.rpartition("/")[2],
    }
    state = provider.create_service(config)
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    provider.delete_service(state["arn"], config["cluster"])


def test_a_fargate_service_reads_back_as_configured(
    ecs: Any, fake: Installation, provider: Provider, name: str
) -> None:
    network = {"subnets": [fake.subnet()], "assign_public_ip": True}
    config = {
        "name": name,
        "launch_type": "FARGATE",
        "platform_version": "1.4.0",
        "task_definition": register_fargate(ecs, name),
        "network_configuration": [network],
    }
    state = provider.create_service(config)
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    change: Config = {
        "network_configuration": [{"subnets": [fake.subnet()], "security_groups": [fake.security_group()]}],
        "platform_version": "LATEST",
    }
    state = provider.update_service(state["arn"], config, change)
    assert differences({**config, **change}, state, SERVICE_DEFAULTS) == {}
    provider.delete_service(state["arn"])


def test_capacity_provider_strategies_read_back_as_configured(
    ecs: Any, fake: Installation, provider: Provider, cluster: str
) -> None:
    ecs.put_cluster_capacity_providers(
        cluster=cluster, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[]
    )
    config = {
        "name": cluster,
        "cluster": cluster,
        "task_definition": register_fargate(ecs, cluster),
        "network_configuration": [{"subnets": [fake.subnet()]}],
        "capacity_provider_strategy": [
            {"capacity_provider": "FARGATE_SPOT", "weight": 3},
            {"capacity_provider": "FARGATE", "weight": 1, "base": 2},
        ],
    }
    state = provider.create_service(config)
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    assert (state["launch_type"], state["platform_version"]) == ("", "LATEST")
    change: Config = {"capacity_provider_strategy": [{"capacity_provider": "FARGATE", "weight": 1}]}
    state = provider.update_service(state["arn"], config, change, forceNewDeployment=True)
    assert differences({**config, **change}, state, SERVICE_DEFAULTS) == {}
    provider.delete_service(state["arn"], cluster)


def test_waiting_for_a_steady_state_follows_the_service_deployment(ecs: Any, provider: Provider, name: str) -> None:
    config = {"name": name, "task_definition": register(ecs, name), "desired_count": 2}
    state = provider.create_service(config, wait=True)
    (service,) = ecs.describe_services(services=[name])["services"]
    assert service["runningCount"] == 2
    change = {"task_definition": register(ecs, name, environment=[{"name": "A", "value": "1"}])}
    state = provider.update_service(state["arn"], config, change, wait=True)
    assert differences({**config, **change}, state, SERVICE_DEFAULTS) == {}
    (service,) = ecs.describe_services(services=[name])["services"]
    assert (service["runningCount"], len(service["deployments"])) == (2, 1)
    # Scaling begins no deployment: the counts decide.
    provider.update_service(state["arn"], {**config, **change}, {"desired_count": 3}, wait=True)
    (service,) = ecs.describe_services(services=[name])["services"]
    assert service["runningCount"] == 3
    provider.delete_service(state["arn"])


def test_waiting_tells_why_a_deployment_was_rolled_back(ecs: Any, provider: Provider, name: str) -> None:
    # With a health check a task counts when it passes; without one it would have to run for a while.
    good = register(ecs, name, healthCheck={"command": ["CMD", "true"], "interval": 5})
    config = {"name": name, "task_definition": good, "desired_count": 1, "deployment_circuit_breaker": BREAKER}
    state = provider.create_service(config, wait=True)
    change = {"task_definition": register(ecs, name, image="missing/image")}
    with pytest.raises(DeploymentFailedError, match="circuit breaker"):
        provider.update_service(state["arn"], config, change, wait=True)
    # What the next plan shows is the truth: the service runs the old definition again.
    state = provider.read_service(state["arn"], {**config, **change})
    assert differences({**config, **change}, state, SERVICE_DEFAULTS) == {
        "task_definition": (change["task_definition"], good)
    }
    provider.delete_service(state["arn"])


def test_an_interrupted_apply_rolls_back(ecs: Any, provider: Provider, name: str) -> None:
    """``sigint_rollback``: the provider stops the deployment that it waits for."""
    config = {"name": name, "task_definition": register(ecs, name), "desired_count": 1}
    state = provider.create_service(config, wait=True)
    slow = register(ecs, name, healthCheck={"command": ["CMD", "fake-unhealthy"], "startPeriod": 300})
    provider.update_service(state["arn"], config, {"task_definition": slow})
    (service,) = ecs.describe_services(services=[name])["services"]
    ecs.stop_service_deployment(serviceDeploymentArn=service["currentServiceDeployment"], stopType="ROLLBACK")
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 3000})
    state = provider.read_service(state["arn"], config)
    assert differences(config, state, SERVICE_DEFAULTS) == {}
    provider.delete_service(state["arn"])


#: What task sets are configured with, beside their service.
TASK_SETS: dict[str, Config] = {
    "the least": {},
    "an external id": {"external_id": "green-7"},
    "a scale": {"scale": [{"value": 12.5, "unit": "PERCENT"}]},
    "all of it": {"scale": [{"value": 100.0, "unit": "PERCENT"}], "launch_type": "EC2", "tags": {"team": "blue"}},
}


@pytest.mark.parametrize("case", TASK_SETS)
def test_a_task_set_reads_back_as_configured(
    ecs: Any, provider: Provider, cluster: str, definition: str, case: str
) -> None:
    """The provider names cluster and service by their ARNs, which are their ids to it."""
    service_config: Config = {"name": cluster, "desired_count": 1, "deployment_controller": [{"type": "EXTERNAL"}]}
    service_config["cluster"] = ecs.describe_clusters(clusters=[cluster])["clusters"][0]["clusterArn"]
    service = provider.create_service(service_config)
    assert differences(service_config, service, SERVICE_DEFAULTS) == {}
    config = {
        "service": service["arn"],
        "cluster": service["cluster"],
        "task_definition": definition,
        **TASK_SETS[case],
    }
    state = provider.create_task_set(config)
    assert differences(config, state, TASK_SET_DEFAULTS) == {}
    # Its service reads back the same with a task set.
    service = provider.read_service(service["arn"], service_config)
    assert differences(service_config, service, SERVICE_DEFAULTS) == {}
    provider.delete_task_set(config, state["task_set_id"], force=True)
    provider.delete_service(service["arn"], service["cluster"])


def test_a_task_set_is_waited_for_and_scaled(ecs: Any, provider: Provider, name: str, definition: str) -> None:
    external: Config = {"name": name, "desired_count": 2, "deployment_controller": [{"type": "EXTERNAL"}]}
    service = provider.create_service(external)
    config: Config = {"service": service["arn"], "cluster": "default", "task_definition": definition}
    config["scale"] = [{"value": 100.0, "unit": "PERCENT"}]
    state = provider.create_task_set(config, wait=True)
    (shown,) = ecs.describe_task_sets(cluster="default", service=name, taskSets=[state["task_set_id"]])["taskSets"]
    assert (shown["computedDesiredCount"], shown["runningCount"], shown["pendingCount"]) == (2, 2, 0)
    config["scale"] = [{"value": 0.0, "unit": "PERCENT"}]
    ecs.update_task_set(cluster="default", service=name, taskSet=state["task_set_id"], scale=config["scale"][0])
    assert differences(config, provider.read_task_set(config, state["task_set_id"]), TASK_SET_DEFAULTS) == {}
    provider.delete_task_set(config, state["task_set_id"])
    provider.delete_service(service["arn"])


#: ``auto_scaling_group_provider`` as configured → what is changed of it.
PROVIDERS: dict[str, tuple[Config, Config]] = {
    "the least": ({}, {"managedScaling": {"targetCapacity": 80}}),
    "scaling": (
        {
            "managedScaling": {
                "status": "DISABLED",
                "targetCapacity": 90,
                "minimumScalingStepSize": 2,
                "maximumScalingStepSize": 10,
                "instanceWarmupPeriod": 60,
            }
        },
        {"managedScaling": {"status": "DISABLED", "instanceWarmupPeriod": 120}},
    ),
    "protection": ({"managedTerminationProtection": "DISABLED"}, {"managedDraining": "DISABLED"}),
}


@pytest.mark.parametrize("case", PROVIDERS)
def test_a_capacity_provider_reads_back_as_configured(ecs: Any, name: str, case: str) -> None:
    first, change = PROVIDERS[case]
    config = {"autoScalingGroupArn": f"{GROUP_ARN}{name}", **first}
    tags = [{"key": "team", "value": "blue"}]
    made = ecs.create_capacity_provider(name=name, autoScalingGroupProvider=config, tags=tags)["capacityProvider"]

    def read() -> Config:
        arns = [made["capacityProviderArn"]]
        (shown,) = ecs.describe_capacity_providers(capacityProviders=arns, include=["TAGS"])["capacityProviders"]
        assert (shown["status"], shown["tags"]) == ("ACTIVE", tags)
        found: Config = shown["autoScalingGroupProvider"]
        return found

    assert contains(read(), config)
    ecs.update_capacity_provider(name=name, autoScalingGroupProvider=change)
    (shown,) = ecs.describe_capacity_providers(capacityProviders=[name])["capacityProviders"]
    assert shown["updateStatus"] == "UPDATE_COMPLETE"
    assert contains(read(), {**config, **change})
    ecs.delete_capacity_provider(capacityProvider=made["capacityProviderArn"])
    # INACTIVE, or nothing at all, is what ends the provider's waiting.
    left = ecs.describe_capacity_providers(capacityProviders=[made["capacityProviderArn"]])["capacityProviders"]
    assert [provider["status"] for provider in left] in ([], ["INACTIVE"])
    with pytest.raises(ecs.exceptions.ClientException, match="capacity provider does not exist"):
        ecs.delete_capacity_provider(capacityProvider=made["capacityProviderArn"])


def contains(state: Any, config: Any) -> bool:
    """Whether everything configured is in the state."""
    if isinstance(config, dict):
        return all(key in state and contains(state[key], value) for key, value in config.items())
    return bool(state == config)


@pytest.mark.parametrize(
    ("providers", "strategy"),
    [
        ([], []),
        (["FARGATE"], []),
        (["FARGATE", "FARGATE_SPOT"], [{"capacity_provider": "FARGATE", "base": 1, "weight": 100}]),
        (
            ["FARGATE_SPOT", "FARGATE"],
            [
                {"capacity_provider": "FARGATE", "base": 0, "weight": 1},
                {"capacity_provider": "FARGATE_SPOT", "base": 0, "weight": 4},
            ],
        ),
    ],
)
def test_cluster_capacity_providers_read_back_as_configured(
    ecs: Any, cluster: str, providers: list[str], strategy: list[Config]
) -> None:
    items = [{"capacityProvider": i["capacity_provider"], "base": i["base"], "weight": i["weight"]} for i in strategy]

    def put(names: list[str], default: list[Config]) -> Any:
        ecs.put_cluster_capacity_providers(
            cluster=cluster, capacityProviders=names, defaultCapacityProviderStrategy=default
        )
        include = ["CONFIGURATIONS", "SETTINGS", "TAGS"]
        (shown,) = ecs.describe_clusters(clusters=[cluster], include=include)["clusters"]
        assert (shown["status"], shown["clusterName"]) == ("ACTIVE", cluster)
        return shown

    shown = put(providers, items)
    assert sorted(shown["capacityProviders"]) == sorted(providers)
    assert sorted(read_strategy(shown), key=str) == sorted(strategy, key=str)
    # Destroying the resource puts nothing in their place.
    shown = put([], [])
    assert (shown["capacityProviders"], shown["defaultCapacityProviderStrategy"]) == ([], [])
