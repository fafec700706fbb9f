"""What is remembered of what the control plane does: who, why, where, and the whole final task."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, World, deployment, new_service, running_loop

from openecs.control.historian import PRUNE_INTERVAL, REPEAT_AFTER, RETENTION, Historian
from openecs.control.launch_spec import LaunchSpec
from openecs.control.virtual_time import VirtualTime
from openecs.model.history import Actor, HistoryEntry
from openecs.model.task import Task
from openecs.model.task_state import apply_health, declare_stopped, request_stop
from openecs.shapes import ecs
from openecs.state.journal.protocol import HistoryQuery
from openecs.wire.call import acting

ROOT = Actor("arn:aws:iam::123456789012:root", "StopTask")


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def world(time: VirtualTime) -> World:
    world = World(time)
    Historian(world.state, time, strict=True)
    return world


async def of_task(world: World, task: Task) -> list[HistoryEntry]:
    return await world.state.store.history(HistoryQuery("task", task.arn.rsplit("/", 1)[-1]))


async def of_service(world: World, kind: str) -> list[HistoryEntry]:
    entries = await world.state.store.history(HistoryQuery("service", f"{PREFIX}:service/default/web"))
    return [entry for entry in entries if entry.kind == kind]


async def run(world: World, time: VirtualTime, within: float = 600.0) -> None:
    """Let the service loop and the agents work until nothing is left to do."""
    async with running_loop(world.controller.loop(time.timing())):
        await time.run_until(lambda: not world.agents_obey() and world.service().steady, within=within)


def launch(world: World, **members: object) -> tuple[Task, ...]:
    definition = world.state.task_definitions.get(f"{PREFIX}:task-definition/web:1")
    cluster = world.state.clusters.get(CLUSTER)
    assert definition is not None
    assert cluster is not None
    spec = LaunchSpec(cluster=cluster, definition=definition, count=1, launch_type="EC2", group="family:web")
    spec = msgspec.structs.replace(spec, **members)
    with world.state.transaction() as tx:
        return world.launcher.launch(tx, spec, now=world.clock.now(), ids=world.ids).tasks


async def test_a_placement_tells_who_asked_and_what_spoke_against_the_other_nodes(world: World) -> None:
    world.add_node("small", memory=50)
    world.add_node("big")
    token = acting.set(Actor("arn:aws:iam::123456789012:user/ann", "RunTask"))
    (task,) = launch(world)
    acting.reset(token)
    (placed,) = await of_task(world, task)
    assert placed.kind == "placed"
    assert "started by arn:aws:iam::123456789012:user/ann with RunTask" in placed.text
    assert (placed.facts["fitting"], placed.facts["offered"]) == (1, 2)
    assert placed.facts["nodes"] == [
        {"node": "small", "reason": "RESOURCE:MEMORY", "detail": "50 MiB free, 100 needed"}
    ]


async def test_a_stop_tells_on_whose_behalf_and_the_end_keeps_the_whole_task(world: World) -> None:
    world.add_node("a")
    (task,) = launch(world)
    token = acting.set(ROOT)
    asked = request_stop(task, now=2.0, stop_code="UserInitiated", reason="no longer wanted")
    world.put(asked)
    acting.reset(token)
    stopped = declare_stopped(asked, now=3.0, stop_code="UserInitiated", reason="")
    world.put(stopped)
    with world.state.transaction() as tx:
        tx.delete(stopped)
    entries = await of_task(world, task)
    assert [entry.kind for entry in entries] == ["placed", "stop-requested", "stopped"]
    assert entries[1].text == f"asked to stop by {ROOT.principal} with StopTask: no longer wanted"
    assert entries[1].facts["principal"] == ROOT.principal
    assert msgspec.convert(entries[2].facts["task"], Task) == stopped
    assert entries[2].service_arn is None


async def test_a_task_given_up_at_once_says_so_in_its_only_last_entry(world: World) -> None:
    world.add_node("a")
    (task,) = launch(world)
    token = acting.set(Actor(ROOT.principal, "DeregisterContainerInstance"))
    world.put(declare_stopped(task, now=3.0, stop_code="UserInitiated", reason="forced"))
    acting.reset(token)
    entries = await of_task(world, task)
    assert [entry.kind for entry in entries] == ["placed", "stopped"]
    assert entries[1].text == (
        f"STOPPED (UserInitiated): forced; stopped by {ROOT.principal} with DeregisterContainerInstance"
    )


async def test_changes_that_tell_nothing_leave_no_entry(world: World) -> None:
    world.add_node("a")
    (task,) = launch(world)
    for status in ("PENDING", "ACTIVATING", "RUNNING"):
        task = msgspec.structs.replace(task, last_status=status, version=task.version + 1)
        world.put(task)
    assert [entry.kind for entry in await of_task(world, task)] == ["placed"]


async def test_turning_unhealthy_is_noted_each_time_it_happens(world: World) -> None:
    world.add_node("a")
    (task,) = launch(world)
    checked = tuple(msgspec.structs.replace(c, has_health_check=True) for c in task.containers)
    task = msgspec.structs.replace(task, containers=checked, last_status="RUNNING")
    world.put(task)
    for health in ("HEALTHY", "UNHEALTHY", "UNHEALTHY", "HEALTHY", "UNHEALTHY"):
        task = apply_health(task, {"web": health}, now=2.0)
        world.put(task)
    assert [entry.kind for entry in await of_task(world, task)] == ["placed", "unhealthy", "unhealthy"]


async def test_the_schedulers_reasons_are_kept_with_starts_and_stops(world: World, time: VirtualTime) -> None:
    world.add_node("a")
    world.put(new_service(world, 2))
    await run(world, time)
    started = await of_task(world, world.tasks()[0])
    assert "started by the service scheduler for deployment ecs-svc/1: " in started[0].text
    world.put(msgspec.structs.replace(world.service(), desired_count=1, steady=False))
    await run(world, time)
    (gone,) = [task for task in world.tasks() if task.desired_status == "STOPPED"]
    (asked,) = [entry for entry in await of_task(world, gone) if entry.kind == "stop-requested"]
    assert "asked to stop by the service scheduler (" in asked.text


async def test_only_failed_tasks_are_found_by_their_service(world: World, time: VirtualTime) -> None:
    world.add_node("a")
    world.put(new_service(world, 1))
    await run(world, time)
    crashed = msgspec.structs.replace(
        world.running()[0],
        desired_status="STOPPED",
        last_status="STOPPED",
        stopped_at=time.now(),
        stop_code="EssentialContainerExited",
        stopped_reason="Essential container in task exited",
    )
    world.put(crashed)
    world.put(msgspec.structs.replace(world.service(), desired_count=2, steady=False))
    await run(world, time)
    world.put(msgspec.structs.replace(world.service(), desired_count=1, steady=False))
    await run(world, time)
    found = await of_service(world, "stopped")
    assert [entry.task_arn for entry in found] == [crashed.arn]


async def test_a_service_that_finds_no_node_is_told_of_once_for_the_same_reasons(
    world: World, time: VirtualTime
) -> None:
    world.add_node("small", memory=50)
    world.put(new_service(world, 2))
    async with running_loop(world.controller.loop(time.timing())):
        for _ in range(5):
            await time.advance(20.0)
            world.put(msgspec.structs.replace(world.service(), enable_execute_command=not world.service().steady))
        (told,) = await of_service(world, "not-placed")
        assert told.text.startswith("no node for 2 tasks: the closest of 1 is small: RESOURCE:MEMORY (50 MiB free, 100")
        node = world.state.nodes.get("small")
        world.put(msgspec.structs.replace(node, agent_connected=False))
        await time.advance(1.0)
        assert [e.facts["rejected"] for e in await of_service(world, "not-placed")] == [
            {"RESOURCE:MEMORY": 1},
            {"AGENT": 1},
        ]


async def test_calls_that_change_a_service_tell_who_and_what(world: World) -> None:
    token = acting.set(Actor(ROOT.principal, "CreateService"))
    world.put(new_service(world, 1))
    acting.set(Actor(ROOT.principal, "UpdateService"))
    before = world.service()
    second = deployment(2, 5.0)
    first = msgspec.structs.replace(before.deployments[0], status="ACTIVE")
    world.put(msgspec.structs.replace(before, desired_count=3, deployments=(second, first)))
    acting.reset(token)
    created, updated = await of_service(world, "service-changed")
    assert created.text == f"CreateService by {ROOT.principal}: desiredCount 1, taskDefinition web:1"
    assert updated.text == (f"UpdateService by {ROOT.principal}: desiredCount 1 -> 3, taskDefinition web:1 -> web:2")
    assert [e.text for e in await of_service(world, "deployment")] == [
        "ecs-svc/1: PRIMARY deployment of web:1 begins",
        "ecs-svc/2: PRIMARY deployment of web:2 begins",
        "ecs-svc/1: PRIMARY -> ACTIVE",
    ]
    found = await world.state.store.history(HistoryQuery("deployment", "ecs-svc/2"))
    assert [e.text for e in found] == ["ecs-svc/2: PRIMARY deployment of web:2 begins"]


async def test_events_are_kept_in_their_order_without_repetition(world: World, time: VirtualTime) -> None:
    world.add_node("a")
    world.put(new_service(world, 1))
    await run(world, time)
    assert [entry.text for entry in await of_service(world, "service-event")] == world.events()


async def test_draining_an_instance_is_found_by_its_cluster(world: World) -> None:
    instance = world.add_node("a")
    token = acting.set(Actor(ROOT.principal, "UpdateContainerInstancesState"))
    world.set_instance(instance, "DRAINING")
    acting.reset(token)
    (entry,) = await world.state.store.history(HistoryQuery("cluster", CLUSTER))
    assert entry.text == (
        f"container instance a became DRAINING by {ROOT.principal} with UpdateContainerInstancesState"
    )


async def test_history_is_forgotten_after_its_time(world: World, time: VirtualTime) -> None:
    historian = Historian(world.state, time, strict=True)
    world.add_node("a")
    (old,) = launch(world)
    await time.advance(RETENTION / 2)
    (young,) = launch(world)
    async with asyncio.TaskGroup() as group:
        pruning = group.create_task(historian.prune(time.sleep))
        await time.advance(1.0)
        assert len(await of_task(world, old)) == 1
        await time.advance(RETENTION / 2 + PRUNE_INTERVAL)
        pruning.cancel()
    assert await of_task(world, old) == []
    assert len(await of_task(world, young)) == 1


async def test_the_values_of_overriding_variables_are_not_kept(world: World) -> None:
    world.add_node("a")
    pair = ecs.KeyValuePair(name="PASSWORD", value="hunter2")
    bare = ecs.ContainerOverride(name="side", command=("sleep",))
    overrides = ecs.TaskOverride(container_overrides=(ecs.ContainerOverride(name="web", environment=(pair,)), bare))
    (task,) = launch(world)
    task = msgspec.structs.replace(task, overrides=overrides)
    world.put(declare_stopped(task, now=3.0, stop_code="UserInitiated", reason=""))
    entries = await of_task(world, task)
    assert b"hunter2" not in msgspec.json.encode(entries)
    kept = msgspec.convert(msgspec.to_builtins(entries[-1].facts["task"]), Task).overrides
    named = ecs.ContainerOverride(name="web", environment=(ecs.KeyValuePair(name="PASSWORD"),))
    assert kept == ecs.TaskOverride(container_overrides=(named, bare))


def unplaced(world: World, deployment_id: str | None, now: float) -> None:
    """Note that tasks found no node, for the same reason as ever."""
    with world.state.transaction() as tx:
        tx.note(
            HistoryEntry(
                at=now,
                kind="not-placed",
                text=f"at {now}",
                service_arn=f"{PREFIX}:service/default/web",
                deployment_id=deployment_id,
                facts={"rejected": {"AGENT": 1}},
            )
        )


async def test_a_clock_that_was_ahead_does_not_hide_news(world: World) -> None:
    for now in (1e9, 5.0, 6.0, 5.0 + REPEAT_AFTER):
        unplaced(world, "ecs-svc/1", now)
    told = [entry.text for entry in await of_service(world, "not-placed")]
    assert sorted(told) == sorted(["at 5.0", f"at {5.0 + REPEAT_AFTER}", f"at {1e9}"])


async def test_what_is_over_leaves_nothing_in_the_historians_memory(world: World, time: VirtualTime) -> None:
    historian = Historian(world.state, time, strict=True)
    world.put(new_service(world, 1))
    unplaced(world, "ecs-svc/1", 1.0)
    unplaced(world, None, 1.0)
    assert len(historian._not_placed) == 2
    world.put(msgspec.structs.replace(world.service(), deployments=(deployment(2, 5.0),)))
    assert list(historian._not_placed) == [f"{PREFIX}:service/default/web"]
    unplaced(world, "ecs-svc/2", 2.0)
    world.put(msgspec.structs.replace(world.service(), status="INACTIVE"))
    assert historian._not_placed == {}
