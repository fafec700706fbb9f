"""A load balancer made by hand, as the AWS CLI would: targets are registered by their addresses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from docker_world import World, fetch
from waiting import wait_for

SERVE = "httpd -f -p 8080 -h /tmp/www & trap 'exit 0' TERM; wait"
PAGES = f"mkdir -p /tmp/www; echo served by a task > /tmp/www/index.html; {SERVE}"


class Made(NamedTuple):
    """The load balancer, its target group, and a task's address that is registered in it."""

    elb: Any
    balancer: dict[str, Any]
    listener: str
    group: str
    task: str
    address: str


@pytest.fixture(scope="module")
def made(world: World) -> Iterator[Made]:
    elb = world.installation.client("elbv2")
    ec2 = world.installation.client("ec2")
    name = "lb-" + uuid.uuid4().hex[:10]
    subnets = ec2.describe_subnets()["Subnets"]
    task = world.run(
        world.container(script=PAGES),
        networkMode="awsvpc",
        run={"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}},
    )
    address = world.describe(task)["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    group = elb.create_target_group(
        Name=name,
        Protocol="HTTP",
        Port=8080,
        VpcId=subnets[0]["VpcId"],
        TargetType="ip",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = elb.create_load_balancer(Name=name, Subnets=[subnet["SubnetId"] for subnet in subnets])["LoadBalancers"][
        0
    ]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=18090,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address, "Port": 8080}])
    yield Made(elb, balancer, listener, group, task, address)
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    elb.get_waiter("load_balancers_deleted").wait(
        LoadBalancerArns=[balancer["LoadBalancerArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    world.stop(task)


def test_served_at_its_addresses_and_on_the_loopback(world: World, made: Made) -> None:
    quick = {"Delay": 1, "MaxAttempts": 60}
    made.elb.get_waiter("load_balancer_available").wait(
        LoadBalancerArns=[made.balancer["LoadBalancerArn"]], WaiterConfig=quick
    )
    made.elb.get_waiter("target_in_service").wait(TargetGroupArn=made.group, WaiterConfig=quick)
    interfaces = world.installation.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    own = [
        interface["PrivateIpAddress"]
        for interface in interfaces
        if made.balancer["LoadBalancerName"] in interface.get("Description", "")
    ]
    assert len(own) == 3
    (tags,) = made.elb.describe_tags(ResourceArns=[made.listener])["TagDescriptions"]
    endpoint = {tag["Key"]: tag["Value"] for tag in tags["Tags"]}["aws:openecs:endpoint"]
    for place in (*(f"{address}:18090" for address in own), endpoint):
        host, _, port = place.rpartition(":")
        assert fetch(host, int(port)).strip() == "served by a task"
    lines = (world.installation.home / "hosts").read_text().splitlines()
    assert {line for line in lines if made.balancer["DNSName"] in line} == {
        f"{address} {made.balancer['DNSName']}" for address in own
    }


def test_a_target_that_is_taken_out_has_drained_at_once(made: Made) -> None:
    one = [{"Id": made.address, "Port": 8080}]
    made.elb.deregister_targets(TargetGroupArn=made.group, Targets=one)
    made.elb.get_waiter("target_deregistered").wait(
        TargetGroupArn=made.group, Targets=one, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    made.elb.register_targets(TargetGroupArn=made.group, Targets=one)
    wait_for(lambda: _state(made)["State"] == "healthy", seconds=20, what="the target to be healthy")


def test_a_target_that_ends_is_unhealthy(world: World, made: Made) -> None:
    world.stop(made.task)
    wait_for(lambda: _state(made)["State"] == "unhealthy", seconds=30, what="the target to be unhealthy")
    assert _state(made)["Reason"] in ("Target.Timeout", "Target.FailedHealthChecks")


def _state(made: Made) -> dict[str, str]:
    (found,) = made.elb.describe_target_health(TargetGroupArn=made.group)["TargetHealthDescriptions"]
    health: dict[str, str] = found["TargetHealth"]
    return health
