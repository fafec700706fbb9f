"""From a RegisterTaskDefinition request to the definition that is kept: every check, all defaults.

Pure.  Tags are no part of a definition.  The result lacks only what registering
gives it: ARN, revision, status, time and caller.
"""

from __future__ import annotations

import re

import msgspec
from msgspec.structs import replace

from openecs.api.ecs.definition import (
    attributes,
    dependencies,
    firelens,
    gpus,
    launch_types,
    lifecycle,
    linux,
    logs,
    names,
    network,
    placement,
    ports,
    roles,
    size,
    support,
    volumes,
)
from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.model.fargate import parse_cpu, parse_memory
from openecs.shapes import ecs

_MOST_CONTAINERS = 10
_LARGEST = 64 * 1024

#: An encoded NUL character: an escape that is not itself escaped.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def definition(request: ecs.RegisterTaskDefinitionRequest) -> ecs.TaskDefinition:
    """The completed definition of a request that ECS would accept; raises ``AWSError`` otherwise."""
    names.check_family(request.family)
    _check_containers_present(request.container_definitions)
    _check_text(request)
    support.refuse_unsupported(request)
    roles.check("taskRoleArn", request.task_role_arn)
    roles.check("executionRoleArn", request.execution_role_arn)
    placement.check(request.placement_constraints or ())
    cpu, memory = parse_cpu(request.cpu), parse_memory(request.memory)
    launch_types.check(request)
    task_volumes = volumes.completed(request.volumes or ())
    containers = tuple(_completed(container, request, task_volumes) for container in request.container_definitions)
    size.check_containers(containers, cpu, memory)
    dependencies.check(containers)
    ports.check_conflicts(containers, request.network_mode or "bridge")
    result = ecs.TaskDefinition(
        container_definitions=containers,
        family=request.family,
        task_role_arn=request.task_role_arn or None,
        execution_role_arn=request.execution_role_arn or None,
        network_mode=request.network_mode,
        volumes=task_volumes,
        placement_constraints=request.placement_constraints or (),
        compatibilities=launch_types.compatibilities(request),
        runtime_platform=request.runtime_platform,
        requires_compatibilities=request.requires_compatibilities,
        cpu=None if cpu is None else str(cpu),
        memory=None if memory is None else str(memory),
        pid_mode=request.pid_mode,
        ipc_mode=request.ipc_mode,
        enable_fault_injection=request.enable_fault_injection,
    )
    return replace(result, requires_attributes=attributes.required(result))


def _check_containers_present(containers: tuple[ecs.ContainerDefinition, ...]) -> None:
    if not containers:
        raise client_error("Container list cannot be empty.")
    if len(containers) > _MOST_CONTAINERS:
        raise client_error(f"Task definitions must have at most {_MOST_CONTAINERS} containers (containerDefinitions).")
    names.check_container_names([container.name for container in containers])
    firelens.check(containers)
    if not any(container.essential is not False for container in containers):
        raise client_error("Task definition does not have any essential container.")


def _check_text(request: ecs.RegisterTaskDefinitionRequest) -> None:
    """The size as JSON, without tags; and no NUL, which no process can be given."""
    encoded = msgspec.json.encode(replace(request, tags=None))
    if len(encoded) > _LARGEST:
        raise client_error(f"Actual length: '{len(encoded)}'. Max allowed length is '{_LARGEST}' bytes.")
    if _NUL.search(encoded):
        raise client_error("Task definitions must not contain NUL characters.")


def _completed(
    container: ecs.ContainerDefinition,
    request: ecs.RegisterTaskDefinitionRequest,
    task_volumes: tuple[ecs.Volume, ...],
) -> ecs.ContainerDefinition:
    """One container, checked by itself, with the members that AWS always echoes."""
    mode = request.network_mode or "bridge"
    names.check_image(container.image)
    network.check(container, mode)
    lifecycle.check(container)
    linux.check(container, mode=mode, ipc_mode=request.ipc_mode)
    logs.check(container)
    volumes.check_mounts(container, task_volumes)
    wrong = gpus.problem(container.resource_requirements or ())
    if wrong:
        raise invalid_field("resourceRequirements", container.name or "", wrong)
    for variable in container.environment or ():
        if not variable.name or "=" in variable.name:
            raise invalid_field("environment", container.name or "", "Names must not be empty or contain '='.")
    return replace(
        container,
        cpu=container.cpu or 0,
        essential=container.essential is not False,
        port_mappings=ports.completed(container, mode),
        environment=container.environment or (),
        mount_points=container.mount_points or (),
        volumes_from=container.volumes_from or (),
        system_controls=container.system_controls or (),
        health_check=lifecycle.completed_health_check(container),
    )
