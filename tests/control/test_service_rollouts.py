"""Deployments that fail, over real state and placement: records, events and what goes on running."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, World, controlled, deployment, new_service

from openecs.control.virtual_time import VirtualTime
from openecs.model.service import ImagePin, Service
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.shapes import ecs

BREAKER = ecs.DeploymentConfiguration(
    maximum_percent=200,
    minimum_healthy_percent=100,
    deployment_circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def world(time: VirtualTime) -> World:
    world = World(time)
    world.add_node("a", memory=10_000)
    return world


def revision_arn(number: int) -> str:
    return f"{PREFIX}:service-revision/default/web/{number}"


def attempt_arn(number: int) -> str:
    return f"{PREFIX}:service-deployment/default/web/attempt-{number}"


def deploy(world: World, number: int, service: Service | None = None) -> None:
    """What CreateService or UpdateService writes for a new deployment."""
    now = world.clock.now()
    base = service or world.service()
    older = () if service else tuple(msgspec.structs.replace(d, status="ACTIVE") for d in base.deployments)
    newest = deployment(number, now, revision_arn=revision_arn(number))
    world.put(
        msgspec.structs.replace(
            base, deployments=(newest, *older), service_deployment_arn=attempt_arn(number), steady=False
        ),
        ServiceRevision(
            arn=revision_arn(number),
            service_arn=base.arn,
            cluster_arn=CLUSTER,
            created_at=now,
            task_definition_arn=newest.task_definition_arn,
        ),
        ServiceDeployment(
            arn=attempt_arn(number),
            service_arn=base.arn,
            cluster_arn=CLUSTER,
            deployment_id=newest.id,
            target_revision_arn=newest.revision_arn,
            created_at=now,
            updated_at=now,
            status="PENDING",
            deployment_configuration=base.deployment_configuration,
        ),
    )


def attempt(world: World, number: int) -> ServiceDeployment:
    found = world.state.service_deployments.get(attempt_arn(number))
    assert found is not None
    return found


async def finished(world: World, time: VirtualTime, number: int) -> ServiceDeployment:
    await time.run_until(lambda: not world.agents_obey() and attempt(world, number).finished, within=600.0)
    return attempt(world, number)


async def test_a_bad_image_rolls_back_while_the_old_tasks_serve(world: World, time: VirtualTime):
    world.broken.add(2)
    async with controlled(world, time):
        deploy(world, 1, new_service(world, 2, deployment_configuration=BREAKER))
        assert (await finished(world, time, 1)).status == "SUCCESSFUL"
        served = {task.arn for task in world.running(1)}
        began = time.time()
        deploy(world, 2)

        def rolled_back() -> bool:
            world.agents_obey()
            assert {task.arn for task in world.running(1)} == served
            return attempt(world, 2).finished

        await time.run_until(rolled_back, within=600.0)
        assert time.time() - began < 10
        record = attempt(world, 2)
    assert (record.status, record.circuit_breaker_status) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED")
    assert record.rollback_revision_arn == revision_arn(1)
    events = world.events()
    failed = events.index("(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.")
    assert events[failed + 1 :] == [
        "(service web) rolling back to deployment ecs-svc/1.",
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]
    assert [(d.id, d.rollout_state) for d in world.service().deployments] == [("ecs-svc/1", "COMPLETED")]


async def test_a_stop_request_wakes_the_service_and_brings_the_old_revision_back(world: World, time: VirtualTime):
    async with controlled(world, time):
        deploy(world, 1, new_service(world, 2))
        await finished(world, time, 1)
        deploy(world, 2)
        await time.run_until(lambda: len(world.tasks()) == 4)
        asked = time.time()
        world.put(msgspec.structs.replace(attempt(world, 2), stop_requested="ROLLBACK", status="ROLLBACK_REQUESTED"))
        record = await finished(world, time, 2)
        assert time.time() == asked
    assert record.status == "ROLLBACK_SUCCESSFUL"
    assert len(world.running(1)) == 2
    assert world.running(2) == []


async def test_a_newer_update_ends_the_older_service_deployment(world: World, time: VirtualTime):
    async with controlled(world, time):
        deploy(world, 1, new_service(world, 2))
        deploy(world, 2)
        assert (await finished(world, time, 2)).status == "SUCCESSFUL"
    assert attempt(world, 1).status == "STOPPED"


async def test_settled_digests_are_written_to_the_revision(world: World, time: VirtualTime):
    pin = ImagePin(container="web", image="web", digest="sha256:" + "c" * 64)
    async with controlled(world, time):
        deploy(world, 1, new_service(world, 1))
        await time.run_until(lambda: bool(world.tasks()))
        world.agents_obey()
        (task,) = world.running()
        pinned = msgspec.structs.replace(task.containers[0], image_digest=pin.digest)
        world.put(msgspec.structs.replace(task, containers=(pinned,)))
        await finished(world, time, 1)
    assert world.service().deployments[0].pins == (pin,)
    found = world.state.service_revisions.get(revision_arn(1))
    assert found is not None
    assert found.pins == (pin,)


async def test_protection_that_ends_lets_scaling_in_go_on(world: World, time: VirtualTime):
    async with controlled(world, time):
        deploy(world, 1, new_service(world, 2))
        await finished(world, time, 1)
        until = time.now() + 300
        world.put(*(msgspec.structs.replace(task, protected_until=until) for task in world.running()))
        world.put(msgspec.structs.replace(world.service(), desired_count=1))
        await time.run_until(lambda: not world.agents_obey() and len(world.running()) == 1, within=301.0)
        assert time.now() == until


async def test_a_service_without_any_change_writes_nothing(world: World, time: VirtualTime):
    async with controlled(world, time) as loop:
        deploy(world, 1, new_service(world, 3, deployment_configuration=BREAKER))
        await finished(world, time, 1)
        await time.run_until(lambda: world.service().steady)
        revision = world.state.store.revision
        done = loop.reconciled
        for _ in range(3):
            loop.enqueue(world.service().arn)
            await time.advance(1)
        assert loop.reconciled >= done + 3
        assert world.state.store.revision == revision
