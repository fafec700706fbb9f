"""Instances that their node's owner took back end with their last task; drained ones do not."""

from __future__ import annotations

import msgspec
from control_kit import World, new_service, running_loop

from openecs.control.returned_instances import ReturnedInstances
from openecs.control.virtual_time import VirtualTime
from openecs.model.node import ContainerInstance
from openecs.model.resources import Resources
from openecs.model.task import Task


def returning(world: World, time: VirtualTime):
    return running_loop(ReturnedInstances(world.state).loop(time.timing()))


def task_on(world: World, instance: ContainerInstance) -> Task:
    task = Task(
        arn=instance.arn.replace("container-instance", "task"),
        region=instance.region,
        cluster_arn=instance.cluster_arn,
        task_definition_arn=new_service(world, 1).deployments[0].task_definition_arn,
        launch_type="EC2",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=1.0,
        group="family:web",
        containers=(),
        reservation=Resources(),
        node_id=instance.node_id,
        container_instance_arn=instance.arn,
    )
    world.put(task)
    return task


def drained(world: World, name: str, *, taken_back: bool) -> ContainerInstance:
    instance = msgspec.structs.replace(world.add_node(name), status="DRAINING", taken_back=taken_back)
    world.put(instance)
    return instance


def status(world: World, instance: ContainerInstance) -> str:
    found = world.state.container_instances.get(instance.arn)
    assert found is not None
    return found.status


async def test_ends_with_the_last_task(world: World, time: VirtualTime) -> None:
    returned, drained_by_hand = drained(world, "a", taken_back=True), drained(world, "b", taken_back=False)
    tasks = [task_on(world, instance) for instance in (returned, drained_by_hand)]
    async with returning(world, time):
        await time.advance(7 * 3600)
        assert status(world, returned) == "DRAINING"
        for task in tasks:
            world.put(msgspec.structs.replace(task, desired_status="STOPPED", last_status="STOPPED", stopped_at=2.0))
        await time.advance(1)
        assert status(world, returned) == "INACTIVE"
        assert status(world, drained_by_hand) == "DRAINING"


async def test_one_whose_tasks_ended_before_a_restart_ends_too(world: World, time: VirtualTime) -> None:
    returned = drained(world, "a", taken_back=True)
    async with returning(world, time):
        await time.advance(1)
        assert status(world, returned) == "INACTIVE"
