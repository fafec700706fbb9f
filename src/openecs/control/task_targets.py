"""Which targets a task is to be: the addresses and ports at which load balancers reach it.

Reads state only; ``control.targets`` writes what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from openecs import arn as arns
from openecs.model.node import ContainerInstance
from openecs.model.target_group import Target, TargetGroup
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State


class Unreachable(NamedTuple):
    """A target group that a task cannot be a target of, and why, as a sentence."""

    target_group_arn: str
    why: str


def instance_id(instance: ContainerInstance) -> str:
    """The id under which a container instance is a target: its EC2 instance's, or its own."""
    return instance.ec2_instance_id or arns.short(instance.arn)


def wanted_targets(
    state: State, task: Task, load_balancers: tuple[ecs.LoadBalancer, ...], now: float
) -> Iterator[Target | Unreachable]:
    """The targets that a RUNNING task is to be, one for each of its load balancers."""
    for load_balancer in load_balancers:
        arn = load_balancer.target_group_arn or ""
        group = state.target_groups.get(arn)
        if group is None:
            yield Unreachable(arn, "The specified target group does not exist.")
            continue
        identifier, port = _place(state, task, group, load_balancer)
        if identifier is None or port is None:
            name, wanted = load_balancer.container_name, load_balancer.container_port
            yield Unreachable(
                arn, f"The port {wanted} of the container {name} has no address on its container instance."
            )
            continue
        yield Target(target_group_arn=arn, id=identifier, port=port, registered_at=now, task_arn=task.arn)


def _place(
    state: State, task: Task, group: TargetGroup, load_balancer: ecs.LoadBalancer
) -> tuple[str | None, int | None]:
    """Where the container's port is reached, as the target group names its targets."""
    if group.target_type == "ip":
        return (task.eni.private_ipv4_address if task.eni is not None else None), load_balancer.container_port
    instance = state.container_instances.get(task.container_instance_arn or "")
    if instance is None:
        return None, None
    return instance_id(instance), _host_port(task, group, load_balancer)


def _host_port(task: Task, group: TargetGroup, load_balancer: ecs.LoadBalancer) -> int | None:
    """The host's port that leads to the container's, by every protocol of the target group."""
    port = load_balancer.container_port
    if task.network_mode == "host":
        return port
    found: dict[str, set[int]] = {"tcp": set(), "udp": set()}
    for container in task.containers:
        if container.name != load_balancer.container_name:
            continue
        for binding in container.network_bindings:
            if binding.container_port == port and binding.host_port:
                found[binding.protocol or "tcp"].add(binding.host_port)
    wanted = {"UDP": ("udp",), "TCP_UDP": ("tcp", "udp")}.get(group.protocol, ("tcp",))
    return min(set.intersection(*(found[protocol] for protocol in wanted)), default=None)
