"""The service loop over real state and placement, with agents that obey."""

from __future__ import annotations

import msgspec
from control_kit import CLUSTER, PREFIX, REGION, World, controlled, definition, deployment, new_service

from openecs.control.virtual_time import VirtualTime
from openecs.model.resources import Resources
from openecs.model.tags import ResourceTags
from openecs.model.task import Task
from openecs.shapes import ecs


def standalone_task(node: str, *, memory: int) -> Task:
    return Task(
        arn=f"{PREFIX}:task/default/other",
        region=REGION,
        cluster_arn=CLUSTER,
        task_definition_arn=f"{PREFIX}:task-definition/web:1",
        launch_type="EC2",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=1.0,
        group="family:web",
        containers=(),
        reservation=Resources(memory=memory),
        node_id=node,
    )


async def steady(world: World, time: VirtualTime, within: float = 3600.0) -> None:
    def done() -> bool:
        return not world.agents_obey() and world.service().steady

    await time.run_until(done, within=within)


async def test_tasks_are_placed_started_and_announced(world: World, time: VirtualTime):
    world.add_node("a")
    world.add_node("b")
    async with controlled(world, time):
        world.put(new_service(world, 3))
        await steady(world, time)
    tasks = world.running()
    assert {task.node_id for task in tasks} == {"a", "b"}
    assert {(task.group, task.started_by, task.deployment_id) for task in tasks} == {
        ("service:web", "ecs-svc/1", "ecs-svc/1")
    }
    ids = " ".join(f"(task {task.arn.rsplit('/', 1)[1]})" for task in tasks)
    assert world.events() == [
        f"(service web) has started 3 tasks: {ids}.",
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]


async def test_update_replaces_tasks_and_says_so_in_order(world: World, time: VirtualTime):
    world.add_node("a")
    async with controlled(world, time):
        world.put(new_service(world, 1))
        await steady(world, time)
        old = msgspec.structs.replace(world.service().deployments[0], status="ACTIVE")
        new = deployment(2, time.now())
        world.put(msgspec.structs.replace(world.service(), deployments=(new, old)))
        await time.run_until(lambda: not world.agents_obey() and len(world.service().deployments) == 1)
        await steady(world, time)
    (task,) = world.running()
    (gone,) = [task for task in world.tasks() if task.stopped]
    assert task.deployment_id == "ecs-svc/2"
    assert gone.stopped_reason == "Scaling activity initiated by (deployment ecs-svc/1)"
    assert gone.stop_code == "ServiceSchedulerInitiated"
    assert world.events()[3:] == [
        f"(service web) has started 1 tasks: (task {task.arn.rsplit('/', 1)[1]}).",
        f"(service web) has stopped 1 running tasks: (task {gone.arn.rsplit('/', 1)[1]}).",
        "(service web) (deployment ecs-svc/2) deployment completed.",
        "(service web) has reached a steady state.",
    ]


async def test_a_service_without_instances_says_so_once_and_starts_when_one_joins(world: World, time: VirtualTime):
    async with controlled(world, time):
        world.put(new_service(world, 1))
        await time.run_until(lambda: bool(world.events()))
        await time.advance(3600)
        (said,) = world.events()
        assert said == (
            "(service web) was unable to place a task because no container instance met all of its requirements. "
            "Reason: No Container Instances were found in your cluster. For more information, see the Troubleshooting "
            "section of the Amazon ECS Developer Guide."
        )
        joined_at = time.time()
        world.add_node("a")
        await steady(world, time, within=1.0)
        assert time.time() == joined_at


async def test_what_does_not_fit_waits_for_another_task_to_stop(world: World, time: VirtualTime):
    world.add_node("a", memory=350)
    world.put(standalone_task("a", memory=100))
    async with controlled(world, time):
        world.put(new_service(world, 3))
        await time.run_until(lambda: not world.agents_obey() and len(world.running()) == 2)
        assert (
            "(service web) was unable to place a task because no container instance met all of its requirements. The "
            "closest matching (container-instance a) has insufficient memory available. For more information, see the "
            "Troubleshooting section of the Amazon ECS Developer Guide."
        ) in world.events()
        await time.advance(60)
        assert len(world.tasks()) == 2
        stopped_at = time.time()
        world.put(msgspec.structs.replace(standalone_task("a", memory=100), last_status="STOPPED"))
        await steady(world, time)
        assert time.time() == stopped_at
    assert len(world.running()) == 3


