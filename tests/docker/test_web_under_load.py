"""A web service that keeps connections open and takes its time, behind a load balancer under load.

Its program ends in the middle of everything when it is told to: requests that are in flight are
protected by draining alone.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from balanced_front import Front, endpoint_of, fronted
from deployed_service import DeployedService, deployed
from docker_world import World
from steady_load import SteadyLoad
from waiting import wait_for

PORT = 8080


@pytest.fixture(scope="module")
def front(world: World) -> Iterator[Front]:
    with fronted(world, 18082) as made:
        yield made


@pytest.fixture(scope="module")
def web(world: World, front: Front) -> Iterator[DeployedService]:
    """One task behind the load balancer, up and steady by what the AWS CLI says."""
    with deployed(world) as service:
        service.create(
            service.serving("first", PORT),
            1,
            networkConfiguration={"awsvpcConfiguration": {"subnets": front.subnets}},
            loadBalancers=[{"targetGroupArn": front.target_group, "containerName": "main", "containerPort": PORT}],
        )
        service.stable()
        # Asked when it is so: the CLI's next look would be 15 seconds later.
        world.installation.aws("ecs", "wait", "services-stable", "--cluster", "default", "--services", service.name)
        world.installation.aws("elbv2", "wait", "target-in-service", "--target-group-arn", front.target_group)
        yield service


@contextmanager
def loaded(front: Front) -> Iterator[tuple[SteadyLoad, SteadyLoad]]:
    """Quick requests, and such that are in flight for longer than a task takes to end."""
    with ExitStack() as stack:
        quick = stack.enter_context(SteadyLoad(front.endpoint, path="/version"))
        slow = stack.enter_context(SteadyLoad(front.endpoint, path="/slow?0.5"))
        yield quick, slow


def test_deploying_and_scaling_fail_no_request_not_even_slow_ones(web: DeployedService, front: Front) -> None:
    with loaded(front) as (quick, slow):
        wait_for(lambda: slow.answers["first"] > 4, seconds=20, what="answers of the first revision")
        web.ends(web.update(taskDefinition=web.serving("second", PORT)), "SUCCESSFUL")
        web.nothing_stray()
        wait_for(lambda: slow.answers["second"] > 4, seconds=20, what="answers of the second revision")
        web.update(desiredCount=4)
        web.until(lambda: len(front.healthy()) == 4, "four healthy targets")
        web.update(desiredCount=2)
        web.stable()
        web.nothing_stray()
        web.update(forceNewDeployment=True)
        web.stable()
        web.nothing_stray()
    assert (quick.failures, slow.failures) == ([], [])
    assert set(quick.answers) == set(slow.answers) == {"first", "second"}


def test_a_task_whose_health_check_fails_is_replaced(web: DeployedService, front: Front) -> None:
    front.elb.modify_target_group(
        TargetGroupArn=front.target_group,
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        UnhealthyThresholdCount=2,
    )
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
    (task, other) = web.tasks()
    with loaded(front) as (quick, slow):
        ask(address_of(task), "/set-health?500")
        stopped = web.world.reaches(task["taskArn"], "STOPPED")
        web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
        web.stable()
    assert (quick.failures, slow.failures) == ([], [])
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {front.target_group})"
    arn = task["taskArn"].rpartition("/")[2]
    messages = [event["message"] for event in web.describe()["events"]]
    (said,) = [message for message in messages if " is unhealthy in " in message]
    assert said == (
        f"(service {web.name}) (task {arn}) (port {PORT}) is unhealthy in (target-group {front.target_group}) "
        "due to (reason Health checks failed with these codes: [500])"
    )
    assert other["taskArn"] in {left["taskArn"] for left in web.tasks()}


def test_a_network_load_balancer_passes_new_connections_on_through_a_deployment(
    web: DeployedService, front: Front
) -> None:
    elb, name = front.elb, web.name
    # In the tasks' own security group, which lets nobody else in.
    own = [web.world.installation.security_group()]
    (balancer,) = elb.create_load_balancer(Name=name, Type="network", Subnets=front.subnets, SecurityGroups=own)[
        "LoadBalancers"
    ]
    (group,) = elb.create_target_group(Name=name, Protocol="TCP", Port=PORT, VpcId=front.vpc, TargetType="ip")[
        "TargetGroups"
    ]
    (listener,) = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="TCP",
        Port=18083,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )["Listeners"]
    # A service has several target groups; its tasks are registered in all of them.
    both = [front.target_group, group["TargetGroupArn"]]
    place = {"containerName": "main", "containerPort": PORT}
    web.ends(web.update(loadBalancers=[{"targetGroupArn": arn, **place} for arn in both]), "SUCCESSFUL")
    with SteadyLoad(endpoint_of(elb, listener["ListenerArn"]), path="/version", keeping=0, connecting=4) as load:
        wait_for(lambda: load.requests > 50, seconds=20, what="answers through the network load balancer")
        web.ends(web.update(taskDefinition=web.serving("third", PORT)), "SUCCESSFUL")
        web.nothing_stray()
        wait_for(lambda: load.answers["third"] > 50, seconds=20, what="answers of the third revision")
    assert load.failures == []
    web.ends(web.update(loadBalancers=[{"targetGroupArn": front.target_group, **place}]), "SUCCESSFUL")
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])


def test_a_container_that_is_killed_fails_no_request_of_a_safe_method(web: DeployedService, front: Front) -> None:
    web.update(desiredCount=2)
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
    (task, _) = web.tasks()
    with loaded(front) as (quick, slow):
        wait_for(lambda: slow.requests > 4, seconds=20, what="slow requests")
        container = task["containers"][0]["runtimeId"]
        assert web.world.engine.call("POST", f"/containers/{container}/kill?signal=KILL")[0] == 204
        web.world.reaches(task["taskArn"], "STOPPED")
        web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
        before = quick.requests
        wait_for(lambda: quick.requests > before + 50, seconds=20, what="some more requests")
    # What was in flight to it, slow requests among it, was a GET: the other task has answered.
    assert quick.failures + slow.failures == []


def address_of(task: dict[str, Any]) -> str:
    address: str = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    return address


def ask(address: str, path: str) -> None:
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    connection.request("GET", path)
    assert connection.getresponse().status == 200
    connection.close()
