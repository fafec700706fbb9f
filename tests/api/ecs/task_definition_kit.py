"""Building blocks of the task definition tests: calls, requests, and a state to act on."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.ecs.definition.registration import definition
from openecs.api.ecs.task_definitions import TaskDefinitions
from openecs.ids import SeededIds
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CALLER = f"arn:aws:iam::{ACCOUNT}:root"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"


def call(operation: str = "RegisterTaskDefinition", *, region: str = REGION, now: float = 1_700_000_000.0) -> Call:
    return Call(
        service="ecs",
        operation=operation,
        request_id="req",
        account=ACCOUNT,
        region=region,
        principal=Principal(arn=CALLER, kind="root", access_key_id="AKIA"),
        now=now,
        ids=SeededIds(),
        endpoint="http://127.0.0.1:4566",
    )


def container(**changes: Any) -> dict[str, Any]:
    """A container definition in wire spelling; ``None`` takes a member out."""
    return _changed({"name": "web", "image": "busybox", "memory": 64}, changes)


def body(*containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A request in wire spelling."""
    return _changed({"family": "web", "containerDefinitions": list(containers) or [container()]}, changes)


def fargate_body(*containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return body(
        *(containers or (container(memory=None),)),
        **{
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": ROLE,
            **changes,
        },
    )


def request(data: dict[str, Any]) -> ecs.RegisterTaskDefinitionRequest:
    return msgspec.json.decode(msgspec.json.encode(data), type=ecs.RegisterTaskDefinitionRequest)


def complete(data: dict[str, Any]) -> ecs.TaskDefinition:
    """The definition that registering ``data`` gives, without a state."""
    return definition(request(data))


def first(data: dict[str, Any]) -> ecs.ContainerDefinition:
    """The first container of the completed definition."""
    containers = complete(data).container_definitions
    assert containers
    return containers[0]


class Account:
    """The operations on a state of their own."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.api = TaskDefinitions(self.state, Pagination(b"0" * 32))

    def do(self, operation: str, /, *, region: str = REGION, now: float = 1_700_000_000.0, **members: Any) -> Any:
        """Call an operation with members in wire spelling; the reply as a client would see it."""
        kind = getattr(ecs, f"{operation}Request")
        typed = msgspec.json.decode(msgspec.json.encode(members), type=kind)
        reply = self.api.handlers()[operation](call(operation, region=region, now=now), typed)
        return msgspec.json.decode(msgspec.json.encode(reply))

    def register(self, family: str = "web", **members: Any) -> str:
        """Register a small definition; its ARN."""
        reply = self.do("RegisterTaskDefinition", **body(family=family, **members))
        return str(reply["taskDefinition"]["taskDefinitionArn"])

    def records(self) -> list[tuple[str, Any]]:
        """Everything that is kept, to compare before and after."""
        state = self.state
        tables = (state.task_definitions, state.families, state.tags)
        return [(table.name, record) for table in tables for record in table]


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not None}
