"""Checks of ``networkConfiguration``: whether it fits the network mode, whether it exists."""

from __future__ import annotations

from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError, invalid_parameter
from openecs.model import fargate
from openecs.shapes import ecs

MAX_SUBNETS = 16
MAX_SECURITY_GROUPS = 5


def check(
    network_mode: str | None,
    configuration: ecs.NetworkConfiguration | None,
    networks: RegionNetworks,
    region: str,
    *,
    launch_type: str,
) -> None:
    """Raise AWS's error unless the configuration can be honoured for that network mode and
    launch type.

    Not inside a transaction: the first awsvpc task of a region brings its default network.
    """
    wanted = configuration.awsvpc_configuration if configuration else None
    if network_mode != "awsvpc":
        if wanted is not None:
            raise invalid_parameter(
                "Network Configuration is not valid for the given networkMode of this task definition."
            )
        return
    if wanted is None:
        raise invalid_parameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if wanted.assign_public_ip == "ENABLED" and launch_type != "FARGATE":
        raise invalid_parameter("Assign public IP is not supported for this launch type.")
    if not wanted.subnets:
        raise invalid_parameter("subnets can not be empty.")
    if len(wanted.subnets) > MAX_SUBNETS:
        raise invalid_parameter(f"subnets can have at most {MAX_SUBNETS} items.")
    groups = wanted.security_groups or ()
    if len(groups) > MAX_SECURITY_GROUPS:
        raise invalid_parameter(f"securityGroups can have at most {MAX_SECURITY_GROUPS} items.")
    networks.ensure(region)
    networks.check(region, wanted.subnets, groups)


def platform_version(requested: str | None, launch_type: str) -> str | None:
    """The platform version a FARGATE task runs on; refuses one that does not exist."""
    if launch_type != "FARGATE":
        if requested:
            raise invalid_parameter("The platform version must be null when specifying an EC2 launch type.")
        return None
    latest = fargate.LATEST_PLATFORM_VERSION
    if fargate.platform_version(requested) != latest:
        raise AWSError(
            "PlatformUnknownException", f"The platform version {requested} is not known. Use LATEST or {latest}."
        )
    return latest
