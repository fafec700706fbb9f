"""Blue/green deployment of a service that is called through Service Connect, on the real engine; its access log."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import Any

from deployed_service import DeployedService, deployed
from docker_world import World
from waiting import wait_for
from web_tasks import web_task

#: Calls for ever, with and without the header of test traffic: one line for each answer.
CALL = (
    "trap 'exit 0' TERM; "
    "while :; do "
    "echo plain $(wget -qO- http://web:8080/version?secret=1 || echo failed); "
    "echo test $(wget -qO- --header 'X-Try: yes' http://web:8080/version || echo failed); "
    "done"
)


def test_marked_requests_see_the_new_revision_first_and_none_fails(world: World) -> None:
    cloud_map: Any = world.installation.client("servicediscovery", inject_host_prefix=False)
    namespace = f"n{uuid.uuid4().hex[:8]}"
    cloud_map.create_http_namespace(Name=namespace)
    network = {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}
    rules = {"header": {"name": "X-Try", "value": {"exact": "yes"}}}
    connect = {
        "enabled": True,
        "namespace": namespace,
        "services": [
            {"portName": "web", "clientAliases": [{"port": 8080, "dnsName": "web", "testTrafficRules": rules}]}
        ],
        "logConfiguration": {"logDriver": "json-file"},
        "accessLogConfiguration": {"format": "JSON"},
    }
    with deployed(world) as client, deployed(world) as server:
        server.create(
            revision(server, "v1"),
            1,
            networkConfiguration=network,
            serviceConnectConfiguration=connect,
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        )
        server.stable()
        client.create(
            world.register(world.container(script=CALL), family=client.name, networkMode="awsvpc"),
            1,
            networkConfiguration=network,
            serviceConnectConfiguration={"enabled": True, "namespace": namespace},
        )
        client.stable()
        (calls,) = (world.runtime_id(task["taskArn"]) for task in client.tasks())
        first = answers(world, calls, {"plain v1": 5, "test v1": 5})
        pause = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
        deployment = server.update(
            taskDefinition=revision(server, "v2"),
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [pause]},
        )
        hook = server.until(lambda: waiting_hook(server, deployment), "a paused deployment")
        seen = answers(world, calls)
        second = answers(world, calls, {line: seen[line] + 10 for line in ("plain v1", "test v2")})
        assert set(second - seen) == {"plain v1", "test v2"}
        world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=hook, action="CONTINUE")
        server.ends(deployment, "SUCCESSFUL")
        seen = answers(world, calls)
        last = answers(world, calls, {line: seen[line] + 10 for line in ("plain v2", "test v2")})
        assert set(last - seen) == {"plain v2", "test v2"}
        assert set(first) | set(last) == {"plain v1", "test v1", "plain v2", "test v2"}
        server.nothing_stray()
        (green,) = server.tasks()
        lines = access_lines(world, green["taskArn"])
        assert {(line["method"], line["path"], line["response_code"]) for line in lines} == {("GET", "/version", 200)}


def revision(service: DeployedService, version: str) -> str:
    ports = [{"containerPort": 80, "name": "web", "appProtocol": "http"}]
    # Requests come as soon as it is healthy, and not before its program listens.
    health = {"command": ["CMD", "wget", "-qO-", "http://127.0.0.1/health"], "interval": 5}
    reply = service.world.ecs.register_task_definition(
        family=service.name, **web_task(service.world.image, f"{version}=80", portMappings=ports, healthCheck=health)
    )
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def waiting_hook(service: DeployedService, deployment: str) -> str | None:
    details = service.rollout(deployment).get("lifecycleHookDetails", [])
    return next((one["hookId"] for one in details if one["status"] == "AWAITING_ACTION"), None)


def answers(world: World, container: str, least: dict[str, int] | None = None) -> Counter[str]:
    """How often the client was given each answer, once it was given some of them often enough."""

    def look() -> Counter[str] | None:
        found = Counter(world.engine.output(container).splitlines())
        return found if all(found[line] >= count for line, count in (least or {}).items()) else None

    try:
        result: Counter[str] = wait_for(look, seconds=20, what=f"{least}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{Counter(world.engine.output(container).splitlines())}") from None
    return result


def access_lines(world: World, task: str) -> list[dict[str, Any]]:
    """What the proxy of a task has written, by way of the container that holds its network."""
    (pause,) = (c for c in world.engine.containers_of(task) if c["Id"] != world.runtime_id(task))
    text = wait_for(lambda: world.engine.output(pause["Id"]), seconds=15, what="a line of the proxy")
    return [json.loads(line) for line in text.splitlines()]
