"""What the reaper forgets, and what it must not."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import PREFIX, REGION, World, definition, new_service, running_loop

from openecs.control.reaper import Reaper
from openecs.control.virtual_time import VirtualTime
from openecs.model.idempotency import ClientToken
from openecs.model.resources import Resources
from openecs.model.service import ServiceEvents
from openecs.model.tags import ResourceTags
from openecs.model.task import Task

DEFINITION = f"{PREFIX}:task-definition/web:1"


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def world(time: VirtualTime) -> World:
    return World(time)


def reaping(world: World, time: VirtualTime):
    reaper = Reaper(world.state, time)
    return running_loop(reaper.loop(time=time.time, sleep=time.sleep, jitter=lambda: 0.5))


def task(name: str, status: str, stopped_at: float | None = None) -> Task:
    return Task(
        arn=f"{PREFIX}:task/default/{name}",
        region=REGION,
        cluster_arn=f"{PREFIX}:cluster/default",
        task_definition_arn=DEFINITION,
        launch_type="EC2",
        desired_status="STOPPED" if status == "STOPPED" else "RUNNING",
        last_status=status,
        created_at=1.0,
        group="family:web",
        containers=(),
        reservation=Resources(),
        stopped_at=stopped_at,
    )


async def test_stopped_tasks_stay_for_an_hour_and_take_their_tags_with_them(world: World, time: VirtualTime):
    running = task("r", "RUNNING")
    stopped = task("s", "STOPPED", time.now())
    world.put(running, task("s", "RUNNING"), ResourceTags(arn=stopped.arn))
    async with reaping(world, time):
        await time.advance(10)
        world.put(stopped)
        await time.advance(3580)
        assert stopped.arn in world.state.tasks
        await time.advance(20)
        assert stopped.arn not in world.state.tasks
        assert stopped.arn not in world.state.tags
        await time.advance(90_000)
        assert running.arn in world.state.tasks


async def test_tasks_that_stopped_before_a_restart_are_forgotten_too(world: World, time: VirtualTime):
    stopped = task("s", "STOPPED", time.now() - 3000)
    world.put(stopped)
    async with reaping(world, time):
        await time.advance(599)
        assert stopped.arn in world.state.tasks
        await time.advance(2)
        assert stopped.arn not in world.state.tasks


async def test_inactive_services_are_forgotten_with_their_events(world: World, time: VirtualTime):
    service = new_service(world, 0, status="INACTIVE", deleted_at=time.now())
    active = msgspec.structs.replace(new_service(world, 0), arn=service.arn + "2", name="web2")
    world.put(service, active, ServiceEvents(service_arn=service.arn))
    async with reaping(world, time):
        await time.advance(23 * 3600)
        assert service.arn in world.state.services
        await time.advance(2 * 3600)
    assert service.arn not in world.state.services
    assert service.arn not in world.state.service_events
    assert active.arn in world.state.services


async def test_a_name_that_is_used_again_is_not_forgotten(world: World, time: VirtualTime):
    service = new_service(world, 0, status="INACTIVE", deleted_at=time.now())
    world.put(service)
    async with reaping(world, time):
        await time.advance(3600)
        world.put(new_service(world, 1))
        await time.advance(48 * 3600)
    assert service.arn in world.state.services


async def test_inactive_clusters_and_old_tokens_are_forgotten(world: World, time: VirtualTime):
    cluster = world.state.clusters.get(f"{PREFIX}:cluster/default")
    token = ClientToken(cluster_arn=cluster.arn, token="t", request_hash="h", task_arns=(), used_at=time.now())
    world.put(msgspec.structs.replace(cluster, status="INACTIVE", deleted_at=time.now()), token)
    async with reaping(world, time):
        await time.advance(24 * 3600 - 1)
        assert cluster.arn in world.state.clusters
        await time.advance(1800)
        assert cluster.arn not in world.state.clusters
        assert token.key in world.state.client_tokens
        await time.advance(3600)
        assert token.key not in world.state.client_tokens


async def test_deleted_task_definitions_wait_for_their_last_task_and_service(world: World, time: VirtualTime):
    user = task("r", "RUNNING")
    service = new_service(world, 0)
    world.put(user, service, msgspec.structs.replace(definition(1), status="DELETE_IN_PROGRESS"))
    async with reaping(world, time):
        await time.advance(10)
        world.put(task("r", "STOPPED", time.now()))
        await time.advance(10)
        assert DEFINITION in world.state.task_definitions
        last = msgspec.structs.replace(service.deployments[0], status="INACTIVE")
        world.put(msgspec.structs.replace(service, status="INACTIVE", deployments=(last,), deleted_at=time.now()))
        await time.run_until(lambda: DEFINITION not in world.state.task_definitions, within=1.0)
    assert f"{PREFIX}:task-definition/web:2" in world.state.task_definitions
