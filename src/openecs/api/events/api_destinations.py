"""API destinations: HTTP endpoints that rules may have as targets."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.events import errors
from openecs.api.events.pages import page
from openecs.http.address import parse_address
from openecs.model.event_connection import ApiDestination
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESTINATIONS = 3000
#: Invocations per second without a limit of one's own.
DEFAULT_RATE = 300


class ApiDestinations:
    """The operations on API destinations."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateApiDestination": self.create,
            "UpdateApiDestination": self.update,
            "DescribeApiDestination": self.describe,
            "ListApiDestinations": self.list_all,
            "DeleteApiDestination": self.delete,
        }

    def create(self, call: Call, request: events.CreateApiDestinationRequest) -> events.CreateApiDestinationResponse:
        """An endpoint with the connection that authorises its calls."""
        known = self._state.api_destinations.by("region", call.region)
        if any(found.name == request.name for found in known):
            raise errors.already_exists(f"An api-destination '{request.name}' already exists.")
        if len(known) >= MAX_DESTINATIONS:
            raise errors.limit_exceeded()
        self._check_connection(request.connection_arn)
        _check_endpoint(request.invocation_endpoint)
        made = ApiDestination(
            arn=f"arn:aws:events:{call.region}:{call.account}:api-destination/{request.name}/{call.ids.uuid()}",
            region=call.region,
            name=request.name,
            connection_arn=request.connection_arn,
            endpoint=request.invocation_endpoint,
            method=request.http_method,
            created_at=call.now,
            modified_at=call.now,
            rate_limit=request.invocation_rate_limit_per_second or DEFAULT_RATE,
            description=request.description,
        )
        with self._state.transaction() as tx:
            tx.put(made)
        return events.CreateApiDestinationResponse(**self._states(made))

    def update(self, call: Call, request: events.UpdateApiDestinationRequest) -> events.UpdateApiDestinationResponse:
        """Change what is given."""
        found = self._find(call, request.name)
        if request.connection_arn is not None:
            self._check_connection(request.connection_arn)
        if request.invocation_endpoint is not None:
            _check_endpoint(request.invocation_endpoint)
        changes = {
            "description": request.description,
            "connection_arn": request.connection_arn,
            "endpoint": request.invocation_endpoint,
            "method": request.http_method,
            "rate_limit": request.invocation_rate_limit_per_second,
        }
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        changed = msgspec.structs.replace(found, **given, modified_at=call.now)
        with self._state.transaction() as tx:
            tx.put(changed)
        return events.UpdateApiDestinationResponse(**self._states(changed))

    def describe(
        self, call: Call, request: events.DescribeApiDestinationRequest
    ) -> events.DescribeApiDestinationResponse:
        """One API destination."""
        found = self._find(call, request.name)
        return events.DescribeApiDestinationResponse(**self._members(found), description=found.description)

    def list_all(self, call: Call, request: events.ListApiDestinationsRequest) -> events.ListApiDestinationsResponse:
        """The API destinations of a region, by name."""
        prefix, connection = request.name_prefix or "", request.connection_arn
        known = {
            found.name: found
            for found in self._state.api_destinations.by("region", call.region)
            if found.name.startswith(prefix) and connection in (None, found.connection_arn)
        }
        names, token = page(
            self._pagination, known, request, f"ListApiDestinations/{call.region}/{prefix}/{connection}"
        )
        return events.ListApiDestinationsResponse(
            api_destinations=tuple(events.ApiDestination(**self._members(known[name])) for name in names),
            next_token=token,
        )

    def delete(self, call: Call, request: events.DeleteApiDestinationRequest) -> events.DeleteApiDestinationResponse:
        """Delete an API destination; targets that name it fail from then on."""
        found = self._find(call, request.name)
        with self._state.transaction() as tx:
            tx.delete(found)
        return events.DeleteApiDestinationResponse()

    def _find(self, call: Call, name: str) -> ApiDestination:
        for found in self._state.api_destinations.by("region", call.region):
            if found.name == name:
                return found
        raise errors.not_found(
            f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
        )

    def _check_connection(self, arn: str) -> None:
        if arn not in self._state.event_connections:
            raise errors.not_found(f"Connection '{arn}' does not exist.")

    def _states(self, found: ApiDestination) -> dict[str, Any]:
        """Active as long as its connection can be used."""
        connection = self._state.event_connections.get(found.connection_arn)
        active = connection is not None and connection.state == "AUTHORIZED"
        return {
            "api_destination_arn": found.arn,
            "api_destination_state": "ACTIVE" if active else "INACTIVE",
            "creation_time": found.created_at,
            "last_modified_time": found.modified_at,
        }

    def _members(self, found: ApiDestination) -> dict[str, Any]:
        return self._states(found) | {
            "name": found.name,
            "connection_arn": found.connection_arn,
            "invocation_endpoint": found.endpoint,
            "http_method": found.method,
            "invocation_rate_limit_per_second": found.rate_limit,
        }


def _check_endpoint(endpoint: str) -> None:
    """HTTP and HTTPS, whatever the network: private addresses are what is here."""
    scheme, found, rest = endpoint.partition("://")
    try:
        if scheme not in ("http", "https") or not found:
            raise ValueError
        parse_address(f"{scheme}://{rest.partition('?')[0].partition('/')[0]}")
    except ValueError:
        raise errors.invalid(f"InvocationEndpoint {endpoint} is not a valid HTTP or HTTPS URL.") from None
