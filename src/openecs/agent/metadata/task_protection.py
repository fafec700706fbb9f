"""``$ECS_AGENT_URI/task-protection/v1/state``: a task asks for its own scale-in protection.

The agent asks the control plane with the keys of the task's role, as the official agent does, so
a task without a role is refused.  Bodies, status codes and the call's time limit are the official
agent's; so is its request rate, which is kept for these routes only, because they alone reach
the control plane.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog

from openecs import arn as arns
from openecs.acs.task_payload import RoleCredentials
from openecs.agent.control_plane import RawReply
from openecs.agent.credentials import CredentialStore
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.metadata.http import Answer
from openecs.clock import Clock
from openecs.errors import Retryable
from openecs.shapes import ecs
from openecs.shapes.base import Shape

_log = structlog.get_logger("openecs.agent")
#: Seconds for the control plane's answer.
PATIENCE = 4.0
#: Requests a second, and how many may come at once after a pause.
RATE, BURST = 40.0, 60.0

INVALID = "InvalidParameterException"
DENIED = "AccessDeniedException"
UNKNOWN_TASK = "Failed to find a task for the request"
NO_ROLE = "Invalid Request: no task IAM role credentials available for task"
NO_FLAG = "Invalid request: does not contain 'ProtectionEnabled' field"
UNREADABLE = "UpdateTaskProtection: failed to decode request"
TIMED_OUT = "Timed out calling ECS Task Protection API"
TOO_MANY = "You have reached maximum request limit."

#: One call with a task's keys: operation, request, keys, region, seconds.
CallAsTask = Callable[[str, Shape, RoleCredentials, str, float], Awaitable[RawReply]]


class Wish(NamedTuple):
    """What a PUT asks for."""

    enabled: bool | None
    minutes: int | None


class TaskProtectionRoute:
    """Answers for tasks that were found by their token."""

    def __init__(self, credentials: CredentialStore, call: CallAsTask, clock: Clock) -> None:
        self._credentials = credentials
        self._call = call
        self._clock = clock
        self._left = BURST
        self._counted_at = clock.now()

    def refused(self) -> Answer | None:
        """The refusal of a request that comes too soon after the others, ``None`` if it may go on."""
        now = self._clock.now()
        self._left = min(BURST, self._left + max(0.0, now - self._counted_at) * RATE)
        self._counted_at = now
        if self._left < 1.0:
            return Answer(429, msgspec.json.encode(TOO_MANY))
        self._left -= 1.0
        return None

    async def get(self, worker: TaskWorker) -> Answer:
        """The task's protection."""
        request = ecs.GetTaskProtectionRequest(cluster=worker.cluster, tasks=(worker.payload.arn,))
        return await self._ask("GetTaskProtection", request, worker)

    async def put(self, worker: TaskWorker, wish: Wish) -> Answer:
        """Protect the task, or end that."""
        if wish.enabled is None:
            return error(400, INVALID, NO_FLAG, arn=worker.payload.arn)
        request = ecs.UpdateTaskProtectionRequest(
            cluster=worker.cluster,
            tasks=(worker.payload.arn,),
            protection_enabled=wish.enabled,
            expires_in_minutes=wish.minutes,
        )
        return await self._ask("UpdateTaskProtection", request, worker)

    async def _ask(self, operation: str, request: Shape, worker: TaskWorker) -> Answer:
        task = worker.payload.arn
        role = worker.payload.role_credentials
        keys = None if role is None else self._credentials.get(role.credentials_id)
        if keys is None:
            return error(403, DENIED, NO_ROLE, arn=task)
        parsed = arns.parse(task)
        region = parsed.region if parsed else ""
        try:
            reply = await self._call(operation, request, keys, region, PATIENCE)
        except TimeoutError:
            return error(504, "RequestCanceled", TIMED_OUT, arn=task)
        except Retryable as cause:
            _log.warning("task protection not asked for", task=task, operation=operation, error=str(cause))
            return error(500, "RequestError", "send request failed", arn=task)
        answer = _rendered(reply, task)
        _log.info("task protection", task=task, operation=operation, status=answer.status)
        return answer


def read_wish(body: bytes) -> Wish | None:
    """What a PUT's body says; ``None`` when it is not understood.

    As with the official agent the case of names does not matter, and others are not allowed.
    """
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(told, dict):
        return None
    values = {str(name).lower(): value for name, value in told.items()}
    enabled, minutes = values.pop("protectionenabled", None), values.pop("expiresinminutes", None)
    if values or not (enabled is None or isinstance(enabled, bool)):
        return None
    if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, int)):
        return None
    if minutes is not None and not -(2**31) <= minutes < 2**31:
        # Valid for the official agent, but no number that any request could carry.
        return None
    return Wish(enabled, minutes)


def error(status: int, code: str, message: str, *, arn: str = "", request_id: str | None = None) -> Answer:
    """An ``error`` answer."""
    body: dict[str, Any] = {}
    if request_id:
        body["requestID"] = request_id
    body["error"] = ({"Arn": arn} if arn else {}) | {"Code": code, "Message": message}
    return Answer(status, msgspec.json.encode(body))


class _Told(msgspec.Struct, rename="camel"):
    protected_tasks: list[ecs.ProtectedTask] = []
    failures: list[ecs.Failure] = []


def _rendered(reply: RawReply, task: str) -> Answer:
    if reply.status != 200:
        return error(
            reply.status, reply.code or "ServerException", reply.message, arn=task, request_id=reply.request_id
        )
    try:
        told = msgspec.json.decode(reply.body, type=_Told)
    except msgspec.DecodeError:
        told = _Told()
    if told.failures:
        failure = told.failures[0]
        shown: dict[str, Any] = {"Arn": failure.arn, "Detail": failure.detail, "Reason": failure.reason}
        return Answer(200, msgspec.json.encode({"failure": shown}))
    if len(told.protected_tasks) != 1:
        return error(500, "ServerException", "Unexpected error occurred", arn=task)
    protection = told.protected_tasks[0]
    shown = {
        "ExpirationDate": _timestamp(protection.expiration_date),
        "ProtectionEnabled": protection.protection_enabled,
        "TaskArn": protection.task_arn,
    }
    return Answer(200, msgspec.json.encode({"protection": shown}))


def _timestamp(seconds: float | None) -> str | None:
    """A time in RFC 3339, to the millisecond."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
