"""A service record as the API shows it.  Pure.

Counts are taken from the tasks, never stored.  A task that was told to stop counts nowhere
any more, whatever it still does: that is what AWS's own counts and waiters go by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from openecs.model.fargate import LATEST_PLATFORM_VERSION
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.shapes import ecs

_PENDING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})


def render(
    service: Service,
    tasks: Iterable[Task],
    events: tuple[ecs.ServiceEvent, ...],
    tags: tuple[ecs.Tag, ...] | None,
) -> ecs.Service:
    """DescribeServices' answer for one service; ``tags`` is ``None`` when not asked for."""
    running: Counter[str | None] = Counter()
    pending: Counter[str | None] = Counter()
    for task in tasks:
        if task.desired_status != "RUNNING":
            continue
        if task.last_status == "RUNNING":
            running[task.deployment_id] += 1
        elif task.last_status in _PENDING:
            pending[task.deployment_id] += 1
    # An INACTIVE service shows no deployments but still what its last one ran.
    primary = service.primary or next(iter(service.deployments), None)
    return ecs.Service(
        service_arn=service.arn,
        service_name=service.name,
        cluster_arn=service.cluster_arn,
        load_balancers=(),
        service_registries=(),
        status=service.status,
        desired_count=service.desired_count,
        running_count=running.total(),
        pending_count=pending.total(),
        launch_type=primary.launch_type if primary else None,
        platform_version=primary.platform_version if primary else None,
        platform_family=primary.platform_family if primary else None,
        task_definition=primary.task_definition_arn if primary else None,
        deployment_configuration=service.deployment_configuration,
        deployments=tuple(
            _deployment(deployment, service, running[deployment.id], pending[deployment.id])
            for deployment in service.deployments
            if deployment.status != "INACTIVE"
        ),
        role_arn=service.role_arn,
        events=events,
        created_at=service.created_at,
        placement_constraints=service.placement_constraints,
        placement_strategy=service.placement_strategy,
        network_configuration=primary.network_configuration if primary else None,
        health_check_grace_period_seconds=service.health_check_grace_period_seconds or 0,
        scheduling_strategy=service.scheduling_strategy,
        deployment_controller=ecs.DeploymentController(type="ECS"),
        tags=tags,
        created_by=service.created_by,
        enable_ecs_managed_tags=service.enable_ecs_managed_tags,
        propagate_tags=service.propagate_tags,
        enable_execute_command=service.enable_execute_command,
        availability_zone_rebalancing=service.availability_zone_rebalancing,
    )


def _deployment(deployment: Deployment, service: Service, running: int, pending: int) -> ecs.Deployment:
    fargate = deployment.launch_type == "FARGATE"
    version = deployment.platform_version
    return ecs.Deployment(
        id=deployment.id,
        status=deployment.status,
        task_definition=deployment.task_definition_arn,
        # An older deployment wants no more than what it still has.
        desired_count=service.desired_count if deployment.status == "PRIMARY" else running + pending,
        pending_count=pending,
        running_count=running,
        failed_tasks=deployment.failed_tasks,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
        launch_type=deployment.launch_type,
        platform_version=LATEST_PLATFORM_VERSION if fargate and version == "LATEST" else version,
        platform_family=deployment.platform_family,
        network_configuration=deployment.network_configuration,
        rollout_state=deployment.rollout_state,
        rollout_state_reason=deployment.rollout_state_reason,
    )
