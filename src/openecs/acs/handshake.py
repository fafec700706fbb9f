"""The opening of an agent's websocket: who it is, whether it may, and AWS's refusals.

The wire layer has verified the signature by the time ``greet`` decides; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from openecs import arn as arns
from openecs.errors import AWSError
from openecs.model.node import ContainerInstance, Node
from openecs.state.state import State
from openecs.wire.call import Principal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
#: The principal who signed a handshake; raises ``AWSError`` when nobody valid did.
Authenticate = Callable[[Scope], Principal]


class Greeting(NamedTuple):
    """An agent that may stay."""

    instance: ContainerInstance
    node: Node
    query: Mapping[str, str]
    principal: Principal
    #: Scheme (``http`` or ``https``) and Host header as the agent wrote them.
    scheme: str
    host: str


def greet(state: State, scope: Scope, authenticate: Authenticate, *, cluster: str, instance: str) -> Greeting:
    """Who opens this websocket.  ``cluster`` and ``instance`` name the query's members.

    Raises ``AWSError`` with the code that agents know.  InactiveInstanceException makes an
    agent wait for an hour, every other one makes it try again soon.
    """
    principal = authenticate(scope)
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
    found = state.container_instances.get(query.get(instance, ""))
    if found is None:
        raise AWSError("InvalidInstanceException", "The container instance is not registered.")
    node = state.nodes.get(found.node_id)
    if node is None:
        raise AWSError("InvalidInstanceException", "The container instance is not registered.")
    if principal.kind != "root" and principal.arn != node.owner:
        raise AWSError("AccessDeniedException", "The container instance belongs to another principal.", status=403)
    if not in_use(state, node):
        raise AWSError("InactiveInstanceException", "The container instance is deregistered.")
    named = query.get(cluster, "")
    if named and arns.short(named) != arns.short(found.cluster_arn):
        raise AWSError("InvalidClusterException", "The container instance is not registered in this cluster.")
    host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"").decode("latin-1")
    return Greeting(found, node, query, principal, "https" if scope.get("scheme") == "wss" else "http", host)


def in_use(state: State, node: Node) -> bool:
    """Whether the node still serves anything: a cluster that it is lent to, or the Fargate pool.

    A connection is the node's, though it names one of its container instances.
    """
    return node.fargate_pool or any(i.status != "INACTIVE" for i in state.container_instances.by("node", node.id))


async def refuse(scope: Scope, send: Send, error: AWSError) -> None:
    """Answer the handshake with an error that the agent can read."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        # Without the extension the server answers 403 and no text.
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    body = msgspec.json.encode({"type": error.code, "message": {"message": error.message}})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", error.code.encode()),
    ]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
