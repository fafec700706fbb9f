"""From a request to the record of a group: defaults, checks, and what cannot be done here."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.autoscaling.lookup import validation
from openecs.model.auto_scaling_group import AutoScalingGroup
from openecs.shapes import autoscaling
from openecs.state.state import State
from openecs.wire.call import Call

#: Members that mean nothing for machines that a provisioner makes, each with the only value that it may have.
_REFUSED: dict[str, tuple[object, ...]] = {
    "launch_configuration_name": (),
    "instance_id": (),
    "load_balancer_names": ((),),
    "target_group_arns": ((),),
    "placement_group": ("",),
    "capacity_rebalance": (False,),
    "lifecycle_hook_specification_list": ((),),
    "max_instance_lifetime": (0,),
    "context": (),
    "desired_capacity_type": ("units",),
    "default_instance_warmup": (),
    "traffic_sources": ((),),
    "instance_maintenance_policy": (),
    "availability_zone_ids": ((),),
    "availability_zone_impairment_policy": (),
    "capacity_reservation_specification": (),
    "instance_lifecycle_policy": (),
    "deletion_protection": ("none",),
    "operator": (),
}
#: Terraform and CloudFormation write these, and they are what happens.
_POLICIES = {"Default", "OldestInstance"}


def check_supported(request: autoscaling.CreateAutoScalingGroupType | autoscaling.UpdateAutoScalingGroupType) -> None:
    """Refuse settings that nothing would act on."""
    for name, allowed in _REFUSED.items():
        value = getattr(request, name, None)
        if value is not None and value not in allowed:
            member = "".join(part.title() for part in name.split("_"))
            raise validation(f"OpenECS does not support {member} of Auto Scaling groups.")
    if request.health_check_type not in (None, "EC2"):
        raise validation("OpenECS supports the HealthCheckType EC2 only.")
    if {*(request.termination_policies or ())} - _POLICIES:
        raise validation("OpenECS supports the termination policies Default and OldestInstance only.")
    distribution = request.availability_zone_distribution
    if distribution is not None and distribution.capacity_distribution_strategy not in (None, "balanced-best-effort"):
        raise validation("OpenECS supports the CapacityDistributionStrategy balanced-best-effort only.")


def zones(state: State, call: Call, named: tuple[str, ...] | None, subnets: str | None) -> tuple[str, ...]:
    """The zones that subnets or names give."""
    found: list[str] = []
    for subnet_id in filter(None, (part.strip() for part in (subnets or "").split(","))):
        subnet = state.subnets.get(subnet_id)
        if subnet is None or subnet.region != call.region:
            raise validation(f"The subnet ID '{subnet_id}' does not exist")
        found.append(subnet.availability_zone)
    for zone in named or ():
        if not zone.startswith(call.region):
            raise validation(f"Invalid availability zones: [{zone}]")
        if not subnets:
            found.append(zone)
    return tuple(dict.fromkeys(found))


def check_template(state: State, call: Call, wanted: autoscaling.LaunchTemplateSpecification | None) -> None:
    """A launch template that is named exists, with the version that is named."""
    if wanted is None:
        return
    if (wanted.launch_template_id is None) == (wanted.launch_template_name is None):
        raise validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    for template in state.launch_templates.by("region", call.region):
        if wanted.launch_template_id == template.id or wanted.launch_template_name == template.name:
            numbers = {"$Latest", "$Default", *(str(version.number) for version in template.versions)}
            if (wanted.version or "$Default") not in numbers:
                raise validation(f"Version {wanted.version} of the launch template {template.id} does not exist.")
            return
    name = wanted.launch_template_id or wanted.launch_template_name
    raise validation(f"The specified launch template, with template {name}, does not exist.")


def check_sizes(group: AutoScalingGroup) -> None:
    """The sizes of a group, in AWS's words."""
    if group.min_size < 0 or group.max_size < 0:
        raise validation("Min and max sizes must not be negative.")
    if group.min_size > group.max_size:
        raise validation(f"Max bound, {group.max_size}, must be greater than or equal to min bound, {group.min_size}")
    if group.desired < group.min_size:
        raise validation(f"Desired capacity:{group.desired} must be above min capacity:{group.min_size}")
    if group.desired > group.max_size:
        raise validation(f"Desired capacity:{group.desired} must be below max capacity:{group.max_size}")


def with_settings(
    state: State,
    call: Call,
    group: AutoScalingGroup,
    request: autoscaling.CreateAutoScalingGroupType | autoscaling.UpdateAutoScalingGroupType,
) -> AutoScalingGroup:
    """``group`` with everything that a request names laid over it, checked."""
    check_supported(request)
    check_template(state, call, request.launch_template)
    policy = request.mixed_instances_policy
    if policy is not None:
        template = policy.launch_template
        check_template(state, call, template.launch_template_specification if template is not None else None)
    plain: dict[str, Any] = {
        "min_size": request.min_size,
        "max_size": request.max_size,
        "default_cooldown": request.default_cooldown,
        "launch_template": request.launch_template,
        "mixed_instances_policy": policy,
        "health_check_grace_period": request.health_check_grace_period,
        "protect_new_instances": request.new_instances_protected_from_scale_in,
    }
    changes = {name: value for name, value in plain.items() if value is not None}
    if request.launch_template is not None:
        changes["mixed_instances_policy"] = None
    elif policy is not None:
        changes["launch_template"] = None
    if request.vpc_zone_identifier is not None or request.availability_zones is not None:
        changes["zones"] = zones(state, call, request.availability_zones, request.vpc_zone_identifier)
        changes["subnets"] = request.vpc_zone_identifier or ""
    group = msgspec.structs.replace(group, **changes)
    # A bound that moves takes the desired capacity with it, unless the request says another.
    desired = max(min(group.desired, group.max_size), group.min_size)
    if request.desired_capacity is not None:
        desired = request.desired_capacity
    group = msgspec.structs.replace(group, desired=desired)
    check_sizes(group)
    if not group.zones:
        raise validation("At least one Availability Zone or VPC Subnet is required.")
    return group
