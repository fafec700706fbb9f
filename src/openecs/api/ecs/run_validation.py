"""What RunTask and StartTask check of a request before anything is placed."""

from __future__ import annotations

import re

import msgspec

from openecs.api.ecs.definition import gpus, roles, size
from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.model import fargate
from openecs.planning import cluster_query
from openecs.shapes import ecs

MAX_OVERRIDES_BYTES = 8192
MAX_GROUP = 255
MAX_STARTED_BY = 128
_CLIENT_TOKEN = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
MAX_CONSTRAINTS = 10
MAX_STRATEGIES = 5


def check_launch_type(definition: ecs.TaskDefinition, launch_type: str) -> None:
    """The definition must be able to run on the launch type."""
    if launch_type not in (definition.compatibilities or ()):
        raise invalid_parameter(f"Task definition does not support launch_type {launch_type}.")
    required = definition.requires_compatibilities
    if required and launch_type not in required:
        raise invalid_parameter(f"Task definition does not support launch_type {launch_type}.")


def check_overrides(
    overrides: ecs.TaskOverride | None, definition: ecs.TaskDefinition, launch_type: str
) -> ecs.TaskOverride | None:
    """The overrides in normal form; refuses those for containers that do not exist."""
    if overrides is None:
        return None
    names = {container.name for container in definition.container_definitions or ()}
    length = 0
    for override in overrides.container_overrides or ():
        if not override.name:
            raise invalid_parameter("Container override name can not be null or empty.")
        if override.name not in names:
            raise invalid_parameter(
                f"Override for container named {override.name} is not a container in the TaskDefinition."
            )
        if override.environment_files:
            raise not_supported(f"overrides.containerOverrides[{override.name}].environmentFiles")
        _check_gpus(override, launch_type)
        length += _size(override)
    if length > MAX_OVERRIDES_BYTES:
        raise invalid_parameter(f"Container Overrides length must be at most {MAX_OVERRIDES_BYTES}")
    if overrides.inference_accelerator_overrides:
        raise not_supported("overrides.inferenceAcceleratorOverrides")
    if overrides.ephemeral_storage is not None:
        raise not_supported("overrides.ephemeralStorage")
    cpu, memory = fargate.normalise_cpu(overrides.cpu), fargate.normalise_memory(overrides.memory)
    if launch_type == "FARGATE":
        fargate.check_size(cpu or definition.cpu, memory or definition.memory)
    elif cpu:
        size.check_instance_task_cpu(int(cpu))
    roles.check("overrides.taskRoleArn", overrides.task_role_arn)
    roles.check("overrides.executionRoleArn", overrides.execution_role_arn)
    _check_sizes(overrides, definition, cpu, memory)
    return ecs.TaskOverride(
        container_overrides=overrides.container_overrides,
        cpu=cpu,
        memory=memory,
        task_role_arn=overrides.task_role_arn or None,
        execution_role_arn=overrides.execution_role_arn or None,
    )


def _check_gpus(override: ecs.ContainerOverride, launch_type: str) -> None:
    given = override.resource_requirements or ()
    gpus.refuse_unsupported(f"overrides.containerOverrides[{override.name}].resourceRequirements", given)
    wrong = gpus.problem(given)
    if wrong:
        raise invalid_parameter(f"Invalid 'resourceRequirements' override for container '{override.name}'. {wrong}")
    if given and launch_type == "FARGATE":
        raise invalid_parameter("Tasks using the Fargate launch type do not support GPU resource requirements.")


def _check_sizes(
    overrides: ecs.TaskOverride, definition: ecs.TaskDefinition, cpu: str | None, memory: str | None
) -> None:
    """What comes of definition and overrides together must be a size that a definition may have."""
    by_name = {override.name: override for override in overrides.container_overrides or ()}
    merged = []
    for container in definition.container_definitions or ():
        override = by_name.get(container.name) or ecs.ContainerOverride()
        given = {
            member: value
            for member in ("cpu", "memory", "memory_reservation")
            if (value := getattr(override, member)) is not None
        }
        merged.append(msgspec.structs.replace(container, **given))
    task_cpu, task_memory = cpu or definition.cpu, memory or definition.memory
    size.check_containers(
        tuple(merged),
        None if task_cpu is None else int(task_cpu),
        None if task_memory is None else int(task_memory),
    )


