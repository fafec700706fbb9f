"""``loadBalancers`` of services and task sets: what is kept and shown, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from service_kit import FARGATE, REGION, Api, definition

from openecs.model.load_balancer import Listener, LoadBalancer
from openecs.model.target_group import HealthCheck, TargetGroup
from openecs.shapes import ecs, elbv2

ELB = f"arn:aws:elasticloadbalancing:{REGION}:123456789012"
BALANCER = f"{ELB}:loadbalancer/app/front/50dc6c495c0c9188"
INVALID = "InvalidParameterException"


def group_arn(name: str) -> str:
    return f"{ELB}:targetgroup/{name}/73e2d6bc24d8a067"


def target_group(name: str, target_type: str = "instance", region: str = REGION) -> TargetGroup:
    return TargetGroup(
        arn=group_arn(name),
        region=region,
        name=name,
        target_type=target_type,
        protocol="HTTP",
        port=80,
        vpc_id="vpc-1",
        health_check=HealthCheck(protocol="HTTP"),
        created_at=1.0,
    )


def listener(name: str) -> Listener:
    return Listener(
        arn=f"{ELB}:listener/app/front/50dc6c495c0c9188/{name}",
        region=REGION,
        load_balancer_arn=BALANCER,
        port=80,
        protocol="HTTP",
        default_actions=(elbv2.Action(type="forward", target_group_arn=group_arn(name)),),
    )


def entry(name: str = "blue", container: str = "web", port: int = 80, **more: Any) -> dict[str, Any]:
    return {"targetGroupArn": group_arn(name), "containerName": container, "containerPort": port, **more}


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
        state="active",
    )
    made.put(balancer)
    for name in ("blue", "green", *(f"g{number}" for number in range(5))):
        made.put(target_group(name), listener(name))
    made.put(target_group("ip", "ip"), listener("ip"), target_group("unused"))
    container = ecs.ContainerDefinition(
        name="web",
        image="web:latest",
        port_mappings=(
            ecs.PortMapping(container_port=80, host_port=0),
            ecs.PortMapping(container_port_range="9000-9010"),
        ),
    )
    for revision in (1, 2):
        made.put(definition(revision, container_definitions=(container,)))
    fargate = {"family": "fargate", "network_mode": "awsvpc", "compatibilities": ("EC2", "FARGATE")}
    made.put(definition(1, **fargate, container_definitions=(container,)))
    made.put(definition(3, network_mode="none", container_definitions=(container,)))
    return made


def test_load_balancers_are_shown_wherever_the_revision_is(api: Api):
    service = api.create(loadBalancers=[entry(), entry("green", port=9001)], healthCheckGracePeriodSeconds=30)
    assert service["loadBalancers"] == [entry(), entry("green", port=9001)]
    assert service["healthCheckGracePeriodSeconds"] == 30
    assert service["roleArn"].endswith(":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    (revision,) = service["currentServiceRevisions"]
    (shown,) = api("describe_revisions", serviceRevisionArns=[revision["arn"]])["serviceRevisions"]
    assert shown["loadBalancers"] == service["loadBalancers"]
    resolved = [{"targetGroupArn": group_arn("blue")}, {"targetGroupArn": group_arn("green")}]
    assert shown["resolvedConfiguration"] == {"loadBalancers": resolved}


def test_a_change_of_load_balancers_starts_a_deployment_and_the_same_does_not(api: Api):
    api.create(loadBalancers=[entry()])
    assert len(api.update(loadBalancers=[entry()])["deployments"]) == 1
    assert len(api.update(desiredCount=3)["deployments"]) == 1
    changed = api.update(loadBalancers=[entry("green")])
    assert len(changed["deployments"]) == 2
    assert changed["loadBalancers"] == [entry("green")]
    # Another definition keeps them, an empty list takes them away.
    assert api.update(taskDefinition="web:2")["loadBalancers"] == [entry("green")]
    assert api.update(loadBalancers=[])["loadBalancers"] == []


def test_the_same_create_again_is_the_same_service_and_other_load_balancers_are_not(api: Api):
    api.create(loadBalancers=[entry()])
    assert api.create(loadBalancers=[entry()])["loadBalancers"] == [entry()]
    api.refused_create(INVALID, "idempotent", loadBalancers=[entry("green")])


def test_fargate_services_have_target_groups_of_addresses(api: Api):
    assert api.create(**FARGATE, loadBalancers=[entry("ip")])["loadBalancers"] == [entry("ip")]


@pytest.mark.parametrize(
    ("code", "text", "members"),
    [
        (
            INVALID,
            "The target group with targetGroupArn x does not exist.",
            {"loadBalancers": [entry() | {"targetGroupArn": "x"}]},
        ),
        (
            INVALID,
            f"The target group with targetGroupArn {group_arn('unused')} does not have an associated load balancer.",
            {"loadBalancers": [entry("unused")]},
        ),
        (
            INVALID,
            (
                f"The provided target group {group_arn('ip')} has target type ip, which is incompatible with the "
                "bridge network mode specified in the task definition."
            ),
            {"loadBalancers": [entry("ip")]},
        ),
        (
            INVALID,
            (
                f"The provided target group {group_arn('blue')} has target type instance, which is incompatible with "
                "the awsvpc network mode specified in the task definition."
            ),
            {**FARGATE, "loadBalancers": [entry()]},
        ),
        (INVALID, "none network mode", {"taskDefinition": "web:3", "loadBalancers": [entry()]}),
        (
            INVALID,
            "The container db does not exist in the task definition.",
            {"loadBalancers": [entry(container="db")]},
        ),
        (INVALID, "The container web did not have a container port 81 defined.", {"loadBalancers": [entry(port=81)]}),
        (INVALID, "Container Name can not be blank.", {"loadBalancers": [{"targetGroupArn": group_arn("blue")}]}),
        (INVALID, "Target group ARN can not be blank.", {"loadBalancers": [{"containerName": "web"}]}),
        (INVALID, "at most 5", {"loadBalancers": [entry(), *(entry(f"g{n}") for n in range(5))]}),
        (INVALID, "more than once", {"loadBalancers": [entry(), entry()]}),
        ("ClientException", "loadBalancerName", {"loadBalancers": [{"loadBalancerName": "classic"}]}),
        (
            INVALID,
            "productionListenerRule can not be blank",
            {"loadBalancers": [entry(advancedConfiguration={"alternateTargetGroupArn": group_arn("green")})]},
        ),
        (INVALID, "service linked role", {"role": "r", "loadBalancers": [entry(), entry("green")]}),
        (INVALID, "role can only be specified", {"role": "r"}),
    ],
)
def test_what_cannot_be_is_refused(api: Api, code: str, text: str, members: dict[str, Any]):
    api.refused_create(code, text, **members)


def test_a_role_is_shown_as_its_arn(api: Api):
    service = api.create(role="ecsServiceRole", loadBalancers=[entry()])
    assert service["roleArn"] == "arn:aws:iam::123456789012:role/ecsServiceRole"


def test_an_update_is_checked_against_the_definition_that_it_brings(api: Api):
    api.create(loadBalancers=[entry()])
    api.refused("update", INVALID, "none network mode", service="web", taskDefinition="web:3")
    api.refused("update", INVALID, "does not exist", service="web", loadBalancers=[entry("nowhere")])


def test_task_sets_have_load_balancers_of_their_own(api: Api):
    api.external()
    created = api.task_set(loadBalancers=[entry()])
    assert created["loadBalancers"] == [entry()]
    (shown,) = api("describe_task_sets", cluster="default", service="ext")["taskSets"]
    assert shown["loadBalancers"] == [entry()]
    assert api.describe("ext")["loadBalancers"] == []
    wanted = {"cluster": "default", "service": "ext", "taskDefinition": "web:1"}
    api.refused("create_task_set", INVALID, "Multiple", **wanted, loadBalancers=[entry(), entry("green")])
    api.refused("create_task_set", INVALID, "does not exist", **wanted, loadBalancers=[entry("nowhere")])
