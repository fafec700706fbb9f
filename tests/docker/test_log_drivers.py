"""logConfiguration: awslogs into OpenECS's own log service, and the engine's own drivers."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from docker_world import STAY, World, by_name
from waiting import wait_for


@pytest.fixture
def group(world: World) -> Iterator[str]:
    name = "/docker/" + uuid.uuid4().hex[:8]
    world.logs.create_log_group(logGroupName=name)
    yield name
    world.logs.delete_log_group(logGroupName=name)


def awslogs(group: str, **options: str) -> dict[str, Any]:
    required = {"awslogs-group": group, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web"}
    return {"logDriver": "awslogs", "options": required | {k.replace("_", "-"): v for k, v in options.items()}}


def messages(world: World, group: str, stream: str) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = world.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        found += [event["message"] for event in page["events"]]
        if page["nextForwardToken"] == token.get("nextToken"):
            return found
        token = {"nextToken": page["nextForwardToken"]}


def stream_of(task: str, container: str = "main") -> str:
    return f"web/{container}/{task.rpartition('/')[2]}"


def test_twenty_thousand_lines_arrive_in_order(world: World, group: str) -> None:
    # In the mode non-blocking, ECS's default, engines drop what comes faster than it can be sent.
    task = world.run(world.container(script="seq 1 20000", logConfiguration=awslogs(group, mode="blocking")))
    stopped = world.reaches(task, "STOPPED", seconds=60)
    assert by_name(stopped)["main"]["exitCode"] == 0
    found = wait_for(lambda: (m := messages(world, group, stream_of(task)))[-1:] == ["20000"] and m, seconds=30)
    assert found == [str(number) for number in range(1, 20001)]


def test_lines_are_there_while_the_task_runs_and_the_cli_tails_them(world: World, group: str) -> None:
    task = world.run(
        world.container(script="echo out; echo err >&2; " + STAY, logConfiguration=awslogs(group)),
        world.container("other", "echo beside; " + STAY, logConfiguration=awslogs(group, mode="non-blocking")),
    )
    world.reaches(task, "RUNNING")
    found = wait_for(lambda: len(m := messages(world, group, stream_of(task))) == 2 and m, seconds=20)
    assert sorted(found) == ["err", "out"]
    wait_for(lambda: messages(world, group, stream_of(task, "other")) == ["beside"], seconds=20)
    page = world.installation.aws("logs", "filter-log-events", "--log-group-name", group).stdout
    assert {event["message"] for event in json.loads(page)["events"]} == {"out", "err", "beside"}
    streams = world.logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert {s["logStreamName"] for s in streams} == {stream_of(task), stream_of(task, "other")}
    world.stop(task)


def test_lines_belong_to_the_time_before_them(world: World, group: str) -> None:
    """On FARGATE, with a group that the driver makes, and a buffer of one's own size."""
    script = "echo '2026-11-23 10:00:00 first'; echo ' more'; echo '2026-11-23 10:00:01 second'"
    made = f"{group}/made"
    options = awslogs(
        made,
        awslogs_datetime_format="%Y-%m-%d %H:%M:%S",
        awslogs_create_group="true",
        mode="non-blocking",
        max_buffer_size="4m",
    )
    task = world.run(
        world.container(script=script, memory=None, logConfiguration=options),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        executionRoleArn="arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
        run={
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}},
        },
    )
    world.reaches(task, "STOPPED")
    wait_for(lambda: len(messages(world, made, stream_of(task))) == 2, seconds=20)
    assert [m.rstrip("\n").split("\n") for m in messages(world, made, stream_of(task))] == [
        ["2026-11-23 10:00:00 first", " more"],
        ["2026-11-23 10:00:01 second"],
    ]
    world.logs.delete_log_group(logGroupName=made)


def test_several_lines_make_one_event(world: World, group: str) -> None:
    script = "echo '[1] first'; echo ' more'; echo '[2] second'; echo ' and more'"
    task = world.run(world.container(script=script, logConfiguration=awslogs(group, awslogs_multiline_pattern=r"^\[")))
    world.reaches(task, "STOPPED")
    wait_for(lambda: len(messages(world, group, stream_of(task))) == 2, seconds=20)
    assert [m.split("\n")[:2] for m in messages(world, group, stream_of(task))] == [
        ["[1] first", " more"],
        ["[2] second", " and more"],
    ]


