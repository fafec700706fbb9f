"""A namespace of the simulation and what is in it: two services of Cloud Map, and Service Connect.

The instances are the product's own doing; who looks them up is no part of the simulation.
"""

from __future__ import annotations

from simulated_control_plane import ControlPlane
from workload import ACCOUNT, AWSVPC, REGION

from openecs.model.discovery import DiscoveryService, Namespace
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd

_ARN = f"arn:aws:servicediscovery:{REGION}:{ACCOUNT}"
NAMESPACE = "ns-0123456789abcdef"
#: Registries with A records and with SRV records, which tasks without an address of their own need.
ADDRESSES = "srv-0123456789abcdef"
PORTS = "srv-fedcba9876543210"


def registries(family: str, *, wanted: bool) -> tuple[ecs.ServiceRegistry, ...]:
    """The registries of a service of a family; its tasks are reached at an address, or at a port of their host."""
    if not wanted:
        return ()
    if family in AWSVPC:
        return (ecs.ServiceRegistry(registry_arn=f"{_ARN}:service/{ADDRESSES}"),)
    if family in ("dynamic", "port", "crashport"):
        return (ecs.ServiceRegistry(registry_arn=f"{_ARN}:service/{PORTS}", container_name="app", container_port=80),)
    return ()


def connect(service: str, family: str, *, wanted: bool) -> ecs.ServiceConnectConfiguration | None:
    """What a service offers to the others of its namespace: its own name."""
    if family not in AWSVPC or not wanted:
        return None
    offered = ecs.ServiceConnectService(
        port_name="http", discovery_name=service, client_aliases=(ecs.ServiceConnectClientAlias(port=80),)
    )
    return ecs.ServiceConnectConfiguration(enabled=True, namespace=f"{_ARN}:namespace/{NAMESPACE}", services=(offered,))


def serve(plane: ControlPlane) -> None:
    """Be there for the first incarnation of the control plane."""
    if NAMESPACE in plane.state.namespaces:
        return
    with plane.state.transaction() as tx:
        tx.put(
            Namespace(
                id=NAMESPACE,
                arn=f"{_ARN}:namespace/{NAMESPACE}",
                region=REGION,
                name="internal",
                type="DNS_PRIVATE",
                created_at=1.0,
                creator_request_id="sim",
                vpc_id=plane.networks.plan(REGION).vpc_id,
            )
        )
        tx.put(_service(ADDRESSES, "found", "A"))
        tx.put(_service(PORTS, "ports", "SRV"))


def _service(identifier: str, name: str, kind: sd.RecordType) -> DiscoveryService:
    return DiscoveryService(
        id=identifier,
        arn=f"{_ARN}:service/{identifier}",
        region=REGION,
        name=name,
        namespace_id=NAMESPACE,
        created_at=1.0,
        creator_request_id="sim",
        type="DNS_HTTP",
        dns_config=sd.DnsConfig(dns_records=(sd.DnsRecord(type=kind, ttl=10),)),
        health_check_custom_config=sd.HealthCheckCustomConfig(failure_threshold=1),
    )
