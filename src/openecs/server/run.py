"""The composition root of the control plane: builds everything, runs it in one task group.

Order matters twice: state is loaded before anything can ask for it, and at the end the
listener stops first, so that nobody is told of something that is not written any more.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
from time import monotonic

import structlog

from openecs import __version__
from openecs.acs import evidence
from openecs.acs.gateway import ACS_PATH, AgentGateway
from openecs.acs.host_board import HostBoard
from openecs.acs.telemetry import TCS_PATH, TelemetryGateway
from openecs.clock import Clock, SystemClock
from openecs.config import RunningServer, ServerConfig, write_private
from openecs.control import connect_documents, network_documents
from openecs.control.balancer_documents import BalancerDocuments, attach
from openecs.control.balancer_reports import BalancerReports
from openecs.control.balancers import BalancerController
from openecs.control.connect_draining import ConnectDraining
from openecs.control.connect_endpoints import ConnectEndpoints
from openecs.control.connect_reports import ConnectReports
from openecs.control.discovery_documents import DiscoveryDocuments
from openecs.control.draining_targets import DrainingTargets
from openecs.control.groups import GroupController, MachineKeys
from openecs.control.historian import Historian
from openecs.control.hosts import HostReports
from openecs.control.launch import Launcher
from openecs.control.loop import Timing
from openecs.control.managed_scaling import ManagedScaling
from openecs.control.provisioner import ProgramProvisioner
from openecs.control.provisioning import Provisioning
from openecs.control.reaper import Reaper
from openecs.control.region_networks import RegionNetworks
from openecs.control.registries import RegistryController
from openecs.control.returned_instances import ReturnedInstances
from openecs.control.scaling import ScalingController
from openecs.control.scaling_schedules import ScalingSchedules
from openecs.control.services import ServiceController
from openecs.control.targets import TargetController
from openecs.control.task_credentials import TaskCredentials
from openecs.events.authorization import CONNECTION_SECRETS
from openecs.iam import policy
from openecs.iam.keyring import CERTIFICATE_KEYS, KeyRing
from openecs.ids import RandomIds
from openecs.server.agent_keys import AgentKeys
from openecs.server.api import api_services
from openecs.server.eventbridge import EventParts
from openecs.server.evidence import EvidenceTaker
from openecs.server.exposition import PATH as METRICS_PATH
from openecs.server.exposition import Exposition, token_of
from openecs.server.first_clusters import FirstClusters
from openecs.server.keys import Keys, derived_secret, master_key, write_credentials
from openecs.server.listen import Listener, bind
from openecs.server.observing import ObservingParts
from openecs.server.privacy import make_private
from openecs.server.reset import Reset
from openecs.server.routes import Routes
from openecs.server.signed import SignedPaths
from openecs.server.why import PATH as WHY_PATH
from openecs.server.why import Why
from openecs.state.journal.memory import MemoryJournal
from openecs.state.journal.protocol import Journal
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State
from openecs.wire.call import Principal
from openecs.wire.call_counts import CallCounts
from openecs.wire.gateway import Gateway
from openecs.wire.http_reply import Scope
from openecs.wire.inside import InsideCaller
from openecs.wire.pagination import Pagination
from openecs.wire.public_url import PublicUrl
from openecs.wire.verifier import Verifier

#: Seconds for which a thread may keep the interpreter's lock while another one wants it.  The
#: journal's thread does next to nothing with it but is what every write waits for; with Python's
#: own 5 ms a busy event loop would hold up each commit by several times that.
SWITCH_INTERVAL = 0.0005


class JournalFailedError(Exception):
    """Nothing can be made durable any more; the process must end and start anew."""


async def run_server(config: ServerConfig) -> None:
    """Run a control plane until SIGTERM or SIGINT.

    Raises ``OperatorError`` when it cannot start, ``JournalFailedError`` when it can no longer
    write; whoever supervises it starts it again from what is durable.
    """
    log = structlog.get_logger("openecs.server")
    sys.setswitchinterval(SWITCH_INTERVAL)
    sock = bind(config.bind, config.port)
    parts = _Parts(config, SystemClock())
    try:
        async with asyncio.TaskGroup() as group:
            await parts.open(group)
            listener = Listener(parts.gateway, sock)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, listener.stop)
            group.create_task(_announce(parts, listener))
            await listener.run_until_stopped()
            log.info("stopping")
            raise _StoppedError
    except* _StoppedError:
        pass
    finally:
        config.layout.server_file.unlink(missing_ok=True)
        await parts.close()
    log.info("stopped")


class _StoppedError(Exception):
    """Ends the task group when the listener has stopped as it was asked to."""


class _Parts:
    """Everything that makes up a control plane, put together by constructors."""

    def __init__(self, config: ServerConfig, clock: Clock) -> None:
        layout = config.layout
        layout.state.mkdir(parents=True, exist_ok=True)
        if not config.ephemeral:
            make_private(layout.state)
        key = master_key(layout)
        self.config = config
        self.clock = clock
        self.ids = RandomIds()
        self.journal: Journal = MemoryJournal() if config.ephemeral else SqliteJournal(layout.state / "journal.db")
        self.state = State(self.journal)
        _load(self.state)
        self.historian = Historian(self.state, clock)
        seen = self.observing = ObservingParts(config, self.state, clock, self.ids)
        ring = KeyRing(key)
        kept_in = layout.kept_keys_file if config.ephemeral else None
        self.keys = Keys(self.state, ring, config.account_id, kept_in=kept_in)
        self.keys.load_kept()
        self.credentials = TaskCredentials(
            self.state, ring, account=config.account_id, clock=clock, secret=derived_secret(key, "credentials")
        )
        public_url = PublicUrl(config.advertise_url, bind=config.bind, port=config.port)
        networks = self.networks = RegionNetworks(self.state, config.account_id, config.address_range)
        self.launcher = Launcher(self.state, networks, random.Random())  # noqa: S311 -- placement, no secret
        self.board = HostBoard()
        self.board.add_source(DiscoveryDocuments(self.state, self.board))
        # Below 2**24, and never 0.
        network_documents.attach(self.board, self.state, vni=1 + int(derived_secret(key, "vxlan").hex()[:5], 16))
        HostReports(self.state).attach(self.board)
        certificate_keys = KeyRing(key, context=CERTIFICATE_KEYS)
        attach(
            self.board,
            BalancerDocuments(
                self.state,
                certificate_keys.open,
                fast_probes=config.fast_probes,
                fast_drain=config.fast_drain,
                retries_safe=config.retries_safe,
            ),
            self.state,
        )
        balancer_reports = BalancerReports(self.state, clock)
        balancer_reports.attach(self.board)
        self.balancers = BalancerController(self.state, clock, balancer_reports)
        self.draining_targets = DrainingTargets(self.state, clock)
        connect_documents.attach(self.board, self.state)
        connect_reports = ConnectReports()
        connect_reports.attach(self.board)
        self.connect_draining = ConnectDraining(self.state, clock, connect_reports)
        self.connect_endpoints = ConnectEndpoints(self.state)
        self.agents = AgentGateway(
            self.state,
            authenticate=self._authenticate,
            credentials=self.credentials,
            subnet_gateway=networks.gateway,
            clock=clock,
            ids=self.ids,
            public_url=public_url,
            board=self.board,
        )
        self.agents.forget_connections()
        self.telemetry = TelemetryGateway(
            self.state,
            authenticate=self._authenticate,
            clock=clock,
            usage=seen.usage.take,
            traffic=seen.traffic.take,
        )
        self.services = ServiceController(
            self.state,
            self.launcher,
            clock,
            self.ids,
            lost_after=config.replace_lost_after or None,
            connect=connect_reports,
        )
        self.registries = RegistryController(self.state, clock, self.ids)
        self.targets = TargetController(self.state, clock, self.ids)
        self.groups = GroupController(
            self.state,
            clock,
            self.ids,
            None if config.provisioner is None else ProgramProvisioner(config.provisioner),
            MachineKeys(lambda session: self.keys.machine(session, clock.now()), self.keys.revoke_machine),
            config.endpoint,
        )
        self.scaling = ScalingController(self.state, clock, self.ids, seen.alarms.data.values)
        self.scaling_schedules = ScalingSchedules(self.state, clock, self.ids)
        self.managed_scaling = ManagedScaling(self.state, clock, seen.metrics.add)
        self.provisioning = Provisioning(self.state, self.launcher, clock, self.ids)
        self.reaper = Reaper(self.state, clock)
        self.returned_instances = ReturnedInstances(self.state)
        self.first_clusters = FirstClusters(
            self.state, config.lend_to, account=config.account_id, region=config.region, ids=self.ids
        )
        verifier = Verifier(self.keys.lookup)
        paths = SignedPaths(verifier=verifier, clock=clock, ids=self.ids, barrier=self.state.store.durable)
        routes = Routes(
            state=self.state,
            agent_keys=AgentKeys(self.state, self.keys, clock),
            launcher=self.launcher,
            reset=Reset(
                self.state,
                logs=seen.logs,
                log_queries=seen.log_queries,
                metrics=seen.metrics,
                launcher=self.launcher,
                clusters=self.first_clusters,
                networks=networks,
                home=config.region,
                clock=clock,
            ),
            resumed=self._wake_services,
            paths=paths,
            clock=clock,
            ids=self.ids,
            networks=networks,
            region=config.region,
            runtime=config.runtime,
            ephemeral=config.ephemeral,
        )
        self.events = EventParts(
            self.state,
            logs=seen.logs,
            add_metrics=seen.metrics.add,
            ring=KeyRing(key, context=CONNECTION_SECRETS),
            clock=clock,
            ids=self.ids,
            account=config.account_id,
        )
        services = api_services(
            state=self.state,
            log_store=seen.logs,
            log_queries=seen.log_queries,
            metric_store=seen.metrics,
            pagination=Pagination(derived_secret(key, "pagination")),
            launcher=self.launcher,
            networks=networks,
            certificate_keys=certificate_keys,
            event_parts=self.events,
            alarm_changes=seen.alarms.changes,
            provisioned=config.provisioner is not None,
        )
        self.inside = InsideCaller(
            services,
            account=config.account_id,
            clock=clock,
            ids=self.ids,
            barrier=self.state.store.durable,
            endpoint=config.endpoint,
        )
        self.events.connect(self.inside)
        calls = CallCounts()
        self.exposition = Exposition(
            self.state, clock, calls, seen, self.ids, token_of(config.layout.metrics_token_file)
        )
        self.gateway = Gateway(
            services=services,
            verifier=verifier,
            account=config.account_id,
            clock=clock,
            ids=self.ids,
            barrier=self.state.store.durable,
            authorize=lambda who, service, operation: policy.allowed(who.kind, service, operation),
            routes=routes.applications()
            | {
                METRICS_PATH: self.exposition,
                ACS_PATH: self.agents,
                TCS_PATH: self.telemetry,
                evidence.PATH: paths.application(
                    evidence.PATH, {"POST": EvidenceTaker(self.state, clock).take}, body_limit=evidence.BODY_LIMIT
                ),
                WHY_PATH: paths.application(
                    WHY_PATH, {"GET": Why(self.state, clock, config.account_id).answer}, body_limit=0, below=True
                ),
            },
            public_url=public_url,
            counts=calls,
        )

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Start what runs beside the listener."""
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def journal_failed(error: BaseException) -> None:
            self.state.store.journal_failed(error)
            if not failed.done():
                failed.set_exception(JournalFailedError(f"the journal can no longer write: {error}"))

        self.journal.start(self.state.store.journal_reached, journal_failed)
        await self.observing.open()
        now = self.clock.now()
        root, agent = self.keys.root(now), self.keys.local_agent(now)
        self.first_clusters.ensure(now=now)
        self.networks.ensure_all(self.config.region)
        await self.state.store.durable()
        write_credentials(self.config, root, agent)
        # Not the event loop's clock, which stands still while a turn of ours is measured with it.
        timing = Timing(monotonic, asyncio.sleep, random.random)
        self._service_loop = self.services.loop(timing)
        self._provisioning_loop = self.provisioning.loop(timing)
        others = (
            self.balancers,
            self.draining_targets,
            self.connect_draining,
            self.connect_endpoints,
            self.reaper,
            self.groups,
            self.managed_scaling,
            self.scaling_schedules,
            self.scaling,
            self.registries,
            self.targets,
            self.returned_instances,
        )
        loops = (self._service_loop, self._provisioning_loop, *(part.loop(timing) for part in others))
        for loop in loops:
            group.create_task(loop.run())
        self.observing.run(group, timing)
        self.exposition.loops = [*loops, *self.observing.loops]
        self.events.run(group, timing)
        group.create_task(_wait(failed))
        group.create_task(self.credentials.run())
        group.create_task(self.historian.prune())

    async def close(self) -> None:
        """Write what is queued and let go of the files."""
        await self.observing.close()
        self.journal.close()

    def _wake_services(self) -> None:
        """Look at every service and every waiting task now, whatever back-off they are in."""
        for service in self.state.services:
            self._service_loop.enqueue(service.arn)
        for cluster in self.state.clusters:
            self._provisioning_loop.enqueue(cluster.arn)

    def _authenticate(self, scope: Scope) -> Principal:
        """Who signed a websocket's handshake."""
        return self.gateway.authenticate(scope)


async def _wait(future: asyncio.Future[None]) -> None:
    await future


def _load(state: State) -> None:
    """Fill the tables.  What is loaded lives long: keep the garbage collector away from it."""
    gc.disable()
    try:
        state.store.load()
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


async def _announce(parts: _Parts, listener: Listener) -> None:
    """Write ``server.json`` as soon as the listener answers."""
    await listener.answering.wait()
    config = parts.config
    write_private(
        config.layout.server_file,
        RunningServer(pid=os.getpid(), started_at=parts.clock.now(), endpoint=config.endpoint, version=__version__),
    )
    log = structlog.get_logger("openecs.server")
    log.info("ready", endpoint=config.endpoint, revision=parts.state.store.revision, tasks=len(parts.state.tasks))