def check_placement(
    constraints: tuple[ecs.PlacementConstraint, ...],
    strategies: tuple[ecs.PlacementStrategy, ...],
    launch_type: str,
    *,
    in_definition: int = 0,
) -> None:
    """Constraints and strategies must be ones that placement understands.

    ``in_definition`` is how many constraints the task definition has; they count, too.
    """
    if launch_type == "FARGATE" and constraints:
        raise invalid_parameter("Placement constraints are not supported with FARGATE launch type.")
    if launch_type == "FARGATE" and strategies:
        raise invalid_parameter("Placement strategies are not supported with FARGATE launch type.")
    if len(constraints) + in_definition > MAX_CONSTRAINTS:
        raise invalid_parameter(f"Placement constraints can have at most {MAX_CONSTRAINTS} items.")
    if len(strategies) > MAX_STRATEGIES:
        raise invalid_parameter(f"Placement strategies can have at most {MAX_STRATEGIES} items.")
    for constraint in constraints:
        if constraint.type == "memberOf":
            try:
                cluster_query.parse(constraint.expression or "")
            except cluster_query.QueryError as error:
                raise invalid_parameter(
                    f"Invalid expression in placement constraint '{constraint.expression or ''}': {error}."
                ) from None
        elif constraint.type != "distinctInstance":
            raise invalid_parameter("Placement constraint type is required.")
        elif constraint.expression:
            raise invalid_parameter("An expression can not be specified with constraint type distinctInstance.")
    for strategy in strategies:
        _check_strategy(strategy)


def _check_strategy(strategy: ecs.PlacementStrategy) -> None:
    field = strategy.field or ""
    if strategy.type == "random":
        if field:
            raise invalid_parameter("A field can not be specified with strategy type random.")
    elif strategy.type == "binpack":
        if field.lower() not in ("cpu", "memory"):
            raise invalid_parameter(f"Invalid field '{field}' for strategy type binpack: use cpu or memory.")
    elif strategy.type == "spread":
        if field.lower() not in ("instanceid", "host") and not field.startswith("attribute:"):
            raise invalid_parameter(
                f"Invalid field '{field}' for strategy type spread: use instanceId, host or attribute:NAME."
            )
    else:
        raise invalid_parameter("Placement strategy type is required.")


def check_started_by(started_by: str | None) -> None:
    """``startedBy`` has a length, and is one line of text.

    AWS documents letters, numbers, hyphens, slashes and underscores only, but takes more: deploy
    tools send ``ECS Deploy``.
    """
    if not started_by:
        return
    if len(started_by) > MAX_STARTED_BY:
        raise invalid_parameter(f"startedBy can be at most {MAX_STARTED_BY} characters long.")
    if not started_by.isprintable():
        raise invalid_parameter("startedBy must not contain control characters.")


def check_client_token(token: str | None) -> None:
    """Client tokens of RunTask: up to 64 printable ASCII characters without spaces."""
    if token and not _CLIENT_TOKEN.fullmatch(token):
        raise invalid_parameter("Invalid client token: up to 64 ASCII characters in the range of 33-126 are allowed.")


def check_group(group: str | None) -> None:
    """Groups have a length, and ``service:`` groups belong to services."""
    if group and len(group) > MAX_GROUP:
        raise invalid_parameter(f"group can be at most {MAX_GROUP} characters long.")
    if group and group.startswith("service:"):
        raise invalid_parameter("Invalid group: the prefix 'service:' is reserved for services.")


def refuse_unserved(request: ecs.RunTaskRequest | ecs.StartTaskRequest) -> None:
    """Refuse what OpenECS does not do for tasks."""
    if request.enable_execute_command:
        raise not_supported("enableExecuteCommand")
    if request.volume_configurations:
        raise not_supported("volumeConfigurations")
    if request.reference_id:
        raise not_supported("referenceId")


def task_count(requested: int | None) -> int:
    """How many tasks RunTask shall start: one to ten."""
    count = 1 if requested is None else requested
    if count < 1:
        raise invalid_parameter("Count must be at least 1.")
    if count > 10:
        raise invalid_parameter("Count can be at most 10.")
    return count


def conflict(task_arns: tuple[str, ...]) -> AWSError:
    """A client token that was used with other parameters."""
    return AWSError(
        "ConflictException",
        "The request could not be processed because the clientToken is already in use with a different request.",
        members={"resourceIds": list(task_arns)},
    )


def _size(override: ecs.ContainerOverride) -> int:
    texts = [*(override.command or ())]
    for pair in override.environment or ():
        texts += [pair.name or "", pair.value or ""]
    return sum(len(text.encode()) for text in texts)
