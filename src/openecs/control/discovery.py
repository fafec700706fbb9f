"""Changes of Cloud Map's instances, whoever wants them: the API, or ECS for its services' tasks.

Each is part of the caller's transaction.  A change that DiscoverInstances would show raises the
revision of the service; one that changes nothing does not.
"""

from __future__ import annotations

import msgspec

from openecs.model.discovery import DiscoveryInstance, DiscoveryService, InstanceHealth
from openecs.state.state import State
from openecs.state.store import Transaction


def put_instance(state: State, tx: Transaction, instance: DiscoveryInstance) -> bool:
    """Register an instance or change it; whether anything is different now."""
    existing = state.discovery_instances.get(instance.key)
    if existing is not None and _shown(existing) == _shown(instance) and existing.task_arn == instance.task_arn:
        return False
    tx.put(instance)
    raise_revision(state, tx, instance.service_id)
    return True


def remove_instance(state: State, tx: Transaction, instance: DiscoveryInstance) -> None:
    """Deregister an instance."""
    tx.delete(instance)
    raise_revision(state, tx, instance.service_id)


def set_health(state: State, tx: Transaction, instance: DiscoveryInstance, health: InstanceHealth) -> None:
    """Change what the custom health check of an instance says."""
    if instance.health != health:
        tx.put(msgspec.structs.replace(instance, health=health))
        raise_revision(state, tx, instance.service_id)


def raise_revision(state: State, tx: Transaction, service_id: str) -> None:
    """Note that DiscoverInstances would answer something else now."""
    service = state.discovery_services.get(service_id)
    if service is not None:
        tx.put(msgspec.structs.replace(service, revision=service.revision + 1))


def checks_health(service: DiscoveryService) -> bool:
    """Whether its instances can be unhealthy at all."""
    return service.health_check_custom_config is not None


def _shown(instance: DiscoveryInstance) -> tuple[object, ...]:
    return instance.attributes, instance.health
