"""Our own agent, with a runtime in memory, joined to the real wire and gateways over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from openecs.acs.gateway import ACS_PATH, AgentGateway
from openecs.acs.host_board import HostBoard, Placed
from openecs.acs.host_documents import PeerDocument
from openecs.acs.telemetry import TCS_PATH, TelemetryGateway
from openecs.agent.config import AgentConfig
from openecs.agent.host.documents import HostDocuments
from openecs.agent.main import run_agent
from openecs.agent.runtime.fake import FakeRuntime
from openecs.api.ecs.agent_operations import AgentOperations
from openecs.api.ecs.container_instances import ContainerInstances
from openecs.clock import SystemClock
from openecs.control.task_credentials import TaskCredentials
from openecs.iam.keyring import KeyRing
from openecs.ids import RandomIds
from openecs.model import task_state
from openecs.model.cluster import Cluster
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.task import Task, TaskContainer
from openecs.model.task_definition import TaskDefinition
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Principal
from openecs.wire.gateway import Gateway
from openecs.wire.generated.ecs import SERVICE
from openecs.wire.pagination import Pagination
from openecs.wire.served import ServedService
from openecs.wire.verifier import SigningKey, Verifier

BASE = "arn:aws:ecs:us-east-1:111122223333:"
CLUSTER, DEFINITION = f"{BASE}cluster/default", f"{BASE}task-definition/web:1"
OWNER = Principal(arn="arn:aws:iam::111122223333:user/agent", kind="agent", access_key_id="AKIAAGENT")


class ControlPlane:
    """The parts of a control plane that agents meet."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        journal = MemoryJournal()
        self.state = State(journal)
        journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        self.state.store.subscribe("task", lambda _: self._changed.set())
        self.state.store.subscribe("node", lambda _: self._changed.set())
        self._changed = asyncio.Event()
        key = SigningKey(secret="secret", principal=OWNER)
        verifier = Verifier(lambda key_id: key if key_id == OWNER.access_key_id else None)
        credentials = TaskCredentials(
            self.state,
            KeyRing(KeyRing.new_master_key()),
            account="111122223333",
            clock=self.clock,
            secret=b"s" * 32,
        )
        self.board = HostBoard()
        self.agents = AgentGateway(
            self.state,
            board=self.board,
            authenticate=lambda scope: self.wire.authenticate(scope),
            credentials=credentials,
            subnet_gateway=lambda region, subnet: None,
            clock=self.clock,
            ids=RandomIds(),
        )
        pagination = Pagination(b"0123456789abcdef")
        handlers = {
            **AgentOperations(self.state).handlers(),
            **ContainerInstances(self.state, pagination).handlers(),
        }
        self.wire = Gateway(
            services={"ecs": ServedService(SERVICE, handlers)},
            verifier=verifier,
            account="111122223333",
            clock=self.clock,
            ids=RandomIds(),
            barrier=self.state.store.durable,
            authorize=lambda principal, service, operation: True,
            routes={
                ACS_PATH: self.agents,
                TCS_PATH: TelemetryGateway(
                    self.state, authenticate=lambda scope: self.wire.authenticate(scope), clock=self.clock
                ),
            },
        )
        self.put(Cluster(arn=CLUSTER, name="default", region="us-east-1", status="ACTIVE", created_at=1.0))

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        listener = socket.create_server(("127.0.0.1", port))
        config = uvicorn.Config(
            self.wire,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign]
        with listener:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(server.serve([listener]))
                yield listener.getsockname()[1]
                server.should_exit = True
                await running

    @property
    def node(self) -> Node | None:
        return next(iter(self.state.nodes), None)

    @property
    def connected(self) -> bool:
        return self.node is not None and self.node.agent_connected

    def launch(self, *command: str, number: int = 1, **container: Any) -> Task:
        shape = ecs.TaskDefinition(
            family="web",
            revision=1,
            container_definitions=(
                ecs.ContainerDefinition(name="app", image="busybox", command=command, memory=64, **container),
            ),
        )
        assert self.node is not None
        arn = f"{BASE}task/default/{number:032x}"
        task = Task(
            arn=arn,
            region="us-east-1",
            cluster_arn=CLUSTER,
            task_definition_arn=DEFINITION,
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="PENDING",
            created_at=self.clock.now(),
            group="family:web",
            containers=(
                TaskContainer(
                    arn=f"{arn}/c",
                    name="app",
                    image="busybox",
                    has_health_check=container.get("health_check") is not None,
                ),
            ),
            reservation=Resources(),
            node_id=self.node.id,
        )
        definition = TaskDefinition(
            arn=DEFINITION, family="web", revision=1, region="us-east-1", status="ACTIVE", definition=shape
        )
        self.put(definition, task)
        return task

    def now(self, task: Task) -> Task:
        found = self.state.tasks.get(task.arn)
        assert found is not None
        return found

    async def until_status(self, task: Task, status: str) -> Task:
        await self.until(lambda: self.now(task).last_status == status)
        return self.now(task)


@pytest.fixture
async def plane() -> ControlPlane:
    return ControlPlane()


@asynccontextmanager
async def agent(plane: ControlPlane, port: int, data_dir: Path, runtime: FakeRuntime) -> AsyncIterator[None]:
    config = AgentConfig(
        endpoint=f"http://127.0.0.1:{port}",
        region="us-east-1",
        access_key_id=OWNER.access_key_id,
        secret_key="secret",
        data_dir=str(data_dir),
        runtime="fake",
        metadata_bind=None,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_agent(config, runtime=runtime))
        await plane.until(lambda: plane.connected)
        yield
        running.cancel()


