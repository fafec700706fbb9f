"""The size of tasks on instances, and what containers may reserve of it: CPU units and MiB of memory."""

from __future__ import annotations

from openecs.api.ecs.definition.refusals import invalid_field, invalid_setting
from openecs.errors import client_error
from openecs.shapes import ecs

#: The engine does not start a container with a lower limit (Docker 20.10 and later).
MINIMUM_CONTAINER_MEMORY = 6

#: The most CPU shares that the kernel knows.
MAXIMUM_CONTAINER_CPU = 262_144

_MAXIMUM = 2**31 - 1


def check_instance_task_cpu(cpu: int | None) -> None:
    """The range that ECS allows for tasks on container instances: 0.125 to 192 vCPU."""
    if cpu is not None and not 128 <= cpu <= 196_608:
        raise client_error("Invalid 'cpu' setting for task. Supported values are between 128 and 196608 CPU units.")


def check_containers(containers: tuple[ecs.ContainerDefinition, ...], cpu: int | None, memory: int | None) -> None:
    """What each container asks for, and that all of them fit into the task."""
    for container in containers:
        _check_cpu(container)
        _check_memory(container, memory)
    if cpu is not None and sum(container.cpu or 0 for container in containers) > cpu:
        raise client_error("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")
    reserved = sum(container.memory_reservation or container.memory or 0 for container in containers)
    if memory is not None and reserved > memory:
        raise client_error(
            "The sum of all container 'memory' or 'memoryReservation' values cannot be greater than the value of the"
            " task 'memory'."
        )


def _check_cpu(container: ecs.ContainerDefinition) -> None:
    if container.cpu is not None and not 0 <= container.cpu <= MAXIMUM_CONTAINER_CPU:
        raise invalid_field("cpu", container.name or "", f"It must be between 0 and {MAXIMUM_CONTAINER_CPU}.")


def _check_memory(container: ecs.ContainerDefinition, task: int | None) -> None:
    name = container.name or ""
    hard, soft = container.memory, container.memory_reservation
    if hard is None and soft is None and task is None:
        raise invalid_setting(name, "At least one of 'memory' or 'memoryReservation' must be specified.")
    for field, amount in (("memory", hard), ("memoryReservation", soft)):
        if amount is not None and not MINIMUM_CONTAINER_MEMORY <= amount <= _MAXIMUM:
            raise invalid_field(field, name, f"It must be at least {MINIMUM_CONTAINER_MEMORY} MiB.")
        if amount is not None and task is not None and amount > task:
            raise client_error(f"The '{field}' setting for container '{name}' is greater than for the task.")
    if hard is not None and soft is not None and soft > hard:
        raise invalid_setting(name, "'memory' must be greater than or equal to 'memoryReservation'.")
