"""What a launch asks of a container instance besides room: launch types and attributes.  Pure.

A task definition carries the attributes that it needs (``requiresAttributes``).  A launch can
add to them: overrides may name a role or a task size where the definition has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from openecs.model.node import ContainerInstance
from openecs.shapes import ecs

#: Attribute by which OpenECS's own agent says which launch types its host serves.
LAUNCH_TYPES = "openecs.launch-types"
#: Attribute of hosts outside AWS; agents in that mode (``ECS_EXTERNAL``) register it.
EXTERNAL = "ecs.capability.external"
TASK_SIZE = "ecs.capability.task-cpu-mem-limit"
TASK_ROLE = "com.amazonaws.ecs.capability.task-iam-role"
#: Attribute of agents that serve Service Connect to tasks.
SERVICE_CONNECT = "openecs.service-connect"
TASK_ROLE_HOST = "com.amazonaws.ecs.capability.task-iam-role-network-host"


def launch_types(attributes: Mapping[str, str]) -> frozenset[str]:
    """Which of EC2 and EXTERNAL a container instance with these attributes serves.

    An agent that does not say so serves what it would serve on AWS: EXTERNAL in its external
    mode, otherwise EC2.
    """
    named = attributes.get(LAUNCH_TYPES)
    if named:
        return frozenset(named.split(","))
    return frozenset({"EXTERNAL"} if EXTERNAL in attributes else {"EC2"})


def served_by(instance: ContainerInstance) -> frozenset[str]:
    """The launch types that a container instance serves."""
    return launch_types({a.name: a.value or "" for a in instance.attributes})


def required_attributes(definition: ecs.TaskDefinition, overrides: ecs.TaskOverride | None) -> frozenset[str]:
    """Names of the attributes that an instance must have to run the task as it was asked for."""
    overrides = overrides or ecs.TaskOverride()
    required = {a.name for a in definition.requires_attributes or () if a.value is None}
    if definition.cpu or definition.memory or overrides.cpu or overrides.memory:
        # Without the ability the limits would silently not hold.
        required.add(TASK_SIZE)
    if overrides.task_role_arn:
        required.add(TASK_ROLE)
        if definition.network_mode == "host":
            required.add(TASK_ROLE_HOST)
    return frozenset(required)
