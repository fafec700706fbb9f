"""Schedules."""

from __future__ import annotations

import msgspec

from openecs.api.scheduler import errors
from openecs.api.scheduler.pages import page
from openecs.api.scheduler.validation import Serves, check
from openecs.model.schedule import DEFAULT_GROUP, Schedule, group_arn, schedule_arn
from openecs.shapes import scheduler
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination


class Schedules:
    """The operations on schedules."""

    def __init__(self, state: State, pagination: Pagination, serves: Serves) -> None:
        self._state = state
        self._pagination = pagination
        self._serves = serves

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateSchedule": self.create,
            "GetSchedule": self.get,
            "ListSchedules": self.list_all,
            "UpdateSchedule": self.update,
            "DeleteSchedule": self.delete,
        }

    def create(self, call: Call, request: scheduler.CreateScheduleInput) -> scheduler.CreateScheduleOutput:
        """Make a schedule; a repeated client token answers as the first call did."""
        check(request, self._serves)
        group = self._group(call, request.group_name)
        arn = schedule_arn(call.region, call.account, group, request.name)
        known = self._state.schedules.get(arn)
        if known is not None:
            if request.client_token is None or known.client_token != request.client_token:
                raise errors.conflict(f"Schedule {request.name} already exists.")
            if known != _made(call, request, group, known):
                raise errors.conflict("The ClientToken was used before with other parameters.")
            return scheduler.CreateScheduleOutput(schedule_arn=arn)
        with self._state.transaction() as tx:
            tx.put(_made(call, request, group, None))
        return scheduler.CreateScheduleOutput(schedule_arn=arn)

    def update(self, call: Call, request: scheduler.UpdateScheduleInput) -> scheduler.UpdateScheduleOutput:
        """Put other settings in the place of all that a schedule has; its ticks count anew."""
        check(request, self._serves)
        known = self._existing(call, request.name, request.group_name)
        made = _made(call, request, known.group, None)
        with self._state.transaction() as tx:
            tx.put(_with_times(made, known.created_at, call.now, known.client_token))
        return scheduler.UpdateScheduleOutput(schedule_arn=known.arn)

    def get(self, call: Call, request: scheduler.GetScheduleInput) -> scheduler.GetScheduleOutput:
        """One schedule."""
        found = self._existing(call, request.name, request.group_name)
        return scheduler.GetScheduleOutput(
            arn=found.arn,
            group_name=found.group,
            name=found.name,
            schedule_expression=found.expression,
            schedule_expression_timezone=found.timezone,
            start_date=found.start,
            end_date=found.end,
            description=found.description,
            state=found.state,
            creation_date=found.created_at,
            last_modification_date=found.modified_at,
            target=found.target,
            flexible_time_window=scheduler.FlexibleTimeWindow(
                mode="FLEXIBLE" if found.window else "OFF", maximum_window_in_minutes=found.window or None
            ),
            action_after_completion=found.after_completion,
        )

    def list_all(self, call: Call, request: scheduler.ListSchedulesInput) -> scheduler.ListSchedulesOutput:
        """The schedules of a group or of all, by group and name."""
        if request.group_name is not None:
            self._group(call, request.group_name)
            candidates = self._state.schedules.by("group", (call.region, request.group_name))
        else:
            candidates = self._state.schedules.by("region", call.region)
        prefix, state = request.name_prefix or "", request.state
        known = {
            (found.group, found.name): found
            for found in candidates
            if found.name.startswith(prefix) and state in (None, found.state)
        }
        shown, token = page(
            self._pagination, known, request, f"ListSchedules/{call.region}/{request.group_name}/{prefix}/{state}"
        )
        return scheduler.ListSchedulesOutput(schedules=tuple(_summary(known[key]) for key in shown), next_token=token)

    def delete(self, call: Call, request: scheduler.DeleteScheduleInput) -> scheduler.DeleteScheduleOutput:
        """Delete a schedule, and its ticks that are still on their way."""
        found = self._existing(call, request.name, request.group_name)
        with self._state.transaction() as tx:
            for invocation in self._state.schedule_invocations.by("schedule", found.arn):
                tx.delete(invocation)
            tx.delete(found)
        return scheduler.DeleteScheduleOutput()

    def _group(self, call: Call, name: str | None) -> str:
        name = name or DEFAULT_GROUP
        if name != DEFAULT_GROUP and group_arn(call.region, call.account, name) not in self._state.schedule_groups:
            raise errors.group_not_found(name)
        return name

    def _existing(self, call: Call, name: str, group: str | None) -> Schedule:
        group = self._group(call, group)
        found = self._state.schedules.get(schedule_arn(call.region, call.account, group, name))
        if found is None:
            raise errors.schedule_not_found(name)
        return found


def _made(
    call: Call,
    request: scheduler.CreateScheduleInput | scheduler.UpdateScheduleInput,
    group: str,
    known: Schedule | None,
) -> Schedule:
    """The record of a request; of ``known`` it has what a repetition of its creation would have."""
    window = request.flexible_time_window
    return Schedule(
        arn=schedule_arn(call.region, call.account, group, request.name),
        id=known.id if known else call.ids.uuid(),
        region=call.region,
        group=group,
        name=request.name,
        expression=request.schedule_expression,
        timezone=request.schedule_expression_timezone or "UTC",
        start=request.start_date,
        end=request.end_date,
        description=request.description,
        state=request.state or "ENABLED",
        target=request.target,
        window=window.maximum_window_in_minutes or 0,
        after_completion=request.action_after_completion or "NONE",
        created_at=known.created_at if known else call.now,
        modified_at=known.modified_at if known else call.now,
        client_token=request.client_token,
    )


def _with_times(made: Schedule, created_at: float, now: float, token: str | None) -> Schedule:
    return msgspec.structs.replace(made, created_at=created_at, modified_at=now, client_token=token)


def _summary(found: Schedule) -> scheduler.ScheduleSummary:
    return scheduler.ScheduleSummary(
        arn=found.arn,
        name=found.name,
        group_name=found.group,
        state=found.state,
        creation_date=found.created_at,
        last_modification_date=found.modified_at,
        target=scheduler.TargetSummary(arn=found.target.arn),
    )
