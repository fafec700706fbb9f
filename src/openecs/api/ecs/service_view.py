"""A service record as the API shows it.  Pure.

Counts are taken from the tasks, never stored.  A task that was told to stop counts nowhere
any more, whatever it still does: that is what AWS's own counts and waiters go by.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.ecs import task_set_view
from openecs.api.ecs.task_set_view import TaskCount, count_tasks
from openecs.model.fargate import LATEST_PLATFORM_VERSION
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.shapes import ecs


def render(
    service: Service,
    tasks: Iterable[Task],
    events: tuple[ecs.ServiceEvent, ...],
    tags: tuple[ecs.Tag, ...] | None,
) -> ecs.Service:
    """DescribeServices' answer for one service; ``tags`` is ``None`` when not asked for."""
    counts = count_tasks(tasks)
    external = service.deployment_controller == "EXTERNAL"
    # An INACTIVE service shows no deployments but still what its last one ran.
    shown = service.primary or (None if external else next(iter(service.deployments), None))
    live = [deployment for deployment in service.deployments if deployment.status != "INACTIVE"]
    strategy = shown.capacity_provider_strategy if shown else ()
    return ecs.Service(
        service_arn=service.arn,
        service_name=service.name,
        cluster_arn=service.cluster_arn,
        load_balancers=shown.load_balancers if shown else (),
        service_registries=shown.service_registries if shown else (),
        status=service.status,
        desired_count=service.desired_count,
        running_count=sum(count.running for count in counts.values()),
        pending_count=sum(count.pending for count in counts.values()),
        launch_type=_launch_type(shown, strategy),
        capacity_provider_strategy=strategy or None,
        platform_version=shown.platform_version if shown else None,
        platform_family=shown.platform_family if shown else None,
        task_definition=shown.task_definition_arn if shown else None,
        deployment_configuration=service.deployment_configuration,
        task_sets=_task_sets(service, live, counts) if external else None,
        deployments=() if external else tuple(_deployment(d, service, _of(counts, d)) for d in live),
        role_arn=_role(service, shown),
        events=events,
        created_at=service.created_at,
        current_service_deployment=service.service_deployment_arn,
        current_service_revisions=None if external else _revisions(service, live, counts),
        placement_constraints=service.placement_constraints,
        placement_strategy=service.placement_strategy,
        network_configuration=shown.network_configuration if shown else None,
        health_check_grace_period_seconds=service.health_check_grace_period_seconds or 0,
        scheduling_strategy=service.scheduling_strategy,
        deployment_controller=ecs.DeploymentController(type=service.deployment_controller),
        tags=tags,
        created_by=service.created_by,
        enable_ecs_managed_tags=service.enable_ecs_managed_tags,
        propagate_tags=service.propagate_tags,
        enable_execute_command=service.enable_execute_command,
        availability_zone_rebalancing=service.availability_zone_rebalancing,
    )


def requested_tasks(service: Service, deployment: Deployment, count: TaskCount) -> int:
    """What a deployment wants; an older one wants no more than what it still has, unless it is in production."""
    if deployment.status == "PRIMARY" or deployment.id == service.production_id:
        return service.desired_count
    return count.running + count.pending


def _role(service: Service, shown: Deployment | None) -> str | None:
    """With load balancers the role as which ECS registers targets: AWS's own where none is named."""
    if service.role_arn is not None or shown is None or not shown.load_balancers:
        return service.role_arn
    account = service.arn.split(":")[4]
    return f"arn:aws:iam::{account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"


def _launch_type(
    shown: Deployment | None, strategy: tuple[ecs.CapacityProviderStrategyItem, ...]
) -> ecs.LaunchType | None:
    if shown is None:
        # A service whose task sets say it is EC2 to AWS until one of them is PRIMARY.
        return "EC2"
    return None if strategy else shown.launch_type


def _task_sets(
    service: Service, live: list[Deployment], counts: dict[str | None, TaskCount]
) -> tuple[ecs.TaskSet, ...]:
    return tuple(task_set_view.render(service, d, _of(counts, d)) for d in live if d.task_set is not None)


def _revisions(
    service: Service, live: list[Deployment], counts: dict[str | None, TaskCount]
) -> tuple[ecs.ServiceCurrentRevisionSummary, ...] | None:
    return tuple(
        ecs.ServiceCurrentRevisionSummary(
            arn=deployment.revision_arn,
            requested_task_count=requested_tasks(service, deployment, _of(counts, deployment)),
            running_task_count=_of(counts, deployment).running,
            pending_task_count=_of(counts, deployment).pending,
        )
        for deployment in live
        if deployment.revision_arn
    )


def _deployment(deployment: Deployment, service: Service, count: TaskCount) -> ecs.Deployment:
    fargate = deployment.launch_type == "FARGATE"
    version = deployment.platform_version
    strategy = deployment.capacity_provider_strategy
    return ecs.Deployment(
        id=deployment.id,
        status=deployment.status,
        task_definition=deployment.task_definition_arn,
        desired_count=requested_tasks(service, deployment, count),
        pending_count=count.pending,
        running_count=count.running,
        failed_tasks=deployment.failed_tasks,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
        capacity_provider_strategy=strategy or None,
        launch_type=None if strategy else deployment.launch_type,
        platform_version=LATEST_PLATFORM_VERSION if fargate and version == "LATEST" else version,
        platform_family=deployment.platform_family,
        network_configuration=deployment.network_configuration,
        service_connect_configuration=deployment.service_connect,
        rollout_state=deployment.rollout_state,
        rollout_state_reason=deployment.rollout_state_reason,
    )


def _of(counts: dict[str | None, TaskCount], deployment: Deployment) -> TaskCount:
    return counts.get(deployment.id, TaskCount())