async def test_a_task_runs_and_is_stopped(plane: ControlPlane, tmp_path: Path) -> None:
    async with plane.serving() as port, agent(plane, port, tmp_path, FakeRuntime(plane.clock, RandomIds())):
        task = plane.launch("sleep", "600")
        up = await plane.until_status(task, "RUNNING")
        assert up.started_at is not None
        assert up.containers[0].runtime_id
        assert up.connectivity == "CONNECTED"
        plane.put(task_state.request_stop(up, now=plane.clock.now(), stop_code="UserInitiated", reason="enough"))
        over = await plane.until_status(task, "STOPPED")
        assert (over.stop_code, over.stopped_reason) == ("UserInitiated", "enough")
        assert over.containers[0].exit_code is not None


@pytest.mark.parametrize("code", [0, 3])
async def test_an_essential_exit(plane: ControlPlane, tmp_path: Path, code: int) -> None:
    async with plane.serving() as port, agent(plane, port, tmp_path, FakeRuntime(plane.clock, RandomIds())):
        over = await plane.until_status(plane.launch("exit", str(code)), "STOPPED")
        assert (over.stop_code, over.stopped_reason) == (
            "EssentialContainerExited",
            "Essential container in task exited",
        )
        assert over.containers[0].exit_code == code
        assert over.started_at is not None
        assert over.execution_stopped_at is not None


async def test_an_agent_that_restarts_is_told_what_it_missed(plane: ControlPlane, tmp_path: Path) -> None:
    runtime = FakeRuntime(plane.clock, RandomIds())
    async with plane.serving() as port:
        async with agent(plane, port, tmp_path, runtime):
            task = await plane.until_status(plane.launch("sleep", "600"), "RUNNING")
        await plane.until(lambda: not plane.connected)
        assert plane.now(task).connectivity == "DISCONNECTED"
        assert plane.now(task).last_status == "RUNNING"
        plane.put(
            task_state.request_stop(plane.now(task), now=plane.clock.now(), stop_code="UserInitiated", reason="late")
        )
        async with agent(plane, port, tmp_path, runtime):
            over = await plane.until_status(task, "STOPPED")
            assert over.stopped_reason == "late"
        assert len(plane.state.nodes) == 1
        assert len(plane.state.container_instances) == 1


async def test_an_agent_survives_a_restart_of_the_control_plane(plane: ControlPlane, tmp_path: Path) -> None:
    runtime = FakeRuntime(plane.clock, RandomIds())
    async with contextlib.AsyncExitStack() as joined:
        async with plane.serving() as port:
            await joined.enter_async_context(agent(plane, port, tmp_path, runtime))
            task = await plane.until_status(plane.launch("sleep", "600"), "RUNNING")
        await plane.until(lambda: not plane.connected)
        async with plane.serving(port):
            await plane.until(lambda: plane.connected)
            await plane.until(lambda: plane.now(task).connectivity == "CONNECTED")
            assert plane.now(task).last_status == "RUNNING"
            assert plane.now(task).containers[0].runtime_id == task.containers[0].runtime_id
            second = await plane.until_status(plane.launch("sleep", "600", number=2), "RUNNING")
            assert second.containers[0].runtime_id != task.containers[0].runtime_id
            await joined.aclose()


async def test_health_arrives(plane: ControlPlane, tmp_path: Path) -> None:
    runtime = FakeRuntime(plane.clock, RandomIds())
    check = ecs.HealthCheck(command=("CMD", "true"), interval=5, retries=1)
    async with plane.serving() as port, agent(plane, port, tmp_path, runtime):
        task = plane.launch("sleep", "600", health_check=check)
        await plane.until_status(task, "RUNNING")
        await plane.until(lambda: plane.now(task).health_status == "HEALTHY")
        assert plane.now(task).containers[0].health_status == "HEALTHY"


class _Peers:
    kinds = frozenset({"peer"})

    def __init__(self) -> None:
        self.addresses = {"other": "192.0.2.1"}

    def keys(self, kind: str) -> list[str]:
        return list(self.addresses)

    def render(self, kind: str, key: str) -> Placed | None:
        address = self.addresses.get(key)
        return Placed(PeerDocument(address=address)) if address else None


async def test_documents_reach_the_hosts_disk_at_the_start_and_when_they_change(
    plane: ControlPlane, tmp_path: Path
) -> None:
    peers = _Peers()
    plane.board.add_source(peers)
    async with plane.serving() as port, agent(plane, port, tmp_path, FakeRuntime(plane.clock, RandomIds())):
        await _until_on_disk(tmp_path, {"other": "192.0.2.1"})
        peers.addresses = {"third": "192.0.2.3"}
        plane.board.changed("peer", "other")
        plane.board.changed("peer", "third")
        await _until_on_disk(tmp_path, {"third": "192.0.2.3"})


async def _until_on_disk(data_dir: Path, peers: dict[str, str]) -> None:
    async with asyncio.timeout(20):
        while True:
            documents = HostDocuments(data_dir / "host.db")
            found = {key: document.address for key, document in documents.all("peer").items()}
            documents.close()
            if found == peers:
                return
            await asyncio.sleep(0.02)
