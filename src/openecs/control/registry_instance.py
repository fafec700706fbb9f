"""The Cloud Map instance that a RUNNING task of a service is to be.  Reads state, writes nothing."""

from __future__ import annotations

from openecs import arn as arns
from openecs.control import discovery
from openecs.model.discovery import DiscoveryInstance, DiscoveryService, InstanceHealth
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State

INIT_HEALTH = "AWS_INIT_HEALTH_STATUS"


class NotYetError(Exception):
    """The task cannot be found yet under an address; the text says what is missing."""


def registry_service(state: State, registry_arn: str | None) -> DiscoveryService | None:
    """The Cloud Map service with that ARN."""
    found = state.discovery_services.get(arns.short(registry_arn or ""))
    return found if found is not None and found.arn == registry_arn else None


def wanted_instance(
    state: State, task: Task, service: Service, registry: ecs.ServiceRegistry, now: float
) -> DiscoveryInstance:
    """The instance that the task is to be.  Raises ``NotYetError``."""
    found = registry_service(state, registry.registry_arn)
    if found is None:
        raise NotYetError("The service registry does not exist.")
    address, port = _place(state, task, registry)
    existing = state.discovery_instances.get(f"{found.id}|{arns.short(task.arn)}")
    health = _health(task) if discovery.checks_health(found) else "HEALTHY"
    attributes = {
        "AVAILABILITY_ZONE": task.availability_zone or "",
        "AWS_INSTANCE_IPV4": address,
        "ECS_CLUSTER_NAME": arns.short(task.cluster_arn),
        "ECS_SERVICE_NAME": service.name,
        "ECS_TASK_DEFINITION_FAMILY": task.task_definition_arn.rsplit("/", 1)[-1].rsplit(":", 1)[0],
        "REGION": task.region,
    }
    if port is not None:
        attributes["AWS_INSTANCE_PORT"] = str(port)
    instance = state.container_instances.get(task.container_instance_arn or "")
    if instance is not None and instance.ec2_instance_id and task.launch_type == "EC2":
        attributes["EC2_INSTANCE_ID"] = instance.ec2_instance_id
    if discovery.checks_health(found):
        # What it was when the task came; later changes are not attributes.
        initial = existing.attributes.get(INIT_HEALTH) if existing is not None else None
        attributes[INIT_HEALTH] = initial or health
    return DiscoveryInstance(
        service_id=found.id,
        instance_id=arns.short(task.arn),
        region=task.region,
        attributes=dict(sorted(attributes.items())),
        created_at=existing.created_at if existing is not None else now,
        creator_request_id=existing.creator_request_id if existing is not None else arns.short(task.arn),
        health=health,
        task_arn=task.arn,
    )


def _health(task: Task) -> InstanceHealth:
    """Container health as a custom health check tells it: a task without checks is healthy."""
    if task.health_status == "UNKNOWN":
        return "UNHEALTHY" if any(container.has_health_check for container in task.containers) else "HEALTHY"
    return task.health_status


def _place(state: State, task: Task, registry: ecs.ServiceRegistry) -> tuple[str, int | None]:
    """The address and port at which others reach the task."""
    if task.eni is not None:
        return task.eni.private_ipv4_address, registry.port or registry.container_port
    host = state.hosts.get(task.node_id or "")
    if host is None or not host.address:
        raise NotYetError("The host of the task has not told its address.")
    if task.network_mode == "host":
        return host.address, registry.container_port
    for container in task.containers:
        if container.name != registry.container_name:
            continue
        for binding in container.network_bindings:
            if binding.container_port == registry.container_port and binding.host_port:
                return host.address, binding.host_port
    raise NotYetError(
        f"The port {registry.container_port} of the container {registry.container_name} has no address on its host."
    )
