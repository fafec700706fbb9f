"""What a definition says of a container's process and its surroundings, seen from inside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from docker_world import STAY, World, by_name, cgroup, status_field

LOOK = """
echo user=$(id -u):$(id -g)
echo groups=$(id -G)
echo directory=$(pwd)
echo host=$(hostname)
echo argument=$0
echo nofile=$(ulimit -n) hard=$(ulimit -Hn)
echo core=$(ulimit -c)
echo init=$(cat /proc/1/comm)
echo shm=$(df -m /dev/shm | tail -1 | awk '{print $2}')
echo scratch=$(grep ' /scratch ' /proc/mounts)
echo root=$(grep ' / ' /proc/mounts | awk '{print $4}')
echo write=$(touch /written 2>/dev/null && echo yes || echo no)
echo somaxconn=$(cat /proc/sys/net/core/somaxconn)
echo msgmax=$(cat /proc/sys/kernel/msgmax)
echo null=$(ls -l /dev/mynull 2>/dev/null | awk '{print $5 $6}')
echo tty=$(test -t 2 && echo yes || echo no)
echo stdin=$(readlink /proc/self/fd/0)
echo zero=$(dd if=/dev/zero of=/dev/mynull count=1 2>/dev/null && echo writable || echo refused)
env
"""


@pytest.fixture(scope="module")
def settings(world: World) -> Any:
    """One task whose containers carry every setting that can be seen from inside."""
    task = world.run(
        world.container(
            "rich",
            entryPoint=["sh", "-c", LOOK + "echo done\n" + STAY],
            command=["the-argument"],
            environment=[{"name": "COLOUR", "value": "bl ue=1"}, {"name": "EMPTY", "value": ""}],
            user="1234:2345",
            workingDirectory="/var/log",
            hostname="chosen.example",
            cpu=256,
            memory=48,
            memoryReservation=24,
            ulimits=[
                {"name": "nofile", "softLimit": 1000, "hardLimit": 20000},
                {"name": "core", "softLimit": 0, "hardLimit": 0},
            ],
            dockerLabels={"shop.example/tier": "front", "com.amazonaws.ecs.task-arn": "mine"},
            dockerSecurityOptions=["no-new-privileges"],
            systemControls=[
                {"namespace": "net.core.somaxconn", "value": "1234"},
                {"namespace": "kernel.msgmax", "value": "12345"},
            ],
            linuxParameters={
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD", "CHOWN"]},
                "devices": [
                    {"hostPath": "/dev/null", "containerPath": "/dev/mynull", "permissions": ["read", "write"]}
                ],
                "initProcessEnabled": True,
                "sharedMemorySize": 33,
                "tmpfs": [{"containerPath": "/scratch", "size": 7, "mountOptions": ["noexec", "mode=700"]}],
                "maxSwap": 16,
                "swappiness": 11,
            },
        ),
        world.container("sealed", LOOK + "echo done\n" + STAY, readonlyRootFilesystem=True),
        world.container("open", LOOK + "echo done\n" + STAY, interactive=True),
        # The user is known by name in the image.
        world.container("named", LOOK + "echo done\n" + STAY, user="nobody:nogroup", pseudoTerminal=True),
    )
    world.reaches(task, "RUNNING")
    yield task
    world.stop(task)


@pytest.fixture(scope="module")
def rich(world: World, settings: str) -> dict[str, str]:
    return world.facts(settings, "rich")


def test_entry_point_and_command(rich: dict[str, str]) -> None:
    assert rich["argument"] == "the-argument"


def test_environment(rich: dict[str, str]) -> None:
    assert rich["COLOUR"] == "bl ue=1"
    assert rich["EMPTY"] == ""
    assert rich["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"
    assert rich["AWS_REGION"] == rich["AWS_DEFAULT_REGION"] == "us-east-1"
    assert "AWS_SECRET_ACCESS_KEY" not in rich


def test_user_directory_and_host_name(world: World, settings: str, rich: dict[str, str]) -> None:
    assert rich["user"] == "1234:2345"
    assert rich["directory"] == "/var/log"
    assert rich["host"] == "chosen.example"
    assert world.facts(settings, "sealed")["user"] == "0:0"


def test_ulimits(world: World, settings: str, rich: dict[str, str]) -> None:
    assert rich["nofile"] == "1000 hard=20000"
    assert rich["core"] == "0"
    assert world.facts(settings, "sealed")["nofile"] != rich["nofile"]


def test_init_process(world: World, settings: str, rich: dict[str, str]) -> None:
    assert rich["init"] in ("docker-init", "tini")
    assert world.facts(settings, "sealed")["init"] == "sh"


def test_shared_memory_and_tmpfs(world: World, settings: str, rich: dict[str, str]) -> None:
    assert rich["shm"] == "33"
    kind, where, what, options, *_ = rich["scratch"].split()
    assert (kind, where, what) == ("tmpfs", "/scratch", "tmpfs")
    assert {"size=7168k", "noexec", "mode=700"} <= set(options.split(","))
    assert world.facts(settings, "sealed")["scratch"] == ""


def test_read_only_root(world: World, settings: str) -> None:
    sealed, other = world.facts(settings, "sealed"), world.facts(settings, "open")
    assert sealed["root"].split(",")[0] == "ro"
    assert sealed["write"] == "no"
    assert other["root"].split(",")[0] == "rw"
    assert other["write"] == "yes"


def test_system_controls(rich: dict[str, str]) -> None:
    assert rich["somaxconn"] == "1234"
    assert rich["msgmax"] == "12345"


def test_devices(rich: dict[str, str]) -> None:
    assert rich["null"] == "1,3"
    assert rich["zero"] == "writable"


def capabilities(world: World, settings: str, name: str) -> int:
    return int(status_field(world.inspect(settings, name)["State"]["Pid"], "CapBnd"), 16)


def test_capabilities(world: World, settings: str) -> None:
    chown, net_admin, sys_admin, mknod = (1 << number for number in (0, 12, 21, 27))
    rich, plain = (capabilities(world, settings, name) for name in ("rich", "sealed"))
    assert rich & net_admin
    assert not rich & (chown | mknod | sys_admin)
    assert plain & chown
    assert plain & mknod
    assert not plain & (net_admin | sys_admin)


def test_privileged(world: World) -> None:
    task = world.run(world.container(privileged=True))
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    every, ours = (1 << last + 1) - 1, int(status_field(os.getpid(), "CapBnd"), 16)
    seen = world.until(task, lambda seen: seen["lastStatus"] in ("RUNNING", "STOPPED"))
    # An engine that lacks a capability itself cannot give all of them away: Docker 20.10 says so,
    # newer ones give what they have.
    if ours == every or seen["lastStatus"] == "RUNNING":
        world.reaches(task, "RUNNING")
        assert capabilities(world, task, "main") == ours
        world.stop(task)
    else:
        stopped = world.reaches(task, "STOPPED")
        assert stopped["stopCode"] == "TaskFailedToStart"
        assert stopped["stoppedReason"].startswith("CannotStartContainerError: Error response from daemon: ")
        assert "unable to apply caps" in stopped["stoppedReason"]
    assert world.inspect(task)["HostConfig"]["Privileged"] is True


def test_security_options(world: World, settings: str) -> None:
    assert status_field(world.inspect(settings, "rich")["State"]["Pid"], "NoNewPrivs") == "1"
    assert status_field(world.inspect(settings, "sealed")["State"]["Pid"], "NoNewPrivs") == "0"


def test_labels_are_the_users_and_ours_win(world: World, settings: str) -> None:
    labels = world.inspect(settings, "rich")["Config"]["Labels"]
    assert labels["shop.example/tier"] == "front"
    assert labels["com.amazonaws.ecs.task-arn"] == settings
    assert labels["com.amazonaws.ecs.container-name"] == "rich"
    assert labels["com.amazonaws.ecs.cluster"].endswith(":cluster/default")


def test_terminal_and_standard_input(world: World, settings: str) -> None:
    assert world.inspect(settings, "open")["Config"]["OpenStdin"] is True
    assert world.facts(settings, "open")["stdin"].startswith("pipe:")
    assert world.facts(settings, "sealed")["stdin"] == "/dev/null"
    assert world.facts(settings, "sealed")["tty"] == "no"
    # The engine keeps a terminal's output as it is, without frames.
    raw = world.engine.get(f"/containers/{world.runtime_id(settings, 'named')}/logs?stdout=1").decode()
    assert "tty=yes\r\n" in raw
    assert "user=65534:65534\r\n" in raw


def test_cpu_and_memory_of_a_container(world: World, settings: str) -> None:
    pid = world.inspect(settings, "rich")["State"]["Pid"]
    cpu, memory = cgroup(pid, "cpu"), cgroup(pid, "memory")
    other = cgroup(world.inspect(settings, "sealed")["State"]["Pid"], "cpu")
    mib = 1024 * 1024
    if (memory / "memory.limit_in_bytes").exists():
        assert (cpu / "cpu.shares").read_text().strip() == "256"
        assert (other / "cpu.shares").read_text().strip() == "2"
        assert (memory / "memory.limit_in_bytes").read_text().strip() == str(48 * mib)
        assert (memory / "memory.soft_limit_in_bytes").read_text().strip() == str(24 * mib)
        assert (memory / "memory.swappiness").read_text().strip() == "11"
        if (memory / "memory.memsw.limit_in_bytes").exists():
            assert (memory / "memory.memsw.limit_in_bytes").read_text().strip() == str((48 + 16) * mib)
    else:
        # A share of 1024 is a weight of 39, one of 2 the least there is.
        assert (other / "cpu.weight").read_text().strip() == "1"
        assert int((cpu / "cpu.weight").read_text()) > 1
        assert (memory / "memory.max").read_text().strip() == str(48 * mib)
        assert (memory / "memory.low").read_text().strip() == str(24 * mib)
        assert (memory / "memory.swap.max").read_text().strip() == str(16 * mib)


def test_what_is_reported(world: World, settings: str) -> None:
    task = world.describe(settings)
    rich = by_name(task)["rich"]
    assert rich["cpu"] == "256"
    assert rich["memory"] == "48"
    assert rich["memoryReservation"] == "24"
    assert rich["image"] == world.image
    assert world.inspect(settings, "rich")["Image"].startswith("sha256:")
    assert "pullStartedAt" not in task, "nothing was pulled: the image is the machine's own"
