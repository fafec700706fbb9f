"""What CreateService and UpdateService check of a request before anything is written.

Pure functions over the request's shapes.  Settings that OpenECS does not honour yet are
refused here by name; none is stored and ignored.
"""

from __future__ import annotations

import re

from openecs.api.ecs import service_load_balancers
from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.shapes import ecs

MAX_DESIRED_COUNT = 5000
MAX_GRACE_PERIOD = 2_147_483_647
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_CLIENT_TOKEN = re.compile(r"[\x21-\x7e]{1,36}")


def check_name(name: str) -> None:
    """Service names: letters, digits, underscores and hyphens, at most 255."""
    if not name:
        raise invalid_parameter("Service name can not be null or empty.")
    if len(name) > 255:
        raise invalid_parameter("Service name can be at most 255 characters long.")
    if not _NAME.fullmatch(name):
        raise invalid_parameter(
            "Invalid service name: only letters (uppercase and lowercase), numbers, underscores and hyphens are valid."
        )


def check_client_token(token: str | None) -> None:
    """Client tokens: up to 36 printable ASCII characters without spaces."""
    if token and not _CLIENT_TOKEN.fullmatch(token):
        raise invalid_parameter("Invalid client token: up to 36 ASCII characters in the range of 33-126 are allowed.")


def check_desired_count(count: int | None) -> None:
    """How many tasks a service may want."""
    if count is None:
        return
    if count < 0:
        raise invalid_parameter("desiredCount must not be negative.")
    if count > MAX_DESIRED_COUNT:
        raise invalid_parameter(f"desiredCount can be at most {MAX_DESIRED_COUNT}.")


def check_grace_period(seconds: int | None) -> None:
    """``healthCheckGracePeriodSeconds``: from 0 to about 68 years."""
    if seconds is not None and not 0 <= seconds <= MAX_GRACE_PERIOD:
        raise invalid_parameter(f"healthCheckGracePeriodSeconds must be between 0 and {MAX_GRACE_PERIOD}.")


def refuse_for_create(request: ecs.CreateServiceRequest) -> None:
    """Refuse what CreateService cannot honour, naming the member."""
    if request.role and not request.load_balancers:
        raise invalid_parameter("role can only be specified for services that are configured to use load balancers.")
    _refuse_for_both(request)


def refuse_for_update(request: ecs.UpdateServiceRequest, controller: str) -> None:
    """Refuse what UpdateService cannot honour, naming the member."""
    wanted = request.deployment_controller
    if wanted is not None and wanted.type != controller:
        raise not_supported(f"Changing a service to deploymentController {wanted.type}")
    _refuse_for_both(request)


def _refuse_for_both(request: ecs.CreateServiceRequest | ecs.UpdateServiceRequest) -> None:
    service_load_balancers.refuse(request.load_balancers)
    refused = {
        "volumeConfigurations": bool(request.volume_configurations),
        "vpcLatticeConfigurations": bool(request.vpc_lattice_configurations),
        "gatewayConnectors": bool(request.gateway_connectors),
        "enableExecuteCommand": bool(request.enable_execute_command),
    }
    for member, wanted in refused.items():
        if wanted:
            raise not_supported(member)


def monitoring(
    given: ecs.MonitoringConfiguration | None, before: ecs.MonitoringConfiguration | None
) -> ecs.MonitoringConfiguration | None:
    """What is published more often than every minute; ``before`` when nothing is said, nothing for an empty list."""
    if given is None:
        return before
    seen: set[str] = set()
    for one in given.metric_configurations or ():
        if one.resolution_seconds not in (20, 60):
            raise invalid_parameter("The resolutionSeconds of a metric configuration must be 20 or 60.")
        for name in one.metric_names:
            if name not in ("CPUUtilization", "MemoryUtilization"):
                raise invalid_parameter(
                    f"The metric {name} cannot be configured: only CPUUtilization and MemoryUtilization."
                )
            if name in seen:
                raise invalid_parameter(f"The metric {name} is configured twice.")
            seen.add(name)
    return given if given.metric_configurations else None


def network_configuration(given: ecs.NetworkConfiguration | None) -> ecs.NetworkConfiguration | None:
    """The configuration as AWS echoes it: ``assignPublicIp`` and ``securityGroups`` filled in."""
    if given is None or given.awsvpc_configuration is None:
        return None
    awsvpc = given.awsvpc_configuration
    return ecs.NetworkConfiguration(
        awsvpc_configuration=ecs.AwsVpcConfiguration(
            subnets=awsvpc.subnets,
            security_groups=awsvpc.security_groups or (),
            assign_public_ip=awsvpc.assign_public_ip or "DISABLED",
        )
    )


def placement_strategy(given: tuple[ecs.PlacementStrategy, ...] | None) -> tuple[ecs.PlacementStrategy, ...]:
    """The strategies as AWS echoes them; one empty object is how UpdateService is told to remove them.

    A spread over ``host`` is shown as one over ``instanceId``, which is the same; Terraform counts on it.
    """
    given = given or ()
    if given == (ecs.PlacementStrategy(),):
        return ()
    by_host = ecs.PlacementStrategy(type="spread", field="host")
    return tuple(ecs.PlacementStrategy(type="spread", field="instanceId") if s == by_host else s for s in given)


def not_idempotent() -> AWSError:
    """The name, or the client token, is taken by a service with other settings."""
    return invalid_parameter("Creation of service was not idempotent.")


def still_draining() -> AWSError:
    """The name belongs to a service that is being deleted."""
    return invalid_parameter("Unable to Start a service that is still Draining.")


def not_found() -> AWSError:
    """No service, or only an INACTIVE one, has this name."""
    return AWSError("ServiceNotFoundException", "Service not found.")


def not_active() -> AWSError:
    """The service is being deleted or was deleted."""
    return AWSError("ServiceNotActiveException", "Service was not ACTIVE.")
