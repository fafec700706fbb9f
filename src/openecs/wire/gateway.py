"""The gateway: the one ASGI callable behind which everything of OpenECS is reached.

An API call takes the steps that ``Gateway._answer`` lists, top to bottom.  Paths of our own
(``/_openecs/…``, ``/ws``) go to the application that the composition root mounted there, in
the same way for HTTP and websockets.  The gateway knows no operation and holds no state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

import structlog

from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.ids import Ids
from openecs.model.history import Actor
from openecs.wire import event_stream, query_errors
from openecs.wire.auth_errors import JSON_DIALECT
from openecs.wire.call import Call, Principal, acting
from openecs.wire.call_counts import CallCounts
from openecs.wire.content_encoding import plain_body
from openecs.wire.detect import Directory, RefusedError
from openecs.wire.event_stream import EventStream, encoded
from openecs.wire.http_reply import (
    ASGIApp,
    DisconnectedError,
    Receive,
    Scope,
    Send,
    TooLargeError,
    header_map,
    read_body,
    reply,
    reply_in_pieces,
)
from openecs.wire.json_codec import JsonCodec
from openecs.wire.operation import ServiceModel
from openecs.wire.public_url import PublicUrl
from openecs.wire.served import ErrorEncoder, Route, ServedService
from openecs.wire.verifier import Signed, Verifier

__all__ = ["Gateway", "ServedService"]

#: Larger than any request of the served operations: PutLogEvents takes 1 MiB of events.
BODY_LIMIT = 8 * 1024 * 1024

Authorize = Callable[[Principal, str, str], bool]
"""(principal, service, operation) → may it?"""


class Gateway:
    """Takes API calls from bytes to bytes; see ``_answer`` for the steps.

    ``services`` are by name; ``barrier`` returns when everything that the caller has seen of
    the state is durable; ``routes`` are applications by path, the longest matching path wins.
    Raises ``ValueError`` for a service under another name than its model's.
    """

    def __init__(
        self,
        *,
        services: Mapping[str, ServedService],
        verifier: Verifier,
        account: str,
        clock: Clock,
        ids: Ids,
        barrier: Callable[[], Awaitable[None]],
        authorize: Authorize,
        routes: Mapping[str, ASGIApp],
        body_limit: int = BODY_LIMIT,
        public_url: PublicUrl | None = None,
        counts: CallCounts | None = None,
    ) -> None:
        for name, service in services.items():
            if name != service.model.name:
                raise ValueError(f"the service {service.model.name!r} is registered as {name!r}")
        self._directory = Directory(services.values())
        self._verifier = verifier
        self._account = account
        self._clock = clock
        self._ids = ids
        self._barrier = barrier
        self._authorize = authorize
        self._routes = sorted(routes.items(), key=lambda item: -len(item[0]))
        self._body_limit = body_limit
        self._public_url = public_url or PublicUrl()
        self._counts = counts or CallCounts()
        self._json = JsonCodec()
        self._log = structlog.get_logger("openecs.wire").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path: str = scope["path"]
        if path != "/":
            for prefix, app in self._routes:
                if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                    await app(scope, receive, send)
                    return
        if scope["type"] == "websocket":
            await _no_websocket(receive, send)
        elif path.startswith("/_openecs/"):
            await self._no_page(send)
        else:
            await self._call(scope, receive, send)

    def authenticate(self, scope: Scope, *, service: str = "ecs") -> Principal:
        """Who signed a GET without body: the handshake of a websocket.

        ``service`` is the signing name that the scope of the signature must have.  Raises the
        ``AWSError`` (JSON form) of a signature that does not hold.
        """
        signed = Signed("GET", _raw_path(scope), _query(scope), header_map(scope["headers"]), b"")
        return self._verifier.verify(signed, now=self._clock.now(), service=service, dialect=JSON_DIALECT).principal

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads one API call and sends its answer, or the error that it deserves."""
        headers = header_map(scope["headers"])
        request_id = self._ids.uuid()
        method: str = scope["method"]
        try:
            body = await read_body(headers, receive, self._body_limit)
        except DisconnectedError:
            return
        except TooLargeError as error:
            await self._refuse(send, error, self._json, request_id, close=True)
            return
        if method in ("GET", "HEAD") and scope["path"] == "/" and b"Action=" not in scope["query_string"]:
            await self._greet(send, method, request_id)
            return
        encoder: ErrorEncoder = self._json
        began = ended = perf_counter()
        name = service = ""
        code = "Cancelled"
        try:
            plain = plain_body(headers, body, self._body_limit)
            route = self._directory.find(method, _raw_path(scope), _query(scope), headers, plain)
            encoder, name, service = route.codec, route.operation.name, route.model.name
            answer = await self._answer(route, scope, headers, body, plain, request_id)
        except RefusedError as refusal:
            code = refusal.error.code
            await self._refuse(send, refusal.error, refusal.encoder, request_id)
        except AWSError as error:
            code = error.code
            await self._refuse(send, error, encoder, request_id, name, model=route.model if name else None)
        except Retryable as cause:
            code = "ServiceUnavailable"
            self._log.warning("not ready", operation=name, request_id=request_id, reason=str(cause))
            await self._refuse(send, encoder.dialect.unavailable(), encoder, request_id, name)
        except Exception:  # noqa: BLE001 -- a bug: the caller learns the request id only, the log the rest
            code = "InternalFailure"
            self._log.exception("internal error", operation=name, request_id=request_id)
            await self._refuse(send, _internal(route.model if name else None, request_id), encoder, request_id, name)
        else:
            # A stream goes on for as long as its client likes: it is answered when it begins.
            code, ended = "OK", perf_counter()
            self._log.debug("call", operation=name, request_id=request_id, status=200)
            codec = route.codec
            if isinstance(answer, EventStream):
                pieces = encoded(answer)
                await reply_in_pieces(
                    send, receive, content_type=event_stream.CONTENT_TYPE, pieces=pieces, request_id=request_id
                )
                return
            await reply(
                send,
                status=route.operation.bindings.status if route.operation.bindings else 200,
                content_type=codec.content_type,
                body=answer,
                request_id=request_id,
                more=codec.reply_headers,
            )
        finally:
            self._counts.add(service, name, code, (ended if code == "OK" else perf_counter()) - began)

    async def _answer(
        self, route: Route, scope: Scope, headers: dict[bytes, bytes], body: bytes, plain: bytes, request_id: str
    ) -> bytes | EventStream:
        """The steps of one call.  Returns the reply's body or raises what becomes the error.

        The signature is over the ``body`` as it was sent; ``plain`` is it without compression.
        """
        model, operation, codec = route.model, route.operation, route.codec
        now = self._clock.now()
        query = _query(scope)
        # 1. Verify the signature.
        signed = Signed(scope["method"], _raw_path(scope), query, headers, body)
        who = self._verifier.verify(signed, now=now, service=model.signing_name, dialect=codec.dialect)
        # 2. Decode; a GET of the Query protocol has its parameters in the URL.
        request = codec.decode(operation, plain or query.encode("latin-1"))
        # 3. Authorise.
        if not self._authorize(who.principal, model.name, operation.name):
            raise codec.dialect.denied(who.principal.arn, f"{model.signing_name}:{operation.name}")
        # 4. Let the handler decide, and wait until what it saw is durable, refusals too.
        call = Call(
            service=model.name,
            operation=operation.name,
            request_id=request_id,
            account=self._account,
            region=who.region,
            principal=who.principal,
            now=now,
            ids=self._ids,
            endpoint=self._public_url(
                scope.get("scheme", "http"), headers.get(b"host", b"localhost").decode("latin-1")
            ),
        )
        token = acting.set(Actor(who.principal.arn, operation.name))
        try:
            output = route.handler(call, request)
            if route.waits:
                output = await output
        finally:
            acting.reset(token)
            await self._barrier()
        # 5. Encode.
        if isinstance(output, EventStream):
            return output
        if output is not None and type(output) is not operation.output:
            raise TypeError(f"the handler of {operation.name} answered a {type(output).__name__}")
        if output is None and operation.output is not None:
            raise TypeError(f"the handler of {operation.name} answered nothing")
        return codec.encode(operation, output, request_id)

    async def _refuse(
        self,
        send: Send,
        error: AWSError,
        encoder: ErrorEncoder,
        request_id: str,
        operation: str = "",
        *,
        model: ServiceModel | None = None,
        close: bool = False,
    ) -> None:
        self._log.debug("call", operation=operation, request_id=request_id, status=error.status, code=error.code)
        more: tuple[tuple[bytes, bytes], ...] = ((b"connection", b"close"),) if close else ()
        if model is not None:
            error, also = query_errors.spelled(model, error, form=not encoder.error_header, operation=operation)
            more = (*more, *also)
        if encoder.error_header:
            more = (*more, (b"x-amzn-errortype", error.code.encode()))
        more = (*more, *encoder.reply_headers)
        await reply(
            send,
            status=error.status,
            content_type=encoder.content_type,
            body=encoder.encode_error(error, request_id),
            request_id=request_id,
            more=more,
        )

    async def _greet(self, send: Send, method: str, request_id: str) -> None:
        text = b"OpenECS: an Amazon ECS API endpoint. Point your AWS client here with --endpoint-url.\n"
        body = b"" if method == "HEAD" else text
        await reply(send, status=200, content_type=b"text/plain; charset=utf-8", body=body, request_id=request_id)

    async def _no_page(self, send: Send) -> None:
        error = AWSError("NotFoundException", "OpenECS has nothing at this path.", status=404)
        await self._refuse(send, error, self._json, self._ids.uuid())


def _raw_path(scope: Scope) -> str:
    """The path as the client wrote and signed it, still percent-encoded."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw is not None else scope["path"]


def _query(scope: Scope) -> str:
    raw: bytes = scope["query_string"]
    return raw.decode("latin-1")


def _internal(model: ServiceModel | None, request_id: str) -> AWSError:
    code = "InternalFailure"
    if model is not None and "rest-json" in model.protocols:
        code = "InternalServerException"
    elif model is not None and "ServerException" in model.error_codes:
        code = "ServerException"
    elif model is not None and "ec2" in model.protocols:
        code = "InternalError"
    return AWSError(code, f"An internal error occurred. The log has more under request id {request_id}.", status=500)


async def _no_websocket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Agrees to start and stop: the gateway has nothing to prepare."""
    while True:
        message: Any = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
