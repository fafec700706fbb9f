"""The agent process: builds its parts, registers the node, lives until it is told to stop.

Stopping the agent deregisters nothing and stops no task: the next agent with the same data
directory takes them over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from openecs.acs.host_documents import HostReport
from openecs.agent import config as configuration
from openecs.agent import gpus
from openecs.agent.attributes import architecture, attributes
from openecs.agent.config import AgentConfig
from openecs.agent.control_plane import ControlPlane
from openecs.agent.credentials import CredentialStore
from openecs.agent.dns.resolver import HostResolver
from openecs.agent.edge.connect_tasks import ConnectTasks
from openecs.agent.edge.select import open_edge
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.engine.evidence import EvidenceGatherer
from openecs.agent.engine.images import Images
from openecs.agent.engine.limits import CgroupLimits, NoLimits, TaskLimits
from openecs.agent.engine.ports import PortPool, host_range
from openecs.agent.engine.settings import EngineParts, EngineSettings
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.host.channel import HostChannel
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.hosts_file import HostsFile
from openecs.agent.host.presence import Presence
from openecs.agent.host.reports import HostReports
from openecs.agent.membership import Membership
from openecs.agent.metadata.endpoint import MetadataEndpoint
from openecs.agent.metadata.routes import MetadataRoutes
from openecs.agent.network import underlay
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import FakeNetwork, NetworkDriver, host_name_servers
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.nftables import open_nftables
from openecs.agent.network.select import open_network
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.protocol import EngineInfo, Runtime
from openecs.agent.runtime.select import open_runtime
from openecs.agent.session import AgentSessions
from openecs.clock import Clock, SystemClock
from openecs.errors import OperatorError
from openecs.ids import Ids, RandomIds
from openecs.wire.sigv4 import Credentials

_log = structlog.get_logger("openecs.agent")
NODE_ID = "node-id"


async def run_agent(
    config: AgentConfig,
    *,
    runtime: Runtime | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    on_ready: Callable[[TaskEngine], None] = lambda _: None,
) -> None:
    """Run the agent until cancelled.

    ``runtime``, ``clock`` and ``ids`` replace the real ones in tests; ``on_ready`` is called
    once with the task engine when the node is registered.  Raises ``OperatorError``.
    """
    configuration.check(config)
    clock = clock or SystemClock()
    ids = ids or RandomIds()
    opened = runtime is None
    runtime = runtime or await open_runtime(config.runtime, config.docker_host)
    store = TaskStore(Path(config.data_dir) / "agent.db")
    documents = HostDocuments(Path(config.data_dir) / "host.db")
    credentials = Credentials(config.access_key_id, config.secret_key, None)
    api = ControlPlane(config.endpoint, config.region, credentials, clock, ca_file=config.ca_file)
    refusals: list[BaseException] = []
    try:
        await _run(config, runtime, store, documents, api, clock, ids, on_ready)
    except* OperatorError as errors:
        refusals = _leaves(errors)
    finally:
        await api.close()
        store.close()
        documents.close()
        if opened:
            await runtime.close()
    if refusals:
        raise refusals[0]


async def _run(
    config: AgentConfig,
    runtime: Runtime,
    store: TaskStore,
    documents: HostDocuments,
    api: ControlPlane,
    clock: Clock,
    ids: Ids,
    on_ready: Callable[[TaskEngine], None],
) -> None:
    info = await runtime.info()
    fake = config.runtime == "fake"
    host_gpus = await gpus.find(config.gpus, info, real=not fake)
    node_id = _node_id(store, ids)
    network: NetworkDriver = FakeNetwork()
    resolver = None if fake else HostResolver(documents, node_id, Path(config.run_dir))
    name_servers = host_name_servers if resolver is None else resolver.servers
    connect = ConnectTasks(node_id, Path(config.run_dir) / "connect")
    if not fake:
        network = open_network(
            runtime,
            architecture(info),
            config.docker_host,
            Path(config.run_dir),
            shares_name_servers=info.shares_name_servers,
            make_plane=lambda host: _data_plane(config, node_id, documents, host),
            name_servers=name_servers,
            connect=connect,
        )
    limits = NoLimits() if fake else _limits(info)
    keys = CredentialStore()
    reporter = Reporter(api)
    gatherer = EvidenceGatherer(runtime, api.submit_evidence, clock, output=config.evidence == "full")
    endpoint = MetadataEndpoint(config, MetadataRoutes(keys, runtime, clock, api.list_tags, api.call_as), ids)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(endpoint)
        if resolver is not None:
            stack.push_async_callback(_leave_resolver, resolver, store)
        hosts_file = HostsFile(Path(config.hosts_file), node_id, documents) if config.hosts_file else None
        if hosts_file is not None:
            stack.callback(_leave_hosts_file, hosts_file, store)
        parts = EngineParts(
            settings=EngineSettings(
                node_id=node_id,
                run_dir=Path(config.run_dir),
                cluster=config.cluster,
                region=config.region,
                metadata_url=endpoint.url,
                log_drivers_sign=not fake,
                kernel_log=not fake,
                stop_timeout=config.stop_timeout,
                cleanup_delay=config.cleanup_delay,
            ),
            runtime=runtime,
            images=Images(runtime, clock, config.image_pull_behavior),
            limits=limits,
            network=network,
            ports=PortPool(host_range(), config.reserved_ports, first=int(node_id, 16)),
            store=store,
            credentials=keys,
            reporter=reporter,
            clock=clock,
            ids=ids,
            evidence=gatherer if config.evidence != "none" else None,
            name_servers=name_servers,
        )
        membership = Membership(config, api, store)
        reports = HostReports()
        edge = open_edge(
            network,
            documents,
            reports,
            clock,
            node_id=node_id,
            data_dir=Path(config.data_dir),
            run_dir=Path(config.run_dir),
            edge_address=config.edge_address,
            connect=connect,
        )
        control_plane = sorted(address for address, _ in await underlay.endpoints(config.endpoint))
        presence = Presence(
            reports,
            HostReport(
                address=config.host_address or underlay.host_address(control_plane) or "127.0.0.1",
                overlay=config.overlay,
                network_problem=("the fake engine has no networks" if fake else network.refusal) or "",
                balancer_problem=edge.problem,
                edge_address=config.edge_address,
            ),
            lambda: config.host_address or underlay.host_address(control_plane),
        )
        host = HostChannel(documents, reports)
        sessions = AgentSessions(
            config,
            info,
            api,
            membership,
            reporter,
            runtime,
            clock,
            ids,
            host=host,
            measures=not fake,
            traffic=edge.traffic,
        )
        engine = TaskEngine(parts, on_health=sessions.health_changed)
        endpoint.serve_tasks(engine, membership)
        async with asyncio.TaskGroup() as group:
            # Containers are looked after before and whether or not the control plane answers.
            group.create_task(engine.run())
            group.create_task(endpoint.run())
            group.create_task(gatherer.run())
            if resolver is not None:
                group.create_task(resolver.run())
            if hosts_file is not None:
                group.create_task(hosts_file.run())
            network.resume(payload for payload, state in store.tasks() if state.status != "STOPPED")
            if network.interfaces is not None and network.interfaces.plane is not None:
                group.create_task(network.interfaces.plane.run())
            group.create_task(connect.tidy())
            group.create_task(edge.run())
            group.create_task(presence.run())
            # An agent that was killed may have left something that no task uses.
            group.create_task(network.tidy())
            membership.describe(
                attributes(
                    config,
                    info,
                    node_id=node_id,
                    task_eni=network.refusal is None,
                    task_limits=fake or isinstance(limits, CgroupLimits),
                    metadata=fake or endpoint.url is not None,
                    gpu_driver=host_gpus.driver,
                    service_connect=fake or not edge.problem,
                ),
                info,
                host_gpus.ids,
            )
            await membership.register()
            on_ready(engine)
            await sessions.run(engine)


def _data_plane(config: AgentConfig, node_id: str, documents: HostDocuments, host: HostNetwork) -> DataPlane:
    """What filters and routes the packets of this host's interfaces."""
    port = configuration.bind_address(config.metadata_bind)[1] if config.metadata_bind else 80
    return DataPlane(node_id, documents, host, open_nftables(), endpoint=config.endpoint, metadata_port=port)


