"""What one task of a definition holds on its node: CPU, memory, host ports, GPUs."""

from __future__ import annotations

from openecs.model.resources import Resources
from openecs.planning import gpus
from openecs.shapes import ecs


def task_reservation(definition: ecs.TaskDefinition, overrides: ecs.TaskOverride | None = None) -> Resources:
    """The amounts that placement must find and that the node then keeps for the task.

    Task-level cpu and memory count when they are given, otherwise the sums over the
    containers: of cpu, and of the soft memory limit or, without one, the hard limit.
    """
    overrides = overrides or ecs.TaskOverride()
    by_name = {o.name: o for o in overrides.container_overrides or ()}
    cpu = memory = 0
    ports: set[int] = set()
    ports_udp: set[int] = set()
    for container in definition.container_definitions or ():
        override = by_name.get(container.name) or ecs.ContainerOverride()
        cpu += _first(override.cpu, container.cpu)
        memory += _first(override.memory_reservation, container.memory_reservation, override.memory, container.memory)
        if definition.network_mode != "awsvpc":
            for mapping in container.port_mappings or ():
                held = ports_udp if mapping.protocol == "udp" else ports
                held.update(_host_ports(definition.network_mode, mapping))
    task_cpu = overrides.cpu or definition.cpu
    task_memory = overrides.memory or definition.memory
    return Resources(
        cpu=int(task_cpu) if task_cpu else cpu,
        memory=int(task_memory) if task_memory else memory,
        ports=tuple(sorted(ports)),
        ports_udp=tuple(sorted(ports_udp)),
        gpus=sum(gpus.wanted(definition, overrides).values()),
    )


def _first(*amounts: int | None) -> int:
    return next((amount for amount in amounts if amount is not None), 0)


def _host_ports(network_mode: str | None, mapping: ecs.PortMapping) -> range | tuple[int, ...]:
    """The host ports that are known before the task starts; dynamic ones are the agent's."""
    if mapping.container_port_range:
        # In bridge mode the agent finds a free block; in host mode the range is the host's.
        if network_mode != "host":
            return ()
        low, _, high = mapping.container_port_range.partition("-")
        return range(int(low), int(high) + 1)
    port = mapping.host_port or (mapping.container_port if network_mode == "host" else 0)
    return (port,) if port else ()
