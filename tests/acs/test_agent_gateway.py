"""The gateway behind a real server, talked to over real websockets as agents do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.acs.gateway import ACS_PATH, AgentGateway
from openecs.acs.session import WINDOW
from openecs.acs.telemetry import TCS_PATH, TelemetryGateway
from openecs.clock import SystemClock
from openecs.control.task_credentials import TaskCredentials
from openecs.errors import AWSError
from openecs.iam.keyring import KeyRing
from openecs.ids import RandomIds
from openecs.model import task_state
from openecs.model.access_key import AccessKey
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task, TaskContainer
from openecs.model.task_definition import TaskDefinition
from openecs.model.task_report import ContainerReport, TaskReport
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Principal
from openecs.wire.public_url import PublicUrl

BASE = "arn:aws:ecs:us-east-1:111122223333:"
CLUSTER, INSTANCE = f"{BASE}cluster/default", f"{BASE}container-instance/default/i1"
DEFINITION = f"{BASE}task-definition/web:1"
OWNER = "arn:aws:iam::111122223333:user/agent"


class SlowJournal(MemoryJournal):
    """A journal that makes nothing durable before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] | None = None

    def append(self, revision: int, changes: list[Any], notes: object = ()) -> None:
        if self.held is None:
            super().append(revision, changes)
        else:
            self.held.append(revision)

    def release(self) -> None:
        held, self.held = self.held or [], None
        for revision in held:
            self._reached(revision)


class World:
    def __init__(self) -> None:
        self.journal = SlowJournal()
        self.state = State(self.journal)
        self.journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        self.port = 0
        self.principal = Principal(arn=OWNER, kind="agent", access_key_id="AKIA1")
        self.clock = SystemClock()
        self.credentials = TaskCredentials(
            self.state,
            KeyRing(KeyRing.new_master_key()),
            account="111122223333",
            clock=self.clock,
            secret=b"s" * 32,
        )
        self.gateway = AgentGateway(
            self.state,
            authenticate=self.authenticate,
            credentials=self.credentials,
            subnet_gateway=lambda region, subnet: "10.0.0.1/24",
            clock=self.clock,
            ids=RandomIds(),
            public_url=PublicUrl("https://ecs.example.com"),
        )
        self.telemetry = TelemetryGateway(self.state, authenticate=self.authenticate, clock=self.clock)
        self._changed = asyncio.Event()
        for table in ("task", "node", "container_instance"):
            self.state.store.subscribe(table, lambda _: self._changed.set())
        shape = ecs.TaskDefinition(
            family="web",
            revision=1,
            execution_role_arn="arn:aws:iam::111122223333:role/exec",
            container_definitions=(ecs.ContainerDefinition(name="app", image="busybox"),),
        )
        self.put(
            Cluster(arn=CLUSTER, name="default", region="us-east-1", status="ACTIVE", created_at=1.0),
            Node(id="n1", capacity=Resources(cpu=1024, memory=1024), owner=OWNER),
            ContainerInstance(
                arn=INSTANCE,
                cluster_arn=CLUSTER,
                region="us-east-1",
                node_id="n1",
                status="ACTIVE",
                registered_at=1.0,
            ),
            TaskDefinition(
                arn=DEFINITION, family="web", revision=1, region="us-east-1", status="ACTIVE", definition=shape
            ),
        )

    def authenticate(self, scope: Any) -> Principal:
        if any(name == b"x-unsigned" for name, _ in scope["headers"]):
            raise AWSError("MissingAuthenticationTokenException", "Missing Authentication Token")
        return self.principal

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        apps = {f"{ACS_PATH}/ws": self.gateway, f"{TCS_PATH}/ws": self.telemetry}
        await apps[scope["path"]](scope, receive, send)

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def task(self, number: int = 1, **changes: Any) -> Task:
        arn = f"{BASE}task/default/{number:032x}"
        values: dict[str, Any] = {
            "arn": arn,
            "region": "us-east-1",
            "cluster_arn": CLUSTER,
            "task_definition_arn": DEFINITION,
            "launch_type": "EC2",
            "desired_status": "RUNNING",
            "last_status": "PROVISIONING",
            "created_at": 1.0,
            "group": "family:web",
            "containers": (TaskContainer(arn=f"{arn}/c", name="app", image="busybox", has_health_check=True),),
            "reservation": Resources(cpu=1, memory=1),
            "node_id": "n1",
        }
        task = Task(**(values | changes))
        self.put(task)
        return task

    def now(self, task: Task) -> Task:
        found = self.state.tasks.get(task.arn)
        assert found is not None
        return found

    @property
    def node(self) -> Node:
        found = self.state.nodes.get("n1")
        assert found is not None
        return found

    def change(self, task: Task, change: Callable[[Task], Task]) -> None:
        self.put(change(self.now(task)))

    def run(self, task: Task) -> None:
        """The agent's report that the task runs."""
        containers = (ContainerReport(name="app", status="RUNNING", runtime_id="c1"),)
        self.change(
            task, lambda t: task_state.apply_report(t, TaskReport(status="RUNNING", containers=containers), 5.0)
        )

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def url(self, path: str = ACS_PATH, **query: str) -> str:
        names = (
            {"cluster": "default", "containerInstance": INSTANCE}
            if path == TCS_PATH
            else {
                "agentHash": "abc",
                "agentVersion": "1.105.1",
                "clusterArn": "default",
                "containerInstanceArn": INSTANCE,
                "dockerVersion": "DockerVersion: 20.10",
                "protocolVersion": "2",
                "sendCredentials": "false",
                "seqNum": "1",
            }
        )
        return f"ws://127.0.0.1:{self.port}{path}/ws?{urlencode(names | query)}"

    @asynccontextmanager
    async def agent(self, **query: str) -> AsyncIterator[Agent]:
        async with connect(self.url(**query), compression=None, proxy=None) as ws:
            yield Agent(ws)


