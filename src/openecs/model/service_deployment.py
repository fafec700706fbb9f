"""Service deployments and service revisions as state keeps them.

A service revision is what the tasks of one ``ecs-svc/N`` are made of and never changes.  A
service deployment is one attempt to bring a revision out; ``control.services`` moves it on
with the service, and it stays describable after its end.
"""

from __future__ import annotations

from typing import Literal

from openecs import arn as arns
from openecs.model.record import Record
from openecs.model.service import ImagePin
from openecs.model.traffic_shift import TrafficShift
from openecs.shapes import ecs

ServiceDeploymentStatus = Literal[
    "PENDING",
    "SUCCESSFUL",
    "STOPPED",
    "STOP_REQUESTED",
    "IN_PROGRESS",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
]


class ServiceRevision(Record, frozen=True, kw_only=True):
    """What the tasks of one deployment are made of."""

    #: Ends in the N of ``ecs-svc/N``.
    arn: str
    service_arn: str
    cluster_arn: str
    created_at: float
    task_definition_arn: str
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"] | None = None
    capacity_provider_strategy: tuple[ecs.CapacityProviderStrategyItem, ...] = ()
    platform_version: str | None = None
    platform_family: str | None = None
    network_configuration: ecs.NetworkConfiguration | None = None
    load_balancers: tuple[ecs.LoadBalancer, ...] = ()
    #: Its tasks are in the alternate target groups of its load balancers.
    alternate: bool = False
    service_registries: tuple[ecs.ServiceRegistry, ...] = ()
    service_connect: ecs.ServiceConnectConfiguration | None = None
    monitoring: ecs.MonitoringConfiguration | None = None
    #: Its tasks are in the alternate place of its Service Connect endpoints.
    connect_alternate: bool = False
    #: Filled in when the deployment has resolved its images.
    pins: tuple[ImagePin, ...] = ()

    @property
    def key(self) -> str:
        return self.arn


class ServiceDeployment(Record, frozen=True, kw_only=True):
    """One attempt to bring a service revision out."""

    arn: str
    service_arn: str
    cluster_arn: str
    #: ``ecs-svc/N`` of the revision that is brought out.
    deployment_id: str
    target_revision_arn: str
    created_at: float
    updated_at: float
    status: ServiceDeploymentStatus
    deployment_configuration: ecs.DeploymentConfiguration
    #: Revisions that were deployed when it began.
    source_revision_arns: tuple[str, ...] = ()
    status_reason: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    stopped_at: float | None = None
    #: What StopServiceDeployment asked for; the service scheduler carries it out.
    stop_requested: Literal["ABORT", "ROLLBACK"] | None = None
    circuit_breaker_status: Literal["TRIGGERED", "MONITORING", "MONITORING_COMPLETE", "DISABLED"] = "DISABLED"
    failure_count: int = 0
    threshold: int = 0
    alarms_status: Literal["TRIGGERED", "MONITORING", "MONITORING_COMPLETE", "DISABLED"] = "DISABLED"
    triggered_alarms: tuple[str, ...] = ()
    rollback_reason: str | None = None
    rollback_started_at: float | None = None
    rollback_revision_arn: str | None = None
    #: How far a BLUE_GREEN, LINEAR or CANARY deployment is; ``None`` for a rolling one.
    shift: TrafficShift | None = None

    @property
    def key(self) -> str:
        return self.arn

    @property
    def finished(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.status in ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


def service_arn_of(arn: str) -> str | None:
    """The ARN of the service that a service deployment, service revision or task set belongs to."""
    parsed = arns.parse(arn)
    if parsed is None or len(parsed.path) < 3:
        return None
    return str(parsed._replace(resource=f"service/{parsed.path[0]}/{parsed.path[1]}"))
