"""How calls of HTTP endpoints are authorised: the secrets of connections, and tokens of OAuth.

Secrets are opened only here, to be sent; they are never shown or logged.
"""

from __future__ import annotations

import asyncio
import base64
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from openecs.clock import Clock
from openecs.events.outcome import InvocationError
from openecs.http.address import parse_address
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError, HttpUnavailable
from openecs.iam.keyring import KeyRing
from openecs.model.event_connection import EventConnection
from openecs.shapes import events

#: What the secrets of connections are sealed for (see ``KeyRing``).
CONNECTION_SECRETS = b"openecs/event-connection/v1"
#: Seconds for one request to an endpoint, as on AWS.
TIMEOUT = 5.0
#: Seconds for which a token without a time of its own is used, and by which others are renewed early.
_TOKEN_LIFE, _EARLY = 300.0, 30.0


class Authorized(NamedTuple):
    """What a connection adds to a request."""

    headers: dict[str, str]
    query: dict[str, str]
    body: dict[str, str]


class Authorizer:
    """Seals and opens what connections keep, and fetches tokens."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        #: Sealed secret → token and until when it is used.
        self._tokens: dict[str, tuple[str, float]] = {}

    def seal(self, parameters: events.CreateConnectionAuthRequestParameters) -> str:
        """The secrets of a connection in the form that is kept."""
        return self._ring.seal(msgspec.json.encode(parameters).decode())

    def open(self, connection: EventConnection) -> events.CreateConnectionAuthRequestParameters:
        """The whole parameters of a connection again."""
        return msgspec.json.decode(
            self._ring.open(connection.sealed_secret), type=events.CreateConnectionAuthRequestParameters
        )

    async def authorize(self, connection: EventConnection) -> Authorized:
        """What a request through the connection must carry; raises ``InvocationError``."""
        if not connection.sealed_secret:
            raise InvocationError("NO_PERMISSIONS", f"The connection {connection.name} is deauthorized.", retry=False)
        parameters = self.open(connection)
        more = parameters.invocation_http_parameters or events.ConnectionHttpParameters()
        headers, query, body = _pairs(more)
        if parameters.basic_auth_parameters is not None:
            pair = f"{parameters.basic_auth_parameters.username}:{parameters.basic_auth_parameters.password}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif parameters.api_key_auth_parameters is not None:
            headers[parameters.api_key_auth_parameters.api_key_name] = parameters.api_key_auth_parameters.api_key_value
        elif parameters.o_auth_parameters is not None:
            token = await self._token(connection.sealed_secret, parameters.o_auth_parameters)
            headers["Authorization"] = f"Bearer {token}"
        return Authorized(headers, query, body)

    def forget_token(self, connection: EventConnection) -> None:
        """The endpoint did not take the token: the next request fetches another."""
        self._tokens.pop(connection.sealed_secret, None)

    async def _token(self, key: str, wanted: events.CreateConnectionOAuthRequestParameters) -> str:
        known = self._tokens.get(key)
        if known is not None and self._clock.now() < known[1]:
            return known[0]
        token, life = await fetch_token(wanted)
        if len(self._tokens) > 1000:
            self._tokens.clear()
        self._tokens[key] = (token, self._clock.now() + max(life - _EARLY, 0.0))
        return token


async def fetch_token(wanted: events.CreateConnectionOAuthRequestParameters) -> tuple[str, float]:
    """An access token and for how many seconds it holds; raises ``InvocationError``."""
    headers, query, body = _pairs(wanted.o_auth_http_parameters or events.ConnectionHttpParameters())
    client = wanted.client_parameters
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    form = {"grant_type": "client_credentials", **credentials, **body}
    if wanted.http_method == "GET":
        query, form = {**form, **query}, {}
    else:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    failed = "The authorization endpoint gave no token"
    try:
        status, content = await request(
            wanted.http_method, wanted.authorization_endpoint, query, headers, urlencode(form).encode() if form else b""
        )
    except (HttpUnavailable, HttpProtocolError, ValueError) as error:
        raise InvocationError("SDK_CLIENT_ERROR", f"{failed}: {error}", retry=True) from error
    if not 200 <= status < 300:
        raise InvocationError(
            "NO_PERMISSIONS", f"{failed}: it answered {status}.", retry=status >= 500 or status == 429
        )
    try:
        reply = msgspec.json.decode(content, type=_TokenReply)
    except msgspec.DecodeError:
        raise InvocationError("NO_PERMISSIONS", f"{failed}: its answer has no access_token.", retry=False) from None
    return reply.access_token, _TOKEN_LIFE if reply.expires_in is None else reply.expires_in


class _TokenReply(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


async def request(
    method: str, url: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body.

    Raises ``HttpUnavailable`` without an answer within ``TIMEOUT`` seconds, ``HttpProtocolError`` for one that is
    no HTTP, ``ValueError`` for a wrong URL.
    """
    parts = urlsplit(url)
    client = HttpClient(parse_address(f"{parts.scheme}://{parts.netloc}"), timeout=TIMEOUT, max_body=1024 * 1024)
    asked = "&".join(part for part in (parts.query, urlencode(query)) if part)
    target = (parts.path or "/") + (f"?{asked}" if asked else "")
    try:
        reply = await client.request(method, target, headers=headers.items(), body=body)
        return reply.status, reply.body
    finally:
        await asyncio.shield(client.close())


def _pairs(parameters: events.ConnectionHttpParameters) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Headers, query and body of a connection's parameters."""
    headers = {item.key or "": item.value or "" for item in parameters.header_parameters or ()}
    query = {item.key or "": item.value or "" for item in parameters.query_string_parameters or ()}
    body = {item.key or "": item.value or "" for item in parameters.body_parameters or ()}
    return headers, query, body
