"""Named port mappings of task definitions.  Pure."""

from __future__ import annotations

from openecs.errors import invalid_parameter
from openecs.shapes import ecs


def named_port(definition: ecs.TaskDefinition, name: str) -> ecs.PortMapping:
    """The port mapping of that name; raises AWS's error when no container has it."""
    if not name:
        raise invalid_parameter("portName can not be blank.")
    for container in definition.container_definitions or ():
        for mapping in container.port_mappings or ():
            if mapping.name == name:
                if mapping.container_port is None or mapping.protocol == "udp":
                    raise invalid_parameter(
                        f"The port mapping {name} can't be used with Service Connect: it must be a single TCP port."
                    )
                return mapping
    raise invalid_parameter(f"portName({name}) does not refer to any named PortMapping in the task definition.")
