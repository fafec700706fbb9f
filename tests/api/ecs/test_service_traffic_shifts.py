"""Strategies that shift traffic: what is kept and shown, what is refused, and which target groups a revision gets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_kit import REGION, Api, definition
from test_service_load_balancers import BALANCER, ELB, INVALID, entry, group_arn, target_group

from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, LoadBalancer
from openecs.model.traffic_shift import HookRun, TrafficShift
from openecs.shapes import ecs, elbv2


def listener_arn(name: str) -> str:
    return f"{ELB}:listener/app/front/50dc6c495c0c9188/{name}"


def rule_of(name: str) -> str:
    return balancer_arns.default_rule(listener_arn(name))


def listener(name: str, *groups: str, kind: str = "forward") -> Listener:
    action = elbv2.Action(
        type=kind,
        forward_config=elbv2.ForwardActionConfig(
            target_groups=tuple(elbv2.TargetGroupTuple(target_group_arn=group_arn(g), weight=1) for g in groups)
        ),
    )
    return Listener(
        arn=listener_arn(name),
        region=REGION,
        load_balancer_arn=BALANCER,
        port=80,
        protocol="HTTP",
        default_actions=(action,) if kind == "forward" else (elbv2.Action(type=kind),),
    )


@pytest.fixture
def api() -> Api:
    made = Api()
    balancer = LoadBalancer(
        arn=BALANCER,
        region=REGION,
        name="front",
        type="application",
        scheme="internal",
        vpc_id="vpc-1",
        dns_name="front.elb.openecs.internal",
        created_at=1.0,
    )
    made.put(balancer, *(target_group(name) for name in ("blue", "green", "third")), target_group("ip", "ip"))
    made.put(listener("prod", "blue"), listener("test", "blue", "green"), listener("other", "third"))
    made.put(listener("page", kind="fixed-response"))
    container = ecs.ContainerDefinition(
        name="web", image="web:latest", port_mappings=(ecs.PortMapping(container_port=80),)
    )
    made.put(*(definition(n, container_definitions=(container,)) for n in (1, 2)))
    return made


def advanced(**changes: Any) -> dict[str, Any]:
    members = {
        "alternateTargetGroupArn": group_arn("green"),
        "productionListenerRule": rule_of("prod"),
        "testListenerRule": rule_of("test"),
        "roleArn": "arn:aws:iam::123456789012:role/r",
        **changes,
    }
    given = {key: value for key, value in members.items() if value is not None}
    return entry(advancedConfiguration=given)


def blue_green(**more: Any) -> dict[str, Any]:
    return {"deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, **more}}


def deployed(api: Api) -> dict[str, Any]:
    """The newest service deployment."""
    arn = api.describe()["currentServiceDeployment"]
    (found,) = api("describe_deployments", serviceDeploymentArns=[arn])["serviceDeployments"]
    return found


def completed(api: Api) -> None:
    """The PRIMARY deployment is complete, and the only one, as the scheduler leaves it."""
    record = api.record()
    done = msgspec.structs.replace(record.deployments[0], rollout_state="COMPLETED")
    attempt = api.state.service_deployments.get(record.service_deployment_arn or "")
    api.put(msgspec.structs.replace(record, deployments=(done,), last_completed=done))
    api.put(msgspec.structs.replace(attempt, status="SUCCESSFUL", finished_at=api.now))


def test_a_strategy_is_kept_and_shown_with_its_defaults(api: Api) -> None:
    pause = {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}
    created = api.create(
        loadBalancers=[advanced()],
        deploymentConfiguration={"strategy": "LINEAR", "linearConfiguration": {}, "lifecycleHooks": [pause]},
    )
    configuration = created["deploymentConfiguration"]
    assert configuration["linearConfiguration"] == {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}
    assert (configuration["strategy"], configuration["bakeTimeInMinutes"]) == ("LINEAR", 0)
    assert configuration["lifecycleHooks"] == [pause]
    assert created["loadBalancers"] == [advanced()]
    shown = deployed(api)
    assert shown["lifecycleStage"] == "PRE_SCALE_UP"
    assert shown["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0
    changed = api.update(deploymentConfiguration={"strategy": "CANARY"})["deploymentConfiguration"]
    assert changed["canaryConfiguration"] == {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}
    assert "linearConfiguration" not in changed


def test_every_revision_gets_the_target_groups_that_production_does_not_use(api: Api) -> None:
    api.create(loadBalancers=[advanced()], **blue_green())
    seen = []
    for number in (1, 2, 1):
        arn = api.record().deployments[0].revision_arn
        (shown,) = api("describe_revisions", serviceRevisionArns=[arn])["serviceRevisions"]
        (balancer,) = shown["resolvedConfiguration"]["loadBalancers"]
        assert balancer["productionListenerRule"] == rule_of("prod")
        seen.append(balancer["targetGroupArn"])
        completed(api)
        api.update(taskDefinition=f"web:{number % 2 + 1}")
    assert seen == [group_arn("blue"), group_arn("green"), group_arn("blue")]


def test_a_rolling_deployment_stays_where_production_is(api: Api) -> None:
    api.create(loadBalancers=[advanced()], **blue_green())
    completed(api)
    api.update(taskDefinition="web:2")
    completed(api)
    api.update(taskDefinition="web:1", deploymentConfiguration={"strategy": "ROLLING"})
    assert api.record().deployments[0].alternate
    assert api.record().production_id is None
    assert api.describe()["deploymentConfiguration"]["bakeTimeInMinutes"] == 0


def test_what_comes_while_traffic_is_shifted_first_reconciles(api: Api) -> None:
    api.create(loadBalancers=[advanced()], **blue_green())
    completed(api)
    api.update(taskDefinition="web:2")
    first = api.record()
    assert first.production_id == first.deployments[1].id
    api.update(taskDefinition="web:1", forceNewDeployment=True)
    second = api.record()
    assert second.production_id == first.production_id
    assert second.deployments[0].alternate
    assert deployed(api)["lifecycleStage"] == "RECONCILE_SERVICE"
    api.refused("update", INVALID, "under way", service="web", deploymentConfiguration={"strategy": "ROLLING"})


def test_a_paused_deployment_is_continued_by_the_id_of_its_hook(api: Api) -> None:
    api.create(loadBalancers=[advanced()], **blue_green())
    arn = api.describe()["currentServiceDeployment"]
    run = HookRun(
        id="ecs-pause-1",
        stage="POST_SCALE_UP",
        step=0,
        index=0,
        status="AWAITING_ACTION",
        expires_at=5.0,
        timeout_action="ROLLBACK",
    )
    shift = TrafficShift(stage="POST_SCALE_UP", stage_started_at=1.0, production=20.0, hooks=(run,))
    record = api.state.service_deployments.get(arn)
    api.put(msgspec.structs.replace(record, status="IN_PROGRESS", shift=shift))
    (shown,) = deployed(api)["lifecycleHookDetails"]
    assert (shown["hookId"], shown["status"], shown["timeoutAction"]) == ("ecs-pause-1", "AWAITING_ACTION", "ROLLBACK")
    api.refused("continue_deployment", INVALID, "'other'", serviceDeploymentArn=arn, hookId="other")
    api("continue_deployment", serviceDeploymentArn=arn, hookId="ecs-pause-1")
    assert deployed(api)["lifecycleHookDetails"][0]["status"] == "SUCCEEDED"
    api.refused("continue_deployment", INVALID, "'ecs-pause-1'", serviceDeploymentArn=arn, hookId="ecs-pause-1")


def test_a_deployment_that_cleans_up_cannot_be_stopped(api: Api) -> None:
    api.create(loadBalancers=[advanced()], **blue_green())
    arn = api.describe()["currentServiceDeployment"]
    record = api.state.service_deployments.get(arn)
    shift = TrafficShift(stage="CLEAN_UP", stage_started_at=1.0, production=100.0)
    api.put(msgspec.structs.replace(record, status="IN_PROGRESS", shift=shift))
    api.refused("stop_deployment", "ConflictException", "CLEAN_UP", serviceDeploymentArn=arn)


@pytest.mark.parametrize(
    ("code", "text", "members"),
    [
        (INVALID, "can not be blank", advanced(alternateTargetGroupArn=None)),
        (INVALID, "can not be blank", advanced(productionListenerRule=None)),
        (INVALID, "does not exist", advanced(alternateTargetGroupArn=group_arn("none"))),
        (INVALID, "must differ", advanced(alternateTargetGroupArn=group_arn("blue"))),
        (INVALID, "same target type", advanced(alternateTargetGroupArn=group_arn("ip"))),
        (INVALID, "used by", advanced(productionListenerRule=rule_of("other"))),
        (INVALID, "must have a forward action", advanced(productionListenerRule=rule_of("page"))),
        (INVALID, "does not exist", advanced(productionListenerRule=rule_of("none"))),
        (INVALID, "does not exist", advanced(testListenerRule="nonsense")),
        (INVALID, "listener rule for an Application", advanced(productionListenerRule=listener_arn("prod"))),
        (INVALID, "must differ", advanced(testListenerRule=rule_of("prod"))),
        (INVALID, "advancedConfiguration is required", entry()),
    ],
)
def test_load_balancers_that_cannot_shift_traffic_are_refused(
    api: Api, code: str, text: str, members: dict[str, Any]
) -> None:
    text = "to no other one" if text == "used by" else text
    api.refused_create(code, text, loadBalancers=[members], **blue_green())


@pytest.mark.parametrize(
    ("text", "configuration"),
    [
        ("requires a load balancer", {"strategy": "LINEAR"}),
        ("requires a load balancer", {"strategy": "CANARY"}),
        ("stepPercent", {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}),
        ("stepPercent", {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.05}}),
        ("stepBakeTime", {"strategy": "LINEAR", "linearConfiguration": {"stepBakeTimeInMinutes": 1441}}),
        ("canaryPercent", {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 100.1}}),
        ("only valid with the CANARY", {"strategy": "LINEAR", "canaryConfiguration": {}}),
        ("only valid with the LINEAR", {"linearConfiguration": {}}),
        ("bakeTimeInMinutes", {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": -1}),
        (
            "TEST_TRAFFIC_SHIFT",
            {
                "strategy": "BLUE_GREEN",
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}],
            },
        ),
        ("lifecycleStages", {"strategy": "BLUE_GREEN", "lifecycleHooks": [{"targetType": "PAUSE"}]}),
        (
            "hookTargetArn",
            {
                "strategy": "BLUE_GREEN",
                "lifecycleHooks": [{"targetType": "PAUSE", "hookTargetArn": "a", "lifecycleStages": ["PRE_SCALE_UP"]}],
            },
        ),
    ],
)
def test_configurations_that_cannot_be_are_refused(api: Api, text: str, configuration: dict[str, Any]) -> None:
    api.refused_create(INVALID, text, deploymentConfiguration=configuration)


def test_daemon_and_external_services_only_roll(api: Api) -> None:
    api.refused_create(INVALID, "DAEMON", schedulingStrategy="DAEMON", desiredCount=None, **blue_green())
    api.refused(
        "create", INVALID, "ECS deployment controller", serviceName="e", deploymentController={"type": "EXTERNAL"},
        **blue_green(),
    )  # fmt: skip


def test_blue_green_needs_no_load_balancer(api: Api) -> None:
    assert api.create(**blue_green())["deploymentConfiguration"]["strategy"] == "BLUE_GREEN"


def test_a_network_load_balancer_shifts_by_its_listener(api: Api) -> None:
    arn = BALANCER.replace("/app/", "/net/")
    old = api.state.load_balancers.get(BALANCER)
    groups = [
        msgspec.structs.replace(target_group(name), arn=group_arn(f"tcp-{name}"), protocol="TCP") for name in ("a", "b")
    ]
    names = [group.arn for group in groups]
    way = msgspec.structs.replace(
        listener("prod", "tcp-a"), arn=listener_arn("prod").replace("/app/", "/net/"), load_balancer_arn=arn
    )
    api.put(msgspec.structs.replace(old, arn=arn, type="network"), *groups, way)
    settings = {"alternateTargetGroupArn": names[1], "productionListenerRule": way.arn}
    balancer = {"targetGroupArn": names[0], "containerName": "web", "containerPort": 80}
    by_rule = {**settings, "productionListenerRule": balancer_arns.default_rule(way.arn)}
    refused = {"loadBalancers": [{**balancer, "advancedConfiguration": by_rule}], **blue_green()}
    api.refused_create(INVALID, "listener for a Network Load Balancer", **refused)
    api.create(loadBalancers=[{**balancer, "advancedConfiguration": settings}], **blue_green())
    assert not api.record().deployments[0].alternate
