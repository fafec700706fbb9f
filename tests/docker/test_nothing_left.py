"""After ``openecs down`` nothing of an installation's tasks is left on the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from conformance_support import Installation
from docker_world import CGROUPS, World


@pytest.fixture
def visitor(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[World]:
    """A second installation on the machine, which is down at the end whatever happens."""
    installation = Installation(tmp_path_factory.mktemp("visitor"), "--runtime", "docker")
    installation.up()
    try:
        yield World(installation, world.image)
    finally:
        installation.down()


def test_down_removes_containers_volumes_cgroups_and_networks(world: World, visitor: World) -> None:
    subnet = visitor.installation.subnet()
    network = {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}}}
    staying = world.run(world.container(), networkMode="awsvpc", run=_network(world))
    tasks = [
        visitor.run(
            visitor.container(
                portMappings=[{"containerPort": 80}], mountPoints=[{"sourceVolume": "own", "containerPath": "/own"}]
            ),
            visitor.container("beside", "exit 0", essential=False),
            volumes=[{"name": "own", "host": {}}],
            cpu="256",
            memory="256",
        ),
        visitor.run(visitor.container(), networkMode="awsvpc", cpu="256", memory="256", run=network),
    ]
    ended = visitor.run(visitor.container(script="exit 1"))
    running = [visitor.reaches(task, "RUNNING") for task in tasks]
    visitor.reaches(ended, "STOPPED")
    details = {d["name"]: d["value"] for d in running[1]["attachments"][0]["details"]}
    address = details["privateIPv4Address"]
    world.reaches(staying, "RUNNING")
    engine = visitor.engine
    (volume,) = [mount["Name"] for mount in visitor.inspect(tasks[0])["Mounts"]]
    ids = [task.rpartition("/")[2] for task in (*tasks, ended)]
    assert volume in engine.volumes()
    assert address in _said("ip", "-4", "route")
    visitor.installation.down()
    assert [engine.containers_of(task) for task in (*tasks, ended)] == [[], [], []]
    assert volume not in engine.volumes()
    assert address not in _said("ip", "-4", "route")
    gateway = ".".join(address.split(".")[:3]) + ".1/"
    assert gateway not in _said("ip", "-4", "address", "show", "dev", "lo")
    assert f"eni{_hex(address)}" not in _said("ip", "link")
    left = [path for path in CGROUPS.rglob("*") if path.is_dir() and path.name.rpartition("-")[2] in ids]
    assert left == []
    # The neighbour keeps what it has.
    assert world.describe(staying)["lastStatus"] == "RUNNING"
    assert world.inspect(staying)["State"]["Running"] is True
    world.stop(staying)


def test_keeping_tasks_keeps_their_containers_and_up_takes_them_over(visitor: World) -> None:
    task = visitor.run(visitor.container())
    visitor.reaches(task, "RUNNING")
    container_id = visitor.runtime_id(task)
    visitor.installation.down("--keep-tasks")
    assert visitor.engine.inspect(container_id)["State"]["Running"] is True
    visitor.installation.up()
    assert visitor.describe(task)["lastStatus"] == "RUNNING"
    (stopped,) = visitor.stop(task)
    assert stopped["containers"][0]["runtimeId"] == container_id


def _network(world: World) -> dict[str, object]:
    return {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}}


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _hex(address: str) -> str:
    return "".join(f"{int(part):02x}" for part in address.split("."))
