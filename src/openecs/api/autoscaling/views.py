"""Groups, machines and activities as EC2 Auto Scaling shows them.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.auto_scaling_group import AutoScalingGroup, GroupActivity, GroupInstance
from openecs.shapes import autoscaling


def group_view(group: AutoScalingGroup, instances: Iterable[GroupInstance]) -> autoscaling.AutoScalingGroup:
    """A group with its machines."""
    return autoscaling.AutoScalingGroup(
        auto_scaling_group_name=group.name,
        auto_scaling_group_arn=group.arn,
        launch_template=group.launch_template,
        mixed_instances_policy=group.mixed_instances_policy,
        min_size=group.min_size,
        max_size=group.max_size,
        desired_capacity=group.desired,
        default_cooldown=group.default_cooldown,
        availability_zones=group.zones,
        load_balancer_names=(),
        target_group_arns=(),
        health_check_type="EC2",
        health_check_grace_period=group.health_check_grace_period,
        instances=tuple(_instance(one, group) for one in instances),
        created_time=group.created_at,
        suspended_processes=tuple(
            autoscaling.SuspendedProcess(process_name=name, suspension_reason="User suspended")
            for name in group.suspended
        ),
        vpc_zone_identifier=group.subnets,
        enabled_metrics=(),
        status="Delete in progress" if group.deleting else None,
        tags=group.tags,
        termination_policies=("Default",),
        new_instances_protected_from_scale_in=group.protect_new_instances,
        capacity_rebalance=False,
        traffic_sources=(),
    )


def details(instance: GroupInstance, group: AutoScalingGroup) -> autoscaling.AutoScalingInstanceDetails:
    """A machine with the name of its group."""
    return autoscaling.AutoScalingInstanceDetails(
        instance_id=instance.id,
        auto_scaling_group_name=group.name,
        availability_zone=instance.zone,
        lifecycle_state=instance.state,
        health_status="HEALTHY" if instance.healthy else "UNHEALTHY",
        launch_template=group.launch_template,
        protected_from_scale_in=instance.protected,
    )


def activity_view(activity: GroupActivity) -> autoscaling.Activity:
    """One activity."""
    return autoscaling.Activity(
        activity_id=activity.id,
        auto_scaling_group_name=activity.group_name,
        auto_scaling_group_arn=activity.group_arn,
        description=activity.description,
        cause=activity.cause,
        start_time=activity.started_at,
        end_time=activity.ended_at,
        status_code=activity.status,
        status_message=activity.message[:255] or None,
        progress=100 if activity.ended_at is not None else 50,
        details="{}",
    )


def _instance(instance: GroupInstance, group: AutoScalingGroup) -> autoscaling.Instance:
    return autoscaling.Instance(
        instance_id=instance.id,
        availability_zone=instance.zone,
        lifecycle_state=instance.state,
        health_status="Healthy" if instance.healthy else "Unhealthy",
        launch_template=group.launch_template,
        protected_from_scale_in=instance.protected,
    )
