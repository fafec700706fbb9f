"""What the agent calls things on the host: containers, volumes, cgroups, labels.  Pure.

Names follow from the task alone, so a repeated creation after a crash finds what the first
one made instead of making a second one.
"""

from __future__ import annotations

import hashlib
import re

from openecs import arn as arns
from openecs.acs.task_payload import TaskPayload

LABEL_TASK_ARN = "com.amazonaws.ecs.task-arn"
LABEL_CONTAINER = "com.amazonaws.ecs.container-name"
LABEL_FAMILY = "com.amazonaws.ecs.task-definition-family"
LABEL_VERSION = "com.amazonaws.ecs.task-definition-version"
LABEL_CLUSTER = "com.amazonaws.ecs.cluster"
#: Ours: which agent a container belongs to, so that several agents can share one engine.
LABEL_NODE = "openecs.node-id"

#: The name of the container that holds an awsvpc task's network, as ECS shows it.
PAUSE = "~internal~ecs~pause"

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


def task_id(task_arn: str) -> str:
    """The last part of a task's ARN."""
    return arns.short(task_arn)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def container_name(payload: TaskPayload, container: str) -> str:
    """``ecs-<family>-<version>-<name>-<20 hex digits>``."""
    clean = _NOT_IN_NAMES.sub("", container)
    return f"ecs-{payload.family}-{payload.version}-{clean}-{_digest(payload.arn, 'container', container)}"


def volume_name(payload: TaskPayload, volume: str) -> str:
    """The name of a volume that lives and dies with the task."""
    return f"ecs-{payload.family}-{payload.version}-{volume}-{_digest(payload.arn, 'volume', volume)}"


def labels(payload: TaskPayload, container: str, cluster: str, node_id: str) -> dict[str, str]:
    """The labels every container of a task carries; they win over the user's."""
    return {
        LABEL_TASK_ARN: payload.arn,
        LABEL_CONTAINER: container,
        LABEL_FAMILY: payload.family,
        LABEL_VERSION: payload.version,
        LABEL_CLUSTER: cluster,
        LABEL_NODE: node_id,
    }
