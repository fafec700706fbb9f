"""A task with a public address: the host reaches it there, and at a port that it publishes."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from docker_world import STAY, World, fetch


def public(world: World) -> dict[str, Any]:
    network = {"subnets": [world.installation.subnet()], "assignPublicIp": "ENABLED"}
    return {"networkConfiguration": {"awsvpcConfiguration": network}, "launchType": "FARGATE"}


def start(world: World, ports: str) -> str:
    return world.run(
        world.container(
            script="echo public > /tmp/index.html; httpd -p 8080 -h /tmp; " + STAY,
            memory=None,
            dockerLabels={"openecs.publish": ports},
        ),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        run=public(world),
    )


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_the_host_reaches_a_public_address_and_a_published_port(world: World) -> None:
    port = free_port()
    task = start(world, f"{port}:8080")
    (attachment,) = world.reaches(task, "RUNNING")["attachments"]
    details = {item["name"]: item["value"] for item in attachment["details"]}
    ec2 = world.installation.client("ec2")
    (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert fetch(interface["Association"]["PublicIp"], 8080) == "public\n"
    assert fetch("127.0.0.1", port) == "public\n"
    # The port is this task's.
    second = start(world, f"{port}:8080")
    reason = world.reaches(second, "STOPPED")["stoppedReason"]
    assert f"the host's port {port}/tcp that the label openecs.publish asks for cannot be had" in reason
    world.stop(task)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_ports_are_published_for_tasks_with_a_public_address_only(world: World) -> None:
    task = world.run(
        world.container(dockerLabels={"openecs.publish": "8080:80"}),
        networkMode="awsvpc",
        run={"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}},
    )
    assert "set assignPublicIp to ENABLED" in world.reaches(task, "STOPPED")["stoppedReason"]