class Agent:
    """An agent that does what it is told and acknowledges as official ones do."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    async def receive(self) -> Any:
        async with asyncio.timeout(10):
            return m.decode(await self.ws.recv(), m.TO_AGENT)

    async def payload(self, *, acknowledge: bool = True) -> tp.TaskPayload:
        message = await self.receive()
        assert isinstance(message, m.PayloadMessage), message
        assert (message.cluster_arn, message.container_instance_arn) == (CLUSTER, INSTANCE)
        if acknowledge:
            await self.say(m.AckRequest(CLUSTER, INSTANCE, message.message_id))
        [task] = message.tasks
        return task

    async def manifest(self) -> m.TaskManifestMessage:
        message = await self.receive()
        assert isinstance(message, m.TaskManifestMessage), message
        return message

    async def say(self, message: m.Message) -> None:
        await self.ws.send(m.encode(message))

    async def silence(self) -> None:
        """What is sent now comes after everything that was to be sent before."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await self.ws.recv()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    listener = socket.create_server(("127.0.0.1", 0))
    world.port = listener.getsockname()[1]
    config = uvicorn.Config(world.app, interface="asgi3", lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve([listener]))
        yield world
        server.should_exit = True
        await serving


def _no_signals() -> Any:
    from contextlib import nullcontext

    return nullcontext()


async def test_a_task_is_sent_acknowledged_and_stopped(world: World) -> None:
    async with world.agent() as agent:
        assert (await agent.manifest()).tasks == ()
        task = world.task()
        payload = await agent.payload()
        assert (payload.arn, payload.desired_status, payload.family) == (task.arn, "RUNNING", "web")
        assert payload.execution_role_credentials is not None
        assert payload.role_credentials is None
        [key] = world.state.access_keys
        assert payload.execution_role_credentials.access_key_id == key.access_key_id
        await world.until(lambda: world.now(task).last_status == "PENDING")
        assert world.now(task).connectivity == "CONNECTED"
        world.run(task)
        world.change(task, lambda t: task_state.request_stop(t, now=6.0, stop_code="UserInitiated", reason="r"))
        assert world.now(task).last_status == "DEACTIVATING"
        stop = await agent.payload()
        assert (stop.arn, stop.desired_status, stop.containers) == (task.arn, "STOPPED", ())
        await world.until(lambda: world.now(task).last_status == "STOPPING")
        world.change(task, lambda t: task_state.apply_report(t, TaskReport(status="STOPPED"), 7.0))
        await agent.silence()


