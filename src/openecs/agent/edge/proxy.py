"""What the edge asks of the program that carries the traffic (Envoy), and what it learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from openecs.acs.host_documents import (
    BalancerDocument,
    CertificateDocument,
    ConnectDocument,
    TargetGroupDocument,
)
from openecs.agent.edge.connect_render import ConnectPart
from openecs.agent.edge.routing import Route, Target


class ProxyError(Exception):
    """The proxy cannot be run, or does not answer; the text says why."""


class Part(NamedTuple):
    """What this host runs of a load balancer.  The document names only interfaces that are connected."""

    arn: str
    document: BalancerDocument
    namespace: Path
    #: Listener ARN → port on the edge address.
    ports: Mapping[str, int]


class Serving(NamedTuple):
    """Everything that is to be served."""

    parts: tuple[Part, ...]
    #: Those that load balancers of this host use, by ARN.
    groups: Mapping[str, TargetGroupDocument]
    certificates: Mapping[str, CertificateDocument]
    #: Target group ARN → target → what becomes of it.
    routes: Mapping[str, Mapping[Target, Route]]
    edge_address: str
    #: Tasks with a part in Service Connect, and the endpoints that they may call.
    connect: tuple[ConnectPart, ...] = ()
    connect_endpoints: Mapping[str, ConnectDocument] = {}
    #: Target group ARN → weights of its targets, where they differ.
    weights: Mapping[str, Mapping[Target, int]] = {}


class Served(NamedTuple):
    """What came of one load balancer: ``problem`` also says which settings could not be done."""

    ready: bool
    problem: str = ""


class Proxy(Protocol):
    """Carries the traffic.  Goes on while the agent is away."""

    async def adopt(self) -> bool:
        """Take over what an earlier agent left running; whether there was something."""
        ...

    async def serve(self, serving: Serving) -> Mapping[str, Served]:
        """Serve exactly this, without losing a request; load balancer or task ARN → what came of it.

        Returns when it is in force.  Raises ``ProxyError`` when nothing can be served.
        """
        ...

    async def in_flight(self) -> Mapping[tuple[str, str], int]:
        """Target group ARN, or endpoint, and ``address:port`` → requests (connections for TCP) that are going on.

        Raises ``ProxyError``.
        """
        ...

    async def supervise(self) -> None:
        """Start it again whenever it ends though it is wanted.  Runs until cancelled."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...
