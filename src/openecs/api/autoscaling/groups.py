"""Auto Scaling groups: create, describe, update, delete, set their capacity, suspend what they do."""

from __future__ import annotations

import msgspec

from openecs.api.autoscaling.group_settings import check_sizes, with_settings
from openecs.api.autoscaling.lookup import find_group, group_named, page, validation
from openecs.api.autoscaling.tags import described, matches
from openecs.api.autoscaling.views import activity_view, group_view
from openecs.errors import AWSError
from openecs.model.auto_scaling_group import PROCESSES, AutoScalingGroup
from openecs.shapes import autoscaling
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_GROUPS = 500


class AutoScalingGroups:
    """The operations on groups."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateAutoScalingGroup": self.create,
            "DescribeAutoScalingGroups": self.describe,
            "UpdateAutoScalingGroup": self.update,
            "DeleteAutoScalingGroup": self.delete,
            "SetDesiredCapacity": self.set_desired_capacity,
            "SuspendProcesses": self.suspend,
            "ResumeProcesses": self.resume,
            "DescribeScalingActivities": self.activities,
            "DescribeAccountLimits": self.limits,
        }

    def create(self, call: Call, request: autoscaling.CreateAutoScalingGroupType) -> None:
        """Make a group; its machines follow."""
        if find_group(self._state, call, request.auto_scaling_group_name) is not None:
            raise AWSError(
                "AlreadyExists",
                "AutoScalingGroup by this name already exists - A group with the name "
                f"{request.auto_scaling_group_name} already exists",
            )
        if self._state.auto_scaling_groups.count("region", call.region) >= MAX_GROUPS:
            raise AWSError("LimitExceeded", f"A region can have {MAX_GROUPS} Auto Scaling groups.")
        name = request.auto_scaling_group_name
        if ":" in name or "/" in name:
            raise validation("The name of an Auto Scaling group must not contain colons or slashes.")
        group = AutoScalingGroup(
            arn=f"arn:aws:autoscaling:{call.region}:{call.account}:autoScalingGroup:{call.ids.uuid()}"
            f":autoScalingGroupName/{name}",
            name=name,
            region=call.region,
            created_at=call.now,
            min_size=request.min_size,
            max_size=request.max_size,
            desired=request.min_size,
            tags=described(name, request.tags or (), ()),
        )
        group = with_settings(self._state, call, group, request)
        with self._state.transaction() as tx:
            tx.put(group)

    def describe(self, call: Call, request: autoscaling.AutoScalingGroupNamesType) -> autoscaling.AutoScalingGroupsType:
        """The groups of the region, some of them by name or tags."""
        names = request.auto_scaling_group_names or ()
        found = sorted(
            (
                group
                for group in self._state.auto_scaling_groups.by("region", call.region)
                if (not names or group.name in names or group.arn in names)
                and all(matches(group.tags, chosen) for chosen in request.filters or ())
            ),
            key=_name,
        )
        shown, token = page(
            self._pagination,
            found,
            max_records=request.max_records,
            next_token=request.next_token,
            scope=f"groups:{call.region}:{sorted(names)}:{request.filters}",
            key=_name,
        )
        return autoscaling.AutoScalingGroupsType(
            auto_scaling_groups=tuple(
                group_view(group, self._state.group_instances.by("group", group.arn)) for group in shown
            ),
            next_token=token,
        )

    def update(self, call: Call, request: autoscaling.UpdateAutoScalingGroupType) -> None:
        """Change settings; those that are not given stay."""
        group = self._living(call, request.auto_scaling_group_name)
        self._put(with_settings(self._state, call, group, request))

    def delete(self, call: Call, request: autoscaling.DeleteAutoScalingGroupType) -> None:
        """Delete a group: at once without machines, by force with them as soon as they have gone."""
        group = group_named(self._state, call, request.auto_scaling_group_name)
        instances = self._state.group_instances.by("group", group.arn)
        if instances and not request.force_delete:
            raise AWSError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group.",
            )
        with self._state.transaction() as tx:
            if instances:
                tx.put(msgspec.structs.replace(group, deleting=True, min_size=0, desired=0))
            else:
                tx.delete(group)

    def set_desired_capacity(self, call: Call, request: autoscaling.SetDesiredCapacityType) -> None:
        """Set how many machines there shall be; a cooldown is honoured only by scaling that has one."""
        group = self._living(call, request.auto_scaling_group_name)
        bounds = f"New SetDesiredCapacity value {request.desired_capacity} is"
        if request.desired_capacity < group.min_size:
            raise validation(f"{bounds} below min value {group.min_size} for the AutoScalingGroup.")
        if request.desired_capacity > group.max_size:
            raise validation(f"{bounds} above max value {group.max_size} for the AutoScalingGroup.")
        group = msgspec.structs.replace(group, desired=request.desired_capacity)
        check_sizes(group)
        self._put(group)

    def suspend(self, call: Call, request: autoscaling.ScalingProcessQuery) -> None:
        """Keep a group from starting, ending or replacing machines."""
        group = self._living(call, request.auto_scaling_group_name)
        names = self._processes(request)
        self._put(msgspec.structs.replace(group, suspended=tuple(dict.fromkeys((*group.suspended, *names)))))

    def resume(self, call: Call, request: autoscaling.ScalingProcessQuery) -> None:
        """Let it again."""
        group = self._living(call, request.auto_scaling_group_name)
        names = self._processes(request)
        self._put(msgspec.structs.replace(group, suspended=tuple(n for n in group.suspended if n not in names)))

    def activities(self, call: Call, request: autoscaling.DescribeScalingActivitiesType) -> autoscaling.ActivitiesType:
        """What was done to machines, newest first."""
        if request.filters:
            raise validation("OpenECS does not support Filters of DescribeScalingActivities.")
        group = request.auto_scaling_group_name
        known = {g.arn for g in self._state.auto_scaling_groups.by("region", call.region)}
        if group is not None and not request.include_deleted_groups:
            group_named(self._state, call, group)
        found = sorted(
            (
                activity
                for activity in self._state.group_activities.by("region", call.region)
                if group in (None, activity.group_name, activity.group_arn)
                and (request.include_deleted_groups or activity.group_arn in known)
                and (not request.activity_ids or activity.id in request.activity_ids)
            ),
            key=lambda a: (a.started_at, a.id),
            reverse=True,
        )
        shown, token = page(
            self._pagination,
            found,
            max_records=request.max_records,
            next_token=request.next_token,
            scope=f"activities:{call.region}:{group}:{request.activity_ids}",
            key=lambda a: (a.started_at, a.id),
            default=100,
            descending=True,
        )
        return autoscaling.ActivitiesType(activities=tuple(map(activity_view, shown)), next_token=token)

    def limits(self, call: Call, _: None) -> autoscaling.DescribeAccountLimitsAnswer:
        """How many groups there may be, and are."""
        return autoscaling.DescribeAccountLimitsAnswer(
            max_number_of_auto_scaling_groups=MAX_GROUPS,
            max_number_of_launch_configurations=0,
            number_of_auto_scaling_groups=self._state.auto_scaling_groups.count("region", call.region),
            number_of_launch_configurations=0,
        )

    def _living(self, call: Call, name: str) -> AutoScalingGroup:
        group = group_named(self._state, call, name)
        if group.deleting:
            raise validation("AutoScalingGroup is pending delete, and cannot be modified.")
        return group

    def _put(self, group: AutoScalingGroup) -> None:
        with self._state.transaction() as tx:
            tx.put(group)

    @staticmethod
    def _processes(request: autoscaling.ScalingProcessQuery) -> tuple[str, ...]:
        names = request.scaling_processes or PROCESSES
        for name in names:
            if name not in PROCESSES:
                raise validation(f"OpenECS has no scaling process {name}: it has {', '.join(PROCESSES)}.")
        return tuple(names)


def _name(group: AutoScalingGroup) -> str:
    return group.name
