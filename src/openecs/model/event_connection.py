"""Connections (how an HTTP endpoint is authorised) and API destinations (the endpoints)."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import events


class EventConnection(Record, frozen=True, kw_only=True):
    """One connection.  Secrets are only in ``sealed_secret``."""

    arn: str
    region: str
    name: str
    authorization_type: events.ConnectionAuthorizationType
    state: events.ConnectionState
    created_at: float
    modified_at: float
    authorized_at: float | None = None
    description: str | None = None
    #: What may be shown: without secrets.
    shown: events.ConnectionAuthResponseParameters = events.ConnectionAuthResponseParameters()
    #: The whole of ``CreateConnectionAuthRequestParameters`` as JSON, sealed; empty once it is deauthorised.
    sealed_secret: str = ""

    @property
    def key(self) -> str:
        return self.arn


class ApiDestination(Record, frozen=True, kw_only=True):
    """One HTTP endpoint."""

    arn: str
    region: str
    name: str
    connection_arn: str
    endpoint: str
    method: events.ApiDestinationHttpMethod
    created_at: float
    modified_at: float
    #: Invocations per second at most.
    rate_limit: int = 300
    description: str | None = None

    @property
    def key(self) -> str:
        return self.arn
