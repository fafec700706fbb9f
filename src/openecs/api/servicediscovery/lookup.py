"""Finding namespaces, services and instances by what callers name them: ids or ARNs."""

from __future__ import annotations

from openecs import arn as arns
from openecs.api.servicediscovery import errors
from openecs.model.discovery import DiscoveryInstance, DiscoveryService, Namespace
from openecs.state.state import State
from openecs.wire.call import Call

#: ``arn:aws:servicediscovery:REGION:ACCOUNT:kind/id``.
SERVICE = "servicediscovery"


def resource_arn(call: Call, kind: str, identifier: str) -> str:
    """The ARN of a namespace or service."""
    return f"arn:aws:{SERVICE}:{call.region}:{call.account}:{kind}/{identifier}"


def identifier(call: Call, text: str, kind: str) -> str | None:
    """The id that ``text`` is or, as an ARN of this region and account, ends in."""
    if not text.startswith("arn:"):
        return text
    arn = arns.parse(text)
    if arn is None or arn.service != SERVICE or arn.kind != kind or len(arn.path) != 1:
        return None
    return arn.path[0] if (arn.region, arn.account) == (call.region, call.account) else None


def find_namespace(state: State, call: Call, text: str) -> Namespace:
    """The namespace of that id or ARN; raises NamespaceNotFound."""
    found = state.namespaces.get(identifier(call, text, "namespace") or "")
    if found is None or found.region != call.region:
        raise errors.namespace_not_found(text)
    return found


def find_service(state: State, call: Call, text: str) -> DiscoveryService:
    """The service of that id or ARN; raises ServiceNotFound."""
    found = state.discovery_services.get(identifier(call, text, "service") or "")
    if found is None or found.region != call.region:
        raise errors.service_not_found(text)
    return found


def find_instance(state: State, service: DiscoveryService, instance_id: str) -> DiscoveryInstance:
    """One instance of a service; raises InstanceNotFound."""
    found = state.discovery_instances.get(f"{service.id}|{instance_id}")
    if found is None:
        raise errors.instance_not_found(service.id, instance_id)
    return found


def namespace_of(state: State, service: DiscoveryService) -> Namespace:
    """The namespace that a service is in: it cannot be deleted before its services."""
    found = state.namespaces.get(service.namespace_id)
    if found is None:  # pragma: no cover -- deletion is refused while there are services
        raise errors.namespace_not_found(service.namespace_id)
    return found
