"""The control plane's ACS endpoint: which agent is connected, and who wakes its connection.

An ASGI application for websockets.  It writes two things: whether a node's agent is connected,
and what agents acknowledge.  Whoever changes a task, a key or a container instance never
calls it: it hears of every commit and wakes the connection concerned.
"""

from __future__ import annotations

import msgspec
import structlog

from openecs.acs.connection import CLOSE_TRY_LATER, Connection, Credentials, SubnetGateways
from openecs.acs.handshake import Authenticate, Greeting, Receive, Scope, Send, greet, in_use, refuse
from openecs.acs.host_board import HOST_QUERY, HostBoard
from openecs.acs.session import AgentSession, SequenceNumbers
from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.model import task_state
from openecs.model.node import ContainerInstance
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice
from openecs.wire.public_url import PublicUrl

_log = structlog.get_logger("openecs.acs")

#: Where agents find it; they append ``/ws`` and the query to what DiscoverPollEndpoint answers.
ACS_PATH = "/_openecs/acs"


class AgentGateway:
    """The newest connection of every node's agent.  Call it as an ASGI application."""

    def __init__(
        self,
        state: State,
        *,
        authenticate: Authenticate,
        credentials: Credentials,
        subnet_gateway: SubnetGateways,
        clock: Clock,
        ids: Ids,
        public_url: PublicUrl | None = None,
        board: HostBoard | None = None,
    ) -> None:
        self._state = state
        self._board = board
        self._authenticate = authenticate
        self._public_url = public_url or PublicUrl()
        self._credentials = credentials
        self._subnet_gateway = subnet_gateway
        self._clock = clock
        self._ids = ids
        self._numbers = SequenceNumbers()
        #: Node id → its newest connection.
        self._connections: dict[str, Connection] = {}
        state.store.subscribe("task", self._task_changed)
        state.store.subscribe("access_key", self._key_changed)
        state.store.subscribe("container_instance", self._instance_changed)

    def __repr__(self) -> str:
        return f"<AgentGateway: {len(self._connections)} agents connected>"

    def forget_connections(self) -> None:
        """Nobody is connected when a control plane starts, whatever the journal remembers."""
        for node in list(self._state.nodes):
            if node.agent_connected and node.id not in self._connections:
                self._set_connected(node.id, connected=False, version=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket."""
        await receive()
        try:
            greeting = greet(
                self._state, scope, self._authenticate, cluster="clusterArn", instance="containerInstanceArn"
            )
        except AWSError as error:
            _log.info("agent refused", code=error.code, reason=error.message)
            await refuse(scope, send, error)
            return
        connection = self._connection(greeting)
        older = self._connections.get(connection.node_id)
        self._connections[connection.node_id] = connection
        if older is not None:
            older.close(CLOSE_TRY_LATER)
        self._set_connected(connection.node_id, connected=True, version=_version(greeting))
        _log.info("agent connected", node=connection.node_id, instance=connection.instance_arn)
        try:
            await send({"type": "websocket.accept"})
            await connection.serve(receive, send)
        finally:
            if self._connections.get(connection.node_id) is connection:
                del self._connections[connection.node_id]
                self._set_connected(connection.node_id, connected=False, version=None)
                _log.info("agent disconnected", node=connection.node_id)

    def _connection(self, greeting: Greeting) -> Connection:
        now = self._clock.now()
        connection = Connection(
            node_id=greeting.node.id,
            instance_arn=greeting.instance.arn,
            endpoint=self._public_url(greeting.scheme, greeting.host),
            access_key_id=greeting.principal.access_key_id,
            send_credentials=greeting.query.get("sendCredentials") == "true",
            session=AgentSession(
                cluster_arn=greeting.instance.cluster_arn,
                container_instance_arn=greeting.instance.arn,
                ids=self._ids,
                numbers=self._numbers,
                now=now,
            ),
            state=self._state,
            credentials=self._credentials,
            subnet_gateway=self._subnet_gateway,
            clock=self._clock,
        )
        board = self._board
        if board is not None and greeting.query.get(HOST_QUERY) == "true":
            node_id = greeting.node.id
            connection.serve_host(lambda wake: board.open(node_id, wake))
        return connection

    def _set_connected(self, node_id: str, *, connected: bool, version: ecs.VersionInfo | None) -> None:
        """Write the link's state to the node and to its live tasks, whose status stays."""
        node = self._state.nodes.get(node_id)
        if node is None:
            return
        now = self._clock.now()
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(node, agent_connected=connected, version_info=version or node.version_info))
            for instance in self._state.container_instances.by("node", node_id):
                if instance.status != "INACTIVE":
                    tx.put(msgspec.structs.replace(instance, version=instance.version + 1))
            for task in self._state.tasks.by("live_on_node", node_id):
                # A task that its agent has not heard of yet is connected by its first acknowledgement.
                if task.connectivity is None:
                    continue
                changed = task_state.apply_connectivity(task, "CONNECTED" if connected else "DISCONNECTED", now=now)
                if changed is not task:
                    tx.put(changed)

    def _task_changed(self, notice: Notice) -> None:
        old: Task | None = notice.old
        new: Task | None = notice.new
        node_id = (new or notice.old).node_id
        connection = self._connections.get(node_id) if node_id else None
        if connection is None:
            return
        if (
            old is None
            or new is None
            or new.stopped
            or old.desired_status != new.desired_status
            or old.drains != new.drains
            or old.node_id != new.node_id
        ):
            connection.task_changed(notice.key)

    def _key_changed(self, notice: Notice) -> None:
        """A task's agent gets its new key; an agent whose own key is gone is sent away."""
        if notice.new is None and notice.old.task_arn is None:
            for opened in self._connections.values():
                if opened.access_key_id == notice.key:
                    opened.close(CLOSE_TRY_LATER)
        if notice.new is None or notice.new.task_arn is None:
            return
        task = self._state.tasks.get(notice.new.task_arn)
        connection = self._connections.get(task.node_id or "") if task else None
        if task is not None and connection is not None:
            connection.keys_changed(task.arn)

    def _instance_changed(self, notice: Notice) -> None:
        """The agent of a node that serves nothing any more, or whose own instance is forgotten, is
        told what to stop and sent away."""
        instance: ContainerInstance | None = notice.new
        if instance is not None and instance.status != "INACTIVE":
            return
        node = self._state.nodes.get((notice.new or notice.old).node_id)
        connection = self._connections.get((notice.new or notice.old).node_id)
        if connection is None:
            return
        forgotten = instance is None and notice.key == connection.instance_arn
        if node is None or forgotten or not in_use(self._state, node):
            connection.close(CLOSE_TRY_LATER)


def _version(greeting: Greeting) -> ecs.VersionInfo:
    query = greeting.query
    return ecs.VersionInfo(
        agent_version=query.get("agentVersion"),
        agent_hash=query.get("agentHash"),
        docker_version=query.get("dockerVersion"),
    )
