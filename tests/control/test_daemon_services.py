"""DAEMON services with the real controller, state and launcher, in virtual time."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, REGION, World, controlled, deployment, new_service
from places import add_node, by_node, connect, tag

from openecs.control import service_launches
from openecs.control.virtual_time import VirtualTime
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.shapes import ecs

ROLE = ecs.PlacementConstraint(type="memberOf", expression="attribute:role == edge")


def daemon(world: World, *, minimum: int = 0, **changes: object) -> Service:
    configuration = ecs.DeploymentConfiguration(maximum_percent=100, minimum_healthy_percent=minimum)
    return new_service(world, 0, scheduling_strategy="DAEMON", deployment_configuration=configuration, **changes)


def other_task(node: str, *, memory: int = 100) -> Task:
    return Task(
        arn=f"{PREFIX}:task/default/other-{node}",
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
        container_instance_arn=f"{PREFIX}:container-instance/default/{node}",
    )


async def steady(world: World, time: VirtualTime, desired: int, within: float = 3600.0) -> None:
    def done() -> bool:
        service = world.service()
        return not world.agents_obey() and service.steady and service.desired_count == desired

    await time.run_until(done, within=within)
    assert len(world.running()) == desired


async def test_instances_that_join_get_a_task_and_desired_count_follows(world: World, time: VirtualTime):
    add_node(world, "a")
    async with controlled(world, time):
        world.put(daemon(world))
        await steady(world, time, 1)
        joined_at = time.time()
        add_node(world, "b")
        await steady(world, time, 2, within=1.0)
        assert time.time() == joined_at
    assert by_node(world) == {"a": 1, "b": 1}
    assert world.events()[1:3] == [
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]


async def test_a_daemon_gets_the_room_of_a_new_instance_before_a_waiting_service(world: World, time: VirtualTime):
    async with controlled(world, time):
        hungry = new_service(world, 3, arn=f"{PREFIX}:service/default/hungry", name="hungry")
        world.put(hungry)
        await time.run_until(lambda: bool(world.events("hungry")))
        world.put(daemon(world))
        await steady(world, time, 0)
        add_node(world, "a", memory=200)
        await steady(world, time, 1)
        await time.run_until(lambda: not world.agents_obey())
    assert by_node(world) == {"a": 1}
    assert by_node(world, "hungry") == {"a": 1}


async def test_update_replaces_the_task_of_each_instance_one_for_one(world: World, time: VirtualTime):
    for name in "abc":
        add_node(world, name)
    async with controlled(world, time):
        world.put(daemon(world, minimum=60))
        await steady(world, time, 3)
        old = msgspec.structs.replace(world.service().deployments[0], status="ACTIVE")
        new = deployment(2, time.now())
        world.put(msgspec.structs.replace(world.service(), deployments=(new, old)))

        def replaced() -> bool:
            assert len(world.running()) >= 2
            assert max(by_node(world).values()) == 1
            return not world.agents_obey() and len(world.running(2)) == 3

        await time.run_until(replaced)
        await steady(world, time, 3)
    assert [d.id for d in world.service().deployments] == ["ecs-svc/2"]


async def test_constraints_choose_the_instances_and_follow_their_attributes(world: World, time: VirtualTime):
    add_node(world, "a", role="edge")
    add_node(world, "b")
    async with controlled(world, time):
        world.put(daemon(world, placement_constraints=(ROLE,)))
        await steady(world, time, 1)
        assert by_node(world) == {"a": 1}
        tag(world, "b", role="edge")
        await steady(world, time, 2)
        tag(world, "a")
        await steady(world, time, 1)
        assert by_node(world) == {"b": 1}


async def test_a_constraint_on_running_tasks_does_not_drive_the_daemon_away(world: World, time: VirtualTime):
    add_node(world, "a")
    quiet = ecs.PlacementConstraint(type="memberOf", expression="runningTasksCount == 0")
    async with controlled(world, time):
        world.put(daemon(world, placement_constraints=(quiet,)))
        await steady(world, time, 1)
        await time.advance(3600)
    assert len(world.tasks()) == 1


async def test_a_full_instance_is_said_once_and_gets_its_task_when_room_is_made(world: World, time: VirtualTime):
    add_node(world, "a")
    add_node(world, "b", memory=150)
    world.put(other_task("b"))
    async with controlled(world, time):
        world.put(daemon(world))
        await time.run_until(lambda: not world.agents_obey() and len(world.running()) == 1)
        await time.advance(3 * 3600)
        assert by_node(world) == {"a": 1}
        assert world.service().desired_count == 2
        assert not world.service().steady
        (full,) = [text for text in world.events() if "was unable to place a task" in text]
        assert full == (
            "(service web) was unable to place a task because no container instance met all of its requirements. The "
            "closest matching (container-instance b) has insufficient memory available. For more information, see the "
            "Troubleshooting section of the Amazon ECS Developer Guide."
        )
        stopped_at = time.time()
        world.put(msgspec.structs.replace(other_task("b"), last_status="STOPPED"))
        await steady(world, time, 2)
        assert time.time() == stopped_at


async def test_full_instances_do_not_keep_the_others_from_their_turn(
    world: World, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service_launches, "MAX_STARTS", 2)
    for name in "abcde":
        add_node(world, name, memory=50)
    add_node(world, "f")
    async with controlled(world, time):
        world.put(daemon(world))
        await time.run_until(lambda: not world.agents_obey() and by_node(world) == {"f": 1}, within=1.0)


async def test_draining_stops_the_daemon_last(world: World, time: VirtualTime):
    first = add_node(world, "a")
    add_node(world, "b")
    world.put(other_task("a"))
    async with controlled(world, time):
        world.put(daemon(world))
        await steady(world, time, 2)
        world.set_instance(first, "DRAINING")
        await time.run_until(lambda: not world.agents_obey() and world.service().desired_count == 1)
        await time.advance(7200)
        assert by_node(world) == {"a": 1, "b": 1}
        world.put(msgspec.structs.replace(other_task("a"), last_status="STOPPED"))
        await time.run_until(lambda: not world.agents_obey() and by_node(world) == {"b": 1}, within=1.0)
        world.set_instance(first, "ACTIVE")
        await steady(world, time, 2)


async def test_two_daemons_do_not_wait_for_each_other_on_a_draining_instance(world: World, time: VirtualTime):
    first = add_node(world, "a")
    async with controlled(world, time):
        world.put(daemon(world), daemon(world, arn=f"{PREFIX}:service/default/logs", name="logs"))
        await steady(world, time, 1)
        await time.run_until(lambda: not world.agents_obey() and by_node(world, "logs") == {"a": 1})
        world.set_instance(first, "DRAINING")
        await time.run_until(lambda: not world.agents_obey() and not by_node(world) and not by_node(world, "logs"))


async def test_a_disconnected_instance_keeps_its_task_and_gets_none(world: World, time: VirtualTime):
    add_node(world, "a")
    add_node(world, "b", connected=False)
    async with controlled(world, time):
        world.put(daemon(world))
        await steady(world, time, 1)
        connect(world, "a", connected=False)
        await time.advance(3600)
        assert by_node(world) == {"a": 1}
        connect(world, "b")
        await steady(world, time, 2, within=1.0)
    assert by_node(world) == {"a": 1, "b": 1}


async def test_external_instances_get_external_daemons_only(world: World, time: VirtualTime):
    add_node(world, "a")
    add_node(world, "b", **{"openecs.launch-types": "EXTERNAL"})
    async with controlled(world, time):
        world.put(daemon(world, deployments=(deployment(1, time.now(), launch_type="EXTERNAL"),)))
        await steady(world, time, 1)
    assert by_node(world) == {"b": 1}


async def test_a_deleted_daemon_service_stops_everywhere(world: World, time: VirtualTime):
    add_node(world, "a")
    add_node(world, "b")
    async with controlled(world, time):
        world.put(daemon(world))
        await steady(world, time, 2)
        world.put(msgspec.structs.replace(world.service(), status="DRAINING", desired_count=0))
        await time.run_until(lambda: not world.agents_obey() and world.service().status == "INACTIVE")
    assert world.running() == []
