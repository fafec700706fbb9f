"""All network interfaces of a region under one form: those of tasks and all others."""

from __future__ import annotations

from collections.abc import Iterator

from openecs.model.network_interface import Interface
from openecs.model.task import Task
from openecs.state.state import State

#: Who made the interfaces of tasks: nobody else may change or delete them.
ECS = "amazon-ecs"


def region_interfaces(state: State, region: str) -> Iterator[Interface]:
    """The region's interfaces; those of tasks until their task has ended."""
    yield from state.interfaces.by("region", region)
    for task in state.tasks:
        if task.region == region:
            interface = of_task(state, task)
            if interface is not None:
                yield interface


def of_task(state: State, task: Task) -> Interface | None:
    """The interface of a task as other interfaces are kept; ``None`` when it has none (any more)."""
    eni = task.eni
    if eni is None or task.stopped or eni.status == "DELETED":
        return None
    subnet = state.subnets.get(eni.subnet_id)
    owner = task.arn.split(":")[4]
    return Interface(
        id=eni.eni_id,
        region=task.region,
        owner=owner,
        # Tasks of installations from before VPCs were records have only the subnet.
        vpc_id=eni.vpc_id or (subnet.vpc_id if subnet is not None else ""),
        subnet_id=eni.subnet_id,
        availability_zone=subnet.availability_zone if subnet is not None else "",
        private_ip=eni.private_ipv4_address,
        mac_address=eni.mac_address,
        security_groups=eni.security_groups,
        description=f"arn:aws:ecs:{task.region}:{owner}:attachment/{eni.attachment_id}",
        requester_id=ECS,
        owner_arn=task.arn,
        node_id=task.node_id,
        status="in-use",
        public_ip=eni.public_ip,
        created_at=task.created_at,
    )


def attachment_id(interface: Interface) -> str | None:
    """The id of what holds an interface to what uses it; ``None`` for one that nothing uses."""
    return f"eni-attach-{interface.id.removeprefix('eni-')}" if interface.status == "in-use" else None


def private_dns_name(interface: Interface) -> str:
    """The name that follows from the address, as AWS forms it."""
    domain = "ec2.internal" if interface.region == "us-east-1" else f"{interface.region}.compute.internal"
    return f"ip-{interface.private_ip.replace('.', '-')}.{domain}"
