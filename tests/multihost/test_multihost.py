"""A control plane and machines that share nothing but a network."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from multihost_site import CLUSTER, STAY, Site
from waiting import wait_for


@pytest.fixture(autouse=True)
def nothing_left(site: Site) -> Iterator[None]:
    """A test that fails leaves nothing that the next one would count."""
    yield
    site.clear()


@pytest.fixture
def group(site: Site) -> Iterator[str]:
    name = "/multihost/" + uuid.uuid4().hex[:8]
    site.logs.create_log_group(logGroupName=name)
    yield name
    site.logs.delete_log_group(logGroupName=name)


def test_every_machine_is_a_container_instance(site: Site) -> None:
    assert sorted(site.listed()) == sorted(site.instances.values())
    assert len(set(site.instances.values())) == 2
    for name in site.machines:
        instance = site.instance(name)
        assert (instance["status"], instance["agentConnected"]) == ("ACTIVE", True)
    assert site.node_id("one") != site.node_id("two")


def test_tasks_spread_and_run_where_it_says(site: Site) -> None:
    reply = site.ecs.run_task(cluster=CLUSTER, taskDefinition=site.register(), count=4)
    assert reply["failures"] == []
    tasks = [site.reaches(task["taskArn"], "RUNNING") for task in reply["tasks"]]
    assert Counter(site.machine_of(task) for task in tasks) == {"one": 2, "two": 2}
    for task in tasks:
        there = {name for name, machine in site.machines.items() if machine.engine.running(task["taskArn"])}
        assert there == {site.machine_of(task)}
    site.stop(*(task["taskArn"] for task in tasks))
    assert not any(m.engine.running(task["taskArn"]) for m in site.machines.values() for task in tasks)


def test_a_task_is_started_on_the_machine_that_was_named(site: Site) -> None:
    definition = site.register()
    arns = [site.start("two", definition) for _ in range(2)]
    for arn in arns:
        assert site.machine_of(site.reaches(arn, "RUNNING")) == "two"
        assert site.machines["two"].engine.running(arn)
        assert site.machines["one"].engine.containers_of(arn) == []
    site.stop(*arns)


def test_what_remote_containers_print_arrives(site: Site, group: str) -> None:
    definition = site.register("hostname; for i in 1 2 3; do echo line $i; done", site.awslogs(group))
    for name in site.machines:
        arn = site.start(name, definition)
        site.reaches(arn, "STOPPED")
        lines = site.lines(group, arn, lambda found: len(found) == 4)
        assert lines[1:] == ["line 1", "line 2", "line 3"]
        assert any(c["Id"].startswith(lines[0]) for c in site.machines[name].engine.containers_of(arn))


@pytest.mark.parametrize("mode", ["bridge", "host", "awsvpc"])
def test_every_machine_serves_its_own_tasks_metadata(site: Site, group: str, mode: str) -> None:
    script = "wget -q -O - $ECS_CONTAINER_METADATA_URI_V4/task; echo; echo done"
    definition = site.register(script, site.awslogs(group), networkMode=mode)
    network = {"awsvpcConfiguration": {"subnets": [site.installation.subnet()]}}
    extra = {"networkConfiguration": network} if mode == "awsvpc" else {}
    for name, machine in site.machines.items():
        assert "169.254.170.2/32" in machine.run("ip", "-o", "address", "show", "dev", "lo")
        arn = site.start(name, definition, **extra)
        site.reaches(arn, "STOPPED")
        told = json.loads(site.lines(group, arn, lambda found: found[-1:] == ["done"])[0])
        assert told["TaskARN"] == arn
        assert told["Containers"][0]["Name"] == "main"


def test_a_host_port_is_open_on_its_machine(site: Site) -> None:
    ports = [{"containerPort": 80}]
    definition = site.register("httpd -p 80 -h /www; " + STAY, {"portMappings": ports}, networkMode="bridge")
    for name, machine in site.machines.items():
        arn = site.start(name, definition)
        (binding,) = site.reaches(arn, "RUNNING")["containers"][0]["networkBindings"]
        other = site.machines["two" if name == "one" else "one"]
        url = f"http://{machine.address}:{binding['hostPort']}/"
        # It may take the server a moment to listen.
        page = other.run("sh", "-c", f"until busybox wget -q -O - {url}; do sleep 0.1; done")
        assert page == "hello from openecs-test/busybox\n"
        site.stop(arn)


def test_draining_moves_a_services_tasks_and_leaves_others(site: Site) -> None:
    definition = site.register()
    alone = site.start("one", definition)
    service = site.service(definition, 2)
    site.until_service_on(service, "one", "two")
    site.reaches(alone, "RUNNING")
    with site.draining("one"):
        site.until_service_on(service, "two", "two")
        assert site.describe(alone)["lastStatus"] == "RUNNING"
        wait_for(lambda: site.instance("one")["runningTasksCount"] == 1, what="only the standalone task on one")
        refusal = site.ecs.start_task(
            cluster=CLUSTER, taskDefinition=definition, containerInstances=[site.instances["one"]]
        )
        assert [failure["reason"] for failure in refusal["failures"]] == ["INACTIVE"]
    site.stop(alone)
    site.delete_service(service)


def test_a_pulled_cable_loses_nothing(site: Site) -> None:
    machine = site.machines["two"]
    definition = site.register("trap 'exit 0' TERM; until test -e /tmp/end; do sleep 0.1; done; exit 7")
    ending, stopping, staying = (site.start("two", definition) for _ in range(3))
    for arn in (ending, stopping, staying):
        site.reaches(arn, "RUNNING")
    before = {arn: [c["Id"] for c in machine.engine.containers_of(arn)] for arn in (ending, stopping, staying)}
    site.fabric.cut(machine.port)
    try:
        (container,) = machine.engine.containers_of(ending)
        _touch_end(site, container["Id"])
        wait_for(lambda: not machine.engine.running(ending), what="the container to end by itself")
        site.ecs.stop_task(cluster=CLUSTER, task=stopping, reason="during the partition")
        # Nobody on this side can know what happens over there, and nothing is made up.
        assert site.describe(ending)["lastStatus"] == "RUNNING"
        assert site.describe(stopping)["desiredStatus"] == "STOPPED"
        assert site.describe(stopping)["lastStatus"] != "STOPPED"
        assert machine.engine.running(stopping)
    finally:
        site.fabric.mend(machine.port)
    assert site.reaches(ending, "STOPPED")["containers"][0]["exitCode"] == 7
    assert site.reaches(stopping, "STOPPED")["stoppedReason"] == "during the partition"
    assert not machine.engine.running(stopping)
    assert site.describe(staying)["lastStatus"] == "RUNNING"
    assert site.instance("two")["agentConnected"]
    assert [c["Id"] for c in machine.engine.containers_of(staying)] == before[staying]
    site.stop(staying)


def test_a_lost_agent_keeps_its_tasks_and_gets_no_new_ones(site: Site) -> None:
    machine = site.machines["two"]
    definition = site.register()
    arn = site.start("two", definition)
    site.reaches(arn, "RUNNING")
    before = [c["Id"] for c in machine.engine.containers_of(arn)]
    site.agents["two"].kill()
    wait_for(lambda: not site.instance("two")["agentConnected"], seconds=10, what="the loss to be noticed")
    task = site.describe(arn)
    assert (task["lastStatus"], task["connectivity"]) == ("RUNNING", "DISCONNECTED")
    assert machine.engine.running(arn)
    refused = site.ecs.start_task(
        cluster=CLUSTER, taskDefinition=definition, containerInstances=[site.instances["two"]]
    )
    assert refused["tasks"] == []
    assert refused["failures"] == [{"arn": site.instances["two"], "reason": "AGENT"}]
    only_there = [{"type": "memberOf", "expression": f"attribute:openecs.node-id == {site.node_id('two')}"}]
    refused = site.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, placementConstraints=only_there)
    assert refused["tasks"] == []
    assert {failure["arn"]: failure["reason"] for failure in refused["failures"]} == {
        site.instances["one"]: "MemberOf placement constraint unsatisfied.",
        site.instances["two"]: "AGENT",
    }
    reply = site.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, count=3)
    assert reply["failures"] == []
    elsewhere = [site.reaches(task["taskArn"], "RUNNING") for task in reply["tasks"]]
    assert {site.machine_of(task) for task in elsewhere} == {"one"}
    instance = site.instances["two"]
    site.join("two")
    assert site.instances["two"] == instance
    wait_for(lambda: site.describe(arn)["connectivity"] == "CONNECTED", seconds=10, what="the task to be connected")
    assert site.describe(arn)["lastStatus"] == "RUNNING"
    assert [c["Id"] for c in machine.engine.containers_of(arn)] == before
    site.stop(arn, *(task["taskArn"] for task in elsewhere))


def test_a_machine_given_up_behind_a_cut_cable_learns_it_when_it_is_back(site: Site) -> None:
    machine = site.machines["two"]
    arn = site.start("two", site.register())
    site.reaches(arn, "RUNNING")
    given_up = site.instances["two"]
    site.fabric.cut(machine.port)
    try:
        site.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=given_up, force=True)
        assert site.describe(arn)["lastStatus"] == "STOPPED"
        assert given_up not in site.listed()
        assert machine.engine.running(arn)
    finally:
        site.fabric.mend(machine.port)
    wait_for(lambda: not machine.engine.running(arn), seconds=40, what="the given up task's container to be stopped")
    # As on AWS the agent of a deregistered instance comes back by itself after a long pause only.
    site.agents["two"].kill()
    site.join("two")
    assert site.instances["two"] != given_up


def test_a_machine_given_up_is_replaced_and_cleans_up_when_it_returns(site: Site) -> None:
    """Deregistering by force while the agent is away: its tasks move, its containers end when it is back."""
    machine = site.machines["two"]
    service = site.service(site.register(), 2)
    site.until_service_on(service, "one", "two")
    arns = site.ecs.list_tasks(cluster=CLUSTER, containerInstance=site.instances["two"])["taskArns"]
    assert len(arns) == 1
    given_up = site.instances["two"]
    site.agents["two"].kill()
    wait_for(lambda: not site.instance("two")["agentConnected"], seconds=10, what="the loss to be noticed")
    with pytest.raises(ClientError, match="Found running tasks on the instance"):
        site.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=given_up)
    assert site.instance("two")["status"] == "ACTIVE"
    site.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=given_up, force=True)
    stopped = site.describe(arns[0])
    assert (stopped["lastStatus"], stopped["stoppedReason"]) == (
        "STOPPED",
        "Container instance deregistration forced by user",
    )
    site.until_service_on(service, "one", "one")
    assert given_up not in site.listed()
    # Nobody could tell the machine: its container runs on until its agent is back.
    assert machine.engine.running(arns[0])
    site.join("two")
    assert site.instances["two"] != given_up
    wait_for(lambda: not machine.engine.running(arns[0]), seconds=30, what="the orphan to be stopped")
    site.delete_service(service)


def _touch_end(site: Site, container_id: str) -> None:
    """Make the file that the container waits for."""
    machine = site.machines["two"]
    machine.run("docker", "--host", f"unix://{machine.socket}", "exec", container_id, "touch", "/tmp/end")
