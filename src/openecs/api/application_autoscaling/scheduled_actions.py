"""Scheduled actions: put, describe, delete."""

from __future__ import annotations

import msgspec

from openecs.api.application_autoscaling.lookup import check_scope, find_target, page, validation
from openecs.control.scaling_schedules import timetable
from openecs.errors import AWSError
from openecs.model.scaling import DIMENSION, NAMESPACE, ScheduledScaling
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import At
from openecs.planning.schedules.ticks import next_tick
from openecs.shapes import application_autoscaling as aas
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_ACTIONS = 200


class ScheduledActions:
    """The operations on scheduled actions."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutScheduledAction": self.put,
            "DescribeScheduledActions": self.describe,
            "DeleteScheduledAction": self.delete,
        }

    def put(self, call: Call, request: aas.PutScheduledActionRequest) -> aas.PutScheduledActionResponse:
        """Make or change an action; times that are not given are forgotten."""
        target = find_target(self._state, call, request)
        existing = self._state.scheduled_scalings.by("target", target.key)
        old = next((one for one in existing if one.name == request.scheduled_action_name), None)
        if old is None and len(existing) >= MAX_ACTIONS:
            raise AWSError("LimitExceededException", f"A scalable target can have {MAX_ACTIONS} scheduled actions.")
        schedule = request.schedule or (old.schedule if old is not None else None)
        action = request.scalable_target_action or (old.action if old is not None else None)
        if schedule is None:
            raise validation("Schedule is required to create a scheduled action.")
        if action is None or (action.min_capacity is None and action.max_capacity is None):
            raise validation("A scheduled action needs ScalableTargetAction with MinCapacity, MaxCapacity, or both.")
        low, high = action.min_capacity, action.max_capacity
        if (low or 0) < 0 or (high or 0) < 0:
            raise validation("MinCapacity and MaxCapacity must not be negative.")
        if low is not None and high is not None and low > high:
            raise validation("Minimum capacity cannot be greater than maximum capacity")
        if request.start_time is not None and request.end_time is not None and request.start_time >= request.end_time:
            raise validation("EndTime must be later than StartTime.")
        record = ScheduledScaling(
            arn=old.arn
            if old is not None
            else f"arn:aws:autoscaling:{call.region}:{call.account}:scheduledAction:{call.ids.uuid()}"
            f":resource/{NAMESPACE}/{target.resource_id}:scheduledActionName/{request.scheduled_action_name}",
            name=request.scheduled_action_name,
            region=call.region,
            target_key=target.key,
            created_at=old.created_at if old is not None else call.now,
            schedule=schedule,
            timezone=request.timezone or (old.timezone if old is not None else None),
            start_time=request.start_time,
            end_time=request.end_time,
            action=action,
            done_until=call.now,
        )
        _check(record, call.now)
        if old is not None and msgspec.structs.replace(record, done_until=old.done_until) == old:
            return aas.PutScheduledActionResponse()
        with self._state.transaction() as tx:
            tx.put(record)
        return aas.PutScheduledActionResponse()

    def describe(
        self, call: Call, request: aas.DescribeScheduledActionsRequest
    ) -> aas.DescribeScheduledActionsResponse:
        """The actions of the region, of one resource, or of some names."""
        check_scope(request, request.resource_id)
        names = set(request.scheduled_action_names or ())
        found = []
        for action in self._state.scheduled_scalings.by("region", call.region):
            target = self._state.scalable_targets.get(action.target_key)
            if target is None or request.resource_id not in (None, target.resource_id):
                continue
            if not names or action.name in names or action.arn in names:
                found.append((target.resource_id, action.name, action))
        found.sort(key=_place)
        scope = f"scheduled-actions:{call.region}:{request.resource_id}:{sorted(names)}"
        shown, token = page(self._pagination, found, request, scope=scope, key=_place)
        return aas.DescribeScheduledActionsResponse(
            scheduled_actions=tuple(_view(resource, action) for resource, _, action in shown), next_token=token
        )

    def delete(self, call: Call, request: aas.DeleteScheduledActionRequest) -> aas.DeleteScheduledActionResponse:
        """Forget an action."""
        target = find_target(self._state, call, request)
        for action in self._state.scheduled_scalings.by("target", target.key):
            if action.name == request.scheduled_action_name:
                with self._state.transaction() as tx:
                    tx.delete(action)
                return aas.DeleteScheduledActionResponse()
        raise AWSError(
            "ObjectNotFoundException",
            f"No scheduled action found for service namespace: {request.service_namespace}, resource ID: "
            f"{request.resource_id}, scheduled action name: {request.scheduled_action_name}",
        )


def _check(action: ScheduledScaling, now: float) -> None:
    try:
        table = timetable(action)
    except InvalidScheduleError as error:
        raise validation(str(error)) from None
    if isinstance(table.expression, At) and next_tick(table, now) is None:
        raise validation("The time of a one-time scheduled action must be in the future.")


def _place(found: tuple[str, str, ScheduledScaling]) -> tuple[str, str]:
    return found[:2]


def _view(resource: str, action: ScheduledScaling) -> aas.ScheduledAction:
    return aas.ScheduledAction(
        scheduled_action_name=action.name,
        scheduled_action_arn=action.arn,
        service_namespace=NAMESPACE,
        schedule=action.schedule,
        timezone=action.timezone,
        resource_id=resource,
        scalable_dimension=DIMENSION,
        start_time=action.start_time,
        end_time=action.end_time,
        scalable_target_action=action.action,
        creation_time=action.created_at,
    )
