"""Invoking a target once: of a rule or of a schedule.

Whoever calls decides on retries and dead letters; ``token`` is the same at every attempt, and a
target that can tell repetitions by it does its work once.
"""

from __future__ import annotations

from collections.abc import Callable

from openecs.errors import AWSError, Retryable
from openecs.events.api_destinations import ApiDestinations
from openecs.events.log_group import LogGroups
from openecs.events.outcome import InvocationError, Outcome
from openecs.events.run_task import run_task_request
from openecs.planning.event_targets import TargetRefusedError, place
from openecs.shapes import events
from openecs.wire.call import Principal
from openecs.wire.inside import InsideCaller

#: Passes an event (JSON) on to a bus: ``(bus ARN, event, hops so far)``.
PassOn = Callable[[str, str, int], None]
#: Buses that one event may be passed on to, so that rules that feed each other end.
MAX_HOPS = 5
_REPEATED = frozenset({"ThrottlingException", "ServiceUnavailableException", "ServerException", "ClusterNotActive"})


class Invoker:
    """Calls ECS, log groups, event buses and API destinations."""

    def __init__(
        self, *, call: InsideCaller, log_groups: LogGroups, http: ApiDestinations, pass_on: PassOn, account: str
    ) -> None:
        self._call = call
        self._log_groups = log_groups
        self._http = http
        self._pass_on = pass_on
        self._account = account

    async def invoke(
        self,
        target: events.Target,
        payload: str,
        *,
        token: str,
        started_by: str,
        source: str,
        hops: int = 0,
    ) -> Outcome:
        """Hand ``payload`` (JSON text, or any text that a transformer made) to the target.

        ``token`` has at most 64 printable characters; ``started_by`` is shown on tasks;
        ``source`` is the ARN of the rule or schedule.  Raises ``InvocationError``.
        """
        try:
            where = place(target.arn)
        except TargetRefusedError as error:
            raise InvocationError("INVALID_PARAMETER", str(error), retry=False) from None
        if where.kind == "ecs":
            return await self._run_task(target, payload, token, started_by, where.region, source)
        if where.kind == "logs":
            transformed = target.input_transformer is not None
            stream = await self._log_groups.deliver(
                where.region, where.name, f"{source}#{target.id}", payload, transformed=transformed
            )
            return Outcome(f"log stream {stream}")
        if where.kind == "http":
            return Outcome(await self._http.send(where.name, target.http_parameters, payload))
        if hops >= MAX_HOPS:
            raise InvocationError("EVENT_LOOP", f"The event has passed {MAX_HOPS} buses.", retry=False)
        self._pass_on(where.name, payload, hops + 1)
        return Outcome(f"event bus {where.name}")

    async def _run_task(
        self, target: events.Target, payload: str, token: str, started_by: str, region: str, source: str
    ) -> Outcome:
        request = run_task_request(target, payload, token=token, started_by=started_by)
        # As on AWS the call is made in the name of the target's role, or of the service without one.
        role = target.role_arn or f"arn:aws:iam::{self._account}:role/{source.rsplit('/', 1)[-1]}"
        caller = Principal(role, "root", access_key_id="")
        try:
            reply = await self._call("ecs", "RunTask", request, region=region, caller=caller)
        except Retryable as error:
            raise InvocationError("SERVICE_UNAVAILABLE", str(error), retry=True) from error
        except AWSError as error:
            again = error.status >= 500 or error.code in _REPEATED
            raise InvocationError(error.code, error.message, retry=again) from error
        tasks = tuple(task.task_arn for task in reply.tasks or ())
        if not tasks:
            reasons = ", ".join(sorted({failure.reason or "" for failure in reply.failures or ()}))
            raise InvocationError("NO_TASK_STARTED", f"RunTask started no task: {reasons}", retry=True)
        return Outcome(f"started {len(tasks)} of {len(tasks) + len(reply.failures or ())} tasks", tasks)
