"""The control plane's TCS endpoint: health of containers and of hosts, as agents publish it.

An ASGI application for websockets.  Health goes into the tasks and container instances of
the agent's own node, what its tasks used to whoever was given for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import get_args

import msgspec
import structlog

from openecs.acs import telemetry_messages as t
from openecs.acs.handshake import Authenticate, Receive, Scope, Send, greet, refuse
from openecs.acs.session import HEARTBEAT_AFTER
from openecs.acs.traffic_messages import PublishTrafficRequest
from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.model import task_state
from openecs.model.node import ContainerInstance
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice

_log = structlog.get_logger("openecs.tcs")

#: Where agents find it; they append ``/ws`` and the query.
TCS_PATH = "/_openecs/tcs"

#: The agent's names for what it checks → the API's.
_CHECKS: dict[str, ecs.InstanceHealthCheckType] = {"ContainerRuntime": "CONTAINER_RUNTIME"}
_HEALTHS = frozenset(get_args(task_state.Health))
_STATES = frozenset(get_args(ecs.InstanceHealthCheckState))
#: The worst first; the instance is as well as its worst part.
_WORST_FIRST: tuple[ecs.InstanceHealthCheckState, ...] = ("IMPAIRED", "INSUFFICIENT_DATA", "INITIALIZING", "OK")


Usage = Callable[[str, t.PublishMetricsRequest], None]
"""(node id, message): takes what tasks of a node used."""
Traffic = Callable[[str, PublishTrafficRequest], None]
"""(node id, message): takes what came through a node's load balancers."""


class TelemetryGateway:
    """Takes what agents publish.  Call it as an ASGI application."""

    def __init__(
        self,
        state: State,
        *,
        authenticate: Authenticate,
        clock: Clock,
        usage: Usage | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self._state = state
        self._usage = usage
        self._traffic = traffic
        self._clock = clock
        self._authenticate = authenticate
        #: Who listens on an open websocket → the id of the key that opened it.
        self._listeners: dict[asyncio.Task[None], str] = {}
        state.store.subscribe("access_key", self._key_changed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket."""
        await receive()
        try:
            greeting = greet(self._state, scope, self._authenticate, cluster="cluster", instance="containerInstance")
        except AWSError as error:
            await refuse(scope, send, error)
            return
        await send({"type": "websocket.accept"})
        async with asyncio.TaskGroup() as group:
            heart = group.create_task(self._beat(send))
            listener = group.create_task(self._listen(greeting.node.id, receive, send))
            self._listeners[listener] = greeting.principal.access_key_id
            try:
                await asyncio.wait({listener})
                if listener.cancelled():
                    await send({"type": "websocket.close", "code": 1008})
            except OSError as error:
                _log.debug("agent went away while it was written to", node=greeting.node.id, error=str(error))
            finally:
                del self._listeners[listener]
                heart.cancel()

    def _key_changed(self, notice: Notice) -> None:
        """An agent whose key is gone is not listened to any more."""
        if notice.new is None and notice.old.task_arn is None:
            for listener, key in self._listeners.items():
                if key == notice.key:
                    listener.cancel()

    async def _beat(self, send: Send) -> None:
        """Only messages keep an agent from hanging up; pings do not."""
        frame = t.encode("HeartbeatMessage", healthy=True)
        while True:
            await asyncio.sleep(HEARTBEAT_AFTER)
            try:
                await send({"type": "websocket.send", "text": frame})
            except OSError:
                return

    async def _listen(self, node_id: str, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            answer = self.take(node_id, event.get("text") or event.get("bytes") or "")
            if answer is not None:
                await self._state.store.durable()
                try:
                    await send({"type": "websocket.send", "text": answer})
                except OSError as error:
                    _log.debug("agent went away while it was written to", node=node_id, error=str(error))
                    return

    def take(self, node_id: str, frame: str | bytes) -> str | None:
        """Act on one frame of a node's agent; the frame to answer with, if any."""
        try:
            message = t.decode(frame)
        except (msgspec.DecodeError, UnicodeError) as error:
            _log.warning("frame of an agent is no message, refused", node=node_id, error=str(error))
            return t.encode("BadRequestException", message="The message could not be read.")
        if message is None:
            return None
        if isinstance(message, t.PublishHealthRequest):
            self._tasks_health(node_id, message)
        elif isinstance(message, t.PublishInstanceStatusRequest):
            self._instance_health(node_id, message)
        elif isinstance(message, t.PublishMetricsRequest) and self._usage is not None:
            self._usage(node_id, message)
        elif isinstance(message, PublishTrafficRequest) and self._traffic is not None:
            self._traffic(node_id, message)
        return t.encode(t.ACKNOWLEDGEMENTS[type(message).__name__], message="")

    def _tasks_health(self, node_id: str, message: t.PublishHealthRequest) -> None:
        changed = []
        for said in message.tasks:
            task = self._state.tasks.get(said.task_arn)
            if task is None or task.node_id != node_id:
                continue
            healths: dict[str, task_state.Health] = {
                c.container_name: c.health_status  # type: ignore[misc]
                for c in said.containers
                if c.health_status in _HEALTHS
            }
            after = task_state.apply_health(task, healths, now=self._clock.now())
            if after is not task:
                changed.append(after)
        if changed:
            with self._state.transaction() as tx:
                for task in changed:
                    tx.put(task)

    def _instance_health(self, node_id: str, message: t.PublishInstanceStatusRequest) -> None:
        """Written when a state changes, not at each of the agent's confirmations of it."""
        details = tuple(
            ecs.InstanceHealthCheckResult(
                type=_CHECKS[s.type],
                status=s.status,  # type: ignore[arg-type]
                status_reason=s.status_reason,
                last_updated=s.last_updated,
                last_status_change=s.last_status_change,
            )
            for s in message.statuses
            if s.type in _CHECKS and s.status in _STATES
        )
        if not details:
            return
        states = {d.status for d in details}
        health = ecs.ContainerInstanceHealthStatus(
            overall_status=next(state for state in _WORST_FIRST if state in states), details=details
        )
        instances = [
            instance
            for instance in self._state.container_instances.by("node", node_id)
            if instance.status != "INACTIVE" and _states(instance) != [(d.type, d.status) for d in details]
        ]
        if instances:
            with self._state.transaction() as tx:
                for instance in instances:
                    tx.put(msgspec.structs.replace(instance, health=health, version=instance.version + 1))


def _states(instance: ContainerInstance) -> list[tuple[str | None, str | None]]:
    details = instance.health.details if instance.health else None
    return [(d.type, d.status) for d in details or ()]
