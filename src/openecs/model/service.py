"""Services and their deployments as state keeps them."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.model.service_connect import ServiceConnect
from openecs.shapes import ecs


class ImagePin(Record, frozen=True, kw_only=True):
    """The digest to which one container's image tag was resolved for a whole deployment."""

    container: str
    image: str
    digest: str


class FailureCount(Record, frozen=True, kw_only=True):
    """How many tasks of a deployment failed, and up to where they were counted.

    Counting reads remembered tasks; the mark keeps it exact after tasks were forgotten: what
    stopped before ``until`` is in, and so are the first ``at_until`` that stopped exactly then.
    """

    count: int = 0
    until: float = 0.0
    at_until: int = 0
    #: Of the counted ones, how many ended after ``until``: by a clock that was set back since.
    ahead: int = 0


class TaskSetSettings(Record, frozen=True, kw_only=True):
    """What makes a deployment a task set: a service with the EXTERNAL controller has these."""

    arn: str
    #: Percent of the service's desired count, 0 to 100.
    scale: float = 100.0
    external_id: str | None = None
    stability_status: Literal["STEADY_STATE", "STABILIZING"] = "STABILIZING"
    stability_status_at: float = 0.0


class Deployment(Record, frozen=True, kw_only=True):
    """One deployment, or task set: a revision of the service's settings and how its roll-out goes.

    The settings that a deployment replaces tasks for live here; what applies to the whole
    service (desired count, health grace period) lives on the service.
    """

    #: ``ecs-svc/N``; N is shared by the service revision and task set.
    id: str
    #: DRAINING is for task sets that are being deleted.
    status: Literal["PRIMARY", "ACTIVE", "DRAINING", "INACTIVE"]
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
    #: ARN of the service revision; its last part is the N of ``ecs-svc/N``.
    revision_arn: str = ""
    #: When set, what the tasks are spread over; ``launch_type`` then is what the providers give.
    capacity_provider_strategy: tuple[ecs.CapacityProviderStrategyItem, ...] = ()
    #: Image digests that later tasks use, once the first started task has resolved them.
    pins: tuple[ImagePin, ...] = ()
    #: Failures that the deployment circuit breaker counts.
    breaker: FailureCount = FailureCount()
    #: Consecutive tasks that never reached RUNNING; ``failed_tasks`` shows its count.
    start_failures: FailureCount = FailureCount()
    #: Tasks that exited by themselves soon after they had reached RUNNING.
    crashes: FailureCount = FailureCount()
    #: Alarms that were in ALARM already when the deployment began: it ignores them.
    ignored_alarms: tuple[str, ...] | None = None
    #: Since when it would be COMPLETED if it had no bake time.
    ready_at: float | None = None
    #: Tasks that the service may go on running of it while a newer one replaces it: what it wanted
    #: while it was PRIMARY, less what the scheduler has stopped since.
    held: int | None = None
    #: Id of the failed deployment that this one replaces again: it is a rollback.
    rolls_back: str | None = None
    #: What it FAILED of, or what the failed deployment FAILED of that it replaces again.
    cause: Literal["circuit breaker", "alarm", "request", "lifecycle"] | None = None
    task_set: TaskSetSettings | None = None
    #: As they were asked for; ``planning.target_slots`` says which target groups are in use.
    load_balancers: tuple[ecs.LoadBalancer, ...] = ()
    #: Its tasks are in the alternate target groups of its load balancers.
    alternate: bool = False
    service_registries: tuple[ecs.ServiceRegistry, ...] = ()
    service_connect: ecs.ServiceConnectConfiguration | None = None
    #: Metrics of the service that are published more often than every minute.
    monitoring: ecs.MonitoringConfiguration | None = None
    #: What ``service_connect`` came to when the deployment began.
    connect: ServiceConnect | None = None


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
    #: With EXTERNAL, ``deployments`` are task sets and none needs to be PRIMARY.
    deployment_controller: Literal["ECS", "EXTERNAL"] = "ECS"
    #: ARN of the newest service deployment (``model.service_deployment``).
    service_deployment_arn: str | None = None
    #: The deployment that was COMPLETED last, as it was then: what a rollback goes back to first
    #: of all.  A rollback takes it away until it is complete again, so that it is not used twice.
    last_completed: Deployment | None = None
    role_arn: str | None = None
    created_by: str | None = None
    placement_constraints: tuple[ecs.PlacementConstraint, ...] = ()
    placement_strategy: tuple[ecs.PlacementStrategy, ...] = ()
    health_check_grace_period_seconds: int | None = None
    enable_ecs_managed_tags: bool = False
    propagate_tags: Literal["TASK_DEFINITION", "SERVICE", "NONE"] = "NONE"
    enable_execute_command: bool = False
    availability_zone_rebalancing: Literal["ENABLED", "DISABLED"] = "DISABLED"
    #: The zone in which zone rebalancing started its newest task, while it is under way.
    rebalancing_zone: str | None = None
    #: While traffic is shifted: the deployment that has all of it if the shift is given up.
    production_id: str | None = None
    #: Idempotency token of the CreateService call.
    client_token: str | None = None
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

    def deployment(self, deployment_id: str | None) -> Deployment | None:
        """The deployment (or task set) of that id, if the service still has it."""
        for found in self.deployments:
            if found.id == deployment_id:
                return found
        return None


class ServiceEvents(Record, frozen=True, kw_only=True):
    """The newest events of a service, newest first, at most 100."""

    service_arn: str
    events: tuple[ecs.ServiceEvent, ...] = ()

    @property
    def key(self) -> str:
        return self.service_arn
