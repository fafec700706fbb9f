"""The service scheduler over four machines in two zones: where tasks go, and what moves them.

``a1`` and ``a2`` are in one zone, ``b1`` in another; ``late`` joins in the course of the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import pytest
from following_client import FollowingClient
from multihost_site import CLUSTER, Site, opened
from waiting import wait_for

from openecs.planning.service_actions import UNREACHABLE_REASON

ZONES = {"a1": "us-east-1a", "a2": "us-east-1a", "b1": "us-east-1b", "late": "us-east-1b"}
GROUP, PROVIDER = "blue-machines", "blue"
EVERY_ZONE = {"type": "spread", "field": "attribute:ecs.availability-zone"}
EVERY_MACHINE = {"type": "spread", "field": "instanceId"}
SERVE = "httpd -f -p 80 -h /www & trap 'exit 0' TERM; wait"
CHECK = {"command": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/"], "interval": 5, "timeout": 2, "retries": 2}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[Site]:
    plane = tmp_path_factory.mktemp("plane")
    with opened(plane, busybox_image, *ZONES, options=("--replace-lost-after", "10")) as site:
        for name in ("a1", "a2", "b1"):
            site.join(name, "--availability-zone", ZONES[name])
        yield site


@pytest.fixture(autouse=True)
def nothing_left(site: Site) -> Iterator[None]:
    """A test that fails leaves nothing that the next one would count."""
    yield
    site.clear()


def test_tasks_spread_over_zones_first_and_then_over_machines(site: Site) -> None:
    definition = site.register()
    service = site.service(definition, 4, placementStrategy=[EVERY_ZONE, EVERY_MACHINE])
    plain = site.service(definition, 2)
    waited(site, "services_stable", services=[service, plain])
    assert site.service_machines(service) == ["a1", "a2", "b1", "b1"]
    for task in tasks_of(site, service):
        assert task["availabilityZone"] == ZONES[site.machine_of(task)]
        assert site.machines[site.machine_of(task)].engine.running(task["taskArn"])
    # Services spread over the zones by themselves.
    assert sorted(ZONES[name] for name in site.service_machines(plain)) == ["us-east-1a", "us-east-1b"]
    reply = site.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, count=6, placementStrategy=[EVERY_MACHINE])
    assert reply["failures"] == []
    alone = [task["taskArn"] for task in reply["tasks"]]
    waited(site, "tasks_running", tasks=alone)
    assert Counter(site.machine_of(site.describe(arn)) for arn in alone) == {"a1": 2, "a2": 2, "b1": 2}
    site.stop(*alone)
    deleted(site, service, plain)


def test_a_machine_that_joins_gets_what_waited_for_it(site: Site) -> None:
    definition = site.register()
    daemon = site.service(definition, None, schedulingStrategy="DAEMON")
    distinct = site.service(definition, 4, placementConstraints=[{"type": "distinctInstance"}])
    site.ecs.create_capacity_provider(name=PROVIDER, autoScalingGroupProvider={"autoScalingGroupArn": GROUP})
    site.ecs.put_cluster_capacity_providers(
        cluster=CLUSTER, capacityProviders=[PROVIDER], defaultCapacityProviderStrategy=[]
    )
    reply = site.ecs.run_task(
        cluster=CLUSTER,
        taskDefinition=definition,
        count=2,
        capacityProviderStrategy=[{"capacityProvider": PROVIDER, "weight": 1}],
    )
    assert reply["failures"] == []
    waiting = [task["taskArn"] for task in reply["tasks"]]
    waited(site, "services_stable", services=[daemon])
    site.until_service_on(distinct, "a1", "a2", "b1")
    wait_for(
        lambda: any("unable to place a task" in text for text in messages(site, distinct)),
        what="the event about the fourth task",
    )
    with in_background(site, "services_stable", services=[daemon, distinct]) as stable:
        with in_background(site, "tasks_running", tasks=waiting) as running:
            for arn in waiting:
                task = site.describe(arn)
                assert (task["lastStatus"], task["capacityProviderName"]) == ("PROVISIONING", PROVIDER)
                assert "containerInstanceArn" not in task
            assert site.service_machines(distinct) == ["a1", "a2", "b1"]

            site.join("late", "--availability-zone", ZONES["late"], "--group", GROUP)
            for arn in waiting:
                assert site.machine_of(site.reaches(arn, "RUNNING")) == "late"
            site.until_service_on(daemon, "a1", "a2", "b1", "late")
            site.until_service_on(distinct, "a1", "a2", "b1", "late")
            running.result(timeout=60)
        stable.result(timeout=60)
    assert site.instance("late")["capacityProviderName"] == PROVIDER
    assert described(site, daemon)["desiredCount"] == 4
    late = site.machines["late"].engine
    for arn in (*waiting, *site.ecs.list_tasks(cluster=CLUSTER, containerInstance=site.instances["late"])["taskArns"]):
        assert late.running(arn)
    site.stop(*waiting)
    deleted(site, daemon, distinct)
    assert site.ecs.list_tasks(cluster=CLUSTER)["taskArns"] == []


def test_draining_moves_tasks_above_the_floor_and_daemons_go_last(site: Site) -> None:
    ports = [{"containerPort": 80}]
    web = site.register(SERVE, {"healthCheck": CHECK, "portMappings": ports})
    service = site.service(web, 6, placementStrategy=[EVERY_MACHINE])
    daemon = site.service(site.register(), None, schedulingStrategy="DAEMON")
    waited(site, "services_stable", services=[service, daemon])
    # The waiter counts RUNNING tasks; the client below holds the floor against HEALTHY ones.
    wait_for(
        lambda: [task["healthStatus"] for task in tasks_of(site, service)] == ["HEALTHY"] * 6,
        what="six HEALTHY tasks",
    )
    moved = [task["taskArn"] for task in tasks_of(site, service) if site.machine_of(task) == "a1"]
    assert moved
    (its_daemon,) = [task["taskArn"] for task in tasks_of(site, daemon) if site.machine_of(task) == "a1"]

    def address(task: dict[str, Any]) -> str:
        return site.machines[site.machine_of(task)].address

    with ExitStack() as draining:
        with FollowingClient(site.ecs, service, cluster=CLUSTER, address=address) as client:
            draining.enter_context(site.draining("a1"))
            with in_background(site, "services_stable", services=[service, daemon]) as stable:
                wait_for(lambda: site.instance("a1")["runningTasksCount"] == 0, what="nothing left on a1")
                site.reaches(its_daemon, "STOPPED")
                wait_for(lambda: "a1" not in site.service_machines(service), what="the service to be elsewhere")
                wait_for(lambda: len(site.service_machines(service)) == 6, what="six tasks elsewhere")
                stable.result(timeout=60)
        assert client.wrong == []
        assert min(client.fewest_healthy, client.fewest_answers) >= 6
        ends: list[datetime] = [site.reaches(arn, "STOPPED")["stoppedAt"] for arn in moved]
        assert site.describe(its_daemon)["stoppingAt"] >= max(ends)
        assert site.service_machines(daemon) == sorted({"a2", "b1", "late"} & set(site.instances))
        for arn in (*moved, its_daemon):
            assert not site.machines["a1"].engine.running(arn)
    site.until_service_on(daemon, *site.instances)
    deleted(site, service, daemon)


def test_what_a_lost_machine_ran_is_replaced_elsewhere(site: Site) -> None:
    definition = site.register()
    service = site.service(definition, 2, placementStrategy=[EVERY_ZONE], availabilityZoneRebalancing="DISABLED")
    daemon = site.service(definition, None, schedulingStrategy="DAEMON")
    waited(site, "services_stable", services=[service, daemon])
    before = {task["taskArn"]: site.machine_of(task) for task in tasks_of(site, service) + tasks_of(site, daemon)}
    lost = next(name for name in site.service_machines(service) if ZONES[name] == "us-east-1b")
    survivors = [name for name in site.instances if name != lost]
    site.machines[lost].kill()
    assert not site.machines[lost].engine.answers()
    wait_for(lambda: not site.instance(lost)["agentConnected"], seconds=60, what="the loss to be noticed")
    gone = site.instances[lost]
    there = [arn for arn, name in before.items() if name == lost]
    assert len(there) == 2
    # Nobody here can know whether they still run, so nothing is made up.
    assert {site.describe(arn)["connectivity"] for arn in there} == {"DISCONNECTED"}

    # The service does not wait for it for ever; a DAEMON task belongs to its machine.
    def replaced() -> bool:
        return len(site.service_machines(service)) == 2 and lost not in site.service_machines(service)

    wait_for(replaced, seconds=60, what="the lost task to be replaced on another machine")
    waited(site, "services_stable", services=[service])
    (old,) = [task for task in map(site.describe, there) if task["group"] == f"service:{service}"]
    assert (old["desiredStatus"], old["stopCode"]) == ("STOPPED", "InfrastructureHealth")
    assert old["lastStatus"] != "STOPPED"

    forced = ("ecs", "deregister-container-instance", "--cluster", CLUSTER, "--container-instance", gone, "--force")
    site.installation.aws(*forced)
    waited(site, "services_stable", services=[service, daemon])
    del site.instances[lost]
    assert site.service_machines(daemon) == sorted(survivors)
    assert set(site.service_machines(service)) <= set(survivors)
    assert len(site.service_machines(service)) == 2
    ended = {task["group"]: task for task in map(site.describe, there)}
    assert {task["lastStatus"] for task in ended.values()} == {"STOPPED"}
    assert ended[f"service:{service}"]["stoppedReason"] == UNREACHABLE_REASON
    assert ended[f"service:{daemon}"]["stoppedReason"] == "Container instance deregistration forced by user"
    kept = {arn for arn, name in before.items() if name != lost}
    assert kept <= {task["taskArn"] for task in tasks_of(site, service) + tasks_of(site, daemon)}
    deleted(site, service, daemon)


def waited(site: Site, waiter: str, **arguments: Any) -> None:
    """What ``aws ecs wait`` waits for, with more looks: the CLI's own 15 seconds between them are for AWS."""
    site.ecs.get_waiter(waiter).wait(cluster=CLUSTER, WaiterConfig={"Delay": 1, "MaxAttempts": 90}, **arguments)


@contextmanager
def in_background(site: Site, waiter: str, **arguments: Any) -> Iterator[Future[None]]:
    """A waiter beside the block, which fails with it when it meets what makes it give up."""
    thread = ThreadPoolExecutor(1)
    try:
        yield thread.submit(waited, site, waiter, **arguments)
    finally:
        thread.shutdown(wait=False)


def deleted(site: Site, *services: str) -> None:
    """Delete the services and wait until nothing of them is left."""
    for service in services:
        site.ecs.delete_service(cluster=CLUSTER, service=service, force=True)
    waited(site, "services_inactive", services=list(services))
    for service in services:
        assert tasks_of(site, service) == []


def described(site: Site, service: str) -> dict[str, Any]:
    (found,) = site.ecs.describe_services(cluster=CLUSTER, services=[service])["services"]
    result: dict[str, Any] = found
    return result


def messages(site: Site, service: str) -> list[str]:
    return [event["message"] for event in described(site, service)["events"]]


def tasks_of(site: Site, service: str) -> list[dict[str, Any]]:
    """The service's tasks that nobody told to stop."""
    arns = site.ecs.list_tasks(cluster=CLUSTER, serviceName=service)["taskArns"]
    tasks: list[dict[str, Any]] = site.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
    return tasks
