"""What FARGATE and EXTERNAL ask of a task definition, and which launch types one suits."""

from __future__ import annotations

from collections.abc import Callable

from openecs.api.ecs.definition import logs, paths, size
from openecs.api.ecs.definition.names import ECR_IMAGE
from openecs.errors import AWSError, client_error
from openecs.model import fargate
from openecs.shapes import ecs

_LONGEST_TIMEOUT = 120

#: Members that AWS refuses for Fargate whatever their value, when they say anything at all.
_NOT_ON_FARGATE = (
    "placementConstraints",
    "volumes[].host.sourcePath",
    "volumes[].dockerVolumeConfiguration",
    "containerDefinitions[].links",
    "containerDefinitions[].privileged",
    "containerDefinitions[].disableNetworking",
    "containerDefinitions[].dnsServers",
    "containerDefinitions[].dnsSearchDomains",
    "containerDefinitions[].extraHosts",
    "containerDefinitions[].dockerSecurityOptions",
    "containerDefinitions[].linuxParameters.devices",
    "containerDefinitions[].linuxParameters.sharedMemorySize",
    "containerDefinitions[].linuxParameters.maxSwap",
    "containerDefinitions[].linuxParameters.swappiness",
    "containerDefinitions[].resourceRequirements",
)


def check(request: ecs.RegisterTaskDefinitionRequest) -> None:
    """Refuse a definition that cannot run where ``requiresCompatibilities`` says it must."""
    required = request.requires_compatibilities or ()
    if "FARGATE" in required:
        check_fargate(request)
    if "EXTERNAL" in required:
        check_external(request)
    if "FARGATE" not in required:
        size.check_instance_task_cpu(fargate.parse_cpu(request.cpu))


def compatibilities(request: ecs.RegisterTaskDefinitionRequest) -> tuple[ecs.Compatibility, ...]:
    """The launch types that a (checked) definition suits, in AWS's order."""
    found: list[ecs.Compatibility] = ["EC2"]
    if _suits(check_external, request):
        found.insert(0, "EXTERNAL")
    if _suits(check_fargate, request):
        found.append("FARGATE")
    return tuple(found)


def check_external(request: ecs.RegisterTaskDefinitionRequest) -> None:
    """External instances have no elastic network interfaces."""
    if request.network_mode == "awsvpc":
        raise client_error("External compatible task definitions do not support networkMode awsvpc.")


def check_fargate(request: ecs.RegisterTaskDefinitionRequest) -> None:
    """Everything that AWS refuses on Fargate."""
    if request.network_mode != "awsvpc":
        raise client_error("Fargate only supports network mode ‘awsvpc’.")  # noqa: RUF001 -- AWS's own quotation marks
    fargate.check_size(request.cpu, request.memory)
    if request.ipc_mode is not None:
        raise client_error("Tasks using the Fargate launch type do not support ipcMode.")
    if request.pid_mode == "host":
        raise client_error("Tasks using the Fargate launch type do not support pidMode 'host'.")
    for path in _NOT_ON_FARGATE:
        if any(_says_something(value) for _, value in paths.find(request, path)):
            raise client_error(f"Fargate compatible task definitions do not support {paths.leaf(path)}")
    for container in request.container_definitions:
        _check_fargate_container(container, request.execution_role_arn)


def _check_fargate_container(container: ecs.ContainerDefinition, execution_role: str | None) -> None:
    for kind, seconds in (("start", container.start_timeout), ("stop", container.stop_timeout)):
        if seconds is not None and seconds > _LONGEST_TIMEOUT:
            raise client_error(
                f"Tasks using the Fargate launch type must have a container {kind} timeout of less than"
                f" {_LONGEST_TIMEOUT} seconds."
            )
    parameters = container.linux_parameters
    if parameters is not None and parameters.capabilities is not None:
        for capability in parameters.capabilities.add or ():
            if capability != "SYS_PTRACE":
                raise client_error(f"Fargate compatible task definitions do not support adding capability {capability}")
    if not execution_role and ECR_IMAGE.fullmatch(container.image or ""):
        raise client_error(
            "Fargate requires task definition to have execution role ARN (executionRoleArn) to support ECR images."
        )
    log = container.log_configuration
    if log is None or log.log_driver == "awsfirelens":
        return
    if log.log_driver != "awslogs":
        raise client_error(f"Fargate compatible task definitions do not support logDriver {log.log_driver}")
    logs.require(log, ("awslogs-region", "awslogs-group", "awslogs-stream-prefix"))
    if not execution_role:
        raise client_error(
            "Fargate requires task definition to have execution role ARN (executionRoleArn) to support log driver"
            " awslogs."
        )


def _says_something(value: object) -> bool:
    """``false`` and empty lists are what is the case anyway; a number, even 0, is a wish."""
    return value is not False and value not in ((), "")


def _suits(
    refuse: Callable[[ecs.RegisterTaskDefinitionRequest], None], request: ecs.RegisterTaskDefinitionRequest
) -> bool:
    try:
        refuse(request)
    except AWSError:
        return False
    return True
