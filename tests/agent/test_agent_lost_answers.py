"""What the engine did though its answer never came: it must be found out, not done again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from agent_payloads import CLUSTER, container, task

from openecs.acs import task_payload as tp
from openecs.agent.credentials import CredentialStore
from openecs.agent.engine import facts as f
from openecs.agent.engine.actions import Actions
from openecs.agent.engine.images import Images
from openecs.agent.engine.limits import NoLimits
from openecs.agent.engine.ports import PortPool, conflict
from openecs.agent.engine.settings import EngineParts, EngineSettings
from openecs.agent.engine.task_plan import fresh, restored
from openecs.agent.engine.task_state import TaskState
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.network.driver import FakeNetwork
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import ContainerInfo, EngineUnavailable
from openecs.clock import SystemClock
from openecs.ids import SeededIds
from openecs.shapes import ecs


class Forgetful(FakeRuntime):
    """Makes and starts containers and hangs up before it says so, as often as told."""

    lost = 0
    starts = 0

    lost_creations = 0
    lost_looks = 0

    async def inspect(self, container_id: str) -> ContainerInfo:
        if self.lost_looks:
            self.lost_looks -= 1
            raise EngineUnavailable("hung up")
        return await super().inspect(container_id)

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        created = await super().create(name, body)
        if self.lost_creations:
            self.lost_creations -= 1
            raise EngineUnavailable("hung up")
        return created

    async def start(self, container_id: str) -> None:
        await super().start(container_id)
        self.starts += 1
        if self.lost:
            self.lost -= 1
            raise EngineUnavailable("hung up")


class Heard:
    """A control plane that takes every report."""

    def __init__(self) -> None:
        self.reports: list[ecs.SubmitTaskStateChangeRequest] = []

    async def submit_task_state_change(self, request: ecs.SubmitTaskStateChangeRequest) -> None:
        self.reports.append(request)


@pytest.fixture
def engine() -> Forgetful:
    return Forgetful(SystemClock(), SeededIds())


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def parts(engine: Forgetful, heard: Heard) -> EngineParts:
    clock = SystemClock()
    return EngineParts(
        settings=EngineSettings(node_id="node", cluster=CLUSTER, region="us-east-1", cleanup_delay=0.0),
        runtime=engine,
        images=Images(engine, clock, "default"),
        limits=NoLimits(),
        network=FakeNetwork(),
        ports=PortPool(),
        store=TaskStore(None),
        credentials=CredentialStore(),
        reporter=Reporter(heard, jitter=random.Random(1)),
        clock=clock,
        ids=SeededIds(),
    )


async def created(payload: tp.TaskPayload, parts: EngineParts, actions: Actions) -> TaskState:
    """The task's state when its container was just told to start."""
    await parts.runtime.pull(payload.containers[0].image)
    state = fresh(payload, ["token"])
    (fact,) = await actions.perform(f.Create(name="app"), state)
    assert isinstance(fact, f.Created)
    starting = msgspec.structs.replace(
        state.containers[0], status="CREATED", doing="start", container_id=fact.container_id
    )
    return msgspec.structs.replace(state, resources="ready", containers=(starting,))


@pytest.mark.parametrize(("command", "seen"), [(("exit", "3"), "exited"), (("sleep", "infinity"), "running")])
async def test_a_start_whose_answer_was_lost_is_not_repeated(
    engine: Forgetful, parts: EngineParts, command: tuple[str, ...], seen: str
) -> None:
    payload = task(container(command=command))
    actions = Actions(payload, parts, CLUSTER)
    state = await created(payload, parts, actions)
    engine.lost = 1
    with pytest.raises(EngineUnavailable):
        await actions.perform(f.Start(name="app"), state)
    started, observed = await actions.perform(f.Start(name="app"), state)
    assert engine.starts == 1
    assert isinstance(started, f.Started)
    assert isinstance(observed, f.Observed)
    assert observed.status == seen


async def test_a_start_that_never_happened_is_repeated(engine: Forgetful, parts: EngineParts) -> None:
    payload = task()
    actions = Actions(payload, parts, CLUSTER)
    state = await created(payload, parts, actions)
    engine.go_down(killing_containers=False)
    with pytest.raises(EngineUnavailable):
        await actions.perform(f.Start(name="app"), state)
    engine.come_back()
    (started,) = await actions.perform(f.Start(name="app"), state)
    assert isinstance(started, f.Started)
    assert engine.starts == 1


async def test_a_start_is_not_repeated_once_events_told_of_the_end(engine: Forgetful, parts: EngineParts) -> None:
    payload = task(container(command=("exit", "0")))
    actions = Actions(payload, parts, CLUSTER)
    state = await created(payload, parts, actions)
    engine.lost = 1
    with pytest.raises(EngineUnavailable):
        await actions.perform(f.Start(name="app"), state)
    over = msgspec.structs.replace(state.containers[0], status="STOPPED", doing="")
    assert await actions.perform(f.Start(name="app"), msgspec.structs.replace(state, containers=(over,))) == []
    assert engine.starts == 1


