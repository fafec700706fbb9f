"""Who offers what in the namespaces of Service Connect.  Reads state only."""

from __future__ import annotations

from collections.abc import Iterator

from openecs.model.discovery import DiscoveryInstance, DiscoveryService
from openecs.model.service import Deployment, Service
from openecs.model.service_connect import ConnectPort
from openecs.shapes import ecs
from openecs.state.state import State


def owned_service(state: State, namespace_id: str, discovery_name: str) -> DiscoveryService | None:
    """The Cloud Map service that Service Connect made for a discovery name."""
    for found in state.discovery_services.by("namespace", namespace_id):
        if found.name == discovery_name and found.owner_arn is not None:
            return found
    return None


def connected(state: State, namespace_id: str) -> Iterator[tuple[Service, Deployment]]:
    """The services whose newest deployment is in the namespace."""
    for service in state.services:
        primary = service.primary
        connect = primary.connect if primary is not None else None
        if primary is None or connect is None or service.status == "INACTIVE":
            continue
        if connect.namespace_id == namespace_id:
            yield service, primary


def offering(state: State, namespace_id: str) -> Iterator[tuple[Service, Deployment]]:
    """Those of them that have endpoints."""
    owners = (endpoint.owner_arn for endpoint in state.discovery_services.by("namespace", namespace_id))
    for arn in dict.fromkeys(owners):
        service = state.services.get(arn or "")
        primary = service.primary if service is not None else None
        if service is None or primary is None or primary.connect is None or service.status == "INACTIVE":
            continue
        if primary.connect.namespace_id == namespace_id:
            yield service, primary


def offered_port(state: State, endpoint: DiscoveryService) -> ConnectPort | None:
    """The newest settings of an endpoint; ``None`` when its service offers it no more."""
    service = state.services.get(endpoint.owner_arn or "")
    for deployment in service.deployments if service is not None else ():
        if deployment.connect is None or deployment.connect.namespace_id != endpoint.namespace_id:
            continue
        for port in deployment.connect.ports:
            if port.discovery_name == endpoint.name:
                return port
    return None


def registries(state: State, deployment: Deployment) -> tuple[ecs.ServiceRegistry, ...]:
    """The endpoints of a deployment's tasks, as registries of theirs."""
    connect = deployment.connect
    if connect is None:
        return ()
    found = []
    for port in connect.ports:
        endpoint = owned_service(state, connect.namespace_id, port.discovery_name)
        if endpoint is not None:
            found.append(ecs.ServiceRegistry(registry_arn=endpoint.arn, port=port.ingress_port))
    return tuple(found)


def is_endpoint(state: State, instance: DiscoveryInstance) -> bool:
    """Whether Service Connect sends requests to the instance."""
    service = state.discovery_services.get(instance.service_id)
    return service is not None and service.owner_arn is not None


def client_hosts(state: State, namespace_id: str) -> frozenset[str]:
    """The hosts with tasks that may call names of the namespace."""
    places = (str(place).partition("/") for place in state.tasks.values("connect_clients"))
    return frozenset(node_id for known, _, node_id in places if known == namespace_id)
