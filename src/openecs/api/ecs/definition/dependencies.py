"""What containers of a task need of each other: dependsOn, links and volumesFrom.

All three order the start, so all three together must be free of cycles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.shapes import ecs

_ALIAS = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def check(containers: tuple[ecs.ContainerDefinition, ...]) -> None:
    """Every reference names another container and can be satisfied."""
    by_name = {container.name or "": container for container in containers}
    graph: dict[str, set[str]] = {}
    for name, container in by_name.items():
        for dependency in container.depends_on or ():
            _check_dependency(dependency, by_name)
        _check_links(container, by_name)
        for source in container.volumes_from or ():
            if source.source_container not in by_name:
                raise invalid_field("volumesFrom", name, f"There is no container '{source.source_container}'.")
        graph[name] = set(_needs(container))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise client_error(f"Container dependencies (dependsOn, links, volumesFrom) form a cycle: {circle}.") from None


def _needs(container: ecs.ContainerDefinition) -> Iterator[str]:
    for dependency in container.depends_on or ():
        yield dependency.container_name
    for link in container.links or ():
        yield link.partition(":")[0]
    for source in container.volumes_from or ():
        yield source.source_container or ""


def _check_dependency(dependency: ecs.ContainerDependency, by_name: Mapping[str, ecs.ContainerDefinition]) -> None:
    target = by_name.get(dependency.container_name)
    if target is None:
        # The stray plus sign is AWS's own; people match on the text.
        raise client_error(f"Cannot depend on container + '{dependency.container_name}' because it does not exist")
    if dependency.condition in ("SUCCESS", "COMPLETE") and target.essential is not False:
        raise client_error("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
    if dependency.condition == "HEALTHY" and target.health_check is None:
        raise client_error(
            f"A dependency container with HEALTHY condition must have a healthCheck: '{dependency.container_name}'."
        )


def _check_links(container: ecs.ContainerDefinition, by_name: Mapping[str, ecs.ContainerDefinition]) -> None:
    for link in container.links or ():
        target, colon, alias = link.partition(":")
        if target not in by_name:
            raise invalid_field("links", container.name or "", f"There is no container '{target}'.")
        if colon and not _ALIAS.fullmatch(alias):
            raise invalid_field("links", container.name or "", f"'{link}' is not NAME or NAME:ALIAS.")
