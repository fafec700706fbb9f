"""API destinations as targets: HTTP requests with the connection's authorisation, below a rate."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import msgspec

from openecs.events.authorization import Authorizer, request
from openecs.events.outcome import InvocationError
from openecs.http.errors import HttpProtocolError, HttpUnavailable
from openecs.model.event_connection import ApiDestination
from openecs.shapes import events
from openecs.state.state import State

#: Statuses after which another attempt may do.
_AGAIN = frozenset({401, 407, 409, 429})


class ApiDestinations:
    """Sends the inputs of targets to endpoints."""

    def __init__(self, state: State, authorizer: Authorizer) -> None:
        self._state = state
        self._authorizer = authorizer
        #: Destination → the time of the event loop at which its next request may go.
        self._free_at: dict[str, float] = {}

    async def send(self, arn: str, parameters: events.HttpParameters | None, payload: str) -> str:
        """Send ``payload`` to the destination; returns what it answered.  Raises ``InvocationError``."""
        destination = self._state.api_destinations.get(arn)
        if destination is None:
            raise InvocationError("NO_RESOURCE", "The API destination does not exist.", retry=False)
        connection = self._state.event_connections.get(destination.connection_arn)
        if connection is None:
            raise InvocationError("NO_RESOURCE", "The connection of the API destination does not exist.", retry=False)
        await self._wait_turn(destination)
        added = await self._authorizer.authorize(connection)
        given = parameters or events.HttpParameters()
        headers = {
            "User-Agent": "Amazon/EventBridge/ApiDestinations",
            "Content-Type": "application/json; charset=utf-8",
            **(given.header_parameters or {}),
            **added.headers,
        }
        query = {**(given.query_string_parameters or {}), **added.query}
        body = b"" if destination.method in ("GET", "HEAD") else _body(payload, added.body)
        url = _url(destination.endpoint, given.path_parameter_values or ())
        try:
            status, _ = await request(destination.method, url, query, headers, body)
        except (HttpUnavailable, HttpProtocolError, ValueError) as error:
            raise InvocationError("SDK_CLIENT_ERROR", str(error), retry=True) from error
        if 200 <= status < 300:
            return f"HTTP status {status}"
        if status in (401, 407):
            self._authorizer.forget_token(connection)
        again = status in _AGAIN or status >= 500
        code = "THROTTLING" if status == 429 else f"HTTP_{status}"
        raise InvocationError(code, f"The endpoint answered {status}.", retry=again)

    async def _wait_turn(self, destination: ApiDestination) -> None:
        """Requests leave at equal distances once there are more than the rate allows."""
        now = asyncio.get_running_loop().time()
        at = max(self._free_at.get(destination.arn, now), now)
        self._free_at[destination.arn] = at + 1.0 / destination.rate_limit
        if at > now:
            await asyncio.sleep(at - now)


def _url(endpoint: str, values: tuple[str, ...]) -> str:
    """The endpoint with its stars replaced, in their order."""
    parts = endpoint.split("*")
    filled = parts[0]
    for number, part in enumerate(parts[1:]):
        filled += (quote(values[number], safe="") if number < len(values) else "*") + part
    return filled


def _body(payload: str, added: dict[str, str]) -> bytes:
    """The payload; members that the connection adds need it to be an object."""
    if not added:
        return payload.encode()
    try:
        members = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        members = None
    if not isinstance(members, dict):
        raise InvocationError("INVALID_PARAMETER", "The connection's body parameters need a JSON object.", retry=False)
    return msgspec.json.encode({**members, **added})
