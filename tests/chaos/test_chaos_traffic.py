"""Requests to a service behind a load balancer while parts of the installation are killed.

Its two tasks and the host's Envoy are processes of their own: what is killed beside them may not
cost a request.  What kills a task or the Envoy costs what was in flight there.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from balanced_front import Front, fronted
from conformance_support import Installation
from connected_pair import connected_pair
from deployed_service import DeployedService, deployed
from docker_world import World
from steady_load import SteadyLoad
from waiting import wait_for

from openecs.agent.config import RUN_DIR
from openecs.agent.edge.select import edge_folder
from openecs.cli.installation import Installation as OnDisk

pytestmark = pytest.mark.docker
PORT = 8080


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[World]:
    """An installation that only these tests kill."""
    installation = Installation(tmp_path_factory.mktemp("traffic"), "--runtime", "docker")
    installation.up()
    try:
        yield World(installation, busybox_image)
    finally:
        installation.down()


@pytest.fixture(scope="module")
def front(world: World) -> Iterator[Front]:
    with fronted(world, 18084) as made:
        yield made


@pytest.fixture(scope="module")
def web(world: World, front: Front) -> Iterator[DeployedService]:
    """Two tasks that are healthy."""
    with deployed(world) as service:
        service.create(
            service.serving("first", PORT),
            2,
            networkConfiguration={"awsvpcConfiguration": {"subnets": front.subnets}},
            loadBalancers=[{"targetGroupArn": front.target_group, "containerName": "main", "containerPort": PORT}],
        )
        service.stable()
        yield service


@pytest.fixture
def load(web: DeployedService, front: Front) -> Iterator[SteadyLoad]:
    web.until(lambda: len(front.healthy()) == 2, "two healthy targets")
    with SteadyLoad(front.endpoint, path="/version") as running:
        go_on(running)
        yield running


def go_on(load: SteadyLoad, *, requests: int = 100) -> None:
    """Wait until there were so many answers more."""
    before = sum(load.answers.values())
    wait_for(lambda: sum(load.answers.values()) >= before + requests, seconds=30, what="more answers")


def send(world: World, name: str, number: signal.Signals) -> None:
    """A signal to ``server`` or ``agent`` of the installation."""
    running = OnDisk(world.installation.home).running()
    assert running is not None
    victim = {"server": running.server, "agent": running.agent}[name]
    assert victim is not None
    victim.send(number)
    if number == signal.SIGKILL:
        assert victim.wait(60)


def envoy(world: World) -> int:
    """The process id of the host's Envoy."""
    arns = world.ecs.list_container_instances()["containerInstanceArns"]
    (instance,) = world.ecs.describe_container_instances(containerInstances=arns)["containerInstances"]
    (node_id,) = [a["value"] for a in instance["attributes"] if a["name"] == "openecs.node-id"]
    pid: int = json.loads((edge_folder(Path(RUN_DIR), node_id) / "envoy/envoy.pid").read_bytes())["pid"]
    return pid


def steady(web: DeployedService) -> None:
    """Wait until control plane and agent do their work: they deploy."""
    wait_for(lambda: connected(web.world), what="the agent to be connected")
    web.ends(web.update(forceNewDeployment=True), "SUCCESSFUL")
    web.nothing_stray()


def connected(world: World) -> bool:
    try:
        arns = world.ecs.list_container_instances()["containerInstanceArns"]
        (one,) = world.ecs.describe_container_instances(containerInstances=arns)["containerInstances"]
    except Exception:  # noqa: BLE001 -- whatever a client says of a server that is not there
        return False
    return bool(one["agentConnected"])


@pytest.mark.parametrize("victims", [["server"], ["agent"], ["agent", "server"]], ids="+".join)
def test_killing_control_plane_or_agent_fails_no_request(
    web: DeployedService, load: SteadyLoad, victims: list[str]
) -> None:
    before = envoy(web.world)
    for name in victims:
        send(web.world, name, signal.SIGKILL)
    go_on(load)
    steady(web)
    go_on(load)
    assert load.failures == []
    assert envoy(web.world) == before


def test_traffic_leaves_a_dead_task_while_the_control_plane_hangs(
    web: DeployedService, front: Front, load: SteadyLoad
) -> None:
    (task, _) = web.tasks()
    # What the control plane would tell the host at once, the host's own health checks find out.
    front.elb.modify_target_group(
        TargetGroupArn=front.target_group,
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        UnhealthyThresholdCount=2,
    )
    go_on(load)
    send(web.world, "server", signal.SIGSTOP)
    try:
        assert web.world.engine.call("POST", f"/containers/{task['containers'][0]['runtimeId']}/kill")[0] == 204
        go_on(load, requests=300)
    finally:
        send(web.world, "server", signal.SIGCONT)
    web.world.reaches(task["taskArn"], "STOPPED")
    web.stable()
    go_on(load)
    # Each client has one request in flight; what was sent later went to the other task.
    assert len(load.failures) <= load.clients
    assert all(" 502 " in failure for failure in load.failures), load.failures


def test_an_installation_that_is_down_serves_on(web: DeployedService, load: SteadyLoad) -> None:
    before = envoy(web.world)
    web.world.installation.openecs("down", "--keep-tasks")
    assert OnDisk(web.world.installation.home).running() is None
    go_on(load, requests=300)
    web.world.installation.up()
    steady(web)
    go_on(load)
    assert load.failures == []
    assert envoy(web.world) == before


def test_an_envoy_that_is_killed_comes_back_with_all_it_served(web: DeployedService, load: SteadyLoad) -> None:
    before = envoy(web.world)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: envoy(web.world) != before, what="another Envoy")
    go_on(load)
    failed = len(load.failures)
    steady(web)
    go_on(load)
    # Nobody answers while there is no Envoy; afterwards everybody is answered.
    assert 0 < failed == len(load.failures)
    assert Path(f"/proc/{envoy(web.world)}").exists()


def test_killing_control_plane_and_agent_fails_no_call_through_service_connect(world: World) -> None:
    with connected_pair(world) as pair:
        pair.answered("first", 20)
        for victim in ("agent", "server"):
            send(world, victim, signal.SIGKILL)
        pair.answered("first")
        wait_for(lambda: connected(world), what="the agent to be connected")
        pair.deploy("second")
        pair.answered("second")
        assert not [line for line in pair.answers() if line.startswith("failed")], pair.answers()