async def test_tasks_that_cannot_start_come_slower_and_slower_until_an_update(world: World, time: VirtualTime):
    world.add_node("a")
    world.broken.add(1)
    async with controlled(world, time):
        world.put(new_service(world, 1))

        def failed(count: int) -> bool:
            world.agents_obey()
            return world.service().deployments[0].failed_tasks >= count

        await time.run_until(lambda: failed(6))
        assert time.time() >= 1 + 2 + 4 + 8 + 16
        assert "(service web) is unable to consistently start tasks successfully." in world.events()
        fixed = deployment(2, time.now())
        old = msgspec.structs.replace(world.service().deployments[0], status="ACTIVE")
        world.put(msgspec.structs.replace(world.service(), deployments=(fixed, old)))
        before = time.time()
        await steady(world, time)
        assert time.time() == before
    assert [task.deployment_id for task in world.running()] == ["ecs-svc/2"]


async def test_draining_an_instance_moves_its_tasks(world: World, time: VirtualTime):
    first = world.add_node("a")
    async with controlled(world, time):
        world.put(new_service(world, 2))
        await steady(world, time)
        world.add_node("b")
        world.set_instance(first, "DRAINING")
        await time.run_until(
            lambda: not world.agents_obey() and [task.node_id for task in world.running()] == ["b", "b"]
        )


async def test_a_deleted_service_becomes_inactive(world: World, time: VirtualTime):
    world.add_node("a")
    async with controlled(world, time):
        world.put(new_service(world, 2))
        await steady(world, time)
        world.put(msgspec.structs.replace(world.service(), status="DRAINING", desired_count=0))

        def gone() -> bool:
            world.agents_obey()
            return world.service().status == "INACTIVE"

        await time.run_until(gone)
    assert world.running() == []
    assert [d.status for d in world.service().deployments] == ["INACTIVE"]


async def test_tags_are_propagated_and_managed(world: World, time: VirtualTime):
    world.add_node("a")
    service = new_service(world, 1, propagate_tags="SERVICE", enable_ecs_managed_tags=True)
    async with controlled(world, time):
        world.put(ResourceTags(arn=service.arn, tags=(ecs.Tag(key="team", value="blue"),)), service)
        await steady(world, time)
    tags = world.state.tags.get(world.running()[0].arn)
    assert tags is not None
    assert [(tag.key, tag.value) for tag in tags.tags] == [
        ("aws:ecs:clusterName", "default"),
        ("aws:ecs:serviceName", "web"),
        ("team", "blue"),
    ]


async def test_fargate_tasks_that_find_no_pool_say_so(world: World, time: VirtualTime):
    world.add_node("a")
    world.put(definition(3, network_mode="host", compatibilities=("EC2", "FARGATE")))
    service = new_service(
        world, 1, deployments=(deployment(3, time.now(), launch_type="FARGATE", platform_version="LATEST"),)
    )
    async with controlled(world, time):
        world.put(service)
        await time.run_until(lambda: bool(world.events()))
    assert world.events()[0].startswith("(service web) was unable to place a task. Reason: Capacity is unavailable")


async def test_a_large_service_starts_in_several_steps(world: World, time: VirtualTime):
    world.add_node("a", memory=100_000)
    async with controlled(world, time):
        world.put(new_service(world, 600))
        await steady(world, time)
    assert len(world.running()) == 600


async def test_a_restart_goes_on_where_it_was(world: World, time: VirtualTime):
    world.add_node("a")
    async with controlled(world, time):
        world.put(new_service(world, 2))
        await time.run_until(lambda: len(world.tasks()) == 2)
    # A new controller knows only what state holds.
    async with controlled(world, time):
        await steady(world, time)
    assert len(world.tasks()) == 2
