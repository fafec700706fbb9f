"""The same journeys with both generations of the AWS CLI, as their users type them.

On the fake engine: a service from its cluster to its end, input from files, waiters, output
forms.  On the machine's engine: what a container writes, followed with ``aws logs tail``.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation, aws_cli_2
from waiting import wait_for

QUICK = {"Delay": 1, "MaxAttempts": 60}
Aws = Callable[..., subprocess.CompletedProcess[str]]


def both(installation: Installation, version: int) -> Aws:
    return installation.aws if version == 1 else installation.aws2


def data(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> int:
    if request.param == 2:
        aws_cli_2()
    number: int = request.param
    return number


@pytest.fixture
def aws(fake: Installation, version: int) -> Aws:
    return both(fake, version)


def definition(family: str, **more: Any) -> str:
    container = {"name": "main", "image": "busybox", "memory": 16, "essential": True, **more}
    return json.dumps({"family": family, "containerDefinitions": [container]})


def test_a_service_from_its_cluster_to_its_end(aws: Aws, name: str, tmp_path: Path) -> None:
    (tmp_path / "definition.json").write_text(definition(name))
    aws("ecs", "register-task-definition", "--cli-input-json", f"file://{tmp_path}/definition.json")
    created = data(
        aws("ecs", "create-service", "--service-name", name, "--task-definition", name, "--desired-count", "2")
    )["service"]
    assert created["status"] == "ACTIVE"
    aws("ecs", "wait", "services-stable", "--services", name)
    tasks = data(aws("ecs", "list-tasks", "--service-name", name))["taskArns"]
    assert len(tasks) == 2
    shown = aws("ecs", "describe-tasks", "--tasks", *tasks, "--query", "tasks[].lastStatus", "--output", "text")
    assert shown.stdout.split() == ["RUNNING", "RUNNING"]
    aws("ecs", "update-service", "--service", name, "--desired-count", "1", "--force-new-deployment")
    aws("ecs", "wait", "services-stable", "--services", name)
    (after,) = data(aws("ecs", "list-tasks", "--service-name", name))["taskArns"]
    assert after not in tasks
    aws("ecs", "delete-service", "--service", name, "--force")
    aws("ecs", "wait", "services-inactive", "--services", name)
    gone = data(aws("ecs", "describe-services", "--services", name))["services"][0]
    assert gone["status"] == "INACTIVE"


def test_a_task_with_its_waiters(aws: Aws, name: str) -> None:
    container = json.dumps([{"name": "main", "image": "busybox", "memory": 16}])
    aws("ecs", "register-task-definition", "--family", name, "--container-definitions", container)
    run = ("ecs", "run-task", "--task-definition", name, "--started-by", name)
    (task,) = data(aws(*run, "--overrides", '{"containerOverrides": [{"name": "main", "cpu": 7}]}'))["tasks"]
    arn = task["taskArn"]
    assert task["overrides"]["containerOverrides"] == [{"name": "main", "cpu": 7}]
    aws("ecs", "wait", "tasks-running", "--tasks", arn)
    aws("ecs", "stop-task", "--task", arn, "--reason", "enough")
    aws("ecs", "wait", "tasks-stopped", "--tasks", arn)
    told = aws("ecs", "describe-tasks", "--tasks", arn, "--query", "tasks[0].stoppedReason", "--output", "text")
    assert told.stdout.strip() == "enough"
    failed = aws("ecs", "wait", "tasks-running", "--tasks", arn, check=False)
    assert failed.returncode == 255
    assert "terminal failure state" in failed.stderr


def test_a_skeleton_is_filled_in_and_sent(aws: Aws, version: int, name: str, tmp_path: Path) -> None:
    skeleton = data(aws("ecs", "create-cluster", "--generate-cli-skeleton"))
    assert "clusterName" in skeleton
    (tmp_path / "cluster.json").write_text(json.dumps({"clusterName": name}))
    created = data(aws("ecs", "create-cluster", "--cli-input-json", f"file://{tmp_path}/cluster.json"))
    assert created["cluster"]["clusterName"] == name
    if version == 2:
        yaml = aws("ecs", "register-task-definition", "--generate-cli-skeleton", "yaml-input").stdout
        assert "containerDefinitions:" in yaml
        (tmp_path / "run.yaml").write_text(
            f"family: {name}\ncontainerDefinitions:\n- name: main\n  image: busybox\n  memory: 16\n"
        )
        registered = aws(
            *("ecs", "register-task-definition", "--cli-input-yaml", f"file://{tmp_path}/run.yaml"),
            *("--output", "yaml"),
        ).stdout
        assert f"family: {name}\n" in registered
    assert aws("ecs", "delete-cluster", "--cluster", name, "--output", "text").stdout.startswith("CLUSTER")


def test_pages_are_joined(aws: Aws, name: str) -> None:
    """The CLI pages through lists by itself, with the page size that it is told."""
    container = json.dumps([{"name": "main", "image": "busybox", "memory": 16}])
    for _ in range(3):
        aws("ecs", "register-task-definition", "--family", name, "--container-definitions", container)
    listed = data(aws("ecs", "list-task-definitions", "--family-prefix", name, "--page-size", "1"))
    assert [arn.rpartition(":")[2] for arn in listed["taskDefinitionArns"]] == ["1", "2", "3"]
    first = data(aws("ecs", "list-task-definitions", "--family-prefix", name, "--max-items", "2"))
    rest = data(aws("ecs", "list-task-definitions", "--family-prefix", name, "--starting-token", first["NextToken"]))
    assert [arn.rpartition(":")[2] for arn in rest["taskDefinitionArns"]] == ["3"]


def test_errors_are_told_as_the_cli_tells_awss(aws: Aws) -> None:
    failed = aws("ecs", "list-tasks", "--cluster", "nowhere", check=False)
    assert failed.returncode in (254, 255)
    assert (
        "An error occurred (ClusterNotFoundException) when calling the ListTasks operation: Cluster not found."
        in failed.stderr
    )
    assert data(aws("ecs", "describe-clusters", "--clusters", "nowhere"))["failures"][0]["reason"] == "MISSING"
    waited = aws("ecs", "wait", "services-stable", "--services", "nothing", check=False)
    assert waited.returncode == 255


def test_logs_and_identity(aws: Aws, fake: Installation, version: int, name: str) -> None:
    aws("logs", "create-log-group", "--log-group-name", name)
    aws("logs", "create-log-stream", "--log-group-name", name, "--log-stream-name", "s")
    events = json.dumps([{"timestamp": fake.now(), "message": "hello"}])
    aws("logs", "put-log-events", "--log-group-name", name, "--log-stream-name", "s", "--log-events", events)
    read = data(aws("logs", "filter-log-events", "--log-group-name", name))["events"]
    assert [event["message"] for event in read] == ["hello"]
    if version == 2:
        # The first generation has no such command.
        assert aws("logs", "tail", name, "--format", "short").stdout.rstrip().endswith(" hello")
    assert data(aws("sts", "get-caller-identity"))["Arn"].endswith(":root")


@pytest.mark.docker
def test_what_a_container_writes_is_followed(real: Installation, busybox_image: str, name: str, tmp_path: Path) -> None:
    """``aws logs tail --follow``, which the second generation has."""
    ecs, logs = real.client("ecs"), real.client("logs")
    options = {"awslogs-group": name, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}
    # The second line is written when somebody asks for it, so that it must be followed.
    script = "echo first; nc -l -p 80 </dev/null; echo second; exec sleep 1000"
    registered = definition(
        name,
        image=busybox_image,
        command=["sh", "-c", script],
        portMappings=[{"containerPort": 80}],
        stopTimeout=2,
        logConfiguration={"logDriver": "awslogs", "options": options},
    )
    ecs.register_task_definition(**json.loads(registered))
    logs.create_log_group(logGroupName=name)
    task = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(tasks=[task], WaiterConfig=QUICK)
    (shown,) = ecs.describe_tasks(tasks=[task])["tasks"]
    port = shown["containers"][0]["networkBindings"][0]["hostPort"]
    out = tmp_path / "followed"
    with out.open("w") as sink:
        follower = subprocess.Popen(
            [aws_cli_2(), "--endpoint-url", real.proxy_url, "logs", "tail", name, "--follow", "--format", "short"],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**real.client_environ(), "PYTHONUNBUFFERED": "1"},
        )
    try:
        wait_for(lambda: "first" in out.read_text(), what="the follower prints the first line")
        assert "second" not in out.read_text()
        socket.create_connection(("127.0.0.1", port)).close()
        wait_for(lambda: "second" in out.read_text(), what="the follower prints the second line")
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(30)
    (stream,) = logs.describe_log_streams(logGroupName=name)["logStreams"]
    assert stream["logStreamName"] == f"app/main/{task.rpartition('/')[2]}"
    ecs.stop_task(task=task)
    ecs.get_waiter("tasks_stopped").wait(tasks=[task], WaiterConfig=QUICK)
    (shown,) = ecs.describe_tasks(tasks=[task])["tasks"]
    assert (shown["stopCode"], shown["containers"][0]["exitCode"]) == ("UserInitiated", 137)
