"""Services behind a load balancer on the real engine: no deployment, scaling or stop costs a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from balanced_front import Front, fronted, listening
from deployed_service import DeployedService, deployed
from docker_world import World
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
