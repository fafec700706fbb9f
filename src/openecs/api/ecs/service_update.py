"""What UpdateService makes of a service record.  Pure.

Changes of what tasks are made of start a deployment; changes of how many there are, where
they go and how they are replaced do not.  Any update ends the back-off of failing tasks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.ecs import deployment_configuration, service_scheduling
from openecs.api.ecs import service_validation as validation
from openecs.model.service import Deployment, Service
from openecs.shapes import ecs

#: What the tasks of a deployment are made of: a difference starts a new one.
_SETTINGS = (
    "task_definition_arn",
    "launch_type",
    "capacity_provider_strategy",
    "platform_version",
    "network_configuration",
    "load_balancers",
    "service_registries",
    "service_connect",
    "monitoring",
)


def starts_deployment(request: ecs.UpdateServiceRequest, current: Deployment, wanted: Deployment) -> bool:
    """Whether tasks have to be replaced: by force, or because what they are made of differs."""
    return bool(request.force_new_deployment) or differs(wanted, current)


def differs(first: Deployment, second: Deployment) -> bool:
    """Whether the tasks of two deployments are made of different things."""
    return any(getattr(first, name) != getattr(second, name) for name in _SETTINGS)


def strategy(service: Service, request: ecs.UpdateServiceRequest) -> str | None:
    """The deployment strategy of the service after ``request``."""
    given = request.deployment_configuration
    return (given.strategy if given is not None else None) or service.deployment_configuration.strategy


def apply(
    service: Service,
    request: ecs.UpdateServiceRequest,
    wanted: Deployment | None,
    *,
    now: float,
) -> Service:
    """The service after ``request``; ``wanted`` is the deployment that starts, if one does."""
    deployments = tuple(msgspec.structs.replace(d, failed_tasks=0, updated_at=now) for d in service.deployments)
    placement = service.placement_strategy
    if request.placement_strategy is not None:
        placement = validation.placement_strategy(request.placement_strategy)
    changes: dict[str, Any] = {
        "deployments": deployments,
        "deployment_configuration": deployment_configuration.resolve(
            request.deployment_configuration,
            service.deployment_configuration,
            scheduling_strategy=service.scheduling_strategy,
            controller=service.deployment_controller,
        ),
        "placement_strategy": placement,
    }
    if wanted is not None:
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in deployments)
        changes["deployments"] = (wanted, *older)
    plain = {
        "desired_count": request.desired_count,
        "placement_constraints": request.placement_constraints,
        "health_check_grace_period_seconds": request.health_check_grace_period_seconds,
        "enable_ecs_managed_tags": request.enable_ecs_managed_tags,
        "propagate_tags": request.propagate_tags,
        "enable_execute_command": request.enable_execute_command,
    }
    changes |= {name: value for name, value in plain.items() if value is not None}
    changed = msgspec.structs.replace(service, **changes)
    return msgspec.structs.replace(
        changed,
        availability_zone_rebalancing=service_scheduling.rebalancing(
            request.availability_zone_rebalancing, why_not_rebalanced(changed), service.availability_zone_rebalancing
        ),
    )


def why_not_rebalanced(service: Service) -> str | None:
    """Why a service cannot use Availability Zone rebalancing; ``None`` when it can."""
    primary = service.primary
    return service_scheduling.why_not_rebalanced(
        scheduling_strategy=service.scheduling_strategy,
        deployment_controller=service.deployment_controller,
        launch_type=primary.launch_type if primary else "EC2",
        maximum_percent=service.deployment_configuration.maximum_percent,
        placement_strategy=service.placement_strategy,
        placement_constraints=service.placement_constraints,
    )
