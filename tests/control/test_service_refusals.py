"""Places that refused tasks, what is said of it, and when they are tried again; alarms that wake."""

from __future__ import annotations

import msgspec
from alarm_kit import deployment_alarm as alarm
from control_kit import World, controlled, deployment, new_service
from places import add_node, by_node, by_zone

from openecs.control import daemon_instances, launch_failures, service_zones
from openecs.control.launch_spec import Launched
from openecs.control.loop import After
from openecs.control.room_left import room_left
from openecs.control.virtual_time import VirtualTime
from openecs.errors import invalid_parameter
from openecs.model.resources import Resources
from openecs.planning.service_actions import Start
from openecs.shapes import ecs

A, B = "eu-west-1a", "eu-west-1b"


def daemon(world: World, **changes: object):
    configuration = ecs.DeploymentConfiguration(maximum_percent=100, minimum_healthy_percent=0)
    return new_service(world, 0, scheduling_strategy="DAEMON", deployment_configuration=configuration, **changes)


async def steady(world: World, time: VirtualTime) -> None:
    await time.run_until(lambda: not world.agents_obey() and world.service().steady, within=60.0)


class Refusing:
    """A launcher that answers as it is told, once it is told to."""

    def __init__(self, world: World) -> None:
        self._launch = world.launcher.launch
        self.calls = 0
        self.answer: Exception | Launched | None = None
        world.launcher.launch = self

    def __call__(self, tx, spec, *, now, ids):
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or self._launch(tx, spec, now=now, ids=ids)


async def test_a_zone_whose_launch_is_refused_as_a_whole_is_not_tried_again_at_once(world, time):
    add_node(world, "a", zone=A)
    refusing = Refusing(world)
    async with controlled(world, time):
        world.put(new_service(world, 2, availability_zone_rebalancing="ENABLED"))
        await steady(world, time)
        refusing.answer = invalid_parameter("Something is wrong.")
        refusing.calls = 0
        add_node(world, "b", zone=B)
        await time.advance(60)
        assert refusing.calls == 1
        refusing.answer = None
        # Nothing changes; the time is over.
        await time.advance(service_zones.FULL_LASTS)
        await time.run_until(lambda: not world.agents_obey() and by_zone(world) == {"a": 1, "b": 1}, within=60.0)


async def test_instances_whose_launch_is_refused_as_a_whole_are_tried_again_when_the_time_is_over(world, time):
    refusing = Refusing(world)
    refusing.answer = invalid_parameter("Something is wrong.")
    for number in range(3):
        add_node(world, f"n{number}")
    async with controlled(world, time) as loop:
        # A resync would look at it as well.
        loop._resync_every = 1e9
        world.put(daemon(world))
        await time.advance(300)
        assert refusing.calls == 1
        assert by_node(world) == {}
        refusing.answer = None
        await time.advance(daemon_instances.REFUSAL_LASTS)
        assert by_node(world) == {"n0": 1, "n1": 1, "n2": 1}


def test_a_zone_whose_launch_is_refused_as_a_whole_is_left_alone_by_the_next_looks(world):
    add_node(world, "a", zone=A)
    refusing = Refusing(world)
    world.put(new_service(world, 2, availability_zone_rebalancing="ENABLED"))
    for _ in range(4):
        world.controller.reconcile(world.service().arn)
        world.agents_obey()
    assert world.service().steady
    add_node(world, "b", zone=B)
    refusing.answer = invalid_parameter("Something is wrong.")
    refusing.calls = 0
    results = [world.controller.reconcile(world.service().arn) for _ in range(5)]
    assert refusing.calls == 1
    assert results[-1] == After(service_zones.FULL_LASTS)


def test_refusals_name_the_time_to_try_again(world):
    for name in ("big", "small"):
        add_node(world, name, memory=1000 if name == "big" else 50)
    world.put(daemon(world))
    result = world.controller.reconcile(world.service().arn)
    assert by_node(world) == {"big": 1}
    assert result == After(daemon_instances.REFUSAL_LASTS)


def test_too_many_waiting_tasks_are_told_whatever_the_nearest_instance_lacks(world):
    add_node(world, "a", memory=50)
    world.put(new_service(world, 1))
    refusing = Refusing(world)
    with world.state.transaction() as tx:
        nearest = world.launcher.launch(tx, spec(world), now=1.0, ids=world.ids).nearest
    assert nearest is not None
    too_many = ecs.Failure(arn=world.service().cluster_arn, reason=launch_failures.TOO_MANY_WAITING)
    refusing.answer = Launched((), (too_many,), nearest)
    world.controller.reconcile(world.service().arn)
    (said,) = world.events()
    assert said.startswith("(service web) was unable to place tasks in your cluster because the tasks provisioning ")


def spec(world: World):
    service = world.service()
    launches = world.controller._launches
    first = service.deployments[0]
    cluster = world.state.clusters.get(service.cluster_arn)
    definition = world.state.task_definitions.get(first.task_definition_arn)
    return launches._spec(service, first, cluster, definition, Start(first.id, 1, ""))


def test_scale_in_of_a_service_that_packs_empties_the_emptiest_instance(world):
    packs = (ecs.PlacementStrategy(type="binpack", field="memory"),)
    for name, memory in (("big", 1000), ("small", 250)):
        add_node(world, name, memory=memory)
    world.put(new_service(world, 4, placement_strategy=packs))
    for _ in range(4):
        world.controller.reconcile(world.service().arn)
        world.agents_obey()
    assert by_node(world) == {"big": 2, "small": 2}
    assert dict(room_left(world.state, world.service())) == {"big": 800, "small": 50}
    assert dict(room_left(world.state, msgspec.structs.replace(world.service(), placement_strategy=()))) == {}
    for desired, nodes in ((3, {"big": 1, "small": 2}), (2, {"small": 2})):
        world.put(msgspec.structs.replace(world.service(), desired_count=desired))
        world.controller.reconcile(world.service().arn)
        world.agents_obey()
        assert by_node(world) == nodes


def test_room_that_is_left_is_by_what_is_packed(world):
    world.put(new_service(world, 0, placement_strategy=(ecs.PlacementStrategy(type="binpack", field="cpu"),)))
    add_node(world, "a")
    node = world.state.nodes.get("a")
    world.put(msgspec.structs.replace(node, capacity=Resources(cpu=77, memory=1)))
    left = room_left(world.state, world.service())
    assert (left["a"], left.get("gone"), len(left)) == (77, None, 1)


async def test_an_alarm_wakes_the_services_that_name_it(world, time):
    alarms = ecs.DeploymentAlarms(alarm_names=("errors",), enable=True, rollback=True)
    configuration = ecs.DeploymentConfiguration(maximum_percent=200, minimum_healthy_percent=100, alarms=alarms)
    add_node(world, "a")
    async with controlled(world, time) as loop:
        loop._resync_every = 1e9
        world.put(new_service(world, 1, deployment_configuration=configuration), alarm("OK"), alarm("OK", "other"))
        await steady(world, time)
        await time.advance(30)
        service = world.service()
        older = msgspec.structs.replace(service.deployments[0], status="ACTIVE")
        world.put(msgspec.structs.replace(service, deployments=(deployment(2, time.now()), older)))
        await time.advance(30)
        assert world.service().primary.id == "ecs-svc/2"
        reconciled = loop.reconciled
        world.put(alarm("ALARM", "other"))
        await time.advance(30)
        assert loop.reconciled == reconciled
        world.put(alarm("ALARM"))
        await time.advance(30)
        assert world.service().primary.id == "ecs-svc/1"
