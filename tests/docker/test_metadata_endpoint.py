"""What programs in tasks ask 169.254.170.2: metadata and stats in every network mode, and role keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from docker_world import STAY, World
from waiting import wait_for

ROLE = "arn:aws:iam::000000000000:role/shop-role"
PATHS = ("", "/task", "/stats", "/task/stats")
#: A container may ask before its agent knows that it runs, so it asks until that is said.
ASK = (
    'until wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task | grep -q \'"TaskARN".*"KnownStatus":"RUNNING"\'; '
    "do sleep 0.1; done; "
    "echo uri=$ECS_CONTAINER_METADATA_URI_V4; echo keys=$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; "
    + "".join(f'echo "reply{path}=$(wget -qO- $ECS_CONTAINER_METADATA_URI_V4{path})"; ' for path in PATHS)
    + 'echo "role=$(wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)"; '
)
DONE = "echo done; " + STAY


def network(world: World) -> dict[str, Any]:
    return {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}}


@pytest.fixture(scope="module", params=["bridge", "host", "awsvpc"])
def asked(request: pytest.FixtureRequest, world: World) -> Iterator[tuple[str, str, dict[str, str]]]:
    """A network mode, the ARN of a task in it, and what its container was told."""
    mode = request.param
    task = world.run(
        world.container(script=ASK + DONE, cpu=64, memory=48, portMappings=[{"containerPort": 8080}]),
        world.container("beside"),
        networkMode=mode,
        taskRoleArn=ROLE,
        cpu="512",
        memory="256",
        run=network(world) if mode == "awsvpc" else {},
    )
    world.reaches(task, "RUNNING")
    yield mode, task, world.facts(task)
    world.stop(task)


def test_the_containers_own_page(world: World, asked: tuple[str, str, dict[str, str]]) -> None:
    mode, task, told = asked
    page = json.loads(told["reply"])
    info = world.inspect(task)
    assert told["uri"].startswith("http://169.254.170.2/v4/")
    assert page["DockerId"] == info["Id"]
    assert page["DockerName"] == info["Name"].lstrip("/")
    assert (page["Name"], page["Image"], page["ImageID"]) == ("main", world.image, info["Image"])
    assert page["Labels"]["com.amazonaws.ecs.task-arn"] == task
    assert page["Limits"] == {"CPU": 64, "Memory": 48}
    assert page["DesiredStatus"] == "RUNNING"
    assert page["Type"] == "NORMAL"
    shown = next(c for c in world.describe(task)["containers"] if c["name"] == "main")
    assert page["ContainerARN"] == shown["containerArn"]
    (interface,) = page["Networks"]
    assert interface["NetworkMode"] == mode
    if mode == "bridge":
        assert interface["IPv4Addresses"] == [info["NetworkSettings"]["IPAddress"]]
        assert page["Ports"][0]["ContainerPort"] == 8080
        assert page["Ports"][0]["HostPort"] == shown["networkBindings"][0]["hostPort"]
    if mode == "awsvpc":
        details = {d["name"]: d["value"] for d in world.describe(task)["attachments"][0]["details"]}
        assert interface["IPv4Addresses"] == [details["privateIPv4Address"]]
        assert interface["MACAddress"] == details["macAddress"]
    created = datetime.fromisoformat(page["CreatedAt"])
    assert created <= datetime.fromisoformat(page["StartedAt"])


def test_the_tasks_page(world: World, asked: tuple[str, str, dict[str, str]]) -> None:
    _, task, told = asked
    page = json.loads(told["reply/task"])
    shown = world.describe(task)
    assert page["TaskARN"] == task
    assert page["Cluster"] == shown["clusterArn"]
    family, _, revision = shown["taskDefinitionArn"].rpartition("/")[2].partition(":")
    assert (page["Family"], page["Revision"]) == (family, revision)
    assert page["LaunchType"] == shown["launchType"] == "EC2"
    assert page["AvailabilityZone"] == shown["availabilityZone"]
    assert page["Limits"] == {"CPU": 0.5, "Memory": 256}
    assert page["DesiredStatus"] == "RUNNING"
    own = {container["Name"] for container in page["Containers"] if container["Type"] == "NORMAL"}
    assert own == {"main", "beside"}
    assert page["KnownStatus"] == "RUNNING"


def test_the_statistics(world: World, asked: tuple[str, str, dict[str, str]]) -> None:
    _, task, told = asked
    own, whole = json.loads(told["reply/stats"]), json.loads(told["reply/task/stats"])
    container_id = world.runtime_id(task)
    assert own["id"] == container_id
    assert own["memory_stats"]["usage"] > 0
    assert own["memory_stats"]["limit"] == 48 * 1024 * 1024
    assert own["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert whole[container_id]["id"] == container_id


def test_the_roles_keys_work_as_the_role_and_end_with_the_task(world: World) -> None:
    task = world.run(world.container(script=ASK + DONE), taskRoleArn=ROLE)
    world.reaches(task, "RUNNING")
    told = world.facts(task)
    keys = json.loads(told["role"])
    assert told["keys"].startswith("/v2/credentials/")
    assert keys["RoleArn"] == ROLE
    assert keys["AccessKeyId"].startswith("ASIA")
    assert keys["Expiration"].endswith("Z")
    sts, ecs = (_client(world, service, keys) for service in ("sts", "ecs"))
    identity = sts.get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == f"arn:aws:sts::000000000000:assumed-role/shop-role/{task.rpartition('/')[2]}"
    with pytest.raises(ClientError) as denied:
        ecs.list_clusters()
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"
    assert keys["SecretAccessKey"] not in world.installation.log("agent")
    world.stop(task)
    refused = wait_for(lambda: _refusal(sts), seconds=10, what="the keys to end")
    assert refused == "InvalidClientTokenId"


def test_a_task_without_a_role_gets_no_keys(world: World) -> None:
    task = world.run(world.container(script="env; " + DONE))
    world.reaches(task, "RUNNING")
    told = world.facts(task)
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" not in told
    assert "ECS_CONTAINER_METADATA_URI" in told
    world.stop(task)


def _client(world: World, service: str, keys: dict[str, str]) -> Any:
    return boto3.session.Session().client(
        service,
        region_name="us-east-1",
        endpoint_url=world.installation.credentials["AWS_ENDPOINT_URL"],
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
    )


def _refusal(sts: Any) -> str | None:
    try:
        sts.get_caller_identity()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None
