"""Services behind a load balancer on the real engine: no deployment and no loss costs a request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from conformance_support import wait_for
from deployed_service import DeployedService, deployed
from docker_world import World
from steady_load import SteadyLoad

#: Serves its revision on port 80 and ends at once when it is asked to.
SERVE = "mkdir /tmp/www; echo {} > /tmp/www/index.html; httpd -f -p 80 -h /tmp/www & trap 'exit 0' TERM; wait"


class Front(NamedTuple):
    """A load balancer with one listener and its target group, with AWS's default health check."""

    elb: Any
    target_group: str
    endpoint: str
    subnets: list[str]

    def healthy(self) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return [t["Target"]["Id"] for t in found if t["TargetHealth"]["State"] == "healthy"]


@pytest.fixture(scope="module")
def front(world: World) -> Iterator[Front]:
    elb, ec2 = world.installation.client("elbv2"), world.installation.client("ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    ids = [subnet["SubnetId"] for subnet in subnets]
    name = "b" + uuid.uuid4().hex[:12]
    (group,) = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], TargetType="ip")[
        "TargetGroups"
    ]
    (balancer,) = elb.create_load_balancer(Name=name, Subnets=ids)["LoadBalancers"]
    forward = {"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}
    (listener,) = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=18080, DefaultActions=[forward]
    )["Listeners"]
    elb.get_waiter("load_balancer_available").wait(
        LoadBalancerArns=[balancer["LoadBalancerArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    yield Front(elb, group["TargetGroupArn"], _endpoint(elb, listener["ListenerArn"]), ids)
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    wait_for(lambda: _deleted(elb, group["TargetGroupArn"]), seconds=20, what="the target group to be deleted")


@pytest.fixture(scope="module")
def web(world: World, front: Front) -> Iterator[DeployedService]:
    """One FARGATE task behind the load balancer, up and steady."""
    with deployed(world) as service:
        network = {"subnets": front.subnets[:1], "assignPublicIp": "ENABLED"}
        service.create(
            revision(service, "first"),
            1,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            loadBalancers=[{"targetGroupArn": front.target_group, "containerName": "main", "containerPort": 80}],
        )
        service.stable()
        yield service


def revision(service: DeployedService, says: str) -> str:
    container = service.world.container(
        script=SERVE.format(says), portMappings=[{"containerPort": 80}], cpu=64, memory=64
    )
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    return service.world.register(container, family=service.name, **fargate)


def test_a_rolling_deployment_of_one_task_fails_no_request(
    web: DeployedService, front: Front, record_property: Callable[[str, object], None]
) -> None:
    with SteadyLoad(front.endpoint) as load:
        wait_for(lambda: load.answers["first"] > 50, seconds=20, what="answers of the first revision")
        begun = time.monotonic()
        deployment = web.update(taskDefinition=revision(web, "second"))
        web.ends(deployment, "SUCCESSFUL")
        seconds = time.monotonic() - begun
        web.nothing_stray()
        wait_for(lambda: load.answers["second"] > 50, seconds=20, what="answers of the second revision")
    assert load.failures == []
    assert set(load.answers) == {"first", "second"}
    record_property("seconds", round(seconds, 1))


def test_scaling_out_and_in_fails_no_request(web: DeployedService, front: Front) -> None:
    with SteadyLoad(front.endpoint) as load:
        web.update(desiredCount=3)
        web.stable()
        assert len(front.healthy()) == 3
        web.update(desiredCount=1)
        web.stable()
        web.nothing_stray()
    assert load.failures == []
    assert load.requests > 50


def test_a_task_that_is_stopped_drains_first(web: DeployedService, front: Front) -> None:
    web.update(desiredCount=2)
    web.stable()
    (task, *_) = web.tasks()
    with SteadyLoad(front.endpoint) as load:
        web.world.ecs.stop_task(task=task["taskArn"], reason="enough of it")
        web.world.reaches(task["taskArn"], "STOPPED")
        web.stable()
    assert load.failures == []
    messages = [event["message"] for event in web.describe()["events"]]
    assert any("has begun draining connections on 1 tasks." in message for message in messages)
    web.update(desiredCount=1)
    web.stable()


def _endpoint(elb: Any, listener: str) -> str:
    """Where the listener is reached from this machine."""

    def look() -> str | None:
        (found,) = elb.describe_tags(ResourceArns=[listener])["TagDescriptions"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}.get("aws:openecs:endpoint")

    result: str = wait_for(look, seconds=30, what="the listener's address on this machine")
    return result


def _deleted(elb: Any, target_group: str) -> bool:
    try:
        elb.delete_target_group(TargetGroupArn=target_group)
    except elb.exceptions.ResourceInUseException:
        return False
    return True
