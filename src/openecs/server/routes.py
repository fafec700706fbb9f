"""The installation's own endpoints under ``/_openecs``: health, status, and what ``down`` needs.

Everything but the health check must be signed with root's keys.  Replies are JSON; errors have
the form of AWS's JSON errors, so that one client reads both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from openecs import __version__
from openecs.clock import Clock
from openecs.control.launch import Launcher
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.logs.store import LogStore
from openecs.model.network import RegionNetwork
from openecs.model.task_state import request_stop
from openecs.server.keys import Keys
from openecs.state.state import State
from openecs.wire.auth_errors import JSON_DIALECT
from openecs.wire.http_reply import ASGIApp, DisconnectedError, Receive, Scope, Send, header_map, read_body, reply
from openecs.wire.verifier import Signed, Verifier

#: Bodies of these routes are empty or a few settings.
BODY_LIMIT = 64 * 1024
#: Seconds that a reset waits for containers to stop.
RESET_TIMEOUT = 120.0

Action = Callable[[], Awaitable[Any]]


class Routes:
    """The handlers of our own paths."""

    def __init__(
        self,
        *,
        state: State,
        logs: LogStore,
        keys: Keys,
        launcher: Launcher,
        verifier: Verifier,
        clock: Clock,
        ids: Ids,
        network: RegionNetwork,
        region: str,
        runtime: str,
        ephemeral: bool,
    ) -> None:
        self._state = state
        self._logs = logs
        self._keys = keys
        self._launcher = launcher
        self._verifier = verifier
        self._clock = clock
        self._ids = ids
        self._network = network
        self._region = region
        self._runtime = runtime
        self._ephemeral = ephemeral
        self._started_at = clock.now()
        self._log = structlog.get_logger("openecs.server")

    def applications(self) -> dict[str, ASGIApp]:
        """Path → ASGI application."""
        return {
            "/_openecs/health": self._health,
            "/_openecs/status": self._signed("GET", self.status),
            "/_openecs/agent-keys": self._signed("POST", self.new_agent_key),
            "/_openecs/stop-tasks": self._signed("POST", self.stop_tasks),
            "/_openecs/reset": self._signed("POST", self.reset),
        }

    async def status(self) -> dict[str, Any]:
        """What runs: version, machines, clusters, tasks by status, the default network."""
        state = self._state
        by_status: dict[str, int] = {}
        for task in state.tasks:
            by_status[task.last_status] = by_status.get(task.last_status, 0) + 1
        engine = "fake engine" if self._runtime == "fake" else ""
        return {
            "version": __version__,
            "uptime": round(self._clock.now() - self._started_at, 3),
            "nodes": [
                {
                    "node_id": node.id,
                    "agent_connected": node.agent_connected,
                    "engine": engine or ((node.version_info.docker_version or "") if node.version_info else ""),
                    "cpu": node.capacity.cpu,
                    "memory": node.capacity.memory,
                    "tasks": state.usage.node(node.id).tasks,
                }
                for node in state.nodes
            ],
            "clusters": [f"{c.name} ({c.region})" for c in state.clusters if c.status == "ACTIVE"],
            "tasks_by_status": by_status,
            "region": self._region,
            "subnets": [subnet.id for subnet in self._network.subnets],
            "security_group": self._network.security_group_id,
        }

    async def new_agent_key(self) -> dict[str, Any]:
        """A key pair for the agent of another machine; shown this once."""
        access_key_id, secret = self._keys.new_agent(self._clock.now())
        return {"access_key_id": access_key_id, "secret_key": secret}

    async def stop_tasks(self) -> dict[str, Any]:
        """Ask every task to stop and launch nothing any more until the next start."""
        self._launcher.pause()
        return {"stopping": self._stop_all("The installation is being shut down.")}

    async def reset(self) -> dict[str, Any]:
        """Stop all tasks, then forget everything but keys, machines and the clusters they are in."""
        if not self._ephemeral:
            raise AWSError(
                "ClientException",
                "Only an installation that was started with --ephemeral can be reset.",
            )
        self._launcher.pause()
        try:
            self._stop_all("The installation is being reset.")
            await self._all_stopped()
            await self._logs.wipe()
            self._forget()
        finally:
            self._launcher.resume()
        return {"status": "reset"}

    def _stop_all(self, reason: str) -> int:
        now = self._clock.now()
        live = [task for task in self._state.tasks if not task.stopped]
        with self._state.transaction() as tx:
            for task in live:
                tx.put(request_stop(task, now=now, stop_code="UserInitiated", reason=reason))
        return len(live)

    async def _all_stopped(self) -> None:
        """Wait for the agents' word that nothing runs any more."""
        changed = asyncio.Event()
        unsubscribe = self._state.store.subscribe("task", lambda _: changed.set())
        try:
            async with asyncio.timeout(RESET_TIMEOUT):
                while any(not task.stopped for task in self._state.tasks):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            raise AWSError(
                "ServerException", "Some tasks have not stopped; nothing was wiped. Try again.", status=500
            ) from None
        finally:
            unsubscribe()

    def _forget(self) -> None:
        state = self._state
        kept_clusters = {instance.cluster_arn for instance in state.container_instances}
        with state.transaction() as tx:
            for table in (
                state.tasks,
                state.services,
                state.service_events,
                state.task_definitions,
                state.families,
                state.tags,
                state.settings,
                state.client_tokens,
            ):
                for record in list(table):
                    tx.delete(record)
            for cluster in list(state.clusters):
                if cluster.arn not in kept_clusters:
                    tx.delete(cluster)
            for key in [key for key in state.access_keys if key.task_arn is not None]:
                tx.delete(key)

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] == "http":
            await self._send(send, 200, {"status": "ok", "version": __version__})

    def _signed(self, method: str, action: Action) -> ASGIApp:
        """An application that runs ``action`` for root and answers what it returns."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await send({"type": "websocket.close", "code": 1008})
                return
            try:
                if scope["method"] != method:
                    raise AWSError("MethodNotAllowed", f"Use {method} for {scope['path']}.", status=405)
                headers = header_map(scope["headers"])
                body = await read_body(headers, receive, BODY_LIMIT)
                self._must_be_root(scope, headers, body)
                answer = await action()
                await self._state.store.durable()
            except DisconnectedError:
                return
            except AWSError as error:
                await self._send(send, error.status, {"__type": error.code, "message": error.message})
            else:
                await self._send(send, 200, answer)

        return application

    def _must_be_root(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> None:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        signed = Signed(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)
        who = self._verifier.verify(signed, now=self._clock.now(), service="ecs", dialect=JSON_DIALECT)
        if who.principal.kind != "root":
            raise AWSError("AccessDeniedException", "Only root may do this.")

    async def _send(self, send: Send, status: int, answer: Any) -> None:
        await reply(
            send,
            status=status,
            content_type=b"application/json",
            body=msgspec.json.encode(answer),
            request_id=self._ids.uuid(),
        )
