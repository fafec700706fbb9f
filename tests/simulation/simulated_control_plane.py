"""One incarnation of the control plane: the product's own parts on a simulated disk and network.

Put together as ``openecs.server.run`` does it, without sockets, files and threads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from service_rules import LOST_AFTER
from simulated_journal import Disk, SimulatedJournal
from simulated_process import Process
from workload import ACCOUNT, REGION

from openecs.acs.gateway import ACS_PATH, AgentGateway
from openecs.acs.host_board import HostBoard
from openecs.acs.telemetry import TCS_PATH, TelemetryGateway
from openecs.clock import Clock
from openecs.control import connect_documents, network_documents
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.balancer_documents import BalancerDocuments, attach
from openecs.control.balancer_reports import BalancerReports
from openecs.control.balancers import BalancerController
from openecs.control.connect_draining import ConnectDraining
from openecs.control.connect_endpoints import ConnectEndpoints
from openecs.control.connect_reports import ConnectReports
from openecs.control.discovery_documents import DiscoveryDocuments
from openecs.control.draining_targets import DrainingTargets
from openecs.control.historian import Historian
from openecs.control.hosts import HostReports
from openecs.control.launch import Launcher
from openecs.control.loop import Loop, Timing
from openecs.control.provisioning import Provisioning
from openecs.control.reaper import Reaper
from openecs.control.region_networks import RegionNetworks
from openecs.control.registries import RegistryController
from openecs.control.returned_instances import ReturnedInstances
from openecs.control.services import ServiceController
from openecs.control.targets import TargetController
from openecs.control.task_credentials import TaskCredentials
from openecs.iam import policy
from openecs.iam.keyring import KeyRing
from openecs.ids import Ids
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.metrics.store import MetricStore
from openecs.model.network import DEFAULT_RANGE
from openecs.server.api import api_services
from openecs.server.eventbridge import EventParts
from openecs.server.interrupt import Interruptions
from openecs.server.keys import Keys
from openecs.state.journal.protocol import Change
from openecs.state.state import State
from openecs.wire.call import Call, Handler, Handlers, Principal
from openecs.wire.gateway import Gateway
from openecs.wire.pagination import Pagination
from openecs.wire.served import ServedService
from openecs.wire.verifier import Verifier

MASTER_KEY = bytes(range(32))
SECRET = b"pagination and credentials ids!!"


def board_of(state: State) -> HostBoard:
    """A board with every source of documents, as ``openecs.server.run`` attaches them."""
    board = HostBoard()
    board.add_source(DiscoveryDocuments(state, board))
    network_documents.attach(board, state, vni=7)
    attach(board, BalancerDocuments(state, lambda sealed: sealed), state)
    connect_documents.attach(board, state)
    return board


class Observer(Protocol):
    """Who watches the control plane."""

    def loaded(self, state: State) -> None: ...

    def committed(self, changes: list[Change]) -> None: ...

    def wrong(self, text: str) -> None: ...


class ControlPlane:
    """Everything in the memory of one control plane process."""

    def __init__(
        self,
        process: Process,
        disk: Disk,
        *,
        rng: random.Random,
        ids: Ids,
        clock: Clock,
        observer: Observer,
        slow_write: Callable[[], float],
        resync: bool = True,
    ) -> None:
        self.process = process
        self._observer = observer
        self._rng = rng
        self._resync = resync
        self.journal = SimulatedJournal(disk, rng, observer.committed, slow_write)
        process.at_crash[self.journal.crash] = None
        self.state = State(self.journal)
        self.state.store.load()
        observer.loaded(self.state)
        self.historian = Historian(self.state, clock, strict=True)
        ring = KeyRing(MASTER_KEY)
        self.keys = Keys(self.state, ring, ACCOUNT)
        self.credentials = TaskCredentials(self.state, ring, account=ACCOUNT, clock=clock, secret=SECRET)
        self.networks = RegionNetworks(self.state, ACCOUNT, DEFAULT_RANGE)
        self.launcher = Launcher(self.state, self.networks, rng)
        self.board = board_of(self.state)
        HostReports(self.state).attach(self.board)
        balancer_reports = BalancerReports(self.state, clock)
        balancer_reports.attach(self.board)
        self.balancers = BalancerController(self.state, clock, balancer_reports)
        connect_reports = ConnectReports()
        connect_reports.attach(self.board)
        self.connect_draining = ConnectDraining(self.state, clock, connect_reports)
        self.connect_endpoints = ConnectEndpoints(self.state)
        self.agents = AgentGateway(
            self.state,
            authenticate=self._authenticate,
            credentials=self.credentials,
            subnet_gateway=self.networks.gateway,
            clock=clock,
            ids=ids,
            board=self.board,
        )
        self.agents.forget_connections()
        self.telemetry = TelemetryGateway(self.state, authenticate=self._authenticate, clock=clock)
        self.services = ServiceController(
            self.state, self.launcher, clock, ids, lost_after=LOST_AFTER, connect=connect_reports
        )
        self.registries = RegistryController(self.state, clock, ids)
        self.targets = TargetController(self.state, clock, ids)
        self.draining_targets = DrainingTargets(self.state, clock)
        self.provisioning = Provisioning(self.state, self.launcher, clock, ids)
        self.reaper = Reaper(self.state, clock)
        self.returned_instances = ReturnedInstances(self.state)
        self.interruptions = Interruptions(self.state, clock)
        served = api_services(
            state=self.state,
            log_store=LogStore(None, clock),
            metric_store=MetricStore(None, clock),
            pagination=Pagination(SECRET),
            launcher=self.launcher,
            networks=self.networks,
            certificate_keys=KeyRing(bytes(32)),
            alarm_changes=AlarmChanges(self.state, ids),
            provisioned=False,
            log_queries=Runner(LogStore(None, clock), clock),
            event_parts=EventParts(
                self.state,
                logs=LogStore(None, clock),
                add_metrics=lambda _: None,
                ring=KeyRing(bytes(32)),
                clock=clock,
                ids=ids,
                account=ACCOUNT,
            ),
        )
        self.gateway = Gateway(
            services={"ecs": ServedService(served["ecs"].model, self._watched(served["ecs"].handlers))},
            verifier=Verifier(self.keys.lookup),
            account=ACCOUNT,
            clock=clock,
            ids=ids,
            barrier=self.state.store.durable,
            authorize=lambda who, service, operation: policy.allowed(who.kind, service, operation),
            routes={ACS_PATH: self.agents, TCS_PATH: self.telemetry},
        )
        self.loops: tuple[Loop, ...] = ()

    def run(self) -> None:
        """Start what runs beside the listener."""
        self.journal.start(self.state.store.journal_reached, self._journal_failed)
        self.networks.ensure_all(REGION)
        timing = Timing(asyncio.get_running_loop().time, asyncio.sleep, self._rng.random)
        self.loops = (
            self.services.loop(timing),
            self.registries.loop(timing),
            self.targets.loop(timing),
            self.draining_targets.loop(timing),
            self.balancers.loop(timing),
            self.connect_draining.loop(timing),
            self.connect_endpoints.loop(timing),
            self.provisioning.loop(timing),
            self.reaper.loop(timing),
            self.returned_instances.loop(timing),
        )
        for loop in self.loops:
            if not self._resync:
                # Once at the start and never again: a signal that gets lost stays lost.
                loop._resync_every = float("inf")
            self.process.spawn(loop.run())
        self.process.spawn(self.credentials.run())
        self.process.spawn(self.historian.prune())

    def _journal_failed(self, error: BaseException) -> None:
        """Whoever waits for durability learns of it; then the process ends, as the real one does."""
        self.state.store.journal_failed(error)
        asyncio.get_running_loop().call_soon(self.process.crash)

    def _authenticate(self, scope: Any) -> Principal:
        return self.gateway.authenticate(scope)

    def _watched(self, handlers: Handlers) -> Handlers:
        return {name: self._unchanged_when_refused(name, handler) for name, handler in handlers.items()}

    def _unchanged_when_refused(self, name: str, handler: Handler) -> Handler:
        def handle(call: Call, request: Any) -> Any:
            before = self.state.store.revision
            try:
                return handler(call, request)
            except BaseException as error:
                if self.state.store.revision != before:
                    self._observer.wrong(f"{name} changed state and was refused: {error!r}")
                raise

        return handle
