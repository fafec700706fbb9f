"""HTTP/2 and gRPC through Service Connect on the real engine, in tasks that call and are called."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import grpc
from deployed_service import deployed
from docker_world import World
from waiting import wait_for
from web_tasks import web_task

#: The name of each port, which is also what it is called by, and what it speaks.
PORTS = {9000: ("echo", "grpc"), 9001: ("plain", "http2")}


def test_calls_and_streams_of_one_connection_are_shared_out_over_tasks(world: World) -> None:
    namespace = f"n{uuid.uuid4().hex[:8]}"
    cloud_map: Any = world.installation.client("servicediscovery", inject_host_prefix=False)
    cloud_map.create_http_namespace(Name=namespace)
    words = [*(f"grpc={port}" for port in PORTS), *(f"call:{name}=50051" for name, _ in PORTS.values())]
    mappings = [
        {"containerPort": port, "name": name, "appProtocol": protocol} for port, (name, protocol) in PORTS.items()
    ]
    services = [
        {"portName": name, "clientAliases": [{"port": 50051, "dnsName": name}], "timeout": {"idleTimeoutSeconds": 60}}
        for name, _ in PORTS.values()
    ]
    with deployed(world) as service:
        definition = world.ecs.register_task_definition(
            family=service.name, **web_task(world.image, *words, portMappings=mappings)
        )["taskDefinition"]["taskDefinitionArn"]
        service.create(
            definition,
            2,
            networkConfiguration={"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}},
            serviceConnectConfiguration={"enabled": True, "namespace": namespace, "services": services},
        )
        service.stable()
        tasks = service.tasks()
        # Nobody calls before all servers listen: tasks that refuse connections are left out for half a minute.
        for method in ("Say", "Go"):
            for task in tasks:
                ask(task, method)
        arns = [task["taskArn"] for task in tasks]
        # Each task knows its own service's names too, and has one connection for each.
        wanted = {f"{name} a!b!c {host(world, arn)}" for name, _ in PORTS.values() for arn in arns}
        for arn in arns:
            answered(world, arn, wanted, 20)
            assert set(answers(world, arn)) == wanted


def ask(task: dict[str, Any], method: str) -> None:
    """Call a method of the task's server directly."""
    address = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    with grpc.insecure_channel(f"{address}:{min(PORTS)}") as channel:
        assert channel.unary_unary(f"/test.Echo/{method}")(b"x", timeout=20, wait_for_ready=True) == b"x"


def answered(world: World, task: str, wanted: set[str], often: int) -> None:
    """Wait until the task was given each of the answers that often."""
    try:
        wait_for(lambda: all(answers(world, task)[line] >= often for line in wanted), seconds=20, what=f"{wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{answers(world, task).most_common(20)}") from None


def answers(world: World, task: str) -> Counter[str]:
    return Counter(world.output(task).splitlines())


def host(world: World, task: str) -> str:
    """What the task's containers take for their host's name."""
    for container in world.engine.containers_of(task):
        name: str = world.engine.inspect(container["Id"])["Config"]["Hostname"]
        if name:
            return name
    raise AssertionError(f"no container of {task} has a host name")
