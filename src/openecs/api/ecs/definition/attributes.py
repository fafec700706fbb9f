"""``requiresAttributes``: what a container instance must offer to run a task definition.

Placement compares the names with what the agent registered, so they are the names that the
ECS agent itself uses.  The agent reports only some versions of Docker's API; only those
(``AGENT_API_VERSIONS``) are ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from openecs.api.ecs.definition.names import ECR_IMAGE
from openecs.shapes import ecs

_DOCKER = "com.amazonaws.ecs.capability.docker-remote-api."
_CAPABILITY = "ecs.capability."
_OLD_CAPABILITY = "com.amazonaws.ecs.capability."

#: The versions of Docker's API that an agent registers as attributes.
AGENT_API_VERSIONS = (
    "1.17", "1.18", "1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.28", "1.29", "1.30", "1.32",
)  # fmt: skip

#: Log driver → the first version of Docker's API that has it.
_LOG_DRIVER_API = {
    "json-file": "1.18",
    "syslog": "1.18",
    "journald": "1.19",
    "awslogs": "1.19",
    "gelf": "1.20",
    "fluentd": "1.20",
}


def required(definition: ecs.TaskDefinition) -> tuple[ecs.Attribute, ...]:
    """The attributes that a completed definition needs, each once, in a stable order."""
    names: dict[str, None] = dict.fromkeys(_of_task(definition))
    for container in definition.container_definitions or ():
        names.update(dict.fromkeys(_of_container(container, has_execution_role=bool(definition.execution_role_arn))))
    return tuple(ecs.Attribute(name=name) for name in names)


def _of_task(definition: ecs.TaskDefinition) -> Iterator[str]:
    if definition.task_role_arn:
        yield _OLD_CAPABILITY + "task-iam-role"
        if definition.network_mode == "host":
            yield _OLD_CAPABILITY + "task-iam-role-network-host"
    if definition.cpu or definition.memory:
        yield _CAPABILITY + "task-cpu-mem-limit"
    if definition.network_mode == "awsvpc":
        yield _DOCKER + "1.18"
        yield _CAPABILITY + "task-eni"
    for volume in definition.volumes or ():
        if volume.docker_volume_configuration is not None:
            yield _DOCKER + "1.25"
            yield f"{_CAPABILITY}docker-plugin.{volume.docker_volume_configuration.driver or 'local'}"


def _of_container(container: ecs.ContainerDefinition, *, has_execution_role: bool) -> Iterator[str]:
    if ECR_IMAGE.fullmatch(container.image or ""):
        yield _OLD_CAPABILITY + "ecr-auth"
        if has_execution_role:
            yield _CAPABILITY + "execution-role-ecr-pull"
    if container.log_configuration is not None:
        yield from _of_log(container.log_configuration, has_execution_role=has_execution_role)
    if container.privileged:
        yield _OLD_CAPABILITY + "privileged-container"
    if container.memory_reservation is not None:
        yield _DOCKER + "1.21"
    if container.ulimits:
        yield _DOCKER + "1.18"
    if container.health_check is not None:
        yield _DOCKER + "1.24"
        yield _DOCKER + "1.29"
        yield _CAPABILITY + "container-health-check"
    if container.depends_on or container.start_timeout is not None or container.stop_timeout is not None:
        yield _CAPABILITY + "container-ordering"
    if container.restart_policy is not None and container.restart_policy.enabled:
        yield _CAPABILITY + "container-restart-policy"
    router = container.firelens_configuration
    if router is not None:
        yield f"{_CAPABILITY}firelens.{router.type}"
        if (router.options or {}).get("config-file-type") is not None:
            yield f"{_CAPABILITY}firelens.options.config.file"
    if any(mapping.container_port_range for mapping in container.port_mappings or ()):
        yield _CAPABILITY + "network.container-port-range"
    if container.system_controls:
        yield _DOCKER + "1.24"
    yield from _of_linux_parameters(container.linux_parameters)
    for option in container.docker_security_options or ():
        if option.startswith("apparmor:"):
            yield _OLD_CAPABILITY + "apparmor"
        elif option.startswith("label:"):
            yield _OLD_CAPABILITY + "selinux"


def _of_log(log: ecs.LogConfiguration, *, has_execution_role: bool) -> Iterator[str]:
    yield f"{_OLD_CAPABILITY}logging-driver.{log.log_driver}"
    if log.log_driver in _LOG_DRIVER_API:
        yield _DOCKER + _LOG_DRIVER_API[log.log_driver]
    options = log.options or {}
    if log.log_driver == "awsfirelens" and "log-driver-buffer-limit" in options:
        yield f"{_CAPABILITY}logging-driver.awsfirelens.log-driver-buffer-limit"
    if log.log_driver == "awslogs" and has_execution_role:
        yield _CAPABILITY + "execution-role-awslogs"
    if "awslogs-create-group" in options:
        yield _DOCKER + "1.17"
    if "mode" in options:
        yield _DOCKER + "1.28"


def _of_linux_parameters(parameters: ecs.LinuxParameters | None) -> Iterator[str]:
    if parameters is None:
        return
    if parameters.tmpfs or parameters.shared_memory_size is not None:
        yield _DOCKER + "1.22"
    if parameters.init_process_enabled:
        yield _DOCKER + "1.25"
    if parameters.max_swap is not None or parameters.swappiness is not None:
        yield _DOCKER + "1.19"
