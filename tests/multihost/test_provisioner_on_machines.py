"""Managed scaling with a provisioner whose machines have engines of their own: tasks bring hosts, and hosts go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_support import BIN, Installation
from machine_room import MachineRoom
from multihost_machines import Fabric
from multihost_site import STAY, saved_image
from waiting import wait_for

GROUP = CLUSTER = "provisioned"


@pytest.fixture(scope="module")
def room(busybox_image: str) -> Iterator[MachineRoom]:
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="openecs-room-") as folder:
        fabric = Fabric()
        room = MachineRoom(Path(folder), fabric, BIN / "openecs", saved_image(busybox_image))
        try:
            yield room
        finally:
            room.close()
            fabric.kill()


@pytest.fixture(scope="module")
def plane(room: MachineRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    address = room.fabric.address
    installation = Installation(
        tmp_path_factory.mktemp("plane"), "--no-agent", "--bind", address, "--provisioner", str(room.provisioner)
    )
    installation.up("--advertise-url", f"http://{address}:{installation.port}")
    yield installation
    installation.down("--keep-tasks")


def group_of(plane: Installation) -> dict[str, Any]:
    found: dict[str, Any] = plane.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
        "AutoScalingGroups"
    ][0]
    return found


def capacity(plane: Installation) -> None:
    """A cluster whose machines come from a group that has none yet."""
    ecs, autoscaling = plane.client("ecs"), plane.client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=2,
        AvailabilityZones=["us-east-1a"],
        NewInstancesProtectedFromScaleIn=True,
    )
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.create_capacity_provider(
        name="own",
        autoScalingGroupProvider={
            "autoScalingGroupArn": group_of(plane)["AutoScalingGroupARN"],
            "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
            "managedTerminationProtection": "ENABLED",
        },
    )
    strategy = [{"capacityProvider": "own", "weight": 1}]
    ecs.put_cluster_capacity_providers(
        cluster=CLUSTER, capacityProviders=["own"], defaultCapacityProviderStrategy=strategy
    )


def test_tasks_bring_machines_and_machines_go_when_they_are_empty(
    plane: Installation, room: MachineRoom, busybox_image: str
) -> None:
    ecs = plane.client("ecs")
    capacity(plane)
    # Each fills more than half of a machine's 512 MiB.
    main = {"name": "main", "image": busybox_image, "memory": 300, "command": ["sh", "-c", STAY]}
    ecs.register_task_definition(family="big", containerDefinitions=[main])
    ecs.create_service(cluster=CLUSTER, serviceName="big", taskDefinition="big", desiredCount=2)

    def service() -> dict[str, Any]:
        found: dict[str, Any] = ecs.describe_services(cluster=CLUSTER, services=["big"])["services"][0]
        return found

    arns = wait_for(
        lambda: ecs.list_tasks(cluster=CLUSTER, serviceName="big")["taskArns"], seconds=20, what="tasks of the service"
    )
    # There is no machine at all yet.
    waiting = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
    assert {task["lastStatus"] for task in waiting} == {"PROVISIONING"}
    wait_for(lambda: service()["runningCount"] == 2, seconds=100, what="two tasks on machines that came for them")
    tasks = ecs.describe_tasks(cluster=CLUSTER, tasks=ecs.list_tasks(cluster=CLUSTER, serviceName="big")["taskArns"])[
        "tasks"
    ]
    # Each runs in the engine of a machine of its own.
    engines = [machine.engine for machine, _ in room.running.values()]
    assert sorted(sum(engine.running(task["taskArn"]) for engine in engines) for task in tasks) == [1, 1]
    assert all(sum(engine.running(task["taskArn"]) for task in tasks) == 1 for engine in engines)
    instances = {one["InstanceId"]: one for one in group_of(plane)["Instances"]}
    assert set(instances) == set(room.running)
    assert [one["LifecycleState"] for one in instances.values()] == ["InService"] * 2
    wait_for(
        lambda: all(one["ProtectedFromScaleIn"] for one in group_of(plane)["Instances"]),
        seconds=20,
        what="machines with tasks are protected",
    )
    if not os.environ.get("OPENECS_SOAK"):
        # Managed scale-in takes fifteen minutes: here somebody asks for fewer.
        ecs.update_service(cluster=CLUSTER, service="big", desiredCount=1)
        wait_for(lambda: one_is_free(plane), seconds=40, what="the empty machine is not protected any more")
        plane.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
        wait_for(lambda: len(room.running) == 1, seconds=60, what="the empty machine is stopped")
        # The machine with the task was left alone.
        assert service()["runningCount"] == 1
        assert any(machine.engine.running(task["taskArn"]) for machine, _ in room.running.values() for task in tasks)
    ecs.update_service(cluster=CLUSTER, service="big", desiredCount=0)
    if os.environ.get("OPENECS_SOAK"):
        wait_for(lambda: not room.running, seconds=2700, what="managed scaling stops both machines")
    else:
        plane.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=0)
        wait_for(lambda: not room.running, seconds=60, what="the last machine is stopped")
    wait_for(lambda: not group_of(plane)["Instances"], seconds=30, what="the group is empty")
    assert ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"] == []
    assert {action for action, _ in room.asked} == {"start", "stop"}


def one_is_free(plane: Installation) -> bool:
    return sum(not one["ProtectedFromScaleIn"] for one in group_of(plane)["Instances"]) == 1
