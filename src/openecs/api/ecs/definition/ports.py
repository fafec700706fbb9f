"""Port mappings: ranges, network modes, conflicts, and the defaults AWS fills in."""

from __future__ import annotations

import re

from msgspec.structs import replace

from openecs.api.ecs.definition.refusals import invalid_field, not_in_mode
from openecs.errors import client_error
from openecs.shapes import ecs

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
_RANGES_PER_CONTAINER = 100

#: Modes in which a container port is the host's (or the task's own interface's) port.
_STATIC_MODES = ("host", "awsvpc")


def completed(container: ecs.ContainerDefinition, mode: str) -> tuple[ecs.PortMapping, ...]:
    """The container's mappings with protocol and host port filled in as AWS echoes them."""
    mappings = container.port_mappings or ()
    if mappings and mode == "none":
        raise not_in_mode("portMappings", mode)
    if mappings and container.disable_networking:
        raise invalid_field("portMappings", container.name or "", "It cannot be used with disableNetworking.")
    name = container.name or ""
    if sum(mapping.container_port_range is not None for mapping in mappings) > _RANGES_PER_CONTAINER:
        raise invalid_field("containerPortRange", name, f"At most {_RANGES_PER_CONTAINER} ranges are allowed.")
    result = tuple(_completed(mapping, name, mode) for mapping in mappings)
    _check_overlaps(result, name)
    return result


def check_conflicts(containers: tuple[ecs.ContainerDefinition, ...], mode: str) -> None:
    """No two mappings of a bridge task take the same host port; no two share a name."""
    host_ports: set[tuple[str | None, int]] = set()
    names: set[str] = set()
    for container in containers:
        for mapping in container.port_mappings or ():
            taken = (mapping.protocol, mapping.host_port or 0)
            if mode == "bridge" and mapping.host_port and taken in host_ports:
                raise invalid_field("hostPort", container.name or "", f"Port {mapping.host_port} is mapped twice.")
            host_ports.add(taken)
            if mapping.name is not None and mapping.name in names:
                raise client_error(
                    f"The port mapping name '{mapping.name}' is used more than once (portMappings.name)."
                )
            if mapping.name is not None:
                names.add(mapping.name)


def _completed(mapping: ecs.PortMapping, container: str, mode: str) -> ecs.PortMapping:
    _check_name(mapping, container)
    mapping = replace(mapping, protocol=mapping.protocol or "tcp")
    if mapping.container_port_range is not None:
        return _range(mapping, container, mode)
    port = mapping.container_port
    if port is None or not 1 <= port <= 65535:
        raise invalid_field("containerPort", container)
    host = mapping.host_port
    if mode in _STATIC_MODES:
        # AWS takes 0 for "not given" here too.
        if host not in (None, 0, port):
            raise client_error(
                f"When networkMode={mode}, the host ports and container ports in port mappings must match."
            )
        return replace(mapping, host_port=port)
    if host is not None and not 0 <= host <= 65535:
        raise invalid_field("hostPort", container)
    return replace(mapping, host_port=host or 0)


def _range(mapping: ecs.PortMapping, container: str, mode: str) -> ecs.PortMapping:
    if mode == "host":
        raise not_in_mode("containerPortRange", mode)
    if mapping.container_port is not None or mapping.host_port is not None:
        raise invalid_field("containerPortRange", container, "It cannot be used with containerPort or hostPort.")
    first, last = bounds(mapping)
    if not 1 <= first < last <= 65535:
        raise invalid_field("containerPortRange", container, "It must be FIRST-LAST within 1-65535.")
    return mapping


def bounds(mapping: ecs.PortMapping) -> tuple[int, int]:
    """First and last container port of a mapping; ``(0, 0)`` when a range cannot be read."""
    if mapping.container_port_range is None:
        return mapping.container_port or 0, mapping.container_port or 0
    match = _RANGE.fullmatch(mapping.container_port_range)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _check_name(mapping: ecs.PortMapping, container: str) -> None:
    if mapping.name is not None and not _NAME.fullmatch(mapping.name):
        raise invalid_field("portMappings.name", container)
    if mapping.app_protocol is not None and mapping.name is None:
        raise invalid_field("appProtocol", container, "It requires the port mapping to have a name.")


def _check_overlaps(mappings: tuple[ecs.PortMapping, ...], container: str) -> None:
    """A port belongs to one mapping; only distinct fixed host ports may share a single one."""
    for index, one in enumerate(mappings):
        first, last = bounds(one)
        for other in mappings[:index]:
            other_first, other_last = bounds(other)
            if one.protocol != other.protocol or last < other_first or other_last < first:
                continue
            both_fixed = one.host_port and other.host_port and one.host_port != other.host_port
            if not both_fixed:
                field = "containerPortRange" if one.container_port_range else "containerPort"
                raise invalid_field(field, container, f"Port {max(first, other_first)} is mapped twice.")
