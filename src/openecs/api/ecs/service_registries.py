"""The ``serviceRegistries`` of services and task sets: what is checked before they are kept.

Reads state, writes nothing.  Messages are AWS's where AWS's are known.
"""

from __future__ import annotations

from openecs import arn as arns
from openecs.control.registry_instance import registry_service
from openecs.errors import invalid_parameter
from openecs.model.discovery import MAX_NAME, DiscoveryService
from openecs.shapes import ecs
from openecs.state.state import State

#: Registries of one service.
MAX_REGISTRIES = 1
#: Characters of a task's id.
_TASK_ID = 32


def check(
    state: State,
    region: str,
    given: tuple[ecs.ServiceRegistry, ...] | None,
    definition: ecs.TaskDefinition,
    *,
    launch_type: str,
) -> tuple[ecs.ServiceRegistry, ...]:
    """The registries as the deployment keeps them; raises AWS's errors for what cannot be."""
    given = given or ()
    if len(given) > MAX_REGISTRIES:
        raise invalid_parameter(f"service registries can have at most {MAX_REGISTRIES} items.")
    for registry in given:
        if launch_type == "EXTERNAL":
            raise invalid_parameter("Service registries are not supported with the EXTERNAL launch type.")
        service = _service(state, region, registry)
        _check_ports(registry, definition, service)
        _check_length(state, service)
    return given


def _service(state: State, region: str, given: ecs.ServiceRegistry) -> DiscoveryService:
    if not given.registry_arn:
        raise invalid_parameter("Registry ARN can not be blank.")
    arn = arns.parse(given.registry_arn)
    if arn is None or arn.service != "servicediscovery" or arn.kind != "service":
        raise invalid_parameter("Invalid ARN syntax.")
    found = registry_service(state, given.registry_arn)
    if found is None or found.region != region:
        raise invalid_parameter(f"The service registry with ARN {given.registry_arn} does not exist.")
    return found


def _check_length(state: State, service: DiscoveryService) -> None:
    """Of the DNS names that SRV records of the service's tasks would lead to: they begin with the task's id."""
    namespace = state.namespaces.get(service.namespace_id)
    if namespace is None or _TASK_ID + len(f".{service.name}.{namespace.name}") <= MAX_NAME:
        return
    if service.dns_config is not None and any(record.type == "SRV" for record in service.dns_config.dns_records):
        raise invalid_parameter(
            f"The DNS names of tasks in the service registry {service.arn} would be longer than {MAX_NAME} characters."
        )


def _check_ports(given: ecs.ServiceRegistry, definition: ecs.TaskDefinition, service: DiscoveryService) -> None:
    types = {record.type for record in service.dns_config.dns_records} if service.dns_config else set()
    mode = definition.network_mode or "bridge"
    if "CNAME" in types:
        raise invalid_parameter("A service registry with a CNAME record is not supported.")
    if mode == "none":
        raise invalid_parameter("Service registries are not supported with the none network mode.")
    by_container = given.container_name is not None or given.container_port is not None
    if by_container and given.port is not None:
        raise invalid_parameter("You cannot specify both a port and a containerName and containerPort combination.")
    if by_container and (not given.container_name or given.container_port is None):
        raise invalid_parameter("containerName and containerPort must be specified together.")
    if given.port is not None and not 0 < given.port < 65536:
        raise invalid_parameter("The port of a service registry must be between 1 and 65535.")
    if mode != "awsvpc":
        if "A" in types:
            raise invalid_parameter(f"The {mode} network mode needs a service registry with an SRV record.")
        if not by_container:
            raise invalid_parameter(
                "When specifying 'host' or 'bridge' for networkMode, values for 'containerName' and 'containerPort' "
                "must be specified from the task definition."
            )
    elif "SRV" in types and not by_container and given.port is None:
        raise invalid_parameter(
            "When specifying 'awsvpc' for networkMode and a service registry with an SRV record, either a port or a "
            "containerName and containerPort combination must be specified."
        )
    if by_container:
        _check_container(given, definition)


def _check_container(given: ecs.ServiceRegistry, definition: ecs.TaskDefinition) -> None:
    name, port = given.container_name, given.container_port or 0
    container = next((c for c in definition.container_definitions or () if c.name == name), None)
    if container is None:
        raise invalid_parameter(f"The container {name} does not exist in the task definition.")
    if not any(_maps(mapping, port) for mapping in container.port_mappings or ()):
        raise invalid_parameter(f"The container {name} did not have a container port {port} defined.")


def _maps(mapping: ecs.PortMapping, port: int) -> bool:
    if mapping.container_port_range:
        first, _, last = mapping.container_port_range.partition("-")
        return int(first) <= port <= int(last)
    return mapping.container_port == port