def test_a_group_is_made_when_asked_for_and_missed_when_not(world: World, group: str) -> None:
    made = group + "-made"
    create = world.run(
        world.container(script="echo hello", logConfiguration=awslogs(made, awslogs_create_group="true"))
    )
    world.reaches(create, "STOPPED")
    wait_for(lambda: messages(world, made, stream_of(create)) == ["hello"], seconds=20)
    world.logs.delete_log_group(logGroupName=made)
    missing = awslogs(group + "-missing", mode="blocking")
    missed = world.run(world.container(script="echo hello", logConfiguration=missing))
    stopped = world.reaches(missed, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "ResourceNotFoundException" in stopped["stoppedReason"]
    assert "The specified log group does not exist" in stopped["stoppedReason"]


def test_the_second_cli_tails_a_group(world: World, group: str) -> None:
    aws = _second_cli()
    task = world.run(world.container(script="seq 1 5", logConfiguration=awslogs(group)))
    world.reaches(task, "STOPPED")
    wait_for(lambda: len(messages(world, group, stream_of(task))) == 5, seconds=20)
    installation = world.installation
    endpoint = installation.credentials["AWS_ENDPOINT_URL"]
    command = [aws, "--endpoint-url", endpoint, "logs", "tail", group, "--since", "1h", "--format", "short"]
    environ = {**installation.environ, **installation.credentials, "AWS_CONFIG_FILE": "/dev/null"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()] == ["1", "2", "3", "4", "5"]


def _second_cli() -> str:
    """Version 2 of the AWS CLI, which has ``logs tail``; the first one is in the virtual environment."""
    candidates = [shutil.which("aws", path=folder) for folder in ("/usr/local/bin", "/usr/bin")]
    found = next(filter(None, candidates), None)
    if found is None:
        pytest.fail("No AWS CLI version 2 is installed: apt-get install awscli", pytrace=False)
    return found


def test_drivers_of_the_engine(world: World, tmp_path: Path) -> None:
    path = tmp_path / "syslog"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gelf,
    ):
        syslog.bind(str(path))
        syslog.settimeout(10)
        gelf.bind(("127.0.0.1", 0))
        gelf.settimeout(10)

        def container(name: str, driver: str, **options: str) -> dict[str, Any]:
            configuration = {"logDriver": driver, "options": {k.replace("_", "-"): v for k, v in options.items()}}
            return world.container(name, f"echo line-of-{name}; " + STAY, logConfiguration=configuration)

        task = world.run(
            container("file", "json-file", max_size="1m", max_file="2"),
            container("system", "syslog", syslog_address=f"unixgram://{path}", tag="shop"),
            container(
                "gray", "gelf", gelf_address=f"udp://127.0.0.1:{gelf.getsockname()[1]}", gelf_compression_type="none"
            ),
        )
        world.reaches(task, "RUNNING")
        line = syslog.recv(4096).decode()
        assert "shop" in line
        assert "line-of-system" in line
        assert json.loads(gelf.recv(8192))["short_message"] == "line-of-gray"
        assert world.output(task, "file", until="line-of-file") == "line-of-file\n"
        config = world.inspect(task, "file")["HostConfig"]["LogConfig"]
        assert config == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}
        world.stop(task)


def test_drivers_that_the_model_does_not_list(world: World) -> None:
    """Engines have them and ECS's model has not, so replies that show them are not held against it."""
    plain = boto3.session.Session().client(
        "ecs",
        region_name="us-east-1",
        endpoint_url=world.installation.credentials["AWS_ENDPOINT_URL"],
        aws_access_key_id=world.installation.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=world.installation.credentials["AWS_SECRET_ACCESS_KEY"],
    )
    containers = [
        world.container(name, f"echo line-of-{name}; " + STAY, logConfiguration={"logDriver": name})
        for name in ("local", "none")
    ]
    reply = plain.register_task_definition(family="d" + uuid.uuid4().hex[:12], containerDefinitions=containers)
    definition = reply["taskDefinition"]["taskDefinitionArn"]
    task = world.ecs.run_task(taskDefinition=definition)["tasks"][0]["taskArn"]
    world.reaches(task, "RUNNING")
    assert world.output(task, "local", until="line-of-local") == "line-of-local\n"
    drivers = {name: world.inspect(task, name)["HostConfig"]["LogConfig"]["Type"] for name in ("local", "none")}
    assert drivers == {"local": "local", "none": "none"}
    world.stop(task)