def _draining(task: Task) -> Task:
    """A RUNNING task that load balancers know, told to stop."""
    stopping = task_state.request_stop(task, now=6.0, stop_code="UserInitiated", reason="r")
    return msgspec.structs.replace(stopping, drains=True)


async def test_a_task_that_drains_is_stopped_when_it_has_drained(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        task = world.task()
        await agent.payload()
        world.run(task)
        world.change(task, _draining)
        await agent.silence()
        assert world.now(task).last_status == "DEACTIVATING"
        world.change(task, lambda t: msgspec.structs.replace(t, drains=False))
        stop = await agent.payload()
        assert (stop.arn, stop.desired_status) == (task.arn, "STOPPED")
        await world.until(lambda: world.now(task).last_status == "STOPPING")


async def test_an_agent_that_comes_back_goes_on_with_a_task_that_drains(world: World) -> None:
    task = world.task()
    world.run(task)
    world.change(task, _draining)
    async with world.agent() as agent:
        manifest = await agent.manifest()
        assert [(t.task_arn, t.desired_status) for t in manifest.tasks] == [(task.arn, "RUNNING")]
        candidates = (m.ManifestTask(task.arn, desired_status="STOPPED"), m.ManifestTask("ghost"))
        await agent.say(m.TaskStopVerificationMessage(manifest.message_id, candidates))
        consent = await agent.receive()
        assert isinstance(consent, m.TaskStopVerificationAck)
        assert [t.task_arn for t in consent.stop_tasks] == ["ghost"]
        await agent.silence()


async def test_nothing_leaves_before_it_is_durable(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        world.journal.held = []
        task = world.task()
        await agent.silence()
        world.journal.release()
        assert (await agent.payload()).arn == task.arn


async def test_a_new_connection_hears_of_every_live_task(world: World) -> None:
    first, second = world.task(1), world.task(2, desired_status="STOPPED", last_status="STOPPING")
    world.task(3, last_status="STOPPED", desired_status="STOPPED")
    world.task(4, node_id="elsewhere")
    for _ in range(2):
        async with world.agent() as agent:
            listed = {t.task_arn: t.desired_status for t in (await agent.manifest()).tasks}
            assert listed == {first.arn: "RUNNING", second.arn: "STOPPED"}
            sent = {p.arn: p.desired_status for p in [await agent.payload(), await agent.payload()]}
            assert sent == listed
            await agent.silence()


async def test_agent_connected_follows_the_newest_connection(world: World) -> None:
    task = world.task()
    async with world.agent() as agent:
        await agent.manifest()
        await agent.payload()
        await world.until(lambda: world.now(task).connectivity == "CONNECTED")
        assert world.node.agent_connected
        version = world.node.version_info
        assert version is not None
        assert (version.agent_version, version.docker_version) == ("1.105.1", "DockerVersion: 20.10")
        async with world.agent() as newer:
            await newer.manifest()
            async with asyncio.timeout(10):
                await agent.ws.wait_closed()
            assert agent.ws.close_code == 1013
            assert world.node.agent_connected
    await world.until(lambda: not world.node.agent_connected)
    assert world.now(task).connectivity == "DISCONNECTED"
    assert world.now(task).desired_status == "RUNNING"


async def test_an_agent_that_vanishes_is_disconnected(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        agent.ws.transport.abort()
        await world.until(lambda: not world.node.agent_connected)


async def test_tasks_that_should_not_run_are_stopped_after_verification(world: World) -> None:
    wanted = world.task()
    async with world.agent() as agent:
        manifest = await agent.manifest()
        await agent.payload()
        ghost, foreign = f"{BASE}task/default/ghost", world.task(9, node_id="elsewhere").arn
        candidates = tuple(m.ManifestTask(arn, desired_status="STOPPED") for arn in (ghost, foreign, wanted.arn))
        await agent.say(m.TaskStopVerificationMessage(manifest.message_id, candidates))
        consent = await agent.receive()
        assert isinstance(consent, m.TaskStopVerificationAck)
        assert consent.message_id == manifest.message_id
        assert [t.task_arn for t in consent.stop_tasks] == [ghost, foreign]


async def test_an_agent_that_lost_its_keys_gets_all_of_them(world: World) -> None:
    starting, stopping = world.task(1), world.task(2)
    with world.state.transaction() as tx:
        world.credentials.ensure(tx, stopping)
    world.change(stopping, lambda t: task_state.request_stop(t, now=6.0, stop_code="UserInitiated", reason="r"))
    async with world.agent(sendCredentials="true") as agent:
        await agent.manifest()
        messages = [await agent.receive() for _ in range(3)]
        payloads = {p.tasks[0].arn: p.tasks[0] for p in messages if isinstance(p, m.PayloadMessage)}
        [credentials] = [c for c in messages if isinstance(c, m.IAMRoleCredentialsMessage)]
        assert payloads[starting.arn].execution_role_credentials is not None
        assert (credentials.task_arn, credentials.role_type) == (stopping.arn, "TaskExecution")
        assert credentials.role_credentials.secret_access_key


async def test_renewed_keys_are_sent_under_the_same_id(world: World) -> None:
    task = world.task()
    async with world.agent() as agent:
        await agent.manifest()
        first = (await agent.payload()).execution_role_credentials
        assert first is not None
        [key] = world.state.access_keys
        world.put(
            msgspec.structs.replace(key, access_key_id="ASIANEWER", created_at=key.created_at + 1, session_token="t2")
        )
        renewed = await agent.receive()
        assert isinstance(renewed, m.IAMRoleCredentialsMessage)
        assert renewed.task_arn == task.arn
        assert renewed.role_credentials.access_key_id == "ASIANEWER"
        assert renewed.role_credentials.credentials_id == first.credentials_id
        await agent.silence()


async def test_forced_deregistration_stops_what_runs_and_ends_the_connection(world: World) -> None:
    task = world.task()
    async with world.agent() as agent:
        await agent.manifest()
        await agent.payload()
        world.run(task)
        instance = world.state.container_instances.get(INSTANCE)
        lost = task_state.declare_stopped(world.now(task), now=9.0, stop_code="UserInitiated", reason="forced")
        world.put(lost, msgspec.structs.replace(instance, status="INACTIVE"))
        stop = await agent.payload(acknowledge=False)
        assert (stop.arn, stop.desired_status) == (task.arn, "STOPPED")
        with pytest.raises(ConnectionClosed):
            await agent.receive()
    with pytest.raises(InvalidStatus) as refused:
        await connect(world.url(), proxy=None)
    assert b"InactiveInstanceException" in (refused.value.response.body or b"")


async def test_a_node_that_still_serves_something_keeps_its_connection(world: World) -> None:
    instance = world.state.container_instances.get(INSTANCE)
    assert instance is not None
    world.put(msgspec.structs.replace(world.node, fargate_pool=True))
    async with world.agent() as agent:
        await agent.manifest()
        world.put(msgspec.structs.replace(instance, status="INACTIVE"))
        task = world.task(launch_type="FARGATE")
        assert (await agent.payload()).arn == task.arn
    async with world.agent() as agent:
        assert len((await agent.manifest()).tasks) == 1


async def test_a_wiped_task_is_stopped(world: World) -> None:
    task = world.task()
    async with world.agent() as agent:
        await agent.manifest()
        await agent.payload()
        with world.state.transaction() as tx:
            tx.delete(world.now(task))
        stop = await agent.payload(acknowledge=False)
        assert (stop.arn, stop.desired_status) == (task.arn, "STOPPED")


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ({"containerInstanceArn": "arn:nobody"}, "InvalidInstanceException", 400),
        ({"clusterArn": "other"}, "InvalidClusterException", 400),
    ],
)
async def test_refusals(world: World, query: dict[str, str], code: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(world.url(**query), proxy=None)
    response = refused.value.response
    assert response.status_code == status
    assert msgspec.json.decode(response.body or b"")["type"] == code
    assert not world.node.agent_connected


async def test_another_principal_and_nobody_are_refused(world: World) -> None:
    world.principal = Principal(arn="arn:aws:iam::111122223333:user/other", kind="agent", access_key_id="AKIA2")
    for path in (ACS_PATH, TCS_PATH):
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.url(path), proxy=None)
        assert refused.value.response.status_code == 403
        assert b"AccessDeniedException" in (refused.value.response.body or b"")
        with pytest.raises(InvalidStatus) as unsigned:
            await connect(world.url(path), additional_headers={"x-unsigned": "1"}, proxy=None)
        assert b"MissingAuthenticationTokenException" in (unsigned.value.response.body or b"")


async def test_nonsense_does_not_end_a_connection(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        for frame in ("nonsense", "{}", '{"type":"AckRequest","message":[]}', b"\xff\x00"):
            await agent.ws.send(frame)
        task = world.task()
        assert (await agent.payload()).arn == task.arn


async def test_fifty_tasks_at_once(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        tasks = [world.task(i) for i in range(50)]
        assert {(await agent.payload()).arn for _ in tasks} == {t.arn for t in tasks}
        await world.until(lambda: all(world.now(t).last_status == "PENDING" for t in tasks))


async def test_a_burst_comes_at_the_pace_of_the_acknowledgements(world: World) -> None:
    async with world.agent() as agent:
        await agent.manifest()
        tasks = [world.task(i) for i in range(WINDOW + 3)]
        first = [await agent.receive() for _ in range(WINDOW)]
        pong = await agent.ws.ping()
        await pong
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await agent.ws.recv()
        for message in first:
            await agent.say(m.AckRequest(CLUSTER, INSTANCE, message.message_id))
        rest = {(await agent.payload()).arn for _ in range(3)}
        assert rest | {message.tasks[0].arn for message in first} == {task.arn for task in tasks}


def test_a_new_process_knows_of_no_connection() -> None:
    world = World()
    world.put(msgspec.structs.replace(world.node, agent_connected=True))
    task = world.task(connectivity="CONNECTED", last_status="RUNNING")
    world.gateway.forget_connections()
    assert not world.node.agent_connected
    assert (world.now(task).connectivity, world.now(task).last_status) == ("DISCONNECTED", "RUNNING")


# Telemetry -----------------------------------------------------------------------------


async def test_health_comes_over_telemetry(world: World) -> None:
    task, foreign = world.task(), world.task(9, node_id="elsewhere")
    world.run(task)
    body = {
        "type": "PublishHealthRequest",
        "message": {
            "metadata": {"cluster": "default", "containerInstance": INSTANCE, "messageId": "1", "fin": True},
            "tasks": [
                {
                    "taskArn": t.arn,
                    "containers": [{"containerName": "app", "healthStatus": "UNHEALTHY", "statusSince": 1.5}],
                }
                for t in (task, foreign)
            ],
            "timestamp": 1795355042.462,
        },
    }
    header = b"Authorization: AWS4-HMAC-SHA256 x\r\nHost: x\r\nX-Amz-Date: 20261122T000000Z\r\n\r\n"
    async with connect(world.url(TCS_PATH), compression=None, proxy=None) as ws:
        await ws.send((header + msgspec.json.encode(body)).decode())
        assert msgspec.json.decode(await ws.recv())["type"] == "AckPublishHealth"
        assert world.now(task).health_status == "UNHEALTHY"
        assert world.now(task).last_status == "RUNNING"
        assert world.now(foreign).health_status == "UNKNOWN"
        metrics = {"type": "PublishMetricsRequest", "message": {"metadata": {"idle": True, "fin": True}}}
        await ws.send(msgspec.json.encode(metrics).decode())
        assert msgspec.json.decode(await ws.recv())["type"] == "AckPublishMetric"
        await ws.send("nonsense")
        assert msgspec.json.decode(await ws.recv())["type"] == "BadRequestException"


async def test_instance_status_comes_over_telemetry(world: World) -> None:
    def frame(status: str) -> str:
        statuses = [{"type": "ContainerRuntime", "status": status, "lastUpdated": 2.0, "lastStatusChange": 1.0}]
        message = {"metadata": {"requestId": "r"}, "statuses": statuses, "timestamp": 3.0}
        return msgspec.json.encode({"type": "PublishInstanceStatusRequest", "message": message}).decode()

    def health() -> Any:
        instance = world.state.container_instances.get(INSTANCE)
        assert instance is not None
        return instance.health

    async with connect(world.url(TCS_PATH), compression=None, proxy=None) as ws:
        for status in ("OK", "IMPAIRED"):
            await ws.send(frame(status))
            assert msgspec.json.decode(await ws.recv())["type"] == "AckPublishInstanceStatus"
            assert health().overall_status == status
            assert [d.type for d in health().details] == ["CONTAINER_RUNTIME"]
        revision = world.state.store.revision
        await ws.send(frame("IMPAIRED"))
        await ws.recv()
        assert world.state.store.revision == revision


async def test_a_revoked_key_ends_the_agents_connections(world: World) -> None:
    key = AccessKey(access_key_id="AKIA1", sealed_secret="", principal_arn=OWNER, kind="agent", created_at=1.0)
    other = msgspec.structs.replace(key, access_key_id="AKIA2")
    world.put(key, other)
    async with world.agent() as agent, connect(world.url(TCS_PATH), compression=None, proxy=None) as telemetry:
        await agent.manifest()
        with world.state.transaction() as tx:
            tx.delete(other)
        await agent.silence()
        with world.state.transaction() as tx:
            tx.delete(key)
        async with asyncio.timeout(10):
            await agent.ws.wait_closed()
            await telemetry.wait_closed()
        await world.until(lambda: not world.node.agent_connected)


async def test_a_forgotten_instance_of_a_lent_node_leaves_the_connection_alone(world: World) -> None:
    instance = world.state.container_instances.get(INSTANCE)
    lent = msgspec.structs.replace(
        instance, arn=f"{BASE}container-instance/other/i2", cluster_arn=f"{BASE}cluster/other"
    )
    world.put(lent)
    async with world.agent() as agent:
        await agent.manifest()
        with world.state.transaction() as tx:
            tx.delete(lent)
        await agent.silence()
        assert agent.ws.close_code is None


async def test_log_drivers_are_sent_to_the_public_url(world: World) -> None:
    logging = ecs.LogConfiguration(log_driver="awslogs", options={"awslogs-group": "g", "awslogs-region": "us-east-1"})
    container = ecs.ContainerDefinition(name="app", image="busybox", log_configuration=logging)
    shape = ecs.TaskDefinition(family="web", revision=1, container_definitions=(container,))
    known = world.state.task_definitions.get(DEFINITION)
    world.put(msgspec.structs.replace(known, definition=shape))
    async with world.agent() as agent:
        await agent.manifest()
        world.task()
        payload = await agent.payload()
    host_config = msgspec.json.decode(payload.containers[0].docker_config.host_config)
    assert host_config["LogConfig"]["Config"]["awslogs-endpoint"] == "https://ecs.example.com"
