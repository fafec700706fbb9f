"""Blue/green, canary and linear deployments on the real engine: traffic goes where they say and no request fails."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from balanced_front import endpoint_of, fronted
from deployed_service import DeployedService, deployed
from docker_world import World
from steady_load import SteadyLoad
from test_service_behind_balancer import revision
from waiting import wait_for

STAGE = "lifecycleStage"


class Pair(NamedTuple):
    """A load balancer with a production and a test listener for a pair of target groups."""

    elb: Any
    groups: tuple[str, str]
    production_rule: str
    test_rule: str
    production: str
    test: str
    subnets: list[str]

    def entry(self) -> dict[str, Any]:
        return {
            "targetGroupArn": self.groups[0],
            "containerName": "main",
            "containerPort": 80,
            "advancedConfiguration": {
                "alternateTargetGroupArn": self.groups[1],
                "productionListenerRule": self.production_rule,
                "testListenerRule": self.test_rule,
                "roleArn": "arn:aws:iam::000000000000:role/shift",
            },
        }

    def weights(self) -> dict[str, int]:
        (rule,) = self.elb.describe_rules(RuleArns=[self.production_rule])["Rules"]
        return {g["TargetGroupArn"]: g["Weight"] for g in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]}


@pytest.fixture(scope="module")
def pair(world: World) -> Iterator[Pair]:
    with fronted(world, 18090) as front:
        elb = front.elb
        (group,) = elb.create_target_group(
            Name="g" + uuid.uuid4().hex[:12], Protocol="HTTP", Port=80, VpcId=front.vpc, TargetType="ip"
        )["TargetGroups"]
        (production,) = elb.describe_listeners(LoadBalancerArn=front.balancer)["Listeners"]
        (test,) = elb.create_listener(
            LoadBalancerArn=front.balancer,
            Protocol="HTTP",
            Port=18091,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": front.target_group}],
        )["Listeners"]
        rules = [
            elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][0]["RuleArn"]
            for listener in (production, test)
        ]
        endpoint = endpoint_of(elb, test["ListenerArn"])
        groups = (front.target_group, group["TargetGroupArn"])
        yield Pair(elb, groups, rules[0], rules[1], front.endpoint, endpoint, front.subnets)
    elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])


@pytest.fixture(scope="module")
def web(world: World, pair: Pair) -> Iterator[DeployedService]:
    """Two FARGATE tasks behind the load balancer, brought out as the first blue/green deployment."""
    with deployed(world) as service:
        service.create(
            revision(service, "v1"),
            2,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": pair.subnets[:1], "assignPublicIp": "ENABLED"}},
            loadBalancers=[pair.entry()],
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        )
        service.stable()
        yield service


def hook(stage: str) -> dict[str, Any]:
    return {"targetType": "PAUSE", "lifecycleStages": [stage]}


def paused(web: DeployedService, deployment: str) -> str:
    """The id of the hook at which the deployment waits."""

    def look() -> str | None:
        details = web.rollout(deployment).get("lifecycleHookDetails", [])
        return next((one["hookId"] for one in details if one["status"] == "AWAITING_ACTION"), None)

    found: str = web.until(look, "a paused deployment")
    return found


def answers(load: SteadyLoad, count: int) -> Counter[str]:
    """What the next requests are answered with."""
    before = load.answers.copy()
    wait_for(lambda: sum((load.answers - before).values()) >= count, seconds=60, what=f"{count} answers")
    return load.answers - before


def test_the_test_listener_sees_the_new_revision_before_production_does(web: DeployedService, pair: Pair) -> None:
    with SteadyLoad(pair.production) as load, SteadyLoad(pair.test, keeping=1, connecting=0) as test:
        deployment = web.update(
            taskDefinition=revision(web, "v2"),
            deploymentConfiguration={
                "strategy": "BLUE_GREEN",
                "bakeTimeInMinutes": 0,
                "lifecycleHooks": [hook("POST_TEST_TRAFFIC_SHIFT")],
            },
        )
        waiting = paused(web, deployment)
        assert set(answers(test, 20)) == {"v2"}
        assert set(answers(load, 50)) == {"v1"}
        found = web.rollout(deployment)
        assert found[STAGE] == "POST_TEST_TRAFFIC_SHIFT"
        assert found["targetServiceRevision"]["requestedTestTrafficWeight"] == 100.0
        assert found["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 100.0
        assert len(web.tasks()) == 4
        assert any("paused at POST_TEST_TRAFFIC_SHIFT" in line["text"] for line in web.why()["now"])
        web.world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=waiting, action="CONTINUE")
        web.ends(deployment, "SUCCESSFUL")
        assert set(answers(load, 50)) == {"v2"}
    assert load.failures == []
    assert test.failures == []
    assert pair.weights() == {pair.groups[0]: 0, pair.groups[1]: 100}
    assert len(web.tasks()) == 2


def test_a_rollback_gives_all_traffic_back_at_once(web: DeployedService, pair: Pair) -> None:
    with SteadyLoad(pair.production) as load:
        deployment = web.update(
            taskDefinition=revision(web, "v3"),
            deploymentConfiguration={"lifecycleHooks": [hook("POST_PRODUCTION_TRAFFIC_SHIFT")]},
        )
        paused(web, deployment)
        assert set(answers(load, 50)) == {"v3"}
        web.world.ecs.stop_service_deployment(serviceDeploymentArn=deployment, stopType="ROLLBACK")
        web.ends(deployment, "ROLLBACK_SUCCESSFUL")
        assert set(answers(load, 50)) == {"v2"}
    assert load.failures == []
    assert len(web.tasks()) == 2


def test_a_canary_gets_its_share_and_then_everything(web: DeployedService, pair: Pair) -> None:
    with SteadyLoad(pair.production) as load:
        deployment = web.update(
            taskDefinition=revision(web, "v4"),
            deploymentConfiguration={
                "strategy": "CANARY",
                "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 0},
                "lifecycleHooks": [hook("PRE_PRODUCTION_TRAFFIC_SHIFT")],
            },
        )
        go_on(web, deployment)
        second = paused(web, deployment)
        seen = answers(load, 1000)
        assert 0.12 < seen["v4"] / sum(seen.values()) < 0.28, seen
        web.world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=second)
        web.ends(deployment, "SUCCESSFUL")
        assert set(answers(load, 50)) == {"v4"}
    assert load.failures == []


def test_a_linear_deployment_moves_in_steps_while_a_task_is_stopped(web: DeployedService, pair: Pair) -> None:
    with SteadyLoad(pair.production) as load:
        deployment = web.update(
            taskDefinition=revision(web, "v5"),
            deploymentConfiguration={
                "strategy": "LINEAR",
                "linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": 0},
                "lifecycleHooks": [hook("PRE_PRODUCTION_TRAFFIC_SHIFT")],
            },
        )
        go_on(web, deployment)
        second = paused(web, deployment)
        seen = answers(load, 600)
        assert 0.4 < seen["v5"] / sum(seen.values()) < 0.6, seen
        (old, *_) = [task for task in web.tasks() if task["startedBy"] != web.describe()["deployments"][0]["id"]]
        web.world.ecs.stop_task(task=old["taskArn"])
        web.world.reaches(old["taskArn"], "STOPPED")
        web.until(lambda: len(web.tasks()) == 4, "its replacement")
        web.world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=second)
        web.ends(deployment, "SUCCESSFUL")
        assert set(answers(load, 50)) == {"v5"}
    assert load.failures == []
    web.nothing_stray()


def go_on(web: DeployedService, deployment: str) -> None:
    """Continue a paused deployment and wait until it has left that hook behind."""
    first = paused(web, deployment)
    web.world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=first)

    def left() -> bool:
        details = web.rollout(deployment)["lifecycleHookDetails"]
        return any(one["hookId"] != first and one["status"] == "AWAITING_ACTION" for one in details)

    web.until(left, "the next pause")
