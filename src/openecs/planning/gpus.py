"""GPUs of tasks: how many each container asks for, and which ones it gets.  Pure.

A GPU is a thing with an id, given to one container as a whole until its task has ended.
Placement only counts them; the ids are chosen when the node is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from openecs.model.task import TaskContainer
from openecs.shapes import ecs


def wanted(definition: ecs.TaskDefinition, overrides: ecs.TaskOverride | None = None) -> dict[str, int]:
    """Container name → how many GPUs it asks for, of the containers that do.

    Requirements of an override stand instead of the definition's.
    """
    by_name = {o.name: o.resource_requirements for o in (overrides.container_overrides if overrides else None) or ()}
    found: dict[str, int] = {}
    for container in definition.container_definitions or ():
        count = requested(by_name.get(container.name) or container.resource_requirements or ())
        if count:
            found[container.name or ""] = count
    return found


def requested(requirements: Iterable[ecs.ResourceRequirement]) -> int:
    """How many GPUs checked requirements come to."""
    return sum(int(one.value or 0) for one in requirements if one.type == "GPU")


def assign(
    containers: tuple[TaskContainer, ...], counts: Mapping[str, int], free: Iterable[str]
) -> tuple[TaskContainer, ...]:
    """The containers with the first of the free GPUs; what they had before is forgotten.

    ``LookupError`` when there are too few: the caller has placed the task on a wrong node.
    """
    left = iter(free)
    return tuple(
        [
            msgspec.structs.replace(container, gpu_ids=tuple(_next(left, counts.get(container.name, 0))))
            for container in containers
        ]
    )


def _next(left: Iterator[str], count: int) -> Iterator[str]:
    for _ in range(count):
        found = next(left, None)
        if found is None:
            raise LookupError("the node has fewer free GPUs than the task asks for")
        yield found