async def _leave_resolver(resolver: HostResolver, store: TaskStore) -> None:
    """Let go of the host's resolver, unless tasks that go on running without the agent use it."""
    if _idle(store):
        await resolver.leave()


def _leave_hosts_file(hosts_file: HostsFile, store: TaskStore) -> None:
    """Names go with what serves them: not while the agent is only restarted."""
    if _idle(store):
        hosts_file.leave()


def _idle(store: TaskStore) -> bool:
    return all(state.status == "STOPPED" for _, state in store.tasks())


def _node_id(store: TaskStore, ids: Ids) -> str:
    node_id = store.get(NODE_ID)
    if node_id is None:
        node_id = ids.hex32()
        store.put(NODE_ID, node_id)
    return node_id


def _limits(info: EngineInfo) -> TaskLimits:
    if os.geteuid() != 0:
        _log.warning("task-level limits are off: they need root")
        return NoLimits()
    return CgroupLimits(info.cgroup_version, info.cgroup_driver)


async def _until_signalled(config: AgentConfig) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        agent = group.create_task(run_agent(config))
        waiting = group.create_task(stop.wait())
        await asyncio.wait({agent, waiting}, return_when=asyncio.FIRST_COMPLETED)
        agent.cancel()
        waiting.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m openecs.agent CONFIG.json``; 0 after a signal, 1 with a sentence on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m openecs.agent CONFIG.json\n")
        return 2
    try:
        config = configuration.load(Path(arguments[0]), os.environ)
    except OperatorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    code = 0
    try:
        asyncio.run(_until_signalled(config))
    except* OperatorError as errors:
        sys.stderr.write(f"{_leaves(errors)[0]}\n")
        code = 1
    return code


def _leaves(errors: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in errors.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
