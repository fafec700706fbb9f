"""The machines of groups: describe, protect, judge, end."""

from __future__ import annotations

import msgspec

from openecs.api.autoscaling.lookup import group_named, instance_named, page, validation
from openecs.api.autoscaling.views import activity_view, details
from openecs.control.group_records import retire
from openecs.model.auto_scaling_group import GroupInstance
from openecs.shapes import autoscaling
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination


class GroupInstances:
    """The operations on machines."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribeAutoScalingInstances": self.describe,
            "SetInstanceProtection": self.protect,
            "SetInstanceHealth": self.judge,
            "TerminateInstanceInAutoScalingGroup": self.terminate,
        }

    def describe(
        self, call: Call, request: autoscaling.DescribeAutoScalingInstancesType
    ) -> autoscaling.AutoScalingInstancesType:
        """The machines of all groups, or some of them."""
        found = sorted(
            (
                one
                for one in self._state.group_instances.by("region", call.region)
                if not request.instance_ids or one.id in request.instance_ids
            ),
            key=_id,
        )
        shown, token = page(
            self._pagination,
            found,
            max_records=request.max_records,
            next_token=request.next_token,
            scope=f"instances:{call.region}:{sorted(request.instance_ids or ())}",
            key=_id,
        )
        groups = self._state.auto_scaling_groups
        return autoscaling.AutoScalingInstancesType(
            auto_scaling_instances=tuple(
                details(one, group) for one in shown if (group := groups.get(one.group_arn)) is not None
            ),
            next_token=token,
        )

    def protect(
        self, call: Call, request: autoscaling.SetInstanceProtectionQuery
    ) -> autoscaling.SetInstanceProtectionAnswer:
        """Protect machines from scale-in, or no more."""
        group = group_named(self._state, call, request.auto_scaling_group_name)
        found = [instance_named(self._state, call, name) for name in request.instance_ids]
        for one in found:
            if one.group_arn != group.arn:
                raise validation(f"The instance {one.id} is not part of Auto Scaling group {group.name}.")
        with self._state.transaction() as tx:
            for one in found:
                tx.put(msgspec.structs.replace(one, protected=request.protected_from_scale_in))
        return autoscaling.SetInstanceProtectionAnswer()

    def judge(self, call: Call, request: autoscaling.SetInstanceHealthQuery) -> None:
        """Say how a machine does: an unhealthy one is replaced."""
        one = instance_named(self._state, call, request.instance_id)
        if request.health_status not in ("Healthy", "Unhealthy"):
            raise validation("Valid instance health states are: [Healthy, Unhealthy]")
        group = self._state.auto_scaling_groups.get(one.group_arn)
        grace = group.health_check_grace_period if group is not None else 0
        if request.should_respect_grace_period is not False and call.now < one.created_at + grace:
            return
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(one, healthy=request.health_status == "Healthy"))

    def terminate(
        self, call: Call, request: autoscaling.TerminateInstanceInAutoScalingGroupType
    ) -> autoscaling.ActivityType:
        """End machines, with or without replacing them."""
        names = (*((request.instance_id,) if request.instance_id else ()), *(request.instance_ids or ()))
        if not names:
            raise validation("An instance id is required.")
        found = [instance_named(self._state, call, name) for name in names]
        activities = []
        with self._state.transaction() as tx:
            for one in found:
                group = self._state.auto_scaling_groups.get(one.group_arn)
                if one.state == "Terminating" or group is None:
                    raise validation(f"The instance {one.id} is not in InService or Pending.")
                if request.should_decrement_desired_capacity:
                    if group.desired <= group.min_size:
                        raise validation(
                            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                            "replacement will violate group's min size constraint. Either set "
                            "shouldDecrementDesiredCapacity flag to false or lower group's min size."
                        )
                    tx.put(msgspec.structs.replace(group, desired=group.desired - 1))
                cause = f"instance {one.id} was taken out of service in response to a user request."
                activity = retire(self._state, tx, group, one, cause, ids=call.ids, now=call.now)
                activities.append(activity_view(activity))
        if request.instance_id:
            return autoscaling.ActivityType(activity=activities[0])
        return autoscaling.ActivityType(activities=tuple(activities))


def _id(instance: GroupInstance) -> str:
    return instance.id
