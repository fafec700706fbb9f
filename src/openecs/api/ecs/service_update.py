"""What UpdateService makes of a service record.  Pure.

Changes of what tasks are made of start a deployment; changes of how many there are, where
they go and how they are replaced do not.  Any update ends the back-off of failing tasks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.ecs import service_validation as validation
from openecs.ids import Ids
from openecs.model.service import Deployment, Service
from openecs.model.task_definition import TaskDefinition
from openecs.planning.service_plan import rollout_in_progress
from openecs.shapes import ecs


def new_deployment(
    *,
    definition: TaskDefinition,
    launch_type: Any,
    platform_version: str | None,
    network_configuration: ecs.NetworkConfiguration | None,
    now: float,
    ids: Ids,
) -> Deployment:
    """A PRIMARY deployment that begins now."""
    deployment_id = f"ecs-svc/{ids.svc_number()}"
    return Deployment(
        id=deployment_id,
        status="PRIMARY",
        task_definition_arn=definition.arn,
        created_at=now,
        updated_at=now,
        rollout_state="IN_PROGRESS",
        rollout_state_reason=rollout_in_progress(deployment_id),
        launch_type=launch_type,
        platform_version=platform_version,
        platform_family="Linux" if launch_type == "FARGATE" else None,
        network_configuration=network_configuration,
    )


def starts_deployment(request: ecs.UpdateServiceRequest, current: Deployment, wanted: Deployment) -> bool:
    """Whether tasks have to be replaced: by force, or because what they are made of differs."""
    return bool(request.force_new_deployment) or (
        (wanted.task_definition_arn, wanted.platform_version, wanted.network_configuration)
        != (current.task_definition_arn, current.platform_version, current.network_configuration)
    )


def apply(service: Service, request: ecs.UpdateServiceRequest, wanted: Deployment, *, now: float) -> Service:
    """The service after ``request``; ``wanted`` is its PRIMARY deployment if a new one starts."""
    current = service.primary
    assert current is not None, service.arn  # noqa: S101 -- every ACTIVE service has one
    deployments = [msgspec.structs.replace(d, failed_tasks=0, updated_at=now) for d in service.deployments]
    if starts_deployment(request, current, wanted):
        older = [msgspec.structs.replace(d, status="ACTIVE") for d in deployments]
        deployments = [wanted, *older]
    changes: dict[str, Any] = {
        "deployments": tuple(deployments),
        "not_before": 0.0,
        "deployment_configuration": validation.deployment_configuration(
            request.deployment_configuration, service.deployment_configuration
        ),
    }
    plain = {
        "desired_count": request.desired_count,
        "placement_constraints": request.placement_constraints,
        "health_check_grace_period_seconds": request.health_check_grace_period_seconds,
        "enable_ecs_managed_tags": request.enable_ecs_managed_tags,
        "propagate_tags": request.propagate_tags,
        "enable_execute_command": request.enable_execute_command,
        "availability_zone_rebalancing": request.availability_zone_rebalancing,
    }
    changes |= {name: value for name, value in plain.items() if value is not None}
    if request.placement_strategy is not None:
        changes["placement_strategy"] = validation.placement_strategy(request.placement_strategy)
    return msgspec.structs.replace(service, **changes)
