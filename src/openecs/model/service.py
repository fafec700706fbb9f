"""Services and their deployments as state keeps them."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import ecs


class Deployment(Record, frozen=True, kw_only=True):
    """One deployment: a revision of the service's settings and how its roll-out goes.

    The settings that a deployment replaces tasks for live here; what applies to the whole
    service (desired count, health grace period) lives on the service.
    """

    #: ``ecs-svc/N``; N is shared by the service revision and task set.
    id: str
    status: Literal["PRIMARY", "ACTIVE", "INACTIVE"]
    task_definition_arn: str
    created_at: float
    updated_at: float
    rollout_state: Literal["IN_PROGRESS", "COMPLETED", "FAILED"]
    rollout_state_reason: str
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"]
    platform_version: str | None = None
    platform_family: str | None = None
    network_configuration: ecs.NetworkConfiguration | None = None
    #: Consecutive tasks that failed to start; a started task resets it.
    failed_tasks: int = 0
    #: Set when a task of it reached RUNNING for the first time.
    first_running_at: float | None = None


class Service(Record, frozen=True, kw_only=True):
    """One service of one cluster."""

    arn: str
    name: str
    cluster_arn: str
    region: str
    status: Literal["ACTIVE", "DRAINING", "INACTIVE"]
    desired_count: int
    created_at: float
    #: Newest first; exactly one is PRIMARY while the service is ACTIVE.
    deployments: tuple[Deployment, ...]
    deployment_configuration: ecs.DeploymentConfiguration
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = "REPLICA"
    role_arn: str | None = None
    created_by: str | None = None
    placement_constraints: tuple[ecs.PlacementConstraint, ...] = ()
    placement_strategy: tuple[ecs.PlacementStrategy, ...] = ()
    health_check_grace_period_seconds: int | None = None
    enable_ecs_managed_tags: bool = False
    propagate_tags: Literal["TASK_DEFINITION", "SERVICE", "NONE"] = "NONE"
    enable_execute_command: bool = False
    availability_zone_rebalancing: Literal["ENABLED", "DISABLED"] = "DISABLED"
    #: Idempotency token of the CreateService call.
    client_token: str | None = None
    #: When tasks failed to start: no further launches before this time (back-off).
    not_before: float = 0.0
    #: Whether the last thing that happened was reaching a steady state.
    steady: bool = False
    steady_at: float | None = None
    deleted_at: float | None = None

    @property
    def key(self) -> str:
        return self.arn

    @property
    def primary(self) -> Deployment | None:
        """The deployment that the service moves to, if it still has one."""
        return next((d for d in self.deployments if d.status == "PRIMARY"), None)


class ServiceEvents(Record, frozen=True, kw_only=True):
    """The newest events of a service, newest first, at most 100."""

    service_arn: str
    events: tuple[ecs.ServiceEvent, ...] = ()

    @property
    def key(self) -> str:
        return self.service_arn
