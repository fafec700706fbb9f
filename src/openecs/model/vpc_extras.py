"""Resources that AWS clients need to exist although a private machine has no use for them."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import ec2


class VpcEndpoint(Record, frozen=True, kw_only=True):
    """One VPC endpoint: AWS's services are reached without it, through OpenECS's own endpoint."""

    id: str
    region: str
    owner: str
    vpc_id: str
    service_name: str
    endpoint_type: ec2.VpcEndpointType
    created_at: float
    state: ec2.State = "available"
    policy_document: str = ""
    route_table_ids: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    private_dns_enabled: bool = False
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id


class LaunchTemplateVersion(Record, frozen=True, kw_only=True):
    """One version of a launch template."""

    number: int
    created_at: float
    created_by: str
    description: str | None = None
    data: ec2.RequestLaunchTemplateData | None = None


class LaunchTemplate(Record, frozen=True, kw_only=True):
    """One launch template with all its versions, the first one first."""

    id: str
    region: str
    name: str
    created_at: float
    created_by: str
    default_version: int = 1
    versions: tuple[LaunchTemplateVersion, ...] = ()
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id
