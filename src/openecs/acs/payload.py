"""From a task and its definition to the payload that its agent gets.  Pure.

Nothing of a task definition is decided here: registration has refused what cannot be
honoured.  What agents leave to the engine is rendered into Docker's own terms
(``payload_docker``), and overrides are merged (``payload_container``), because agents only
apply the override of a command themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs import arn as arns
from openecs.acs import payload_connect
from openecs.acs.payload_container import render_container
from openecs.acs.payload_logs import LogTarget
from openecs.acs.task_payload import (
    Association,
    DockerVolume,
    ElasticNetworkInterface,
    HostVolume,
    Ipv4Address,
    RoleCredentials,
    TaskPayload,
    VolumePayload,
)
from openecs.model.task import NetworkInterface, Task
from openecs.shapes import ecs

DEFAULT_NETWORK_MODE = "bridge"


class Surroundings(NamedTuple):
    """What a payload says besides the task and its definition."""

    log_target: LogTarget
    execution_role_credentials: RoleCredentials | None = None
    role_credentials: RoleCredentials | None = None
    #: Address and prefix length of the gateway of the task's subnet, for awsvpc tasks.
    subnet_gateway: str | None = None


def render_task(task: Task, definition: ecs.TaskDefinition, around: Surroundings) -> TaskPayload:
    """The payload that makes an agent run the task."""
    overrides = task.overrides or ecs.TaskOverride()
    arn = arns.parse(task.arn)
    network_mode = task.network_mode or definition.network_mode or DEFAULT_NETWORK_MODE
    by_name = {o.name: o for o in overrides.container_overrides or ()}
    tasks_containers = {c.name: c for c in task.containers}
    return TaskPayload(
        arn=task.arn,
        desired_status=task.desired_status,
        task_cluster_arn=task.cluster_arn,
        task_definition_account_id=arn.account if arn else "",
        zone=task.availability_zone or "",
        family=definition.family or "",
        version=str(definition.revision or 0),
        service_name=task.group.removeprefix("service:") if task.group.startswith("service:") else None,
        group=task.group,
        launch_type=task.launch_type,
        network_mode=network_mode,
        cpu=int(overrides.cpu or definition.cpu or 0) / 1024,
        memory=int(overrides.memory or definition.memory or 0),
        pid_mode=definition.pid_mode,
        ipc_mode=definition.ipc_mode,
        containers=tuple(
            render_container(
                task,
                definition,
                container,
                by_name.get(container.name) or ecs.ContainerOverride(),
                tasks_containers.get(container.name or ""),
                network_mode=network_mode,
                log_target=around.log_target,
            )
            for container in definition.container_definitions or ()
        ),
        volumes=tuple(_volume(volume) for volume in definition.volumes or ()),
        role_credentials=around.role_credentials,
        execution_role_credentials=around.execution_role_credentials,
        elastic_network_interfaces=_interfaces(task, around.subnet_gateway),
        associations=tuple(
            Association(name=gpu, containers=(container.name,))
            for container in task.containers
            for gpu in container.gpu_ids
        ),
        openecs_connect=payload_connect.render(task.connect, arns.short(task.arn), around.log_target)
        if task.connect is not None
        else None,
    )


def render_stop(task_arn: str) -> TaskPayload:
    """The payload that makes an agent stop a task; nothing else is needed."""
    return TaskPayload(arn=task_arn, desired_status="STOPPED")


def attachment_arn(task_arn: str, eni: NetworkInterface) -> str:
    """The ARN under which agents report the task's interface."""
    arn = arns.parse(task_arn)
    assert arn is not None  # noqa: S101 -- task ARNs are made by OpenECS itself
    return arns.ecs(arn.region, arn.account, f"attachment/{eni.attachment_id}")


def _interfaces(task: Task, subnet_gateway: str | None) -> tuple[ElasticNetworkInterface, ...]:
    eni = task.eni
    if eni is None:
        return ()
    return (
        ElasticNetworkInterface(
            ec2_id=eni.eni_id,
            attachment_arn=attachment_arn(task.arn, eni),
            mac_address=eni.mac_address,
            ipv4_addresses=(Ipv4Address(primary=True, private_address=eni.private_ipv4_address),),
            subnet_gateway_ipv4_address=subnet_gateway or "",
            private_dns_name=eni.private_dns_name,
        ),
    )


def _volume(volume: ecs.Volume) -> VolumePayload:
    """A ``host`` volume without a path is the task's own, made and removed with it."""
    docker = volume.docker_volume_configuration
    if docker is None:
        path = volume.host.source_path if volume.host else None
        return VolumePayload(name=volume.name or "", type="host", host=HostVolume(source_path=path or ""))
    return VolumePayload(
        name=volume.name or "",
        type="docker",
        docker_volume_configuration=DockerVolume(
            scope=docker.scope or "task",
            autoprovision=docker.autoprovision or False,
            driver=docker.driver or "local",
            driver_opts=docker.driver_opts or {},
            labels=docker.labels or {},
        ),
    )
