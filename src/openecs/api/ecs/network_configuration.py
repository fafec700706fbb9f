"""Checks of ``networkConfiguration``: whether it fits the network mode, whether it exists."""

from __future__ import annotations

from collections.abc import Sequence

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
    check_places(networks, region, wanted.subnets, groups)


def check_places(networks: RegionNetworks, region: str, subnets: Sequence[str], groups: Sequence[str]) -> None:
    """Raise ECS's error unless all subnets and security groups are there, in one VPC."""
    vpcs: dict[str, None] = {}
    for subnet_id in subnets:
        subnet = networks.subnet(region, subnet_id)
        if subnet is None:
            raise invalid_parameter(
                f"Error retrieving subnet information for [{subnet_id}]: The subnet ID '{subnet_id}' does not "
                f"exist (ErrorCode: InvalidSubnetID.NotFound). Subnets of this region: {networks.subnet_ids(region)}."
            )
        vpcs[subnet.vpc_id] = None
    if len(vpcs) > 1:
        raise invalid_parameter(f"Subnets must be in the same VPC, but these are in {', '.join(vpcs)}.")
    for group_id in groups:
        vpc_id = networks.vpc_of_group(region, group_id)
        if vpc_id is None:
            raise invalid_parameter(
                f"Error retrieving security group information for [{group_id}]: The security group '{group_id}' does "
                "not exist (ErrorCode: InvalidGroup.NotFound). Security group of this region: "
                f"{networks.group_ids(region)}."
            )
        if vpc_id not in vpcs:
            raise invalid_parameter(
                f"Security group {group_id} does not appear to belong to the same VPC as the input subnets."
            )


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
