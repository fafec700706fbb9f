"""RunTask with capacity provider strategies, and what DescribeTasks and StopTask make of its tasks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from test_run_tasks import AWSVPC, PREFIX, REGION, Api

from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.shapes import ecs

CLUSTER = f"{PREFIX}:cluster/default"


@pytest.fixture
def api() -> Api:
    made = Api()
    cluster = made.state.clusters.get(CLUSTER)
    made.put(
        msgspec.structs.replace(cluster, capacity_providers=("machines", "FARGATE", "FARGATE_SPOT")),
        CapacityProvider(
            arn=f"{PREFIX}:capacity-provider/machines",
            name="machines",
            region=REGION,
            status="ACTIVE",
            created_at=1.0,
            auto_scaling_group_provider=ecs.AutoScalingGroupProvider(auto_scaling_group_arn="group"),
            group_name="group",
        ),
    )
    made.define(
        "vpc",
        cpu="256",
        memory="512",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
    )
    return made


def strategy(**weights: int) -> list[dict[str, Any]]:
    return [{"capacityProvider": name, "weight": weight} for name, weight in weights.items()]


def default(api: Api, **weights: int) -> None:
    items = tuple(
        ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight, base=0)
        for name, weight in weights.items()
    )
    cluster = api.state.clusters.get(CLUSTER)
    api.put(msgspec.structs.replace(cluster, default_capacity_provider_strategy=items))


def in_group(api: Api, name: str = "m1", *, memory: int = 1000) -> None:
    arn = api.machine(name, memory=memory)
    instance = api.state.container_instances.get(arn)
    api.put(msgspec.structs.replace(instance, attributes=(ecs.Attribute(name=GROUP_ATTRIBUTE, value="group"),)))


def test_tasks_show_their_provider(api: Api) -> None:
    in_group(api)
    (task,) = api.run(capacityProviderStrategy=strategy(machines=1))["tasks"]
    assert (task["capacityProviderName"], task["launchType"]) == ("machines", "EC2")
    (shown,) = api("DescribeTasks", tasks=[task["taskArn"]])["tasks"]
    assert shown == task


def test_without_a_machine_tasks_are_provisioning_and_can_be_stopped(api: Api) -> None:
    answer = api.run(count=2, capacityProviderStrategy=strategy(machines=1), tags=[{"key": "a", "value": "b"}])
    assert answer["failures"] == []
    assert [task["lastStatus"] for task in answer["tasks"]] == ["PROVISIONING"] * 2
    assert [task["tags"] for task in answer["tasks"]] == [[{"key": "a", "value": "b"}]] * 2
    assert "containerInstanceArn" not in answer["tasks"][0]
    stopped = api("StopTask", task=answer["tasks"][0]["taskArn"])["task"]
    assert (stopped["lastStatus"], stopped["stopCode"]) == ("STOPPED", "UserInitiated")


def test_a_launch_type_does_not_wait(api: Api) -> None:
    error = api.refused("RunTask", taskDefinition="web", launchType="EC2")
    assert error.message == "No Container Instances were found in your cluster."


def test_the_default_of_the_cluster_holds_when_nothing_is_said(api: Api) -> None:
    in_group(api)
    default(api, machines=1)
    (task,) = api.run()["tasks"]
    assert task["capacityProviderName"] == "machines"
    (task,) = api.run(launchType="EC2")["tasks"]
    assert "capacityProviderName" not in task


def test_fargate_providers_give_fargate_tasks(api: Api) -> None:
    api.machine("pool", memory=4000, pool=True, size="")
    answer = api.run(
        "vpc",
        count=5,
        capacityProviderStrategy=strategy(FARGATE=1, FARGATE_SPOT=4),
        networkConfiguration={"awsvpcConfiguration": AWSVPC},
    )
    names = [task["capacityProviderName"] for task in answer["tasks"]]
    assert (names.count("FARGATE"), names.count("FARGATE_SPOT")) == (1, 4)
    assert {task["launchType"] for task in answer["tasks"]} == {"FARGATE"}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"capacityProviderStrategy": strategy(machines=1), "launchType": "EC2"}, "both a launch type and capacity"),
        ({"capacityProviderStrategy": strategy(machines=0)}, "weight value greater than zero"),
        ({"capacityProviderStrategy": strategy(elsewhere=1)}, "not associated with the cluster"),
        ({"capacityProviderStrategy": strategy(machines=1, FARGATE=1)}, "cannot contain a mix"),
        ({"launchType": "MANAGED_INSTANCES"}, "MANAGED_INSTANCES is not supported"),
        (
            {"capacityProviderStrategy": strategy(FARGATE=1), "placementConstraints": [{"type": "distinctInstance"}]},
            "not supported with FARGATE",
        ),
    ],
)
def test_refusals(api: Api, members: dict[str, Any], text: str) -> None:
    in_group(api)
    assert text in api.refused("RunTask", taskDefinition="web", **members).message


def test_the_definition_must_suit_what_the_providers_give(api: Api) -> None:
    error = api.refused("RunTask", taskDefinition="vpc", capacityProviderStrategy=strategy(machines=1))
    assert "does not support launch_type EC2" in error.message


def test_a_repeated_token_shows_waiting_tasks(api: Api) -> None:
    first = api.run(capacityProviderStrategy=strategy(machines=1), clientToken="t")
    again = api.run(capacityProviderStrategy=strategy(machines=1), clientToken="t")
    assert again["tasks"][0]["taskArn"] == first["tasks"][0]["taskArn"]
