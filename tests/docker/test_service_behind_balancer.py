"""Services behind a load balancer on the real engine: no deployment, scaling or stop costs a request."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from balanced_front import Front, fronted, listening
from deployed_service import DeployedService, deployed
from docker_world import World
from measured import measured
from steady_load import SteadyLoad
from waiting import wait_for

#: Serves its revision on port 80 and ends at once when it is asked to.
SERVE = "mkdir /tmp/www; echo {} > /tmp/www/index.html; httpd -f -p 80 -h /tmp/www & trap 'exit 0' TERM; wait"


@pytest.fixture(scope="module")
def front(world: World) -> Iterator[Front]:
    with fronted(world) as made:
        yield made


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


class Counted(NamedTuple):
    """A listener and a target group of their own before the task, which got so many requests."""

    group: str
    good: int
    missing: int


@pytest.fixture(scope="module")
def counted(front: Front, web: DeployedService) -> Iterator[Counted]:
    (task,) = web.tasks()
    address = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    with listening(front.elb, front.balancer, front.vpc, "ip", 18089) as (group, endpoint):
        front.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address, "Port": 80}])
        patience = {"Delay": 1, "MaxAttempts": 30}
        front.elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=patience)
        host, _, port = endpoint.rpartition(":")
        # From here on there are no other requests to this target group.
        good = sum(ask(host, int(port), "/") == 200 for _ in range(40))
        missing = sum(ask(host, int(port), "/nothing") == 404 for _ in range(3))
        assert (good, missing) == (40, 3)
        yield Counted(group, good, missing)


def ask(host: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def revision(service: DeployedService, says: str) -> str:
    container = service.world.container(
        script=SERVE.format(says), portMappings=[{"containerPort": 80}], cpu=64, memory=64
    )
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    return service.world.register(container, family=service.name, **fargate)


@pytest.mark.usefixtures("counted")
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


def test_killing_a_task_fails_no_request(web: DeployedService, front: Front) -> None:
    web.update(desiredCount=2)
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
    (task, _) = web.tasks()
    (container,) = [c for c in task["containers"] if c["name"] == "main"]
    with SteadyLoad(front.endpoint) as load:
        assert web.world.engine.call("POST", f"/containers/{container['runtimeId']}/kill")[0] == 204
        web.world.reaches(task["taskArn"], "STOPPED")
        web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
        wait_for(lambda: load.requests > 100, seconds=20, what="some more requests")
    assert load.failures == []


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


def test_what_came_through_is_in_cloudwatch(world: World, front: Front, counted: Counted) -> None:
    group = {"TargetGroup": counted.group.rpartition(":")[2], "LoadBalancer": name_of(front)}

    def number(name: str, statistic: str = "Sum") -> float:
        return measured(world, "AWS/ApplicationELB", name, statistic, **group)

    asked = counted.good + counted.missing
    wait_for(lambda: number("RequestCount") == asked, seconds=90, what="the requests to be counted")
    assert (number("HTTPCode_Target_2XX_Count"), number("HTTPCode_Target_4XX_Count")) == (40, 3)
    # The only target had all of them.
    assert number("RequestCountPerTarget") == asked
    assert number("TargetResponseTime", "SampleCount") == asked
    assert 0 < number("TargetResponseTime", "Minimum") <= number("TargetResponseTime", "p90") < 1
    own = {"TargetGroup": front.target_group.rpartition(":")[2], "LoadBalancer": name_of(front)}
    wait_for(
        lambda: measured(world, "AWS/ApplicationELB", "HealthyHostCount", "Maximum", **own) >= 1,
        seconds=70,
        what="a healthy target at some minute",
    )
    whole = {"LoadBalancer": name_of(front)}
    assert measured(world, "AWS/ApplicationELB", "RequestCount", **whole) >= asked
    assert measured(world, "AWS/ApplicationELB", "ProcessedBytes", **whole) > 100 * asked
    assert measured(world, "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", **whole) == 0


def test_requests_for_each_target_can_be_tracked(world: World, front: Front, web: DeployedService) -> None:
    scaling = world.installation.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/default/{web.name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    label = f"{name_of(front)}/{front.target_group.rpartition(':')[2]}"

    def policy(label: str) -> None:
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        scaling.put_scaling_policy(
            **target,
            PolicyName="requests",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 5.0, "PredefinedMetricSpecification": metric},
        )

    with pytest.raises(scaling.exceptions.ValidationException, match="does not name a load balancer"):
        policy(label.replace("targetgroup/", "targetgroup/other"))
    policy(label)
    (found,) = scaling.describe_scaling_policies(**target)["ScalingPolicies"]
    cloudwatch = world.installation.client("cloudwatch")
    names = [alarm["AlarmName"] for alarm in found["Alarms"]]
    alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    for alarm in alarms:
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        # What the alarms look at is what is published.
        assert measured(world, alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], **dimensions) > 0
    assert len(alarms) == 2
    scaling.deregister_scalable_target(**target)


def name_of(front: Front) -> str:
    """What metrics call the load balancer."""
    return front.balancer.partition("loadbalancer/")[2]
