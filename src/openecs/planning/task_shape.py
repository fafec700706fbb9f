"""A task as DescribeTasks and ECS's events show it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.task import NetworkInterface, Task, TaskContainer
from openecs.shapes import ecs


def task_shape(task: Task, architecture: str | None, tags: tuple[ecs.Tag, ...]) -> ecs.Task:
    """The wire form, without ephemeral storage, which AWS shows of FARGATE tasks: nothing limits it here."""
    attributes = (ecs.Attribute(name="ecs.cpu-architecture", value=architecture),) if architecture else ()
    return ecs.Task(
        attachments=(_attachment(task.eni, task),) if task.eni else (),
        attributes=attributes,
        availability_zone=task.availability_zone,
        capacity_provider_name=task.capacity_provider_name,
        cluster_arn=task.cluster_arn,
        connectivity=task.connectivity,
        connectivity_at=task.connectivity_at,
        container_instance_arn=task.container_instance_arn,
        containers=tuple(_container(container, task) for container in task.containers),
        cpu=task.cpu,
        created_at=task.created_at,
        desired_status=task.desired_status,
        enable_execute_command=task.enable_execute_command,
        execution_stopped_at=task.execution_stopped_at,
        group=task.group,
        health_status=task.health_status,
        last_status=task.last_status,
        launch_type=task.launch_type,
        memory=task.memory,
        overrides=_overrides(task),
        platform_version=task.platform_version,
        platform_family=task.platform_family,
        pull_started_at=task.pull_started_at,
        pull_stopped_at=task.pull_stopped_at,
        started_at=task.started_at,
        started_by=task.started_by,
        stop_code=task.stop_code,
        stopped_at=task.stopped_at,
        stopped_reason=task.stopped_reason,
        stopping_at=task.stopping_at,
        tags=tags,
        task_arn=task.arn,
        task_definition_arn=task.task_definition_arn,
        version=task.version,
    )


def _container(container: TaskContainer, task: Task) -> ecs.Container:
    interfaces: Iterable[ecs.NetworkInterface] = ()
    if task.eni is not None:
        interfaces = (
            ecs.NetworkInterface(
                attachment_id=task.eni.attachment_id, private_ipv4_address=task.eni.private_ipv4_address
            ),
        )
    return ecs.Container(
        container_arn=container.arn,
        task_arn=task.arn,
        name=container.name,
        image=container.image,
        image_digest=container.image_digest,
        runtime_id=container.runtime_id,
        last_status=container.last_status,
        exit_code=container.exit_code,
        reason=container.reason,
        network_bindings=container.network_bindings,
        network_interfaces=tuple(interfaces),
        health_status=container.health_status,
        cpu=container.cpu,
        memory=container.memory,
        memory_reservation=container.memory_reservation,
        gpu_ids=container.gpu_ids or None,
    )


def _attachment(eni: NetworkInterface, task: Task) -> ecs.Attachment:
    details = {
        "subnetId": eni.subnet_id,
        "networkInterfaceId": eni.eni_id,
        "macAddress": eni.mac_address,
        "privateDnsName": eni.private_dns_name,
        "privateIPv4Address": eni.private_ipv4_address,
    }
    return ecs.Attachment(
        id=eni.attachment_id,
        type="ElasticNetworkInterface",
        status="DELETED" if task.stopped else eni.status,
        details=tuple(ecs.KeyValuePair(name=name, value=value) for name, value in details.items()),
    )


def _overrides(task: Task) -> ecs.TaskOverride:
    """The overrides with one entry for every container, as AWS shows them."""
    given = task.overrides or ecs.TaskOverride()
    by_name = {override.name: override for override in given.container_overrides or ()}
    return ecs.TaskOverride(
        container_overrides=tuple(by_name.get(c.name) or ecs.ContainerOverride(name=c.name) for c in task.containers),
        inference_accelerator_overrides=(),
        cpu=given.cpu,
        memory=given.memory,
        task_role_arn=given.task_role_arn,
        execution_role_arn=given.execution_role_arn,
        ephemeral_storage=given.ephemeral_storage,
    )
