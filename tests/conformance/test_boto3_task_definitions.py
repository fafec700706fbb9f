"""Task definition operations through boto3: what is echoed, filled in, listed and forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

PLAIN = {"name": "main", "image": "busybox", "memory": 16}
#: What RegisterTaskDefinition adds to a container that says no more than PLAIN.
ADDED = {
    "cpu": 0,
    "essential": True,
    "environment": [],
    "mountPoints": [],
    "portMappings": [],
    "systemControls": [],
    "volumesFrom": [],
}


def register(ecs: Any, family: str, **more: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"family": family, "containerDefinitions": [PLAIN], **more}
    found: dict[str, Any] = ecs.register_task_definition(**request)["taskDefinition"]
    return found


def test_a_definition_is_echoed_with_its_defaults(apart: Any) -> None:
    definition = register(apart, "web")
    assert definition["containerDefinitions"] == [{**PLAIN, **ADDED}]
    assert (definition["revision"], definition["status"]) == (1, "ACTIVE")
    assert definition["compatibilities"] == ["EXTERNAL", "EC2"]
    assert (definition["volumes"], definition["placementConstraints"]) == ([], [])
    assert definition["registeredBy"].endswith(":root")
    for absent in ("cpu", "memory", "networkMode", "taskRoleArn", "executionRoleArn", "requiresCompatibilities"):
        assert absent not in definition


def test_every_kind_of_field_comes_back_as_it_was_sent(apart: Any) -> None:
    container = {
        "name": "web",
        "image": "nginx:1",
        "cpu": 64,
        "memory": 128,
        "memoryReservation": 64,
        "essential": True,
        "portMappings": [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp", "name": "http"}],
        "entryPoint": ["sh", "-c"],
        "command": ["sleep 1"],
        "environment": [{"name": "A", "value": "1"}],
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": True}],
        "volumesFrom": [],
        "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}],
        "startTimeout": 10,
        "stopTimeout": 5,
        "user": "1000",
        "workingDirectory": "/tmp",
        "dockerLabels": {"a": "b"},
        "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 2048}],
        "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 5, "timeout": 2, "retries": 1, "startPeriod": 1},
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"add": ["NET_ADMIN"], "drop": []}},
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "1024"}],
        "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
        "restartPolicy": {"enabled": True, "ignoredExitCodes": [3], "restartAttemptPeriod": 60},
    }
    first = {"name": "first", "image": "busybox", "memory": 16, "essential": False}
    sent = {
        "containerDefinitions": [container, first],
        "volumes": [{"name": "data", "host": {"sourcePath": "/tmp/data"}}],
        "networkMode": "bridge",
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.os-type == linux"}],
        "requiresCompatibilities": ["EC2"],
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "cpu": "256",
        "memory": "512",
    }
    register(apart, "web", **sent)
    echoed = apart.describe_task_definition(taskDefinition="web")["taskDefinition"]
    assert echoed["containerDefinitions"] == [container, {**first, **ADDED, "essential": False}]
    assert {name: echoed[name] for name in sent if name != "containerDefinitions"} == {
        name: value for name, value in sent.items() if name != "containerDefinitions"
    }


def test_it_can_be_registered_again_from_what_is_described(apart: Any) -> None:
    """What deploy scripts do: describe, drop the read-only members, register."""
    register(apart, "web", volumes=[{"name": "v"}], cpu="128", memory="64")
    described = apart.describe_task_definition(taskDefinition="web")["taskDefinition"]
    read_only = {
        "taskDefinitionArn",
        "status",
        "revision",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    }
    sent = {name: value for name, value in described.items() if name not in read_only}
    second = apart.register_task_definition(**sent)["taskDefinition"]
    assert second["revision"] == 2
    assert {name: second[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("cpu", "memory", "shown"),
    [("1 vcpu", "2 gb", ("1024", "2048")), (".25 vCPU", ".5 GB", ("256", "512")), ("512", "1024", ("512", "1024"))],
)
def test_sizes_are_normalised(apart: Any, cpu: str, memory: str, shown: tuple[str, str]) -> None:
    definition = register(
        apart,
        "web",
        cpu=cpu,
        memory=memory,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )
    assert (definition["cpu"], definition["memory"]) == shown
    assert "FARGATE" in definition["compatibilities"]
    assert "memory" not in definition["containerDefinitions"][0]


def test_revisions_count_and_references_find_them(apart: Any) -> None:
    arns = [register(apart, "web")["taskDefinitionArn"] for _ in range(3)]
    assert [arn.rpartition(":")[2] for arn in arns] == ["1", "2", "3"]

    def described(reference: str) -> str:
        found: str = apart.describe_task_definition(taskDefinition=reference)["taskDefinition"]["taskDefinitionArn"]
        return found

    assert described("web") == arns[2]
    assert described("web:1") == arns[0]
    assert described(arns[1]) == arns[1]


def test_a_deregistered_revision_is_inactive_and_still_described(apart: Any) -> None:
    register(apart, "web")
    register(apart, "web")
    gone = apart.deregister_task_definition(taskDefinition="web:2")["taskDefinition"]
    assert gone["status"] == "INACTIVE"
    assert gone["deregisteredAt"] >= gone["registeredAt"]
    assert apart.describe_task_definition(taskDefinition="web")["taskDefinition"]["revision"] == 1
    assert apart.describe_task_definition(taskDefinition="web:2")["taskDefinition"]["status"] == "INACTIVE"
    assert register(apart, "web")["revision"] == 3
    with pytest.raises(ClientError, match="revision"):
        apart.deregister_task_definition(taskDefinition="web")


def test_deletion_is_for_inactive_revisions(apart: Any) -> None:
    for _ in range(2):
        register(apart, "web")
    apart.deregister_task_definition(taskDefinition="web:1")
    reply = apart.delete_task_definitions(taskDefinitions=["web:1", "web:2", "web:9"])
    assert [d["status"] for d in reply["taskDefinitions"]] == ["DELETE_IN_PROGRESS"]
    assert len(reply["failures"]) == 2
    assert "ACTIVE" in reply["failures"][0]["reason"]
    assert apart.list_task_definitions(status="INACTIVE")["taskDefinitionArns"] == []


def test_lists_are_by_family_status_and_order(apart: Any) -> None:
    for family in ("web", "web-api", "job"):
        for _ in range(2):
            register(apart, family)
    apart.deregister_task_definition(taskDefinition="job:1")
    apart.deregister_task_definition(taskDefinition="job:2")

    def short(arns: list[str]) -> list[str]:
        return [arn.rpartition("/")[2] for arn in arns]

    assert short(apart.list_task_definitions()["taskDefinitionArns"]) == ["web:1", "web:2", "web-api:1", "web-api:2"]
    assert short(apart.list_task_definitions(familyPrefix="web", sort="DESC")["taskDefinitionArns"]) == [
        "web:2",
        "web:1",
    ]
    assert short(apart.list_task_definitions(status="INACTIVE")["taskDefinitionArns"]) == ["job:1", "job:2"]
    assert apart.list_task_definition_families(familyPrefix="web")["families"] == ["web", "web-api"]
    assert apart.list_task_definition_families(status="ACTIVE")["families"] == ["web", "web-api"]
    assert apart.list_task_definition_families(status="INACTIVE")["families"] == ["job"]
    assert apart.list_task_definition_families()["families"] == ["job", "web", "web-api"]


def test_the_paginators_list_all_once(apart: Any) -> None:
    for number in range(5):
        register(apart, f"f{number}")
    pages = list(apart.get_paginator("list_task_definitions").paginate(PaginationConfig={"PageSize": 2}))
    arns = [arn for page in pages for arn in page["taskDefinitionArns"]]
    assert len(pages) == 3
    assert len(arns) == len(set(arns)) == 5
    families = apart.get_paginator("list_task_definition_families").paginate(PaginationConfig={"PageSize": 2})
    assert list(families.search("families[]")) == [f"f{number}" for number in range(5)]


def test_tags_are_shown_on_request(apart: Any) -> None:
    tags = [{"key": "team", "value": "blue"}]
    register(apart, "web", tags=tags)
    assert apart.describe_task_definition(taskDefinition="web")["tags"] == []
    assert apart.describe_task_definition(taskDefinition="web", include=["TAGS"])["tags"] == tags


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"containerDefinitions": []}, "ontainer"),
        ({"containerDefinitions": [{"name": "a", "image": "b"}]}, "memory"),
        ({"containerDefinitions": [PLAIN, PLAIN]}, "main"),
        ({"containerDefinitions": [{**PLAIN, "secrets": [{"name": "S", "valueFrom": "x"}]}]}, "secrets"),
        ({"containerDefinitions": [{**PLAIN, "memoryReservation": 32}]}, "emory"),
        ({"containerDefinitions": [{**PLAIN, "dependsOn": [{"containerName": "x", "condition": "START"}]}]}, "x"),
        ({"requiresCompatibilities": ["FARGATE"]}, "Fargate"),
        ({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}, "efsVolumeConfiguration"),
        ({"family": "with space"}, ""),
        ({"networkMode": "default"}, "networkMode"),
        ({"pidMode": ""}, "pidMode"),
    ],
)
def test_what_cannot_be_is_refused_and_not_registered(fake: Any, name: str, change: dict[str, Any], text: str) -> None:
    apart = fake.client("ecs", name, parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        register(apart, **{"family": "web", **change})
    assert caught.value.response["Error"]["Code"] in ("ClientException", "InvalidParameterException")
    assert text in caught.value.response["Error"]["Message"]
    assert apart.list_task_definition_families()["families"] == []
