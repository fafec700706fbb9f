"""The name servers that containers are created with."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.acs.task_payload import ContainerPayload, DockerConfig, TaskPayload
from openecs.agent.engine.container_body import BodyInputs, build

RESOLVER = "169.254.169.253"


def host_config(mode: str, own: dict[str, Any] | None = None, joined: str | None = None) -> dict[str, Any]:
    """The HostConfig of a container; ``own`` is what its definition says in Docker's words."""
    container = ContainerPayload(
        name="web", image="web", docker_config=DockerConfig(host_config=msgspec.json.encode(own or {}).decode())
    )
    task = TaskPayload(arn="arn:task", desired_status="RUNNING", network_mode=mode, containers=(container,))
    inputs = BodyInputs(labels={}, environment={}, name_servers=(RESOLVER,), network_mode=joined)
    found: dict[str, Any] = build(task, container, inputs)["HostConfig"]
    return found


@pytest.mark.parametrize("mode", ["bridge", "host"])
def test_a_container_asks_the_resolver_of_its_host(mode: str) -> None:
    assert host_config(mode)["Dns"] == [RESOLVER]
    assert host_config(mode, {"DnsSearch": ["app.test"]}) == host_config(mode) | {"DnsSearch": ["app.test"]}


def test_name_servers_of_the_definition_go_before_it() -> None:
    assert host_config("bridge", {"Dns": ["10.0.0.1"]})["Dns"] == ["10.0.0.1"]


def test_a_container_that_joins_anothers_network_has_that_ones() -> None:
    assert "Dns" not in host_config("awsvpc", joined="container:pause")
