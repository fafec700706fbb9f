"""A Cloud Map service of the simulation, and which services are registered in it.

The instances are the product's own doing; who looks them up is no part of the simulation.
"""

from __future__ import annotations

from simulated_control_plane import ACCOUNT, REGION, ControlPlane
from workload import AWSVPC

from openecs.model.discovery import DiscoveryService, Namespace
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd

_ARN = f"arn:aws:servicediscovery:{REGION}:{ACCOUNT}"
NAMESPACE = "ns-0123456789abcdef"
REGISTRY = "srv-0123456789abcdef"


def registries(family: str, *, wanted: bool) -> tuple[ecs.ServiceRegistry, ...]:
    """The registries of a service of a family; its tasks have an address of their own."""
    if family not in AWSVPC or not wanted:
        return ()
    return (ecs.ServiceRegistry(registry_arn=f"{_ARN}:service/{REGISTRY}"),)


def serve(plane: ControlPlane) -> None:
    """Be there for the first incarnation of the control plane."""
    if REGISTRY in plane.state.discovery_services:
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
            )
        )
        tx.put(
            DiscoveryService(
                id=REGISTRY,
                arn=f"{_ARN}:service/{REGISTRY}",
                region=REGION,
                name="found",
                namespace_id=NAMESPACE,
                created_at=1.0,
                creator_request_id="sim",
                type="DNS_HTTP",
                dns_config=sd.DnsConfig(dns_records=(sd.DnsRecord(type="A", ttl=10),)),
                health_check_custom_config=sd.HealthCheckCustomConfig(failure_threshold=1),
            )
        )
