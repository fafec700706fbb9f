"""Paths of our own below ``/_openecs`` that take a signed request and answer JSON.

They keep the gateway's rules: what an answer says is durable before it leaves, refusals and
reads too, and a mistake of ours answers a request id and leaves the rest to the log.  Errors
have the form of AWS's JSON errors, so that one client reads both.  Who may do something is the
action's decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.ids import Ids
from openecs.wire.auth_errors import JSON_DIALECT
from openecs.wire.call import Principal
from openecs.wire.http_reply import ASGIApp, DisconnectedError, Receive, Scope, Send, header_map, read_body, reply
from openecs.wire.verifier import Signed, Verifier

_log = structlog.get_logger("openecs.server")


class SignedRequest(NamedTuple):
    """What an action learns of a request."""

    principal: Principal
    #: Of the signature's scope.
    region: str
    #: What follows the path, without the slash; percent signs decoded.
    rest: str
    body: bytes


Action = Callable[[SignedRequest], Awaitable[Any]]


class SignedPaths:
    """Makes applications of actions."""

    def __init__(self, *, verifier: Verifier, clock: Clock, ids: Ids, barrier: Callable[[], Awaitable[None]]) -> None:
        """``barrier`` returns when everything that an action has seen of the state is durable."""
        self._verifier = verifier
        self._clock = clock
        self._ids = ids
        self._barrier = barrier

    def application(self, path: str, actions: Mapping[str, Action], *, body_limit: int, below: bool = False) -> ASGIApp:
        """An application for ``path`` (and with ``below`` all below it).

        ``actions`` are by HTTP method; what one returns is the JSON answer.
        """

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await send({"type": "websocket.close", "code": 1008})
                return
            request_id = self._ids.uuid()
            status = 200
            try:
                rest = scope["path"].removeprefix(path).removeprefix("/")
                if rest and not below:
                    raise nothing_here()
                action = actions.get(scope["method"])
                if action is None:
                    raise AWSError("MethodNotAllowed", f"Use {' or '.join(actions)} for {path}.", status=405)
                body = await read_body(header_map(scope["headers"]), receive, body_limit)
                request = self._verified(scope, rest, body)
                try:
                    answer = await action(request)
                finally:
                    await self._barrier()
                content = msgspec.json.encode(answer)
            except DisconnectedError:
                return
            except AWSError as error:
                status, content = error.status, _encoded(error)
            except Retryable as error:
                status, content = 503, _encoded(AWSError("ServerException", str(error)))
            except Exception:  # noqa: BLE001 -- a bug: the caller learns the request id only, the log the rest
                _log.exception("internal error", path=path, request_id=request_id)
                text = f"An internal error occurred. The log has more under request id {request_id}."
                status, content = 500, _encoded(AWSError("InternalFailure", text))
            await reply(send, status=status, content_type=b"application/json", body=content, request_id=request_id)

        return application

    def _verified(self, scope: Scope, rest: str, body: bytes) -> SignedRequest:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        signed = Signed(scope["method"], path, query, header_map(scope["headers"]), body)
        who = self._verifier.verify(signed, now=self._clock.now(), service="ecs", dialect=JSON_DIALECT)
        return SignedRequest(who.principal, who.region, rest, body)


def nothing_here() -> AWSError:
    """The answer below a path that has nothing below it."""
    return AWSError("NotFoundException", "OpenECS has nothing at this path.", status=404)


def _encoded(error: AWSError) -> bytes:
    return msgspec.json.encode({"__type": error.code, "message": error.message})
