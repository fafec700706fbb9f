"""Real-world service and task requests, sent to an installation in which their names exist.

The requests are those of docs/compatibility.md.  What it says is accepted has to run, not only to
pass the checks of its own members; what it says is refused is refused with the same words.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"Delay": 0, "MaxAttempts": 3000}


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("compatibility_table", ROOT / "tools" / "compatibility_table.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = tool()
FOLDER = TABLE.examples_folder()
NOT_HERE = pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder of real-world examples is not here")


def files(kind: str) -> list[Any]:
    return [pytest.param(file, id=file.name) for file in sorted((FOLDER / kind).glob("*.json"))]


def prepare(ecs: Any, fake: Installation, request: dict[str, Any]) -> None:
    """Make the cluster and the task definition that a request names, and put its network in place."""
    if "cluster" in request:
        ecs.create_cluster(clusterName=request["cluster"])
    family, _, revision = request["taskDefinition"].partition(":")
    definition: dict[str, Any] = {"containerDefinitions": [{"name": "main", "image": "busybox", "memory": 64}]}
    if request.get("launchType") == "FARGATE":
        compatibilities = {"requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        definition |= {"networkMode": "awsvpc", **compatibilities}
    for _ in range(int(revision or 1)):
        ecs.register_task_definition(family=family, **definition)
    if "networkConfiguration" in request:
        awsvpc = request["networkConfiguration"]["awsvpcConfiguration"]
        awsvpc |= {"subnets": [fake.subnet()], "securityGroups": [fake.security_group()]}


@NOT_HERE
@pytest.mark.parametrize("file", files("services"))
def test_a_real_service_is_created_or_refused_as_documented(ecs: Any, fake: Installation, file: Path) -> None:
    request = json.loads(file.read_bytes())
    refusal = TABLE.outcome("services", file.read_bytes())
    prepare(ecs, fake, request)
    where = {"cluster": request.get("cluster", "default")}
    name = request["serviceName"]
    if refusal is not None:
        with pytest.raises(ClientError) as caught:
            ecs.create_service(**request)
        assert caught.value.response["Error"] == {"Code": refusal.code, "Message": refusal.message}
        assert ecs.describe_services(services=[name], **where)["services"] == []
        return
    ecs.create_service(**request)
    ecs.get_waiter("services_stable").wait(services=[name], **where, WaiterConfig=QUICK)
    (service,) = ecs.describe_services(services=[name], **where)["services"]
    assert service["runningCount"] == service["desiredCount"] >= 1
    ecs.delete_service(service=name, force=True, **where)
    ecs.get_waiter("services_inactive").wait(services=[name], **where, WaiterConfig=QUICK)


@NOT_HERE
@pytest.mark.parametrize("file", files("run-task"))
def test_a_real_task_runs_or_is_refused_as_documented(ecs: Any, fake: Installation, file: Path) -> None:
    request = json.loads(file.read_bytes())
    assert TABLE.outcome("run-task", file.read_bytes()) is None, "say what a refusal looks like"
    prepare(ecs, fake, request)
    reply = ecs.run_task(**request)
    assert reply["failures"] == []
    arns = [task["taskArn"] for task in reply["tasks"]]
    ecs.get_waiter("tasks_running").wait(cluster=request["cluster"], tasks=arns, WaiterConfig=QUICK)
    for arn in arns:
        ecs.stop_task(cluster=request["cluster"], task=arn)
