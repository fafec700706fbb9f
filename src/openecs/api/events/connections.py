"""Connections: how API destinations are authorised.  Secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.events import errors
from openecs.api.events.pages import page
from openecs.events.authorization import Authorizer, fetch_token
from openecs.events.outcome import InvocationError
from openecs.model.event_connection import EventConnection
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_CONNECTIONS = 3000
#: Kind of authorisation → the member that it needs.
_NEEDED = {
    "BASIC": "basic_auth_parameters",
    "API_KEY": "api_key_auth_parameters",
    "OAUTH_CLIENT_CREDENTIALS": "o_auth_parameters",
}


class Connections:
    """The operations on connections."""

    def __init__(self, state: State, pagination: Pagination, authorizer: Authorizer) -> None:
        self._state = state
        self._pagination = pagination
        self._authorizer = authorizer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateConnection": self.create,
            "UpdateConnection": self.update,
            "DescribeConnection": self.describe,
            "ListConnections": self.list_all,
            "DeauthorizeConnection": self.deauthorize,
            "DeleteConnection": self.delete,
        }

    async def create(self, call: Call, request: events.CreateConnectionRequest) -> events.CreateConnectionResponse:
        """A connection; with OAuth a token is fetched first, and what came of that is its state."""
        self._check_new(call, request.name)
        if request.kms_key_identifier:
            raise errors.not_supported("KmsKeyIdentifier")
        if request.invocation_connectivity_parameters or request.auth_parameters.connectivity_parameters:
            raise errors.not_supported("A private connection (ConnectivityParameters)")
        _check(request.authorization_type, request.auth_parameters)
        state = await _authorized_state(request.auth_parameters)
        self._check_new(call, request.name)
        made = EventConnection(
            arn=f"arn:aws:events:{call.region}:{call.account}:connection/{request.name}/{call.ids.uuid()}",
            region=call.region,
            name=request.name,
            authorization_type=request.authorization_type,
            state=state,
            created_at=call.now,
            modified_at=call.now,
            authorized_at=call.now if state == "AUTHORIZED" else None,
            description=request.description,
            shown=_shown(request.auth_parameters),
            sealed_secret=self._authorizer.seal(request.auth_parameters),
        )
        with self._state.transaction() as tx:
            tx.put(made)
        return events.CreateConnectionResponse(**_states(made))

    async def update(self, call: Call, request: events.UpdateConnectionRequest) -> events.UpdateConnectionResponse:
        """Change description or authorisation; members that are not given stay as they are."""
        found = self._find(call, request.name)
        if request.kms_key_identifier:
            raise errors.not_supported("KmsKeyIdentifier")
        if request.invocation_connectivity_parameters is not None:
            raise errors.not_supported("A private connection (ConnectivityParameters)")
        kind = request.authorization_type or found.authorization_type
        merged: dict[str, Any] = {}
        if found.sealed_secret:
            merged = msgspec.to_builtins(self._authorizer.open(found))
        if request.auth_parameters is not None:
            merged = _merged(merged, msgspec.to_builtins(request.auth_parameters))
        try:
            parameters = msgspec.convert(merged, events.CreateConnectionAuthRequestParameters)
        except msgspec.ValidationError as error:
            raise errors.invalid(f"AuthParameters are not complete: {error}") from None
        parameters = _only(kind, parameters)
        _check(kind, parameters)
        state = await _authorized_state(parameters)
        found = self._find(call, request.name)
        changed = msgspec.structs.replace(
            found,
            authorization_type=kind,
            description=found.description if request.description is None else request.description,
            state=state,
            modified_at=call.now,
            authorized_at=call.now if state == "AUTHORIZED" else found.authorized_at,
            shown=_shown(parameters),
            sealed_secret=self._authorizer.seal(parameters),
        )
        with self._state.transaction() as tx:
            tx.put(changed)
        return events.UpdateConnectionResponse(**_states(changed), last_authorized_time=changed.authorized_at)

    def describe(self, call: Call, request: events.DescribeConnectionRequest) -> events.DescribeConnectionResponse:
        """One connection without its secrets."""
        found = self._find(call, request.name)
        return events.DescribeConnectionResponse(
            **_states(found),
            name=found.name,
            description=found.description,
            authorization_type=found.authorization_type,
            auth_parameters=found.shown,
            last_authorized_time=found.authorized_at,
        )

    def list_all(self, call: Call, request: events.ListConnectionsRequest) -> events.ListConnectionsResponse:
        """The connections of a region, by name."""
        prefix, state = request.name_prefix or "", request.connection_state
        known = {
            found.name: found
            for found in self._state.event_connections.by("region", call.region)
            if found.name.startswith(prefix) and state in (None, found.state)
        }
        names, token = page(self._pagination, known, request, f"ListConnections/{call.region}/{prefix}/{state}")
        return events.ListConnectionsResponse(
            connections=tuple(
                events.Connection(
                    **_states(known[name]),
                    name=name,
                    authorization_type=known[name].authorization_type,
                    last_authorized_time=known[name].authorized_at,
                )
                for name in names
            ),
            next_token=token,
        )

    def deauthorize(
        self, call: Call, request: events.DeauthorizeConnectionRequest
    ) -> events.DeauthorizeConnectionResponse:
        """Forget the secrets."""
        found = self._find(call, request.name)
        changed = msgspec.structs.replace(
            found,
            state="DEAUTHORIZED",
            sealed_secret="",
            modified_at=call.now,
        )
        with self._state.transaction() as tx:
            tx.put(changed)
        return events.DeauthorizeConnectionResponse(**_states(changed), last_authorized_time=changed.authorized_at)

    def delete(self, call: Call, request: events.DeleteConnectionRequest) -> events.DeleteConnectionResponse:
        """Delete a connection; its API destinations fail from then on."""
        found = self._find(call, request.name)
        with self._state.transaction() as tx:
            tx.delete(found)
        states = _states(found) | {"connection_state": "DELETING"}
        return events.DeleteConnectionResponse(**states, last_authorized_time=found.authorized_at)

    def _check_new(self, call: Call, name: str) -> None:
        known = self._state.event_connections.by("region", call.region)
        if any(found.name == name for found in known):
            raise errors.already_exists(f"Connection {name} already exists.")
        if len(known) >= MAX_CONNECTIONS:
            raise errors.limit_exceeded()

    def _find(self, call: Call, name: str) -> EventConnection:
        for found in self._state.event_connections.by("region", call.region):
            if found.name == name:
                return found
        raise errors.not_found(f"Failed to describe the connection(s). Connection '{name}' does not exist.")


async def _authorized_state(parameters: events.CreateConnectionAuthRequestParameters) -> events.ConnectionState:
    """Whether the credentials can be used at all: of OAuth, whether there is a token for them."""
    if parameters.o_auth_parameters is None:
        return "AUTHORIZED"
    try:
        await fetch_token(parameters.o_auth_parameters)
    except InvocationError:
        return "DEAUTHORIZED"
    return "AUTHORIZED"


def _check(kind: str, parameters: events.CreateConnectionAuthRequestParameters) -> None:
    for other, member in _NEEDED.items():
        if (getattr(parameters, member) is not None) != (other == kind):
            raise errors.invalid(f"AuthorizationType {kind} needs its own parameters in AuthParameters, and no others.")


def _only(
    kind: str, parameters: events.CreateConnectionAuthRequestParameters
) -> events.CreateConnectionAuthRequestParameters:
    """The parameters without those of another kind that the connection had before."""
    others = {member: None for other, member in _NEEDED.items() if other != kind}
    return msgspec.structs.replace(parameters, **others)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old members with new ones laid over them, at every level."""
    merged = dict(old)
    for name, value in new.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _shown(parameters: events.CreateConnectionAuthRequestParameters) -> events.ConnectionAuthResponseParameters:
    """What may be shown of the parameters."""
    basic, key, oauth = (
        parameters.basic_auth_parameters,
        parameters.api_key_auth_parameters,
        parameters.o_auth_parameters,
    )
    return events.ConnectionAuthResponseParameters(
        basic_auth_parameters=events.ConnectionBasicAuthResponseParameters(username=basic.username) if basic else None,
        api_key_auth_parameters=events.ConnectionApiKeyAuthResponseParameters(api_key_name=key.api_key_name)
        if key
        else None,
        o_auth_parameters=events.ConnectionOAuthResponseParameters(
            client_parameters=events.ConnectionOAuthClientResponseParameters(
                client_id=oauth.client_parameters.client_id
            ),
            authorization_endpoint=oauth.authorization_endpoint,
            http_method=oauth.http_method,
            o_auth_http_parameters=_without_secrets(oauth.o_auth_http_parameters),
        )
        if oauth
        else None,
        invocation_http_parameters=_without_secrets(parameters.invocation_http_parameters),
    )


def _without_secrets(parameters: events.ConnectionHttpParameters | None) -> events.ConnectionHttpParameters | None:
    if parameters is None:
        return None
    shown: dict[str, Any] = msgspec.to_builtins(parameters)
    for items in shown.values():
        for item in items:
            if item.get("IsValueSecret"):
                item.pop("Value", None)
    return msgspec.convert(shown, events.ConnectionHttpParameters)


def _states(found: EventConnection) -> dict[str, Any]:
    """The members that nearly all replies about connections have."""
    return {
        "connection_arn": found.arn,
        "connection_state": found.state,
        "creation_time": found.created_at,
        "last_modified_time": found.modified_at,
    }
