"""A fresh task record from its definition: everything that is known before it is placed."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from openecs import arn as arns
from openecs.ids import Ids
from openecs.model import fargate
from openecs.model.cluster import Cluster
from openecs.model.resources import Resources
from openecs.model.service import ImagePin
from openecs.model.task import NetworkInterface, Task, TaskContainer
from openecs.model.task_definition import TaskDefinition
from openecs.model.vpc import VpcSubnet
from openecs.planning import image_pins
from openecs.shapes import ecs


def new_task(
    *,
    cluster: Cluster,
    definition: TaskDefinition,
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"],
    group: str,
    reservation: Resources,
    now: float,
    ids: Ids,
    started_by: str | None = None,
    service_arn: str | None = None,
    deployment_id: str | None = None,
    overrides: ecs.TaskOverride | None = None,
    platform_version: str | None = None,
    eni: NetworkInterface | None = None,
    pins: tuple[ImagePin, ...] = (),
) -> Task:
    """A PROVISIONING task with its own ids; the caller adds where it runs.

    ``pins`` are the digests that its deployment has settled.
    """
    shape = definition.definition
    account, region = _account_and_region(cluster)
    task_id = ids.hex32()
    overridden = {o.name: o for o in (overrides.container_overrides if overrides else None) or ()}
    containers = tuple(
        _container(container, overridden.get(container.name), cluster, task_id, ids, pins)
        for container in shape.container_definitions or ()
    )
    return Task(
        arn=arns.ecs(region, account, f"task/{cluster.name}/{task_id}"),
        region=region,
        cluster_arn=cluster.arn,
        task_definition_arn=definition.arn,
        launch_type=launch_type,
        desired_status="RUNNING",
        last_status="PROVISIONING",
        created_at=now,
        group=group,
        containers=containers,
        reservation=reservation,
        started_by=started_by,
        service_arn=service_arn,
        deployment_id=deployment_id,
        overrides=overrides,
        network_mode=shape.network_mode,
        eni=eni,
        cpu=_text((overrides.cpu if overrides else None) or shape.cpu or reservation.cpu),
        memory=_text((overrides.memory if overrides else None) or shape.memory or reservation.memory),
        platform_version=platform_version,
        platform_family=fargate.PLATFORM_FAMILY if launch_type == "FARGATE" else None,
    )


def twin(task: Task, ids: Ids, **changes: Any) -> Task:
    """Another new task of the same launch: equal but for its ids, and for ``changes``."""
    task_id = ids.hex32()
    prefix = task.arn.rpartition("/")[0]
    container_prefix = prefix.replace(":task/", ":container/", 1)
    containers = tuple(
        [
            msgspec.structs.replace(container, arn=f"{container_prefix}/{task_id}/{ids.uuid()}")
            for container in task.containers
        ]
    )
    return msgspec.structs.replace(task, arn=f"{prefix}/{task_id}", containers=containers, **changes)


def new_interface(
    *,
    subnet: VpcSubnet,
    address: str,
    security_groups: tuple[str, ...],
    ids: Ids,
    assign_public_ip: bool = False,
    public_ip: str | None = None,
) -> NetworkInterface:
    """The network interface of an awsvpc task."""
    domain = "ec2.internal" if subnet.region == "us-east-1" else f"{subnet.region}.compute.internal"
    return NetworkInterface(
        attachment_id=ids.uuid(),
        eni_id=f"eni-0{ids.hex32()[:16]}",
        mac_address=mac_address(address),
        private_ipv4_address=address,
        private_dns_name=f"ip-{address.replace('.', '-')}.{domain}",
        subnet_id=subnet.id,
        security_groups=security_groups,
        assign_public_ip=assign_public_ip,
        vpc_id=subnet.vpc_id,
        public_ip=public_ip,
    )


def mac_address(address: str) -> str:
    """The hardware address of the interface with that IP address.

    It is derived from it, so that neighbours' caches stay right when an address moves to
    another host.
    """
    return "0a:58:" + ":".join(f"{int(octet):02x}" for octet in address.split("."))


def _container(
    container: ecs.ContainerDefinition,
    override: ecs.ContainerOverride | None,
    cluster: Cluster,
    task_id: str,
    ids: Ids,
    pins: tuple[ImagePin, ...],
) -> TaskContainer:
    account, region = _account_and_region(cluster)
    override = override or ecs.ContainerOverride()
    soft = _or(override.memory_reservation, container.memory_reservation)
    return TaskContainer(
        arn=arns.ecs(region, account, f"container/{cluster.name}/{task_id}/{ids.uuid()}"),
        name=container.name or "",
        image=container.image or "",
        pinned_digest=image_pins.digest_for(pins, container),
        keeps_version=image_pins.is_pinned(container),
        essential=container.essential is not False,
        has_health_check=container.health_check is not None,
        cpu=str(_or(override.cpu, container.cpu) or 0),
        memory=_text(_or(override.memory, container.memory)),
        memory_reservation=_text(soft),
    )


def _or(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _text(amount: int | str | None) -> str | None:
    return None if amount is None else str(amount)


def _account_and_region(cluster: Cluster) -> tuple[str, str]:
    parsed = arns.parse(cluster.arn)
    assert parsed is not None, cluster.arn  # noqa: S101 -- we wrote it ourselves
    return parsed.account, parsed.region
