"""What the reaper forgets, and what it must not."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import PREFIX, REGION, World, definition, deployment, new_service, running_loop

from openecs.control.reaper import Reaper
from openecs.control.virtual_time import VirtualTime
from openecs.model.idempotency import ClientToken
from openecs.model.resources import Resources
from openecs.model.service import ServiceEvents, TaskSetSettings
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.tags import ResourceTags
from openecs.model.task import Task
from openecs.planning import reap_plan
from openecs.shapes import ecs
from openecs.state.store import Transaction

DEFINITION = f"{PREFIX}:task-definition/web:1"


def reaping(world: World, time: VirtualTime):
    reaper = Reaper(world.state, time)
    return running_loop(reaper.loop(time.timing()))


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


async def test_a_definition_to_which_a_service_may_go_back_is_kept(world: World, time: VirtualTime):
    first = deployment(1, time.now(), rollout_state="COMPLETED")
    service = new_service(world, 0, deployments=(deployment(2, time.now()),), last_completed=first)
    world.put(service, msgspec.structs.replace(definition(1), status="DELETE_IN_PROGRESS"))
    async with reaping(world, time):
        await time.advance(10)
        assert DEFINITION in world.state.task_definitions
        world.put(msgspec.structs.replace(service, last_completed=service.deployments[0]))
        await time.run_until(lambda: DEFINITION not in world.state.task_definitions, within=1.0)


SERVICE = f"{PREFIX}:service/default/web"
DAY = 24 * 3600.0


def revision(number: int, created_at: float) -> ServiceRevision:
    return ServiceRevision(
        arn=f"{PREFIX}:service-revision/default/web/{number}",
        service_arn=SERVICE,
        cluster_arn=f"{PREFIX}:cluster/default",
        created_at=created_at,
        task_definition_arn=DEFINITION,
    )


def rollout(number: int, created_at: float, *sources: int) -> ServiceDeployment:
    return ServiceDeployment(
        arn=f"{PREFIX}:service-deployment/default/web/{number}",
        service_arn=SERVICE,
        cluster_arn=f"{PREFIX}:cluster/default",
        deployment_id=f"ecs-svc/{number}",
        target_revision_arn=revision(number, 0).arn,
        source_revision_arns=tuple(revision(source, 0).arn for source in sources),
        created_at=created_at,
        updated_at=created_at,
        finished_at=created_at,
        status="SUCCESSFUL",
        deployment_configuration=ecs.DeploymentConfiguration(),
    )


def numbers(records: object) -> list[int]:
    return sorted(int(record.arn.rsplit("/", 1)[1]) for record in records)


async def test_old_service_deployments_and_revisions_are_forgotten_the_needed_ones_never(
    world: World, time: VirtualTime
):
    start = time.now()
    held = [deployment(n, start, revision_arn=revision(n, 0).arn) for n in (4, 3)]
    service = new_service(
        world, 0, deployments=(held[0],), last_completed=held[1], service_deployment_arn=rollout(4, 0).arn
    )
    world.put(service, *(revision(n, start) for n in (1, 2, 3, 4)))
    world.put(rollout(1, start), rollout(2, start + 50 * DAY, 1), rollout(3, start, 2), rollout(4, start, 3))
    async with reaping(world, time):
        await time.advance(89 * DAY)
        assert numbers(world.state.service_deployments) == [1, 2, 3, 4]
        assert numbers(world.state.service_revisions) == [1, 2, 3, 4]
        await time.advance(2 * DAY)
        # The fourth is current; the second is not old enough and names the first two revisions.
        assert numbers(world.state.service_deployments) == [2, 4]
        assert numbers(world.state.service_revisions) == [1, 2, 3, 4]
        await time.advance(50 * DAY)
        assert numbers(world.state.service_deployments) == [4]
        assert numbers(world.state.service_revisions) == [3, 4]


async def test_a_service_deployment_that_ends_later_is_forgotten_later(world: World, time: VirtualTime):
    begun = msgspec.structs.replace(rollout(1, time.now()), status="IN_PROGRESS", finished_at=None)
    world.put(new_service(world, 0), begun)
    async with reaping(world, time):
        await time.advance(100 * DAY)
        assert numbers(world.state.service_deployments) == [1]
        world.put(msgspec.structs.replace(begun, status="STOPPED", stopped_at=time.now()))
        await time.advance(91 * DAY)
        assert numbers(world.state.service_deployments) == []


async def test_deployments_and_revisions_go_with_their_service(world: World, time: VirtualTime):
    service = new_service(world, 0, status="INACTIVE", deleted_at=time.now())
    world.put(service, revision(1, time.now()), rollout(1, time.now()))
    async with reaping(world, time):
        await time.advance(25 * 3600)
    assert numbers(world.state.service_deployments) == numbers(world.state.service_revisions) == []


async def test_the_tags_of_a_task_set_go_with_it(world: World, time: VirtualTime):
    arns = [f"{PREFIX}:task-set/default/web/ecs-svc/{number}" for number in (1, 2, 3)]
    sets = [
        deployment(number, time.now(), status="ACTIVE", task_set=TaskSetSettings(arn=arn))
        for number, arn in enumerate(arns, 1)
    ]
    service = new_service(world, 0, deployments=tuple(sets), deployment_controller="EXTERNAL")
    world.put(service, *(ResourceTags(arn=arn) for arn in arns))

    def tagged() -> list[str]:
        return [arn for arn in arns if arn in world.state.tags]

    async with reaping(world, time):
        world.put(msgspec.structs.replace(service, deployments=tuple(sets[1:])))
        await time.run_until(lambda: tagged() == arns[1:], within=1.0)
        last = msgspec.structs.replace(sets[1], status="INACTIVE")
        world.put(msgspec.structs.replace(service, status="INACTIVE", deployments=(last,), deleted_at=time.now()))
        await time.run_until(lambda: not tagged(), within=1.0)


def test_who_names_a_revision_is_known_without_a_look_at_all_deployments(
    world: World, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
):
    """At a resync every revision of a service is looked at: not every deployment for each of them."""
    start = time.now() - 100 * DAY
    world.put(*(revision(n, start) for n in range(200)), *(rollout(n, time.now(), n - 1) for n in range(1, 200, 2)))
    reaper = Reaper(world.state, time)
    looks = 0
    named = reap_plan.named_revisions

    def counted(deployment: ServiceDeployment) -> set[str]:
        nonlocal looks
        looks += 1
        return named(deployment)

    monkeypatch.setattr(reap_plan, "named_revisions", counted)
    for number in range(200):
        reaper.reconcile(f"service_revision:{revision(number, start).arn}")
    assert (looks, len(world.state.service_revisions)) == (0, 200)
    # What was undone still counts, what was forgotten does not.
    with pytest.raises(KeyError), world.state.transaction() as tx:
        _delete_and_fail(tx, rollout(3, time.now(), 2))
    with world.state.transaction() as tx:
        tx.delete(rollout(7, time.now(), 6))
        tx.put(rollout(9, time.now(), 6))
    for number in (2, 3, 6, 7, 8, 9):
        reaper.reconcile(f"service_revision:{revision(number, start).arn}")
    assert set(range(200)) - set(numbers(world.state.service_revisions)) == {7, 8}


def _delete_and_fail(tx: Transaction, record: ServiceDeployment) -> None:
    tx.delete(record)
    raise KeyError("undone")
