"""Whatever is done to a valid request: it is registered whole, or refused and nothing changed."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_definition_kit import ROLE, Account, body, call, container, fargate_body

from openecs.errors import AWSError
from openecs.shapes import ecs
from openecs.wire.generated import ecs as service
from openecs.wire.json_codec import JsonCodec

RICH = body(
    container(
        cpu=10,
        memoryReservation=32,
        essential=True,
        links=["b:bee"],
        portMappings=[{"containerPort": 80, "hostPort": 0, "name": "http"}, {"containerPortRange": "100-110"}],
        environment=[{"name": "A", "value": "1"}],
        mountPoints=[{"sourceVolume": "v", "containerPath": "/v", "readOnly": True}],
        healthCheck={"command": ["CMD-SHELL", "true"], "interval": 5, "startPeriod": 0},
        ulimits=[{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
        restartPolicy={"enabled": True, "ignoredExitCodes": [1], "restartAttemptPeriod": 60},
        logConfiguration={"logDriver": "json-file", "options": {"max-size": "1m"}},
        linuxParameters={
            "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
            "devices": [{"hostPath": "/dev/null", "permissions": ["read"]}],
            "tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["rw"]}],
            "maxSwap": 1,
            "swappiness": 1,
        },
        systemControls=[{"namespace": "net.core.somaxconn", "value": "1"}],
        extraHosts=[{"hostname": "h", "ipAddress": "10.0.0.1"}],
        dnsServers=["10.0.0.2"],
        hostname="h",
        user="1:1",
        stopTimeout=3,
        dockerSecurityOptions=["no-new-privileges"],
    ),
    container(name="b", essential=False, dependsOn=[]),
    networkMode="bridge",
    cpu="256",
    memory="512",
    volumes=[
        {"name": "v", "host": {"sourcePath": "/v"}},
        {"name": "w", "dockerVolumeConfiguration": {"scope": "task"}},
    ],
    placementConstraints=[{"type": "memberOf", "expression": "attribute:a == b"}],
    runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
    taskRoleArn=ROLE,
    tags=[{"key": "team", "value": "blue"}],
)
SEEDS = [RICH, fargate_body(), body()]

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "web",
            "b",
            "v",
            "/v",
            "..",
            "a:b",
            "80-90",
            "-1",
            "1 vCPU",
            "FARGATE",
            "awsvpc",
            "host",
            "task",
            "\0",
            "é",
        ]
    ),
    st.text(max_size=20),
)
LEAVES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-5, 70_000),
    st.sampled_from([2**31, 2**63 - 1, -(2**63)]),
    st.just([]),
    st.just({}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member and element."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        found += places(member, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    data = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(places(data)))
        parent: Any = data
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(["replace", "remove", "repeat", "move"])):
            case "remove":
                del parent[path[-1]]
            case "repeat" if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[path[-1]]))
            case "move":
                other = draw(st.sampled_from(SEEDS))
                source = draw(st.sampled_from(places(other)))
                value: Any = other
                for step in source:
                    value = value[step]
                parent[path[-1]] = copy.deepcopy(value)
            case _:
                parent[path[-1]] = draw(LEAVES)
        if not places(data):
            break
    return data


@pytest.mark.parametrize("data", SEEDS)
def test_the_requests_to_mutate_are_valid(data: dict[str, Any]) -> None:
    assert Account().do("RegisterTaskDefinition", **data)["taskDefinition"]["status"] == "ACTIVE"


@settings(max_examples=400, deadline=None)
@given(data=mutated())
def test_mutated_requests_are_registered_or_refused_without_a_trace(data: dict[str, Any]) -> None:
    account = Account()
    account.register("kept", tags=[{"key": "a", "value": "b"}])
    before, revision = account.records(), account.state.store.revision
    operation = service.SERVICE.operations["RegisterTaskDefinition"]
    refusal: AWSError | None = None
    try:
        typed = JsonCodec().decode(operation, msgspec.json.encode(data))
        assert isinstance(typed, ecs.RegisterTaskDefinitionRequest)
        reply = account.api.register(call(), typed)
    except AWSError as error:
        refusal = error
    if refusal is not None:
        assert refusal.status == 400
        assert refusal.message
        assert account.records() == before
        assert account.state.store.revision == revision
        return
    assert reply.task_definition is not None
    described = account.do("DescribeTaskDefinition", taskDefinition=reply.task_definition.task_definition_arn)
    assert described["taskDefinition"] == msgspec.json.decode(msgspec.json.encode(reply.task_definition))
    # What was accepted is accepted again, defaults and all, and comes out the same.
    again = ecs.RegisterTaskDefinitionRequest(
        **{
            name: getattr(reply.task_definition, name)
            for name in ecs.RegisterTaskDefinitionRequest.__struct_fields__
            if name != "tags"
        }
    )
    twice = account.api.register(call(), again).task_definition
    assert twice is not None
    assert msgspec.structs.replace(twice, task_definition_arn=None, revision=None) == msgspec.structs.replace(
        reply.task_definition, task_definition_arn=None, revision=None
    )
