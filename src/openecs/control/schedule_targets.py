"""What a schedule's target is called with: ECS tasks, event buses, log groups and any served operation."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.arn import parse
from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.events.invoke import Invoker
from openecs.events.outcome import InvocationError, Outcome
from openecs.model.event import Event, envelope, event_time
from openecs.model.schedule import ScheduleInvocation
from openecs.planning.schedules.universal import universal_target
from openecs.shapes import events, scheduler
from openecs.wire.call import Principal
from openecs.wire.inside import InsideCaller


class ScheduleTargets:
    """Invokes the targets of schedules."""

    def __init__(self, invoker: Invoker, call: InsideCaller, clock: Clock) -> None:
        self._invoker = invoker
        self._call = call
        self._clock = clock

    async def invoke(self, invocation: ScheduleInvocation) -> Outcome:
        """Call the target once; raises ``InvocationError``."""
        target = invocation.target
        text = _filled(target.input or "{}", invocation)
        universal = universal_target(target.arn)
        if universal is not None:
            return await self._operation(invocation, universal.service, universal.operation, text)
        parameters = target.event_bridge_parameters
        if parameters is not None:
            text = self._event(invocation, parameters, text)
        return await self._invoker.invoke(
            _as_rule_target(target),
            text,
            token=invocation.id,
            started_by=f"chronos-schedule/{invocation.name}",
            source=invocation.schedule_arn,
        )

    async def _operation(self, invocation: ScheduleInvocation, service: str, operation: str, text: str) -> Outcome:
        body = text.encode()
        if (service, operation) == ("ecs", "RunTask"):
            members = msgspec.json.decode(body)
            members.setdefault("clientToken", invocation.id)
            members.setdefault("startedBy", f"chronos-schedule/{invocation.name}")
            body = msgspec.json.encode(members)
        caller = Principal(invocation.target.role_arn, "root", access_key_id="")
        try:
            reply = await self._call(service, operation, body, region=invocation.region, caller=caller)
        except Retryable as error:
            raise InvocationError("SERVICE_UNAVAILABLE", str(error), retry=True) from error
        except AWSError as error:
            raise InvocationError(error.code, error.message, retry=error.status >= 500) from error
        tasks = getattr(reply, "tasks", None) if operation == "RunTask" else None
        if tasks is not None and not tasks:
            raise InvocationError("NO_TASK_STARTED", "RunTask started no task.", retry=True)
        return Outcome(f"{service}:{operation} was called", tuple(task.task_arn for task in tasks or ()))

    def _event(self, invocation: ScheduleInvocation, parameters: scheduler.EventBridgeParameters, text: str) -> str:
        arn = parse(invocation.schedule_arn)
        event = Event(
            id=invocation.id,
            source=parameters.source,
            detail_type=parameters.detail_type,
            account=arn.account if arn else "",
            region=invocation.region,
            time=self._clock.now(),
            detail=text.encode(),
            resources=(invocation.schedule_arn,),
        )
        return envelope(event)


def _filled(text: str, invocation: ScheduleInvocation) -> str:
    """The input with the attributes of the invocation in their places."""
    attributes = {
        "<aws.scheduler.schedule-arn>": invocation.schedule_arn,
        "<aws.scheduler.scheduled-time>": event_time(invocation.tick),
        "<aws.scheduler.execution-id>": invocation.id,
        "<aws.scheduler.attempt-number>": str(invocation.attempts + 1),
    }
    for name, value in attributes.items():
        text = text.replace(name, value)
    return text


def _as_rule_target(target: scheduler.Target) -> events.Target:
    """The target in the terms of rules, which have the same kinds."""
    members: dict[str, Any] = {"Id": "schedule", "Arn": target.arn, "RoleArn": target.role_arn}
    if target.ecs_parameters is not None:
        ecs = msgspec.to_builtins(target.ecs_parameters)
        ecs["Tags"] = [{name.capitalize(): value for name, value in tag.items()} for tag in ecs.get("Tags", ())]
        members["EcsParameters"] = ecs
    return msgspec.convert(members, events.Target)
