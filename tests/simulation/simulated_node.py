"""A host of the simulation: an engine that goes on by itself, and the product's agent on it.

The agent is put together as ``openecs.agent.main`` does it, without sockets and files.  Its
store outlives its process; the engine outlives both.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from simulated_edge import Edge
from simulated_engine import EngineSocket, SimulatedEngine
from simulated_network import Link, Server, SimulatedHttp
from simulated_process import Process
from simulated_websocket import SimulatedDial
from workload import REGION

from openecs.acs.host_documents import BalancerDocument, HostReport
from openecs.agent.attributes import attributes
from openecs.agent.config import AgentConfig
from openecs.agent.control_plane import ControlPlane
from openecs.agent.credentials import CredentialStore
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.engine.images import Images
from openecs.agent.engine.limits import NoLimits
from openecs.agent.engine.ports import PortPool
from openecs.agent.engine.settings import EngineParts, EngineSettings
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.host.channel import HostChannel
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports
from openecs.agent.membership import Membership
from openecs.agent.network.driver import FakeNetwork
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.fake.container import FakeContainer
from openecs.agent.runtime.protocol import EngineUnavailable
from openecs.agent.session import AgentSessions
from openecs.clock import Clock
from openecs.ids import Ids
from openecs.wire.sigv4 import Credentials

if TYPE_CHECKING:
    from simulated_balancer import Balancer

T = TypeVar("T")


class MortalStore:
    """The agent's memory on disk, as long as the agent lives: the dead write nothing."""

    def __init__(self, store: TaskStore, agent: Process, node: Node) -> None:
        self._store = store
        self._agent = agent
        self._node = node

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            result = method(*arguments) if self._agent.alive else None
            if name in ("add", "save") and self._agent.alive:
                self._node.agent_wrote()
            return result

        return call


