"""Task payloads as the control plane sends them, short to write."""

from __future__ import annotations

import json
from typing import Any

from openecs.acs import task_payload as tp

CLUSTER = "arn:aws:ecs:us-east-1:111122223333:cluster/default"


def task_arn(number: int | str) -> str:
    return f"arn:aws:ecs:us-east-1:111122223333:task/default/{number:0>32}"


def container(
    name: str = "app",
    image: str = "app:1",
    *,
    host: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    depends_on: dict[str, str] | None = None,
    **members: Any,
) -> tp.ContainerPayload:
    return tp.ContainerPayload(
        name=name,
        image=image,
        docker_config=tp.DockerConfig(config=json.dumps(config or {}), host_config=json.dumps(host or {})),
        depends_on=tuple(tp.Dependency(container_name=n, condition=c) for n, c in (depends_on or {}).items()),
        **members,
    )


def task(*containers: tp.ContainerPayload, number: int | str = 1, **members: Any) -> tp.TaskPayload:
    members.setdefault("network_mode", "host")
    return tp.TaskPayload(
        arn=task_arn(number),
        task_cluster_arn=CLUSTER,
        family="web",
        version="3",
        containers=containers or (container(),),
        **members,
    )
