"""Paths of our own below ``/_openecs`` that take a signed request and answer JSON.

The counterpart of ``Routes`` for paths with something behind them and for callers besides
root: who may do it is the action's decision.  Errors have the form of AWS's JSON errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.ids import Ids
from openecs.wire.auth_errors import JSON_DIALECT
from openecs.wire.call import Principal
from openecs.wire.http_reply import ASGIApp, DisconnectedError, Receive, Scope, Send, header_map, read_body, reply
from openecs.wire.verifier import Signed, Verifier


class SignedRequest(NamedTuple):
    """What an action learns of a request."""

    principal: Principal
    #: Of the signature's scope.
    region: str
    #: What follows the registered path, without the slash; percent signs decoded.
    rest: str
    body: bytes


Action = Callable[[SignedRequest], Awaitable[Any]]


def signed_application(
    path: str, *, method: str, action: Action, verifier: Verifier, clock: Clock, ids: Ids, body_limit: int
) -> ASGIApp:
    """An application for ``path`` and all below it.  What ``action`` returns is the JSON answer."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        status = 200
        try:
            if scope["method"] != method:
                raise AWSError("MethodNotAllowed", f"Use {method} for {path}.", status=405)
            headers = header_map(scope["headers"])
            body = await read_body(headers, receive, body_limit)
            raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
            signed = Signed(method, raw_path, scope["query_string"].decode("latin-1"), headers, body)
            who = verifier.verify(signed, now=clock.now(), service="ecs", dialect=JSON_DIALECT)
            rest = scope["path"].removeprefix(path).removeprefix("/")
            answer = await action(SignedRequest(who.principal, who.region, rest, body))
        except DisconnectedError:
            return
        except AWSError as error:
            status, answer = error.status, {"__type": error.code, "message": error.message}
        except Retryable as error:
            status, answer = 503, {"__type": "ServerException", "message": str(error)}
        content = msgspec.json.encode(answer)
        await reply(send, status=status, content_type=b"application/json", body=content, request_id=ids.uuid())

    return application
