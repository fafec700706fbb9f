"""A load balancer of the test's own, with listeners whose target groups have AWS's default health check."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from docker_world import World
from waiting import wait_for


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


@contextmanager
def fronted(world: World, port: int = 18080) -> Iterator[Front]:
    """A load balancer with one listener for targets of type ``ip``."""
    elb, ec2 = world.installation.client("elbv2"), world.installation.client("ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    ids = [subnet["SubnetId"] for subnet in subnets]
    (balancer,) = elb.create_load_balancer(Name="b" + uuid.uuid4().hex[:12], Subnets=ids)["LoadBalancers"]
    arn, vpc = balancer["LoadBalancerArn"], subnets[0]["VpcId"]
    with listening(elb, arn, vpc, "ip", port) as (group, endpoint):
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
    yield group["TargetGroupArn"], endpoint_of(elb, listener["ListenerArn"])
    with suppress(elb.exceptions.ListenerNotFoundException):
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
    wait_for(lambda: _deleted(elb, group["TargetGroupArn"]), seconds=20, what="the target group to be deleted")


def endpoint_of(elb: Any, listener: str) -> str:
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