TAKEN = "driver failed programming external connectivity: Bind for 0.0.0.0:40000 failed: port is already allocated"


@pytest.mark.parametrize(
    ("mappings", "ours"),
    [
        ((tp.PortMapping(container_port=80),), True),
        ((tp.PortMapping(container_port=80, host_port=8080), tp.PortMapping(container_port=81)), True),
        ((tp.PortMapping(container_port=80, host_port=40000), tp.PortMapping(container_port=81)), False),
        ((tp.PortMapping(container_port=80, host_port=40000),), False),
        ((), False),
    ],
)
def test_ports_that_an_earlier_agent_chose_can_be_chosen_again(
    mappings: tuple[tp.PortMapping, ...], ours: bool
) -> None:
    assert conflict(TAKEN, mappings, ()) is ours


async def test_a_container_made_by_a_lost_call_is_shown_with_its_real_ports(
    engine: Forgetful, parts: EngineParts
) -> None:
    payload = task(container(port_mappings=(tp.PortMapping(container_port=80),)), network_mode="bridge")
    await engine.pull("app:1")
    actions = Actions(payload, parts, CLUSTER)
    state = fresh(payload, ["token"])
    engine.lost_creations = 1
    with pytest.raises(EngineUnavailable):
        await actions.perform(f.Create(name="app"), state)
    (made,) = await actions.perform(f.Create(name="app"), state)
    assert isinstance(made, f.Created)
    starting = msgspec.structs.replace(
        state.containers[0], status="CREATED", doing="start", container_id=made.container_id, bindings=made.bindings
    )
    (seen,) = await actions.perform(f.Start(name="app"), msgspec.structs.replace(state, containers=(starting,)))
    assert isinstance(seen, f.Observed)
    (real,) = (await engine.inspect(made.container_id)).ports
    assert [binding.host_port for binding in seen.bindings or made.bindings] == [real.host_port]


async def test_a_start_is_not_repeated_when_nobody_could_look_for_the_ports(
    engine: Forgetful, parts: EngineParts
) -> None:
    mapped = container(command=("exit", "3"), port_mappings=(tp.PortMapping(container_port=80),))
    payload = task(mapped, network_mode="bridge")
    actions = Actions(payload, parts, CLUSTER)
    state = await created(payload, parts, actions)
    assert not state.containers[0].bindings
    engine.lost_looks = 1
    with pytest.raises(EngineUnavailable):
        await actions.perform(f.Start(name="app"), state)
    started, seen = await actions.perform(f.Start(name="app"), state)
    assert isinstance(started, f.Started)
    assert isinstance(seen, f.Observed)
    assert seen.status == "exited"
    assert engine.starts == 1


async def test_recovery_looks_at_all_containers_before_it_decides(
    engine: Forgetful, parts: EngineParts, heard: Heard
) -> None:
    """The agent died while the engine started the second container; then the first one ended."""
    payload = task(container(command=("exit", "1")), container("side", command=("sleep", "infinity")))
    actions = Actions(payload, parts, CLUSTER)
    await engine.pull("app:1")
    state = fresh(payload, ["token", "other"])
    containers = []
    for before in state.containers:
        (fact,) = await actions.perform(f.Create(name=before.name), state)
        assert isinstance(fact, f.Created)
        await engine.start(fact.container_id)
        containers.append(
            msgspec.structs.replace(before, status="CREATED", doing="start", container_id=fact.container_id)
        )
    state = msgspec.structs.replace(state, resources="ready", containers=tuple(containers))
    parts.store.add(payload, state)
    _, side = engine._containers.values()
    async with asyncio.timeout(20):
        await TaskWorker(payload, restored(state), parts, lambda: None).run(recover=True)
    assert (side.status, side.exit_code) == ("exited", 143)
    told = {change.container_name: change.exit_code for report in heard.reports for change in report.containers or ()}
    assert told == {"app": 1, "side": 143}


async def test_a_stop_during_recovery_stops_what_the_last_agent_had_started(
    engine: Forgetful, parts: EngineParts, heard: Heard
) -> None:
    """The agent died while the engine started the container, and came back to a silent engine."""
    payload = task(container(command=("sleep", "infinity")))
    state = await created(payload, parts, Actions(payload, parts, CLUSTER))
    await engine.start(state.containers[0].container_id or "")
    parts.store.add(payload, state)
    engine.go_down(killing_containers=False)
    worker = TaskWorker(payload, restored(state), parts, lambda: None)
    (fake,) = engine._containers.values()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        living = group.create_task(worker.run(recover=True))
        while worker._group is None:
            await asyncio.sleep(0)
        worker.stop()
        engine.come_back()
        await living
    # Asked to stop (143), not just removed with the rest (137).
    assert (fake.status, fake.exit_code) == ("exited", 143)
    assert heard.reports[-1].status == "STOPPED"
