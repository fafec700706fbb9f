"""Cloud Map's namespaces, services and instances as state keeps them."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import servicediscovery as sd

#: Characters of a DNS name.
MAX_NAME = 253
InstanceHealth = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]


class Namespace(Record, frozen=True, kw_only=True):
    """One namespace."""

    id: str
    arn: str
    region: str
    name: str
    type: Literal["DNS_PRIVATE", "DNS_PUBLIC", "HTTP"]
    created_at: float
    creator_request_id: str
    description: str | None = None
    #: The VPC whose tasks see a private DNS namespace.
    vpc_id: str | None = None
    hosted_zone_id: str | None = None
    #: The name by which DiscoverInstances finds it; empty for one like ``name``.
    http_name: str = ""
    #: TTL of the SOA record in seconds.
    soa_ttl: int = 60

    @property
    def key(self) -> str:
        return self.id

    @property
    def discovery_name(self) -> str:
        """What DiscoverInstances calls it, unique in its region."""
        return self.http_name or self.name


class DiscoveryService(Record, frozen=True, kw_only=True):
    """One service of a namespace."""

    id: str
    arn: str
    region: str
    name: str
    namespace_id: str
    created_at: float
    creator_request_id: str
    type: Literal["HTTP", "DNS_HTTP", "DNS"]
    description: str | None = None
    dns_config: sd.DnsConfig | None = None
    health_check_config: sd.HealthCheckConfig | None = None
    health_check_custom_config: sd.HealthCheckCustomConfig | None = None
    attributes: dict[str, str] = {}
    #: The ECS service that Service Connect made it for.
    owner_arn: str | None = None
    #: +1 at each change of what DiscoverInstances would answer.
    revision: int = 1

    @property
    def key(self) -> str:
        return self.id


class DiscoveryInstance(Record, frozen=True, kw_only=True):
    """One instance of a service."""

    service_id: str
    instance_id: str
    region: str
    attributes: dict[str, str]
    created_at: float
    creator_request_id: str = ""
    #: Only for services with a custom health check; others count as healthy.
    health: InstanceHealth = "HEALTHY"
    #: The task that it is, when ECS registered it.
    task_arn: str | None = None

    @property
    def key(self) -> str:
        return f"{self.service_id}|{self.instance_id}"


class DiscoveryOperation(Record, frozen=True, kw_only=True):
    """What GetOperation tells of a call that is asynchronous on AWS."""

    id: str
    region: str
    type: sd.OperationType
    created_at: float
    updated_at: float
    targets: dict[sd.OperationTargetType, str]
    status: Literal["SUBMITTED", "PENDING", "SUCCESS", "FAIL"] = "SUCCESS"
    error_code: str | None = None
    error_message: str | None = None

    @property
    def key(self) -> str:
        return self.id