class Node:
    """One host.  ``start_agent`` and ``crash_agent`` are what befalls its agent."""

    def __init__(
        self,
        name: str,
        *,
        rng: random.Random,
        ids: Ids,
        clock: Clock,
        server: Server,
        failed: Callable[[str, BaseException], None],
        happened: Callable[[Node, str, FakeContainer], None],
        cpu: int,
        memory: int,
        fargate: bool,
        zone: str,
        group: str | None = None,
        moved_tags: Mapping[str, int] | None = None,
        balancer: Balancer,
        address: str,
        balancer_problem: str = "",
    ) -> None:
        self.name = name
        #: Where it is reached, and why it runs no load balancers; empty when it does.
        self.address = address
        self.balancer_problem = balancer_problem
        #: What its agent has on disk of documents.
        self.documents = HostDocuments(None)
        #: What its proxy does: load balancer → the document that is in force.
        self.serves: dict[str, BalancerDocument] = {}
        self._balancer = balancer
        self.link = Link(name, rng)
        self.host = Process(f"{name} host", failed)
        self.engine = SimulatedEngine(
            clock,
            ids,
            lambda action, container: happened(self, action, container),
            {} if moved_tags is None else moved_tags,
        )
        self._turns: dict[str, asyncio.Lock] = {}
        self.store = TaskStore(None)
        self.node_id = ids.hex32()
        self.agent: Process | None = None
        self.tasks: TaskEngine | None = None
        #: Longest time that starting, creating and pulling take.
        self.slowness = 0.05
        #: How often an answer of the engine is lost.
        self.engine_loss = 0.0
        #: Whether its owner took it out of service.
        self.retired = False
        #: Whether it is gone for good.
        self.lost = False
        #: After how many more writes the agent is killed, after how many calls the engine goes away.
        self.aim_agent: int | None = None
        self.aim_engine: int | None = None
        self.fargate = fargate
        #: The Auto Scaling group under which its agent joins.
        self.group = group
        self.zone = zone
        self._rng = rng
        self._ids = ids
        self._clock = clock
        self._server = server
        self._failed = failed
        self._config = AgentConfig(
            endpoint=f"http://{name}.sim",
            region=REGION,
            cluster="default",
            data_dir="/nonexistent",
            runtime="fake",
            fargate=fargate,
            metadata_bind=None,
            cpu=cpu,
            memory=memory,
            availability_zone=zone,
            group=group,
            cleanup_delay=300.0,
        )
        self.credentials = Credentials("", "", None)

    @property
    def cpu(self) -> int:
        return self._config.cpu or 0

    @property
    def memory(self) -> int:
        return self._config.memory or 0

    def engine_delay(self, *, slow: bool) -> float:
        return self._rng.random() * (self.slowness if slow else 0.005)

    def agent_wrote(self) -> None:
        """The agent has written to its disk, perhaps for the last time."""
        if self.aim_agent is not None:
            self.aim_agent -= 1
            if self.aim_agent == 0:
                self.aim_agent = None
                loop = asyncio.get_running_loop()
                if self._rng.random() < 0.5:
                    self.crash_agent()
                else:
                    loop.call_later(self._rng.random() * 0.05, self.crash_agent)
                loop.call_later(0.1 * 200 ** self._rng.random(), self.start_agent)

    def engine_called(self) -> None:
        """The agent asks its engine for something, perhaps in vain."""
        if self.aim_engine is not None:
            self.aim_engine -= 1
            if self.aim_engine == 0:
                self.aim_engine = None
                loop = asyncio.get_running_loop()
                kill = self._rng.random() < 0.5
                down = self._rng.random() * 0.05
                loop.call_later(down, lambda: self.engine.go_down(killing_containers=kill))
                loop.call_later(down + 0.05 * 400 ** self._rng.random(), self.recover_engine)

    def recover_engine(self) -> None:
        """The engine answers again."""
        if not self.lost:
            self.engine.come_back()

    def turn(self, container: str) -> AbstractAsyncContextManager[Any]:
        """A caller's turn with a container."""
        if not container:
            return nullcontext()
        return self._turns.setdefault(container, asyncio.Lock())

    def loses_engine_answer(self) -> bool:
        return self.engine_loss > 0 and self._rng.random() < self.engine_loss

    def start_agent(self) -> None:
        """Start the agent, unless it runs."""
        if self.lost or (self.agent is not None and self.agent.alive):
            return
        self.agent = Process(f"{self.name} agent", self._failed)
        self.agent.spawn(self._run(self.agent))

    def crash_agent(self) -> None:
        """``kill -9`` of the agent; containers go on."""
        if self.agent is not None:
            self.agent.crash()
        self.tasks = None

    def lose_power(self) -> None:
        """Nothing goes on on the host."""
        self.crash_agent()
        self.engine.go_down(killing_containers=True)
        self.serves.clear()

    def _remembered(self) -> HostDocuments:
        """The documents that are on the disk, read by a new agent."""
        documents = HostDocuments(None)
        for key, body in self.documents._bodies.items():
            documents._put(key, body)
        self.documents.close()
        self.documents = documents
        return documents

    async def _run(self, agent: Process) -> None:
        config, clock = self._config, self._clock
        runtime = EngineSocket(self.host, agent, self.engine, self)
        info = await _patiently(runtime.info)
        store: Any = MortalStore(self.store, agent, self)
        api = ControlPlane(config.endpoint, REGION, self.credentials, clock)
        api._http = SimulatedHttp(self.link, self._server, f"{self.name}.sim")  # type: ignore[assignment]
        reporter = Reporter(api, jitter=self._rng)
        parts = EngineParts(
            settings=EngineSettings(
                node_id=self.node_id,
                cluster=config.cluster,
                region=REGION,
                log_drivers_sign=False,
                stop_timeout=config.stop_timeout,
                cleanup_delay=config.cleanup_delay,
            ),
            runtime=runtime,
            images=Images(runtime, clock, config.image_pull_behavior),
            limits=NoLimits(),
            network=FakeNetwork(),
            ports=PortPool((40000, 40100), config.reserved_ports, lambda port, protocol: True),
            store=store,
            credentials=CredentialStore(),
            reporter=reporter,
            clock=clock,
            ids=self._ids,
        )
        membership = Membership(config, api, store)
        documents, reports = self._remembered(), HostReports()
        reports.put("host", "", HostReport(address=self.address, balancer_problem=self.balancer_problem))
        Edge(agent, documents, reports, self._balancer, self.serves).start()
        host = HostChannel(documents, reports)
        dial: Any = SimulatedDial(self.link, self._server, agent)
        sessions = AgentSessions(
            config,
            info,
            api,
            membership,
            reporter,
            runtime,
            clock,
            self._ids,
            jitter=self._rng,
            open_socket=dial,
            host=host,
        )
        self.tasks = engine = TaskEngine(parts, on_health=sessions.health_changed)
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            membership.describe(
                attributes(
                    config,
                    info,
                    node_id=self.node_id,
                    task_eni=True,
                    task_limits=True,
                    metadata=True,
                    service_connect=True,
                ),
                info,
            )
            await membership.register()
            await sessions.run(engine)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The supervisor starts an agent again that finds no engine."""
    while True:
        try:
            return await ask()
        except EngineUnavailable:
            await asyncio.sleep(1.0)
