"""Services behind a load balancer on the real engine: no deployment, scaling or stop costs a request."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    balancer: str
    target_group: str
    endpoint: str
    subnets: list[str]
    vpc: str

    def healthy(self) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return [t["Target"]["Id"] for t in found if t["TargetHealth"]["State"] == "healthy"]


@pytest.fixture(scope="module")
def front(world: World) -> Iterator[Front]:
    elb, ec2 = world.installation.client("elbv2"), world.installation.client("ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    ids = [subnet["SubnetId"] for subnet in subnets]
    (balancer,) = elb.create_load_balancer(Name="b" + uuid.uuid4().hex[:12], Subnets=ids)["LoadBalancers"]
    arn, vpc = balancer["LoadBalancerArn"], subnets[0]["VpcId"]
    with listening(elb, arn, vpc, "ip", 18080) as (group, endpoint):
        yield Front(elb, arn, group, endpoint, ids, vpc)
        elb.delete_load_balancer(LoadBalancerArn=arn)


@contextmanager
def listening(elb: Any, balancer: str, vpc: str, target_type: str, port: int) -> Iterator[tuple[str, str]]:
    """A listener with a target group of its own, and where it is reached from this machine."""
    (group,) = elb.create_target_group(
        Name="g" + uuid.uuid4().hex[:12], Protocol="HTTP", Port=80, VpcId=vpc, TargetType=target_type
    )["TargetGroups"]
    (listener,) = elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=port,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )["Listeners"]
    patience = {"Delay": 1, "MaxAttempts": 60}
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer], WaiterConfig=patience)
    yield group["TargetGroupArn"], _endpoint(elb, listener["ListenerArn"])
    with suppress(elb.exceptions.ListenerNotFoundException):
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
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


def test_a_rolling_deployment_of_one_task_fails_no_request(web: DeployedService, front: Front) -> None:
    with SteadyLoad(front.endpoint) as load:
        wait_for(lambda: load.answers["first"] > 50, seconds=20, what="answers of the first revision")
        deployment = web.update(taskDefinition=revision(web, "second"))
        web.ends(deployment, "SUCCESSFUL")
        web.nothing_stray()
        wait_for(lambda: load.answers["second"] > 50, seconds=20, what="answers of the second revision")
    assert load.failures == []
    assert set(load.answers) == {"first", "second"}


def test_scaling_out_and_in_fails_no_request(web: DeployedService, front: Front) -> None:
    with SteadyLoad(front.endpoint) as load:
        web.update(desiredCount=3)
        web.until(lambda: len(front.healthy()) == 3, "three healthy targets")
        web.update(desiredCount=1)
        web.stable()
        web.nothing_stray()
    assert load.failures == []
    assert load.requests > 50


def test_a_task_that_is_stopped_drains_first(web: DeployedService, front: Front) -> None:
    web.update(desiredCount=2)
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
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


def test_a_task_that_is_killed_costs_at_most_what_was_in_flight_to_it(web: DeployedService, front: Front) -> None:
    web.update(desiredCount=2)
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
    (task, _) = web.tasks()
    (container,) = [c for c in task["containers"] if c["name"] == "main"]
    with SteadyLoad(front.endpoint) as load:
        assert web.world.engine.call("POST", f"/containers/{container['runtimeId']}/kill")[0] == 204
        web.world.reaches(task["taskArn"], "STOPPED")
        web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
        wait_for(lambda: load.requests > 100, seconds=20, what="some more requests")
    # Each client has one request in flight at most; nothing that came later may fail.
    assert len(load.failures) <= load.clients
    assert all(" 502 " in failure for failure in load.failures), load.failures


def test_tasks_on_dynamic_ports_are_targets_of_their_instance(world: World, front: Front) -> None:
    with (
        listening(front.elb, front.balancer, front.vpc, "instance", 18081) as (group, endpoint),
        deployed(world) as web,
    ):
        ports = [{"containerPort": 80}]
        web.create(
            web.register(SERVE.format("first"), portMappings=ports),
            2,
            availabilityZoneRebalancing="DISABLED",
            loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 80}],
        )
        web.stable()
        with SteadyLoad(endpoint) as load:
            wait_for(lambda: load.answers["first"] > 20, seconds=20, what="answers of the first revision")
            web.ends(web.update(taskDefinition=web.register(SERVE.format("second"), portMappings=ports)), "SUCCESSFUL")
            web.nothing_stray()
            wait_for(lambda: load.answers["second"] > 20, seconds=20, what="answers of the second revision")
        assert load.failures == []


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
