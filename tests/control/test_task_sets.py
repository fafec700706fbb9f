"""Services with the EXTERNAL deployment controller, with the real controller, state and launcher."""

from __future__ import annotations

import msgspec
from control_kit import PREFIX, World, controlled, deployment, new_service
from places import add_node

from openecs.control.virtual_time import VirtualTime
from openecs.model.service import Deployment, TaskSetSettings


def task_set(number: int, now: float, scale: float = 100.0, status: str = "ACTIVE") -> Deployment:
    arn = f"{PREFIX}:task-set/default/web/ecs-svc/{number}"
    settings = TaskSetSettings(arn=arn, scale=scale, stability_status_at=now)
    return deployment(number, now, status=status, rollout_state="COMPLETED", task_set=settings)


def put_sets(world: World, *sets: Deployment) -> None:
    world.put(msgspec.structs.replace(world.service(), deployments=sets))


def stable(world: World, *numbers: int) -> bool:
    """Whether exactly these sets are left and all are in STEADY_STATE."""
    moving = world.agents_obey()
    found = world.service().deployments
    return (
        not moving
        and [d.id for d in found] == [f"ecs-svc/{number}" for number in numbers]
        and all(d.task_set.stability_status == "STEADY_STATE" for d in found)
    )


async def test_a_handover_from_one_set_to_another(world: World, time: VirtualTime):
    add_node(world, "a", memory=2000)
    async with controlled(world, time):
        world.put(new_service(world, 4, deployment_controller="EXTERNAL", deployments=()))
        await time.advance(10)
        assert world.tasks() == ()
        put_sets(world, task_set(1, time.now(), status="PRIMARY"))
        await time.run_until(lambda: stable(world, 1))
        (first,) = world.service().deployments
        put_sets(world, task_set(2, time.now(), 25.0), first)
        await time.run_until(lambda: stable(world, 2, 1))
        assert [len(world.running(n)) for n in (1, 2)] == [4, 1]
        second, first = world.service().deployments
        grown = msgspec.structs.replace(
            second, status="PRIMARY", task_set=msgspec.structs.replace(second.task_set, scale=100.0)
        )
        put_sets(world, grown, msgspec.structs.replace(first, status="DRAINING"))
        await time.run_until(lambda: stable(world, 2))
        assert [len(world.running(n)) for n in (1, 2)] == [0, 4]
    one = next(text for text in world.events() if "taskSet ecs-svc/2) has started 1 tasks" in text)
    assert one.startswith("(service web, taskSet ecs-svc/2) has started 1 tasks: (task ")
    assert any(
        text.startswith("(service web, taskSet ecs-svc/1) has stopped 4 running tasks") for text in world.events()
    )
    assert world.events()[-1] == "(service web) has reached a steady state."


async def test_a_set_that_fails_does_not_disturb_the_other(world: World, time: VirtualTime):
    add_node(world, "a")
    world.broken.add(2)
    async with controlled(world, time):
        sets = (task_set(2, time.now()), task_set(1, time.now(), status="PRIMARY"))
        world.put(new_service(world, 2, deployment_controller="EXTERNAL", deployments=sets))

        def failing() -> bool:
            world.agents_obey()
            return world.service().deployments[0].failed_tasks >= 8

        await time.run_until(failing)
        assert len(world.running(1)) == 2
        assert world.service().deployments[1].task_set.stability_status == "STEADY_STATE"
        assert world.service().deployments[0].task_set.stability_status == "STABILIZING"


async def test_deleting_the_service_stops_every_set(world: World, time: VirtualTime):
    add_node(world, "a")
    async with controlled(world, time):
        sets = (task_set(2, time.now(), 50.0), task_set(1, time.now(), status="PRIMARY"))
        world.put(new_service(world, 2, deployment_controller="EXTERNAL", deployments=sets))
        await time.run_until(lambda: stable(world, 2, 1))
        world.put(msgspec.structs.replace(world.service(), status="DRAINING", desired_count=0))
        await time.run_until(lambda: not world.agents_obey() and world.service().status == "INACTIVE")
    assert world.running() == []
