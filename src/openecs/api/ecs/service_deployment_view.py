"""Service deployments and service revisions as the API shows them.  Pure.

The counts of a revision's tasks are those of now, also for a deployment that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openecs.api.ecs.service_view import requested_tasks
from openecs.api.ecs.task_set_view import TaskCount
from openecs.model.fargate import LATEST_PLATFORM_VERSION
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import target_slots
from openecs.shapes import ecs


def brief(deployment: ServiceDeployment) -> ecs.ServiceDeploymentBrief:
    """One line of ListServiceDeployments."""
    return ecs.ServiceDeploymentBrief(
        service_deployment_arn=deployment.arn,
        service_arn=deployment.service_arn,
        cluster_arn=deployment.cluster_arn,
        started_at=deployment.started_at,
        created_at=deployment.created_at,
        finished_at=deployment.finished_at,
        target_service_revision_arn=deployment.target_revision_arn,
        status=deployment.status,
        status_reason=deployment.status_reason,
    )


def full(
    deployment: ServiceDeployment, service: Service | None, counts: Mapping[str | None, TaskCount]
) -> ecs.ServiceDeployment:
    """DescribeServiceDeployments' answer; ``counts`` are the tasks by deployment id."""
    rolled_back = deployment.rollback_started_at is not None
    alarms = deployment.deployment_configuration.alarms
    return ecs.ServiceDeployment(
        service_deployment_arn=deployment.arn,
        service_arn=deployment.service_arn,
        cluster_arn=deployment.cluster_arn,
        created_at=deployment.created_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        stopped_at=deployment.stopped_at,
        updated_at=deployment.updated_at,
        source_service_revisions=tuple(
            _summary(arn, service, counts, _share(deployment, service, arn)) for arn in deployment.source_revision_arns
        ),
        target_service_revision=_summary(
            deployment.target_revision_arn, service, counts, _share(deployment, service, deployment.target_revision_arn)
        ),
        status=deployment.status,
        status_reason=deployment.status_reason,
        lifecycle_stage=deployment.shift.stage if deployment.shift is not None else None,
        lifecycle_hook_details=_hooks(deployment.shift),
        deployment_configuration=deployment.deployment_configuration,
        rollback=ecs.Rollback(
            reason=deployment.rollback_reason,
            started_at=deployment.rollback_started_at,
            service_revision_arn=deployment.rollback_revision_arn,
        )
        if rolled_back
        else None,
        deployment_circuit_breaker=ecs.ServiceDeploymentCircuitBreaker(
            status=deployment.circuit_breaker_status,
            failure_count=deployment.failure_count,
            threshold=deployment.threshold,
        ),
        alarms=ecs.ServiceDeploymentAlarms(
            status=deployment.alarms_status,
            alarm_names=alarms.alarm_names if alarms is not None and alarms.enable else None,
            triggered_alarm_names=deployment.triggered_alarms or None,
        ),
    )


def revision(record: ServiceRevision, images: Mapping[str, str]) -> ecs.ServiceRevision:
    """DescribeServiceRevisions' answer; ``images`` are the definition's, by container.

    A container has a digest from when the deployment has resolved its image.  That outlives
    the definition, so the images of a deleted one are still shown as far as they were resolved.
    """
    digests = {pin.container: pin.digest for pin in record.pins}
    images = {**{pin.container: pin.image for pin in record.pins}, **images}
    strategy = record.capacity_provider_strategy
    version = record.platform_version
    return ecs.ServiceRevision(
        service_revision_arn=record.arn,
        service_arn=record.service_arn,
        cluster_arn=record.cluster_arn,
        task_definition=record.task_definition_arn,
        capacity_provider_strategy=strategy or None,
        launch_type=None if strategy else record.launch_type,
        platform_version=LATEST_PLATFORM_VERSION if version == "LATEST" else version,
        platform_family=record.platform_family,
        network_configuration=record.network_configuration,
        load_balancers=record.load_balancers or None,
        service_registries=record.service_registries or None,
        service_connect_configuration=record.service_connect,
        monitoring=record.monitoring,
        resolved_configuration=ecs.ResolvedConfiguration(
            load_balancers=tuple(
                ecs.ServiceRevisionLoadBalancer(
                    target_group_arn=balancer.target_group_arn,
                    production_listener_rule=balancer.advanced_configuration.production_listener_rule
                    if balancer.advanced_configuration is not None
                    else None,
                )
                for balancer in target_slots.in_use(record.load_balancers, alternate=record.alternate)
            )
        )
        if record.load_balancers
        else None,
        container_images=tuple(
            ecs.ContainerImage(container_name=name, image=image, image_digest=digests.get(name))
            for name, image in images.items()
        ),
        guard_duty_enabled=False,
        created_at=record.created_at,
    )


def _hooks(shift: TrafficShift | None) -> tuple[ecs.DeploymentLifecycleHookDetail, ...] | None:
    if shift is None or not shift.hooks:
        return None
    return tuple(
        ecs.DeploymentLifecycleHookDetail(
            hook_id=run.id,
            target_type="PAUSE",
            status=run.status,
            expires_at=run.expires_at,
            timeout_action=run.timeout_action,
        )
        for run in shift.hooks
    )


class _Share(NamedTuple):
    """Percent of the traffic that a revision is to get; ``None`` where none is shifted."""

    test: float | None = None
    production: float | None = None


def _share(deployment: ServiceDeployment, service: Service | None, revision_arn: str) -> _Share:
    """What the target revision does not get, the one that was in production has."""
    shift = deployment.shift
    if shift is None:
        return _Share()
    if revision_arn == deployment.target_revision_arn:
        return _Share(shift.test, shift.production)
    number = revision_arn.rsplit("/", 1)[-1]
    sources = deployment.source_revision_arns
    in_production = service.production_id if service is not None else None
    if len(sources) == 1 or in_production == f"ecs-svc/{number}":
        return _Share(100.0 - shift.test, 100.0 - shift.production)
    return _Share(0.0, 0.0)


def _summary(
    revision_arn: str, service: Service | None, counts: Mapping[str | None, TaskCount], share: _Share
) -> ecs.ServiceRevisionSummary:
    deployment_id = f"ecs-svc/{revision_arn.rsplit('/', 1)[-1]}"
    count = counts.get(deployment_id, TaskCount())
    held = service.deployment(deployment_id) if service is not None else None
    requested = requested_tasks(service, held, count) if service is not None and held is not None else 0
    return ecs.ServiceRevisionSummary(
        arn=revision_arn,
        requested_task_count=requested,
        running_task_count=count.running,
        pending_task_count=count.pending,
        requested_test_traffic_weight=share.test,
        requested_production_traffic_weight=share.production,
    )
