"""Services that wait for room: what wakes them, and what does not."""

from __future__ import annotations

import msgspec
from control_kit import CLUSTER, PREFIX, REGION, World, cluster, deployment, new_service, running_loop

from openecs.control import service_launches
from openecs.control.virtual_time import VirtualTime
from openecs.control.waiting_services import Shortage, WaitingServices
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task, Waiting
from openecs.planning.service_actions import Start


def task_on(node: str, name: str, *, memory: int = 0, **changes: object) -> Task:
    base = Task(
        arn=f"{PREFIX}:task/default/{name}",
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
    return msgspec.structs.replace(base, **changes)


def waiting_service(world: World, name: str, **changes: object) -> Service:
    return new_service(world, 1, arn=f"{PREFIX}:service/default/{name}", name=name, **changes)


def ended(task: Task) -> Task:
    return msgspec.structs.replace(task, desired_status="STOPPED", last_status="STOPPED", stopped_at=1.0)


def end(world: World, waiting: WaitingServices, task: Task) -> list[str]:
    """Let a task end, and whom that wakes by name."""
    after = ended(task)
    world.put(after)
    return [key.rsplit("/", 1)[1] for key in waiting.task_changed(task, after)]


def test_only_a_node_with_room_for_its_tasks_wakes_a_service(world: World):
    world.add_node("a", memory=300)
    small, large = task_on("a", "small", memory=100), task_on("a", "large", memory=200)
    world.put(small, large)
    waiting = WaitingServices(world.state)
    waiting.put(waiting_service(world, "modest"), (Shortage(fargate=False, memory=100),))
    waiting.put(waiting_service(world, "hungry"), (Shortage(fargate=False, memory=300),))
    waiting.put(waiting_service(world, "mixed"), (Shortage(False, 0, 999), Shortage(False, 0, 300)))
    assert waiting.node_changed("a") == []
    assert end(world, waiting, small) == ["modest"]
    assert end(world, waiting, large) == ["modest", "hungry", "mixed"]
    waiting.discard(f"{PREFIX}:service/default/hungry")
    assert [key.rsplit("/", 1)[1] for key in waiting.node_changed("a")] == ["modest", "mixed"]
    assert waiting.node_changed("unknown") == []


def test_other_clusters_and_the_pool_are_others_business(world: World):
    here = world.add_node("here")
    elsewhere = f"{PREFIX}:cluster/other"
    world.put(cluster("other"), msgspec.structs.replace(here, arn="there", cluster_arn=elsewhere, node_id="there"))
    node = world.state.nodes.get("here")
    world.put(msgspec.structs.replace(node, id="there"), msgspec.structs.replace(node, id="pool", fargate_pool=True))
    waiting = WaitingServices(world.state)
    waiting.put(waiting_service(world, "near"), (Shortage(fargate=False),))
    waiting.put(waiting_service(world, "far", cluster_arn=elsewhere), (Shortage(fargate=False),))
    waiting.put(waiting_service(world, "pooled", cluster_arn=elsewhere), (Shortage(fargate=True),))
    found = {name: [key.rsplit("/", 1)[1] for key in waiting.node_changed(name)] for name in ("here", "there", "pool")}
    assert found == {"here": ["near"], "there": ["far"], "pool": ["pooled"]}


def test_what_no_node_gives_comes_with_any_task_that_ends_in_the_region_or_waits_no_more(world: World):
    world.add_node("a", memory=10)
    waiting = WaitingServices(world.state)
    waiting.put(waiting_service(world, "full"), (Shortage(False, 0, 999, elsewhere=True),))
    waiting.put(waiting_service(world, "abroad", region="eu-north-1"), (Shortage(False, 0, 999, elsewhere=True),))
    far = task_on("pool", "far", cluster_arn=f"{PREFIX}:cluster/other")
    world.put(far)
    assert end(world, waiting, far) == ["full"]
    hopeful = task_on("a", "hopeful", node_id=None, container_instance_arn=None, waiting=Waiting())
    placed = msgspec.structs.replace(hopeful, waiting=None, node_id="a")
    assert [key.rsplit("/", 1)[1] for key in waiting.task_changed(hopeful, placed)] == ["full"]
    running = msgspec.structs.replace(placed, last_status="RUNNING")
    assert waiting.task_changed(placed, running) == []


async def test_tasks_that_end_elsewhere_do_not_have_a_full_cluster_searched_again(world: World, time: VirtualTime):
    world.add_node("a", memory=100)
    other = f"{PREFIX}:cluster/other"
    instance = world.add_node("b")
    world.put(cluster("other"), msgspec.structs.replace(instance, cluster_arn=other))
    mine, theirs = task_on("a", "mine", memory=100), task_on("b", "theirs", cluster_arn=other)
    world.put(mine, theirs)
    loop = world.controller.loop(time.timing(jitter=0.0))
    async with running_loop(loop):
        world.put(new_service(world, 1))
        await time.run_until(lambda: bool(world.events()))
        await time.advance(1.0)
        looked = loop.reconciled
        world.put(ended(theirs))
        await time.advance(1.0)
        assert loop.reconciled == looked
        world.put(ended(mine))
        await time.run_until(lambda: [task.node_id for task in world.tasks()] == ["a"], within=1.0)


def test_instances_that_are_gone_do_not_let_their_tasks_go_anywhere(world: World):
    there = world.add_node("a")
    service = new_service(world, 2, scheduling_strategy="DAEMON", deployments=(deployment(1, 0.0),))
    world.put(service)
    launches: service_launches.ServiceLaunches = world.controller._launches
    with world.state.transaction() as tx:
        start = Start("ecs-svc/1", 1, "why", container_instances=("gone",))
        assert launches.start(tx, service, start, 5.0) == ([], None)
    assert world.tasks() == ()
    with world.state.transaction() as tx:
        start = Start("ecs-svc/1", 2, "why", container_instances=("gone", there.arn))
        launches.start(tx, service, start, 5.0)
    assert [task.container_instance_arn for task in world.tasks()] == [there.arn]
