"""CloudWatch alarms that guard deployments, through the service controller."""

from __future__ import annotations

import msgspec
from alarm_kit import AlarmWorld
from alarm_kit import deployment_alarm as alarm
from control_kit import World, controlled, definition, deployment, new_service

from openecs.control.historian import Historian
from openecs.control.virtual_time import VirtualTime
from openecs.planning.why.service import ServiceStory, why_deployment
from openecs.shapes import ecs
from openecs.state.journal.protocol import HistoryQuery

ALARMS = ecs.DeploymentAlarms(alarm_names=("errors", "later"), enable=True, rollback=True)


def guarded(world: World) -> None:
    world.add_node("n1")
    service = new_service(world, 2)
    configuration = msgspec.structs.replace(service.deployment_configuration, alarms=ALARMS)
    world.put(msgspec.structs.replace(service, deployment_configuration=configuration))


async def settle(world: World, time: VirtualTime, condition: object) -> None:
    for _ in range(400):
        world.agents_obey()
        if condition():
            return
        await time.advance(1)
    raise AssertionError(world.events())


def update(world: World, now: float) -> None:
    """What UpdateService does to the records, as far as it matters here."""
    service = world.service()
    old = msgspec.structs.replace(service.deployments[0], status="ACTIVE")
    new = deployment(2, now, task_definition_arn=definition(2).arn)
    world.put(msgspec.structs.replace(service, deployments=(new, old)))


async def test_a_deployment_bakes_until_its_alarms_have_seen_it(world: World, time: VirtualTime) -> None:
    world.put(alarm("OK"))
    guarded(world)
    async with controlled(world, time):
        await settle(world, time, lambda: len(world.running()) == 2)
        since = time.now()
        assert world.service().deployments[0].rollout_state == "IN_PROGRESS"
        await settle(world, time, lambda: world.service().deployments[0].rollout_state == "COMPLETED")
        assert 170 <= time.now() - since <= 200


async def test_an_alarm_during_the_bake_rolls_back(world: World, time: VirtualTime) -> None:
    Historian(world.state, time, strict=True)
    world.put(alarm("OK"))
    guarded(world)
    async with controlled(world, time):
        await settle(world, time, lambda: world.service().deployments[0].rollout_state == "COMPLETED")
        update(world, time.now())
        await settle(world, time, lambda: len(world.running(2)) == 2 and not world.running(1))
        world.put(alarm("ALARM"))
        await settle(world, time, lambda: len(world.running(1)) == 2 and not world.running(2))
        said = world.events()
        assert any("deployment failed: alarm detected." in text for text in said)
        assert world.service().primary.rollout_state_reason.startswith("ECS deployment alarm: rolling back to")
        history = await world.state.store.history(HistoryQuery("deployment", "ecs-svc/2", kinds=("deployment",)))
        story = ServiceStory(world.service().arn, world.service(), world.tasks(), history)
        answer = why_deployment("ecs-svc/2", story, time.now())
        assert any("(alarm errors went into ALARM)" in line.text for line in answer.timeline)


async def test_an_alarm_that_was_there_before_is_ignored(world: World, time: VirtualTime) -> None:
    world.put(alarm("ALARM"))
    guarded(world)
    async with controlled(world, time):
        await settle(world, time, lambda: world.service().deployments[0].rollout_state == "COMPLETED")


async def test_composite_alarms_guard_as_well(world: World, time: VirtualTime) -> None:
    alarms = AlarmWorld(time)
    world.put(alarm("OK", "child"), alarms.composite_alarm("errors", "ALARM(child)"))
    guarded(world)
    async with controlled(world, time):
        await settle(world, time, lambda: world.service().deployments[0].rollout_state == "COMPLETED")
        update(world, time.now())
        await settle(world, time, lambda: len(world.running(2)) == 2)
        (composite,) = world.state.composite_alarms
        world.put(msgspec.structs.replace(composite, state="ALARM"))
        await settle(world, time, lambda: len(world.running(1)) == 2 and not world.running(2))
