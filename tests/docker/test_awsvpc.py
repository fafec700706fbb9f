"""awsvpc: a network namespace and an address per task, with EC2 and Fargate launch types."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_world import STAY, World, by_name, cgroup, fetch
from waiting import wait_for

SERVE = "echo from-$NAME > /tmp/index.html; httpd -p 8080 -h /tmp; " + STAY
LOOK = (
    "echo address=$(ip -4 -o address show dev eth0 | awk '{print $4}'); "
    "echo mac=$(cat /sys/class/net/eth0/address); "
    "echo route=$(ip route show default); echo resolv=$(grep ^nameserver /etc/resolv.conf); echo done; "
)


def details(task: dict[str, Any]) -> dict[str, str]:
    (attachment,) = task["attachments"]
    assert attachment["type"] == "ElasticNetworkInterface"
    return {item["name"]: item["value"] for item in attachment["details"]}


def network(world: World, **members: Any) -> dict[str, Any]:
    return {"awsvpcConfiguration": {"subnets": [world.installation.subnet()], **members}}


def named(name: str) -> dict[str, Any]:
    return {"environment": [{"name": "NAME", "value": name}]}


@pytest.fixture(scope="module")
def task(world: World) -> Iterator[str]:
    arn = world.run(
        world.container("front", LOOK + SERVE, portMappings=[{"containerPort": 8080}], **named("front")),
        world.container(
            "beside",
            "until wget -qO /dev/null http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.05; done; "
            "echo page=$(wget -qO- http://127.0.0.1:8080/); echo done; " + STAY,
        ),
        networkMode="awsvpc",
        run={"networkConfiguration": network(world), "launchType": "EC2"},
    )
    world.reaches(arn, "RUNNING")
    yield arn
    world.stop(arn)


def test_the_task_has_the_address_that_is_shown(world: World, task: str) -> None:
    shown = world.describe(task)
    eni = details(shown)
    address = eni["privateIPv4Address"]
    inside = world.facts(task, "front")
    assert inside["address"].split("/")[0] == address
    assert inside["mac"] == eni["macAddress"]
    assert eni["subnetId"] == world.installation.subnet()
    assert shown["attachments"][0]["status"] == "ATTACHED"
    for container in shown["containers"]:
        (interface,) = container["networkInterfaces"]
        assert interface["privateIpv4Address"] == address
        assert interface["attachmentId"] == shown["attachments"][0]["id"]
    assert "beside" in by_name(shown)
    # The pause container is OpenECS's own business.
    assert set(by_name(shown)) == {"front", "beside"}


def test_containers_share_localhost_and_the_host_reaches_the_task(world: World, task: str) -> None:
    assert world.facts(task, "beside")["page"] == "from-front"
    address = details(world.describe(task))["privateIPv4Address"]
    assert fetch(address, 8080) == "from-front\n"


def test_two_tasks_reach_each_other(world: World, task: str) -> None:
    first = details(world.describe(task))["privateIPv4Address"]
    other = world.run(
        world.container(script=f"echo page=$(wget -qO- http://{first}:8080/); echo done; " + SERVE, **named("other")),
        networkMode="awsvpc",
        run={"networkConfiguration": network(world)},
    )
    second = details(world.reaches(other, "RUNNING"))["privateIPv4Address"]
    assert second != first
    assert world.facts(other)["page"] == "from-front"
    pid = world.inspect(task, "front")["State"]["Pid"]
    assert wait_for(lambda: _page_from(pid, f"http://{second}:8080/"), seconds=10) == "from-other\n"
    world.stop(other)


def test_names_and_the_way_out_are_configured(world: World, task: str) -> None:
    inside = world.facts(task, "front")
    eni = details(world.describe(task))
    gateway = inside["route"].split()[2]
    assert ipaddress.ip_address(gateway)
    assert gateway != eni["privateIPv4Address"]
    assert inside["resolv"].startswith("nameserver ")
    hosts = Path(f"/proc/{world.inspect(task, 'front')['State']['Pid']}/root/etc/hosts").read_text()
    assert [eni["privateIPv4Address"], eni["privateDnsName"]] in [line.split() for line in hosts.splitlines()]


def test_everything_of_the_network_goes_with_the_task(world: World) -> None:
    task = world.run(world.container(), networkMode="awsvpc", run={"networkConfiguration": network(world)})
    address = details(world.reaches(task, "RUNNING"))["privateIPv4Address"]
    (route,) = _routes(address)
    interface = route.split()[route.split().index("dev") + 1]
    assert Path(f"/sys/class/net/{interface}").exists()
    assert len(world.engine.containers_of(task)) == 2
    (stopped,) = world.stop(task)
    assert stopped["attachments"][0]["status"] == "DELETED"
    assert _routes(address) == []
    assert not Path(f"/sys/class/net/{interface}").exists()
    assert [c["State"] for c in world.engine.containers_of(task)] == ["exited"]


def test_a_fargate_task_runs_within_its_size(world: World) -> None:
    arn = world.run(
        world.container(script=LOOK + STAY, memory=None),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        run={"launchType": "FARGATE", "networkConfiguration": network(world, assignPublicIp="ENABLED")},
    )
    task = world.reaches(arn, "RUNNING")
    assert task["launchType"] == "FARGATE"
    assert "containerInstanceArn" not in task
    assert (task["cpu"], task["memory"]) == ("256", "512")
    assert world.facts(arn)["address"].split("/")[0] == details(task)["privateIPv4Address"]
    pid = world.inspect(arn)["State"]["Pid"]
    memory, cpu = cgroup(pid, "memory").parent, cgroup(pid, "cpu").parent
    assert memory.name.startswith(arn.split("/")[-1]) or arn.split("/")[-1] in memory.name
    if (memory / "memory.limit_in_bytes").exists():
        assert int((memory / "memory.limit_in_bytes").read_text()) == 512 * 1024 * 1024
        quota, period = (int((cpu / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    else:
        assert int((memory / "memory.max").read_text()) == 512 * 1024 * 1024
        quota, period = map(int, (cpu / "cpu.max").read_text().split())
    assert quota / period == 0.25
    world.stop(arn)
    assert not memory.exists()
    assert not cpu.exists()


def _routes(address: str) -> list[str]:
    done = subprocess.run(["ip", "-4", "route", "show", address], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _page_from(pid: int, url: str) -> str | None:
    """A page as a process's network sees it."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "busybox", "wget", "-qO-", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout or None
