"""An edge without a kernel and without Envoy: what tests look at is kept in plain attributes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from openecs.acs import messages as m
from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerReport,
    BalancerRule,
    Document,
    HealthCheckDocument,
    SubnetDocument,
    TargetEntry,
    TargetGroupDocument,
    TargetsReport,
)
from openecs.agent.edge.endpoints import Endpoints
from openecs.agent.edge.envoy_admin import EnvoyAdmin
from openecs.agent.edge.memory import HealthMemory
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.edge.proxy import ProxyError, Served, Serving
from openecs.agent.edge.routing import Target
from openecs.agent.edge.runtime import Edge, EdgeParts
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports
from openecs.agent.network.driver import NetworkError
from openecs.clock import SystemClock
from openecs.shapes import elbv2

LB = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
TG = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/fedcba9876543210"
LISTENER = LB.replace("loadbalancer", "listener") + "/00112233445566aa"


class FakeProxy:
    """Serves whatever it is given."""

    def __init__(self) -> None:
        self.serving: Serving | None = None
        self.given = 0
        self.active: dict[tuple[str, str], int] = {}
        self.broken = ""
        self.adopted = False
        self.problems: dict[str, Served] = {}

    async def adopt(self) -> bool:
        return self.adopted

    async def serve(self, serving: Serving) -> Mapping[str, Served]:
        if self.broken:
            raise ProxyError(self.broken)
        self.serving = serving
        self.given += 1
        return {part.arn: self.problems.get(part.arn, Served(ready=True)) for part in serving.parts}

    async def in_flight(self) -> Mapping[tuple[str, str], int]:
        return self.active

    async def supervise(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.serving = None

    def routes(self, arn: str = TG) -> dict[Target, str]:
        return dict(self.serving.routes.get(arn, {})) if self.serving is not None else {}


class FakeNamespaces:
    """Targets on the loopback are probed from this process's own namespace."""

    def __init__(self) -> None:
        self.there: dict[Path, tuple[str, ...]] = {}
        self.number: tuple[int, int] | None = (1, 1)
        self.made = 0
        self.broken = ""

    def path(self, arn: str) -> Path:
        return Path("/proc/self/ns") / "net"

    def identity(self, arn: str) -> tuple[int, int] | None:
        return self.number

    async def present(self, arn: str) -> frozenset[str]:
        return frozenset(self.there.get(self.path(arn), ()))

    async def ensure(
        self, arn: str, interfaces: Iterable[BalancerInterface], subnets: Mapping[str, SubnetDocument]
    ) -> Path:
        if self.broken:
            raise NetworkError(self.broken)
        self.made += 1
        self.number = self.number or (1, self.made)
        self.there[self.path(arn)] = tuple(interface.address for interface in interfaces)
        return self.path(arn)

    async def remove(self, path: Path) -> None:
        self.there.pop(path, None)

    def found(self) -> list[Path]:
        return list(self.there)


class Host:
    """One host: give it documents, look at its reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = HostDocuments(None)
        self.reports = HostReports()
        self.proxy = FakeProxy()
        self.namespaces = FakeNamespaces()

    def put(self, kind: str, key: str, document: Document) -> None:
        entry = m.HostEntry(kind, key, msgspec.Raw(msgspec.json.encode(document)))
        self.documents.take(m.HostDocumentsMessage(entries=(entry,)))

    def remove(self, kind: str, key: str) -> None:
        self.documents.take(m.HostDocumentsMessage(removed=(m.HostKey(kind, key),)))

    @contextlib.asynccontextmanager
    async def edge(self) -> AsyncIterator[Edge]:
        edge = Edge(
            EdgeParts(
                documents=self.documents,
                reports=self.reports,
                proxy=self.proxy,
                namespaces=self.namespaces,  # type: ignore[arg-type]
                endpoints=Endpoints(self.folder / "endpoints.json", "127.0.0.1"),
                memory=HealthMemory(self.folder / "health.json"),
                sockets=NamespaceSockets(),
                clock=SystemClock(),
                meter=TrafficMeter(EnvoyAdmin(self.folder / "none.sock"), SystemClock()),
                random=lambda: 0.0,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(edge.run())
            try:
                yield edge
            finally:
                running.cancel()

    def balancer(self, arn: str = LB) -> BalancerReport | None:
        body = self.reports._bodies.get(("balancer", arn))
        return None if body is None else msgspec.json.decode(body, type=BalancerReport)

    def states(self, arn: str = TG) -> list[tuple[str, str | None]]:
        body = self.reports._bodies.get(("targets", arn))
        if body is None:
            return []
        return [(view.state, view.reason) for view in msgspec.json.decode(body, type=TargetsReport).targets]

    def drained(self, arn: str = TG) -> list[bool]:
        body = self.reports._bodies[("targets", arn)]
        return [view.drained for view in msgspec.json.decode(body, type=TargetsReport).targets]


def balancer(port: int = 8080, **changes: object) -> BalancerDocument:
    document = BalancerDocument(
        name="web",
        type="application",
        scheme="internet-facing",
        vpc_id="vpc-1",
        dns_name="web-1.us-east-1.elb.openecs.internal",
        interfaces=(
            BalancerInterface(
                interface_id="eni-1", subnet_id="subnet-1", availability_zone="us-east-1a", address="10.208.0.10"
            ),
        ),
        addresses=("10.208.0.10",),
        listeners=(
            BalancerListener(
                arn=LISTENER,
                port=port,
                protocol="HTTP",
                rules=(
                    BalancerRule(
                        arn="default", priority=0, actions=(elbv2.Action(type="forward", target_group_arn=TG),)
                    ),
                ),
            ),
        ),
    )
    return msgspec.structs.replace(document, **changes)


def group(*targets: TargetEntry, **changes: object) -> TargetGroupDocument:
    check = HealthCheckDocument(
        protocol="HTTP", interval=0.05, timeout=0.5, healthy_threshold=2, unhealthy_threshold=2, matcher="200"
    )
    document = TargetGroupDocument(
        name="web", protocol="HTTP", port=80, target_type="ip", load_balancer_arn=LB, health_check=check,
        targets=targets,
    )  # fmt: skip
    return msgspec.structs.replace(document, **changes)


def target(port: int, *, draining_since: float | None = None, registered_at: float = 1.0) -> TargetEntry:
    return TargetEntry(
        id="127.0.0.1", port=port, address="127.0.0.1", registered_at=registered_at, draining_since=draining_since
    )


class Web:
    """A server on the loopback that answers with ``status``, or is silent with 0."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Web]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.status:
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
            await reader.read()
        writer.transport.abort()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds; only a failing test waits long."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
