"""The installation's own endpoints under ``/_openecs``: health, status, and what ``down`` needs.

Everything but the health check must be signed with root's keys (see ``signed``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from openecs import __version__
from openecs.clock import Clock
from openecs.control.balancer_endpoints import balancer_endpoints
from openecs.control.launch import Launcher
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.model.history import Actor
from openecs.server.agent_keys import AgentKeys
from openecs.server.interrupt import Interruptions
from openecs.server.reset import Reset
from openecs.server.signed import SignedPaths, SignedRequest, nothing_here
from openecs.server.stopping import stop_all
from openecs.state.state import State
from openecs.wire.call import acting
from openecs.wire.http_reply import ASGIApp, Receive, Scope, Send, reply

HEALTH = "/_openecs/health"
#: Bodies of these routes are empty or a few settings.
BODY_LIMIT = 64 * 1024
#: Seconds for which nothing is launched after a call of stop-tasks; who waits calls it again in time.
PAUSE = 30.0

Body = Mapping[str, Any]
Action = Callable[[Body], Awaitable[Any]]


class Routes:
    """The handlers of our own paths."""

    def __init__(
        self,
        *,
        state: State,
        agent_keys: AgentKeys,
        launcher: Launcher,
        reset: Reset,
        paths: SignedPaths,
        clock: Clock,
        ids: Ids,
        networks: RegionNetworks,
        region: str,
        runtime: str,
        ephemeral: bool,
        resumed: Callable[[], None],
    ) -> None:
        """``resumed`` is called when launching goes on."""
        self._state = state
        self._agent_keys = agent_keys
        self._launcher = launcher
        self._reset = reset
        self._paths = paths
        self._clock = clock
        self._ids = ids
        self._networks = networks
        self._region = region
        self._runtime = runtime
        self._ephemeral = ephemeral
        self._resumed = resumed
        self._interruptions = Interruptions(state, clock)
        self._started_at = clock.now()

    def applications(self) -> dict[str, ASGIApp]:
        """Path → ASGI application."""
        actions: dict[str, dict[str, Action]] = {
            "/_openecs/status": {"GET": self.status},
            "/_openecs/agent-keys": {"GET": self._agent_keys.list, "POST": self._agent_keys.create},
            "/_openecs/agent-keys/replace": {"POST": self._agent_keys.replace},
            "/_openecs/agent-keys/revoke": {"POST": self._agent_keys.revoke},
            "/_openecs/stop-tasks": {"POST": self.stop_tasks},
            "/_openecs/interrupt": {"POST": self._interruptions.interrupt},
            "/_openecs/resume": {"POST": self.resume},
            "/_openecs/reset": {"POST": self.reset},
        }
        applications: dict[str, ASGIApp] = {HEALTH: self._health}
        for path, by_method in actions.items():
            root_only = {method: _for_root(path, action) for method, action in by_method.items()}
            applications[path] = self._paths.application(path, root_only, body_limit=BODY_LIMIT)
        return applications

    async def status(self, _: Body) -> dict[str, Any]:
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
            "load_balancers": [
                {
                    "name": balancer.name,
                    "region": balancer.region,
                    "type": balancer.type,
                    "state": balancer.state,
                    "reason": balancer.reason,
                    "dns_name": balancer.dns_name,
                    "endpoints": [
                        {"protocol": each.protocol, "port": each.port, "address": each.address}
                        for each in balancer_endpoints(state, balancer.arn)
                    ],
                }
                for balancer in state.load_balancers
            ],
            "paused": self._launcher.paused(self._clock.now()),
            "region": self._region,
            **self._default_network(),
        }

    def _default_network(self) -> dict[str, Any]:
        """Where tasks can be put without more ado; nothing when the default VPC was deleted."""
        vpc = self._networks.default_vpc(self._region)
        if vpc is None:
            return {"subnets": [], "security_group": None}
        subnets = [subnet.id for subnet in self._state.subnets.by("vpc", vpc.id) if subnet.default_for_az]
        return {"subnets": subnets, "security_group": self._networks.default_group(vpc.id)}

    async def stop_tasks(self, _: Body) -> dict[str, Any]:
        """Ask every task to stop and launch nothing for ``PAUSE`` seconds from now.

        Who waits for the tasks calls this again before that, and ``resume`` when it gives up.
        """
        now = self._clock.now()
        self._launcher.pause(until=now + PAUSE)
        left = stop_all(self._state, now=now, reason="The installation is being shut down.")
        return {"stopping": left, "paused_seconds": PAUSE}

    async def resume(self, _: Body) -> dict[str, Any]:
        """Launch again."""
        self._launcher.resume()
        self._resumed()
        return {}

    async def reset(self, _: Body) -> dict[str, Any]:
        """Bring an ephemeral installation back to its first state."""
        if not self._ephemeral:
            raise AWSError(
                "ClientException",
                "Only an installation that was started with --ephemeral can be reset.",
            )
        await self._reset.run()
        return {"status": "reset"}

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        status, answer = 200, {"status": "ok", "version": __version__}
        if scope["path"].removeprefix(HEALTH).removeprefix("/"):
            error = nothing_here()
            status, answer = error.status, {"__type": error.code, "message": error.message}
        await reply(
            send,
            status=status,
            content_type=b"application/json",
            body=msgspec.json.encode(answer),
            request_id=self._ids.uuid(),
        )


def _for_root(path: str, action: Action) -> Callable[[SignedRequest], Awaitable[Any]]:
    """The action, for root alone and on root's behalf."""

    async def run(request: SignedRequest) -> Any:
        if request.principal.kind != "root":
            raise AWSError("AccessDeniedException", "Only root may do this.")
        token = acting.set(Actor(request.principal.arn, f"openecs {path.rpartition('/')[2]}"))
        try:
            return await action(_decoded(request.body))
        finally:
            acting.reset(token)

    return run


def _decoded(body: bytes) -> Body:
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except msgspec.DecodeError:
        raise AWSError("SerializationException", "The body must be a JSON object, or empty.") from None
