"""A deployment's tasks are started from the digests that its first one had."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, World, cluster, controlled, definition, deployment, new_service, running_loop
from test_provisioning import provider, strategy

from openecs.control.provisioning import Provisioning
from openecs.control.virtual_time import VirtualTime
from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.service import ImagePin
from openecs.model.task import Task
from openecs.shapes import ecs

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Tagged(World):
    """Agents find under the tag what it means at the time, unless they are told a digest."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time)
        self.tag: str | None = A

    def _obey(self, task: Task) -> Task | None:
        after = super()._obey(task)
        if after is None or after.last_status != "RUNNING":
            return after
        containers = tuple(
            msgspec.structs.replace(c, image_digest=c.pinned_digest or self.tag) for c in after.containers
        )
        return msgspec.structs.replace(after, containers=containers)

    def digests(self) -> list[str | None]:
        """What the containers of running tasks run."""
        return [container.image_digest for task in self.running() for container in task.containers]

    def told(self) -> list[str | None]:
        """What the agents of running tasks were told; those that were told nothing first."""
        told = [container.pinned_digest for task in self.running() for container in task.containers]
        return sorted(told, key=lambda digest: digest or "")

    def update(self, **changes: object) -> None:
        self.put(msgspec.structs.replace(self.service(), steady=False, **changes))

    def redeploy(self, number: int) -> None:
        newest = deployment(number, self.clock.now(), task_definition_arn=f"{PREFIX}:task-definition/web:1")
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in self.service().deployments)
        self.update(deployments=(newest, *older))


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def world(time: VirtualTime) -> Tagged:
    world = Tagged(time)
    world.add_node("n1", memory=5000)
    return world


async def steady(world: World, time: VirtualTime) -> None:
    await time.run_until(lambda: not world.agents_obey() and world.service().steady, within=3600.0)


async def test_later_tasks_of_a_deployment_are_started_from_its_digest(world: Tagged, time: VirtualTime) -> None:
    async with controlled(world, time):
        world.put(new_service(world, 1))
        await steady(world, time)
        assert world.told() == [None]
        world.tag = B
        world.update(desired_count=4)
        await steady(world, time)
        assert world.told() == [None, A, A, A]
        world.redeploy(7)
        await steady(world, time)
        assert world.digests() == [B] * 4
        (settled,) = world.service().deployments
        assert settled.pins == (ImagePin(container="web", image="web", digest=B),)


async def test_a_deployment_of_no_tasks_settles_with_the_first_one(world: Tagged, time: VirtualTime) -> None:
    async with controlled(world, time):
        world.put(new_service(world, 0))
        await steady(world, time)
        assert world.service().deployments[0].rollout_state == "COMPLETED"
        world.tag = B
        world.update(desired_count=1)
        await steady(world, time)
        world.tag = A
        world.update(desired_count=2)
        await steady(world, time)
        assert (world.told(), world.digests()) == ([None, B], [B, B])


async def test_images_that_no_registry_knows_are_used_by_name(world: Tagged, time: VirtualTime) -> None:
    world.tag = None
    async with controlled(world, time):
        world.put(new_service(world, 1))
        await steady(world, time)
        world.update(desired_count=2)
        await steady(world, time)
    assert world.told() == [None, None]
    assert world.service().deployments[0].pins == ()


@pytest.mark.parametrize("at_first", [2, 0])
async def test_going_back_means_the_image_of_that_time(world: Tagged, time: VirtualTime, at_first: int) -> None:
    world.broken.add(2)
    breaker = ecs.DeploymentCircuitBreaker(enable=True, rollback=True)
    configuration = ecs.DeploymentConfiguration(
        maximum_percent=100, minimum_healthy_percent=0, deployment_circuit_breaker=breaker
    )
    async with controlled(world, time):
        world.put(new_service(world, at_first, deployment_configuration=configuration))
        await steady(world, time)
        world.update(desired_count=2)
        await steady(world, time)
        world.tag = B
        older = msgspec.structs.replace(world.service().deployments[0], status="ACTIVE")
        world.update(deployments=(deployment(2, world.clock.now()), older))
        await time.run_until(
            lambda: not world.agents_obey() and world.service().deployments[0].id == "ecs-svc/1", within=3600.0
        )
        await steady(world, time)
    assert world.digests() == [A, A]
    assert world.told() == [A, A]


async def test_a_task_that_waited_for_a_machine_is_started_from_what_was_settled_meanwhile(time: VirtualTime) -> None:
    world = Tagged(time)
    world.put(provider("big", "big"), msgspec.structs.replace(cluster(), capacity_providers=("big",)), definition(1))
    group = (ecs.Attribute(name=GROUP_ATTRIBUTE, value="big"),)
    provisioning = Provisioning(world.state, world.launcher, time, world.ids)
    timing = time.timing()
    world.put(msgspec.structs.replace(world.add_node("n1", memory=100), attributes=group))
    async with controlled(world, time), running_loop(provisioning.loop(timing)):
        first = deployment(1, world.clock.now(), capacity_provider_strategy=strategy(big=1))
        world.put(new_service(world, 2, deployments=(first,)))
        await time.run_until(
            lambda: (
                not world.agents_obey() and len(world.running()) == world.state.tasks.count("unplaced", CLUSTER) == 1
            ),
            within=60.0,
        )
        world.tag = B
        world.put(msgspec.structs.replace(world.add_node("n2", memory=100), attributes=group))
        await time.run_until(lambda: not world.agents_obey() and len(world.running()) == 2, within=700.0)
    assert world.digests() == [A, A]
