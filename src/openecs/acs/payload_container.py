"""One container of a task payload: overrides merged, the rest in Docker's terms.  Pure."""

from __future__ import annotations

from openecs import arn as arns
from openecs.acs.payload_docker import API_VERSION, config_json, host_config_json
from openecs.acs.payload_logs import LogTarget
from openecs.acs.task_payload import (
    ContainerPayload,
    Dependency,
    DockerConfig,
    FirelensPayload,
    MountPoint,
    PortMapping,
    RestartPolicy,
    VolumeFrom,
)
from openecs.model.task import Task, TaskContainer
from openecs.planning.image_pins import pinned_reference
from openecs.shapes import ecs

#: What AWS tells programs about where they run; EXTERNAL instances run the same agent as EC2.
EXECUTION_ENVIRONMENTS = {"EC2": "AWS_ECS_EC2", "EXTERNAL": "AWS_ECS_EC2", "FARGATE": "AWS_ECS_FARGATE"}


def render_container(
    task: Task,
    definition: ecs.TaskDefinition,
    container: ecs.ContainerDefinition,
    override: ecs.ContainerOverride,
    record: TaskContainer | None,
    *,
    network_mode: str,
    log_target: LogTarget,
) -> ContainerPayload:
    """The container as its agent gets it.  ``record`` is the task's own entry for it."""
    logs = container.log_configuration
    memory = _first(override.memory, container.memory)
    asked = record.image if record else container.image or ""
    image = pinned_reference(asked, record.pinned_digest if record else None)
    return ContainerPayload(
        name=container.name or "",
        image=image,
        requested_image=asked if image != asked else None,
        container_arn=record.arn if record else "",
        command=override.command if override.command is not None else container.command or (),
        entry_point=container.entry_point,
        cpu=_first(override.cpu, container.cpu) or 0,
        memory=memory or 0,
        essential=container.essential is not False,
        environment=_environment(task, container, override),
        port_mappings=_ports(container, network_mode),
        links=container.links or (),
        mount_points=tuple(
            MountPoint(m.source_volume or "", m.container_path or "", m.read_only or False)
            for m in container.mount_points or ()
        ),
        volumes_from=tuple(
            VolumeFrom(v.source_container or "", v.read_only or False) for v in container.volumes_from or ()
        ),
        docker_config=DockerConfig(
            version=API_VERSION,
            config=config_json(container),
            host_config=host_config_json(
                container,
                definition,
                memory_mib=memory,
                memory_reservation_mib=_first(override.memory_reservation, container.memory_reservation),
                network_mode=network_mode,
                task_id=arns.short(task.arn),
                log_target=log_target,
            ),
        ),
        health_check_type="docker" if container.health_check else None,
        depends_on=tuple(Dependency(d.container_name, d.condition) for d in container.depends_on or ()),
        start_timeout=container.start_timeout,
        stop_timeout=container.stop_timeout,
        restart_policy=_restart_policy(container.restart_policy),
        firelens_configuration=_firelens(container.firelens_configuration),
        logs_auth_strategy="ExecutionRole" if logs and logs.log_driver == "awslogs" else None,
    )


def _environment(task: Task, container: ecs.ContainerDefinition, override: ecs.ContainerOverride) -> dict[str, str]:
    """Later ones win: AWS's own, the definition's, the override's."""
    environment = {"AWS_EXECUTION_ENV": EXECUTION_ENVIRONMENTS[task.launch_type]}
    for pair in (*(container.environment or ()), *(override.environment or ())):
        if pair.name:
            environment[pair.name] = pair.value or ""
    return environment


def _ports(container: ecs.ContainerDefinition, network_mode: str) -> tuple[PortMapping, ...]:
    """Nothing is published for awsvpc (the engine would refuse it) nor without a network."""
    if network_mode in ("awsvpc", "none") or container.disable_networking:
        return ()
    return tuple(
        PortMapping(
            container_port=m.container_port,
            host_port=(m.host_port or m.container_port or 0) if network_mode == "host" else m.host_port or 0,
            container_port_range=m.container_port_range,
            protocol=m.protocol or "tcp",
        )
        for m in container.port_mappings or ()
    )


def _firelens(configuration: ecs.FirelensConfiguration | None) -> FirelensPayload | None:
    if configuration is None:
        return None
    return FirelensPayload(configuration.type, configuration.options or {})


def _restart_policy(policy: ecs.ContainerRestartPolicy | None) -> RestartPolicy | None:
    if policy is None:
        return None
    return RestartPolicy(policy.enabled, policy.ignored_exit_codes or (), policy.restart_attempt_period)


def _first(*amounts: int | None) -> int | None:
    return next((amount for amount in amounts if amount is not None), None)
