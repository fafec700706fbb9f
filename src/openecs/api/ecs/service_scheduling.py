"""What a service's scheduling strategy, controller and zone rebalancing allow.  Pure checks.

DAEMON services run one task on every matching container instance, so they have no desired
count, no placement strategy and no capacity provider.  Services with the EXTERNAL controller
get what their tasks are made of from task sets, so nothing of that may be on the service.
"""

from __future__ import annotations

from typing import Any, Literal

from openecs.errors import invalid_parameter, not_supported
from openecs.shapes import ecs

Controller = Literal["ECS", "EXTERNAL"]
_ZONE = "attribute:ecs.availability-zone"
#: Members of CreateService and UpdateService that belong to task sets under the EXTERNAL controller.
_OF_TASK_SETS = (
    "network_configuration",
    "platform_version",
    "capacity_provider_strategy",
    "load_balancers",
    "service_registries",
)


def controller(given: ecs.DeploymentController | None) -> Controller:
    """The deployment controller of a new service; ECS where none is named."""
    if given is None or given.type == "ECS":
        return "ECS"
    if given.type == "EXTERNAL":
        return "EXTERNAL"
    raise not_supported("deploymentController CODE_DEPLOY (use ECS, or EXTERNAL with task sets)")


def check_daemon_create(request: ecs.CreateServiceRequest, *, default_strategy: bool) -> None:
    """What CreateService refuses for the DAEMON strategy."""
    _check_daemon(request)
    if request.launch_type == "FARGATE":
        raise invalid_parameter(
            "The daemon scheduling strategy does not support the Fargate launch type. Change the launch type and "
            "try again"
        )
    if request.capacity_provider_strategy or (default_strategy and not request.launch_type):
        raise invalid_parameter(
            "Specifying a capacity provider strategy is not supported when you create a service using the DAEMON "
            "scheduling strategy."
        )
    if request.deployment_controller is not None and request.deployment_controller.type != "ECS":
        raise invalid_parameter(
            f"The daemon scheduling strategy does not support the {request.deployment_controller.type} deployment "
            "controller. Change the deployment controller and try again"
        )


def check_daemon_update(request: ecs.UpdateServiceRequest) -> None:
    """What UpdateService refuses for the DAEMON strategy."""
    _check_daemon(request)
    if request.capacity_provider_strategy:
        raise invalid_parameter(
            "Specifying a capacity provider strategy is not supported for a service using the DAEMON scheduling "
            "strategy."
        )


def _check_daemon(request: ecs.CreateServiceRequest | ecs.UpdateServiceRequest) -> None:
    if request.desired_count is not None:
        raise invalid_parameter(
            "The daemon scheduling strategy does not support a desired count for services. Remove the desired count "
            "value and try again"
        )
    if request.placement_strategy and request.placement_strategy != (ecs.PlacementStrategy(),):
        raise invalid_parameter(
            "The daemon scheduling strategy does not support placement strategies. Remove the placement strategy and "
            "try again"
        )
    if request.availability_zone_rebalancing == "ENABLED":
        raise invalid_parameter("The daemon scheduling strategy does not support Availability Zone rebalancing.")


def check_external_create(request: ecs.CreateServiceRequest) -> None:
    """What CreateService refuses for the EXTERNAL controller: all that task sets say."""
    if request.task_definition is not None:
        raise invalid_parameter("TaskDefinition must be blank")
    if request.launch_type not in (None, "EC2"):
        raise invalid_parameter(_say_in_task_set("launchType"))
    _check_external(request)


def check_external_update(request: ecs.UpdateServiceRequest) -> None:
    """What UpdateService refuses for the EXTERNAL controller."""
    if request.task_definition is not None:
        raise invalid_parameter(
            "Unable to update task definition on services with an EXTERNAL deployment controller. Create a new task "
            "set to deploy it."
        )
    if request.force_new_deployment:
        raise invalid_parameter(
            "Cannot force a new deployment on services with an EXTERNAL deployment controller. Create a new task set "
            "instead."
        )
    _check_external(request)


def _check_external(request: Any) -> None:
    for member in _OF_TASK_SETS:
        if getattr(request, member):
            first, *rest = member.split("_")
            raise invalid_parameter(_say_in_task_set(first + "".join(part.title() for part in rest)))
    if request.availability_zone_rebalancing == "ENABLED":
        raise invalid_parameter(
            "Availability Zone rebalancing is not supported for services with an EXTERNAL deployment controller."
        )


def _say_in_task_set(member: str) -> str:
    return (
        f"{member} must be blank for services with an EXTERNAL deployment controller. Specify it when you create a "
        "task set."
    )


def why_not_rebalanced(
    *,
    scheduling_strategy: str,
    deployment_controller: str,
    launch_type: str,
    maximum_percent: int | None,
    placement_strategy: tuple[ecs.PlacementStrategy, ...],
    placement_constraints: tuple[ecs.PlacementConstraint, ...],
) -> str | None:
    """Why a service cannot use Availability Zone rebalancing, in words; ``None`` when it can."""
    if scheduling_strategy != "REPLICA":
        return "the DAEMON scheduling strategy"
    if deployment_controller != "ECS":
        return f"the {deployment_controller} deployment controller"
    if launch_type == "EXTERNAL":
        return "the EXTERNAL launch type"
    if maximum_percent is not None and maximum_percent <= 100:
        return "a maximumPercent of 100"
    if placement_strategy:
        first = placement_strategy[0]
        if first.type != "spread" or (first.field or "").lower() != _ZONE:
            return f"a first placement strategy other than a spread over {_ZONE}"
    for constraint in placement_constraints:
        if constraint.type == "memberOf" and _names_zone(constraint.expression or ""):
            return "a placement constraint on ecs.availability-zone"
    return None


def rebalancing(
    wanted: Literal["ENABLED", "DISABLED"] | None, why_not: str | None, existing: str | None = None
) -> Literal["ENABLED", "DISABLED"]:
    """The setting to store.  ``existing`` is absent for a new service.

    A new service that says nothing gets ENABLED where its other settings allow it.  Raises
    ``InvalidParameterException`` for ENABLED together with what excludes it.
    """
    if wanted is None and existing is None:
        return "DISABLED" if why_not else "ENABLED"
    setting = wanted or existing
    if setting == "ENABLED" and why_not:
        raise invalid_parameter(
            f"Availability Zone rebalancing is not supported for services with {why_not}. Set "
            "availabilityZoneRebalancing to DISABLED and try again."
        )
    return "ENABLED" if setting == "ENABLED" else "DISABLED"


def _names_zone(expression: str) -> bool:
    """Whether a constraint decides by zone."""
    return _ZONE in expression.lower()
