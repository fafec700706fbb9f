"""An ECS cluster as a target: the RunTask request that a target and its input come to.  Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.events.outcome import InvocationError
from openecs.shapes import ecs, events

#: What RunTask starts at most.
MAX_TASKS = 10


def run_task_request(target: events.Target, payload: str, *, token: str, started_by: str) -> bytes:
    """The parameters of RunTask as JSON.

    Of ``payload`` only the members of a TaskOverride count (``containerOverrides`` and its like), so a
    whole event as input changes nothing.  The same ``token`` never starts the tasks twice.
    Raises ``InvocationError`` when the payload's overrides are none.
    """
    wanted = target.ecs_parameters
    if wanted is None:
        raise InvocationError("INVALID_PARAMETER", "EcsParameters are missing.", retry=False)
    parameters: dict[str, Any] = {
        "cluster": target.arn,
        "taskDefinition": wanted.task_definition_arn,
        "count": wanted.task_count or 1,
        "launchType": wanted.launch_type,
        "networkConfiguration": wanted.network_configuration,
        "platformVersion": wanted.platform_version,
        "group": wanted.group,
        "capacityProviderStrategy": wanted.capacity_provider_strategy,
        "enableECSManagedTags": wanted.enable_ecs_managed_tags,
        "enableExecuteCommand": wanted.enable_execute_command,
        "placementConstraints": wanted.placement_constraints,
        "placementStrategy": wanted.placement_strategy,
        "propagateTags": wanted.propagate_tags,
        "referenceId": wanted.reference_id,
        "tags": [{"key": tag.key, "value": tag.value} for tag in wanted.tags] if wanted.tags else None,
        "overrides": _overrides(payload),
        "startedBy": started_by,
        "clientToken": token,
    }
    return msgspec.json.encode({name: value for name, value in parameters.items() if value is not None})


def _overrides(payload: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return None
    if not isinstance(found, dict):
        return None
    names = {member.encode_name for member in msgspec.structs.fields(ecs.TaskOverride)}
    overrides = {name: value for name, value in found.items() if name in names}
    return overrides or None
