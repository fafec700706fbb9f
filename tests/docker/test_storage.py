"""Volumes: the host's folders, the task's own, shared ones; mounts and volumesFrom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_world import STAY, World


@pytest.fixture
def shared(world: World) -> Iterator[str]:
    """The name of a shared volume that is removed at the end."""
    name = "openecs-test-" + uuid.uuid4().hex[:12]
    yield name
    for container in world.engine.containers():
        if any(mount.get("Name") == name for mount in container["Mounts"]):
            world.engine.call("DELETE", f"/containers/{container['Id']}?force=1")
    world.engine.remove_volume(name)


def test_every_kind_of_volume_is_mounted_where_it_should_be(world: World, shared: str, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host\n")
    write = "echo by-writer | tee /own/f /task/f /shared/f /bound/f > /dev/null; echo done; "
    read = (
        "for d in own task shared bound; do until test -s /$d/f; do sleep 0.05; done; "
        "echo $d=$(cat /$d/f); touch /$d/g 2>/dev/null && echo $d.write=yes || echo $d.write=no; done; "
        "echo given=$(cat /bound/given); echo done; "
    )
    mounts = [{"sourceVolume": name, "containerPath": f"/{name}"} for name in ("own", "task", "shared", "bound")]
    task = world.run(
        world.container("writer", write + STAY, mountPoints=mounts),
        world.container("reader", read + STAY, mountPoints=[{**mount, "readOnly": True} for mount in mounts]),
        world.container("heir", read + STAY, volumesFrom=[{"sourceContainer": "writer"}]),
        world.container("strict", read + STAY, volumesFrom=[{"sourceContainer": "writer", "readOnly": True}]),
        volumes=[
            {"name": "own", "host": {}},
            {"name": "bound", "host": {"sourcePath": str(tmp_path)}},
            {
                "name": "task",
                "dockerVolumeConfiguration": {"scope": "task", "driver": "local", "labels": {"colour": "blue"}},
            },
            {"name": "shared", "dockerVolumeConfiguration": {"scope": "task", "driver": "local"}},
        ],
    )
    world.reaches(task, "RUNNING")
    for name, writes in (("reader", "no"), ("heir", "yes"), ("strict", "no")):
        facts = world.facts(task, name)
        for volume in ("own", "task", "shared", "bound"):
            assert facts[volume] == "by-writer", (name, volume)
            assert facts[f"{volume}.write"] == writes, (name, volume)
        assert facts["given"] == "from the host"
    assert (tmp_path / "f").read_text() == "by-writer\n"
    mounted = {mount["Destination"]: mount for mount in world.inspect(task, "writer")["Mounts"]}
    assert mounted["/bound"]["Type"] == "bind"
    volume = world.engine.volumes()[mounted["/task"]["Name"]]
    assert volume["Labels"]["colour"] == "blue"
    assert volume["Driver"] == "local"
    assert mounted["/own"]["Name"] in world.engine.volumes()
    world.stop(task)


def test_a_shared_volume_outlives_its_tasks(world: World, shared: str) -> None:
    def volume(**members: object) -> list[dict[str, object]]:
        return [
            {"name": shared, "dockerVolumeConfiguration": {"scope": "shared", "driver": "local", **members}},
        ]

    mount = [{"sourceVolume": shared, "containerPath": "/data"}]
    absent = world.run(world.container(mountPoints=mount), volumes=volume(autoprovision=False))
    stopped = world.reaches(absent, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert f"volume '{shared}' does not exist and autoprovision is set to false" in stopped["stoppedReason"]
    assert world.engine.containers_of(absent) == []
    first = world.run(
        world.container(script="echo kept > /data/f", mountPoints=mount),
        volumes=volume(autoprovision=True, driverOpts={"type": "tmpfs", "device": "tmpfs"}, labels={"owner": "test"}),
    )
    world.reaches(first, "STOPPED")
    made = world.engine.volumes()[shared]
    assert made["Labels"] == {"owner": "test"}
    assert made["Options"] == {"type": "tmpfs", "device": "tmpfs"}
    world.engine.call("DELETE", f"/containers/{world.runtime_id(first)}")
    assert shared in world.engine.volumes()


def test_what_is_kept_in_a_shared_volume_is_there_for_the_next_task(world: World, shared: str) -> None:
    volumes = [{"name": shared, "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True}}]
    mount = [{"sourceVolume": shared, "containerPath": "/data"}]
    first = world.run(world.container(script="echo kept > /data/f", mountPoints=mount), volumes=volumes)
    world.reaches(first, "STOPPED")
    second = world.run(world.container(script="echo f=$(cat /data/f); echo done", mountPoints=mount), volumes=volumes)
    world.reaches(second, "STOPPED")
    assert world.facts(second)["f"] == "kept"
