"""Services behind load balancers: registration, deployments that wait for targets, draining before the stop."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from balancer_kit import BALANCER, Edge, balanced, balanced_loops, group_arn, revision, target_group
from control_kit import REGION, World, definition

from openecs import arn as arns
from openecs.control.task_targets import Unreachable, wanted_targets
from openecs.control.virtual_time import VirtualTime
from openecs.model.discovery import DiscoveryInstance
from openecs.model.load_balancer import LoadBalancer
from openecs.model.target_group import Target
from openecs.model.task import Task
from openecs.model.task_state import declare_stopped, request_stop
from openecs.shapes import ecs


@pytest.fixture
def world(time: VirtualTime) -> World:
    made = World(time)
    made.put(definition(1, network_mode="bridge"), definition(2, network_mode="bridge"))
    for name in "abc":
        made.add_node(name)
    return made


@pytest.fixture
def edge(world: World) -> Edge:
    return Edge(world)


async def steady(world: World, edge: Edge, time: VirtualTime) -> None:
    def done() -> bool:
        on_its_way_out = any(t.desired_status == "STOPPED" and not t.stopped for t in world.tasks())
        return not edge.all_goes_well() and world.service().steady and not on_its_way_out

    await time.run_until(done, within=3600)


def update(world: World, number: int, *groups: str) -> None:
    """A new deployment, as UpdateService makes it."""
    older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in world.service().deployments)
    world.put(msgspec.structs.replace(world.service(), deployments=(revision(world, number, *groups), *older)))


def stop(world: World, task: Task) -> None:
    """As StopTask does it."""
    known = world.state.tasks.get(task.arn)
    assert known is not None
    world.put(request_stop(known, now=world.clock.now(), stop_code="UserInitiated", reason="Task stopped by user"))


async def test_a_running_task_becomes_a_target_and_counts_when_it_is_healthy(
    world: World, edge: Edge, time: VirtualTime
):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await time.run_until(lambda: not edge.all_goes_well(healthy=lambda _: False) and bool(edge.targets()))
        (target,) = edge.targets()
        (task,) = world.running()
        assert (target.task_arn, target.id, target.port) == (
            task.arn,
            arns.short(task.container_instance_arn or ""),
            32768,
        )
        assert task.drains
        await time.advance(60)
        assert not world.service().steady
        assert world.service().deployments[0].rollout_state == "IN_PROGRESS"
        edge.says(target, "healthy")
        await time.run_until(lambda: world.service().steady)
        (task,) = world.running()
        assert task.targets_healthy_at is not None
    task_id = arns.short(task.arn)
    assert world.events() == [
        f"(service web) has started 1 tasks: (task {task_id}).",
        f"(service web) registered 1 targets in (target-group {group_arn()})",
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]


@pytest.mark.parametrize(
    ("protocol", "bindings", "port"),
    [
        ("TCP", [("udp", 1), ("tcp", 2)], 2),
        ("UDP", [("tcp", 1), ("udp", 2)], 2),
        ("TCP_UDP", [("tcp", 1), ("udp", 1)], 1),
        ("UDP", [("tcp", 1)], None),
        # One target has one port.
        ("TCP_UDP", [("tcp", 1), ("udp", 2)], None),
    ],
)
async def test_a_target_is_at_the_host_port_of_its_protocol(
    world: World, edge: Edge, time: VirtualTime, protocol: Any, bindings: list[tuple[Any, int]], port: int | None
):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await time.run_until(lambda: not edge.all_goes_well() and bool(edge.targets()))
    world.put(msgspec.structs.replace(target_group(), protocol=protocol))
    (task,) = world.running()
    found = tuple(ecs.NetworkBinding(container_port=80, host_port=host, protocol=kind) for kind, host in bindings)
    container = msgspec.structs.replace(task.containers[0], network_bindings=found)
    balancers = revision(world, 1).load_balancers
    (place,) = wanted_targets(world.state, msgspec.structs.replace(task, containers=(container,)), balancers, 1.0)
    if port is None:
        assert isinstance(place, Unreachable)
        assert "has no address" in place.why
    else:
        assert isinstance(place, Target)
        assert place.port == port


async def test_a_deployment_waits_for_target_health_and_drains_in_the_order_of_aws(
    world: World, edge: Edge, time: VirtualTime
):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (old,) = world.running()
        said = len(world.events())
        update(world, 2)
        await time.run_until(
            lambda: not edge.all_goes_well(healthy=lambda t: t.task_arn == old.arn) and len(edge.targets()) == 2
        )
        await time.advance(600)
        # The new target is not healthy: nothing may happen to the old task.
        assert {task.desired_status for task in world.tasks()} == {"RUNNING"}
        await time.run_until(
            lambda: not edge.all_goes_well(drains=False) and any(t.draining_since for t in edge.targets())
        )
        (going,) = [task for task in world.tasks() if task.arn == old.arn]
        assert (going.last_status, going.desired_status, going.drains) == ("DEACTIVATING", "STOPPED", True)
        await time.advance(100)
        assert world.state.tasks.get(old.arn).last_status == "DEACTIVATING"
        await steady(world, edge, time)
    assert world.state.tasks.get(old.arn).last_status == "STOPPED"
    (new,) = world.running()
    assert [t.task_arn for t in edge.targets()] == [new.arn]
    assert world.events()[said:] == [
        f"(service web) has started 1 tasks: (task {arns.short(new.arn)}).",
        f"(service web) registered 1 targets in (target-group {group_arn()})",
        f"(service web) has stopped 1 running tasks: (task {arns.short(old.arn)}).",
        f"(service web) deregistered 1 targets in (target-group {group_arn()})",
        "(service web, taskSet ecs-svc/1) has begun draining connections on 1 tasks.",
        "(service web) (deployment ecs-svc/2) deployment completed.",
        "(service web) has reached a steady state.",
    ]


async def test_a_deployment_waits_while_no_host_can_know_how_targets_are(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 2))
        await steady(world, edge, time)
        before = {task.arn for task in world.running()}
        (host,) = world.state.balancer_hosts
        with world.state.transaction() as tx:
            tx.delete(host)
        update(world, 2)
        for _ in range(20):
            edge.all_goes_well()
            await time.advance(30)
        # What it last saw counts for nothing: neither for the new tasks nor against the old ones.
        assert world.service().deployments[0].rollout_state == "IN_PROGRESS"
        assert before < {task.arn for task in world.running()}
        world.put(host)
        await steady(world, edge, time)
    assert world.service().deployments[0].rollout_state == "COMPLETED"
    assert before.isdisjoint({task.arn for task in world.running()})


async def test_the_deregistration_delay_ends_draining_that_no_host_ends(world: World, edge: Edge, time: VirtualTime):
    world.put(target_group(**{"deregistration_delay.timeout_seconds": "20"}))
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (task,) = world.running()
        stop(world, task)
        began = time.now()
        await time.run_until(
            lambda: not edge.all_goes_well(drains=False) and world.state.tasks.get(task.arn).stopped, within=60
        )
        assert time.now() - began == pytest.approx(20, abs=1)


async def test_several_target_groups_have_to_be_healthy_all(world: World, time: VirtualTime):
    edge = Edge(world, "blue", "green")
    async with balanced_loops(world, time):
        world.put(balanced(world, 1, "blue", "green"))
        blue_only = lambda target: target.target_group_arn == group_arn("blue")  # noqa: E731
        await time.run_until(lambda: not edge.all_goes_well(healthy=blue_only) and len(edge.targets()) == 2)
        await time.advance(60)
        assert not world.service().steady
        await steady(world, edge, time)
    registered = [text for text in world.events() if "registered" in text]
    assert registered == [
        f"(service web) registered 1 targets in (target-group {group_arn(name)})" for name in ("blue", "green")
    ]


async def test_an_unhealthy_target_is_replaced_before_it_goes(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 2))
        await steady(world, edge, time)
        sick, other = world.running()
        (target,) = edge.targets(sick)
        said = len(world.events())
        edge.says(target, "unhealthy", "Health checks failed with these codes: [503]")
        serving = lambda t: t.task_arn != sick.arn  # noqa: E731
        await time.run_until(
            lambda: (
                not edge.all_goes_well(healthy=serving)
                and world.service().steady
                and world.state.tasks.get(sick.arn).stopped
            )
        )
    gone = world.state.tasks.get(sick.arn)
    assert gone.stopped
    assert gone.stopped_reason == f"Task failed ELB health checks in (target-group {group_arn()})"
    assert gone.stop_code == "ServiceSchedulerInitiated"
    (new,) = [task for task in world.running() if task.arn != other.arn]
    assert world.events()[said:] == [
        (
            f"(service web) has started 1 tasks: (task {arns.short(new.arn)}). "
            "Amazon ECS replaced 1 tasks due to an unhealthy status."
        ),
        f"(service web) registered 1 targets in (target-group {group_arn()})",
        (
            f"(service web) (instance {target.id}) (port {target.port}) is unhealthy in (target-group {group_arn()}) "
            "due to (reason Health checks failed with these codes: [503])"
        ),
        f"(service web) has stopped 1 running tasks: (task {arns.short(sick.arn)}).",
        f"(service web) deregistered 1 targets in (target-group {group_arn()})",
        "(service web, taskSet ecs-svc/1) has begun draining connections on 1 tasks.",
        "(service web) has reached a steady state.",
    ]


@pytest.mark.parametrize(("grace", "replaced_after"), [(None, 60), (600, 600)])
async def test_a_slow_start_is_no_failure_within_the_grace_period(
    world: World, edge: Edge, time: VirtualTime, grace: int | None, replaced_after: float
):
    """Without one, not before the target group's own interval and threshold could have told: 2 x 30 s."""
    async with balanced_loops(world, time):
        world.put(balanced(world, 1, health_check_grace_period_seconds=grace))
        await time.run_until(lambda: not edge.all_goes_well(healthy=lambda _: False) and bool(edge.targets()))
        (target,) = edge.targets()
        (task,) = world.running()
        edge.says(target, "unhealthy", "Request timed out")
        await time.run_until(lambda: len(world.tasks()) == 2)
        assert time.now() - task.started_at == pytest.approx(replaced_after, abs=2)


async def test_a_task_that_ends_by_itself_leaves_its_target_groups_at_once(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (task,) = world.running()
        gone = declare_stopped(task, now=time.now(), stop_code="InfrastructureHealth", reason="its machine is gone")
        world.put(gone)
        await time.run_until(lambda: not edge.targets(task))
        assert not world.state.tasks.get(task.arn).drains
        assert world.state.target_health.get(f"{group_arn()}|{task.arn}") is None
        await steady(world, edge, time)
    assert f"(service web) deregistered 1 targets in (target-group {group_arn()})" in world.events()


async def test_a_target_that_somebody_deregistered_comes_back(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (target,) = edge.targets()
        world.put(msgspec.structs.replace(target, draining_since=time.now()))
        await time.advance(1)
        await steady(world, edge, time)
        (again,) = edge.targets()
        assert again.draining_since is None
        assert again.registered_at > target.registered_at or again.key == target.key


async def test_a_task_that_cloud_map_still_knows_is_not_released(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (task,) = world.running()
        known = DiscoveryInstance(
            service_id="srv-1",
            instance_id=arns.short(task.arn),
            region=REGION,
            attributes={},
            created_at=1.0,
            task_arn=task.arn,
        )
        world.put(known)
        stop(world, task)
        await time.run_until(lambda: not edge.all_goes_well() and not edge.targets(task))
        await time.advance(5)
        assert world.state.tasks.get(task.arn).last_status == "DEACTIVATING"
        with world.state.transaction() as tx:
            tx.delete(known)
        await time.run_until(lambda: not edge.all_goes_well() and world.state.tasks.get(task.arn).stopped)


async def test_deleting_the_service_drains_all_its_tasks(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        world.put(balanced(world, 2))
        await steady(world, edge, time)
        world.put(msgspec.structs.replace(world.service(), status="DRAINING", desired_count=0))
        await time.run_until(lambda: not edge.all_goes_well(drains=False) and len(edge.targets()) == 2)
        await time.advance(10)
        assert world.service().status == "DRAINING"
        assert {task.last_status for task in world.tasks()} == {"DEACTIVATING"}
        await time.run_until(lambda: not edge.all_goes_well() and world.service().status == "INACTIVE")
        await time.run_until(lambda: not edge.all_goes_well() and all(task.stopped for task in world.tasks()))
    assert edge.targets() == []


async def test_a_load_balancer_that_no_host_runs_yet_is_waited_for(world: World, time: VirtualTime):
    edge = Edge(world, state="provisioning")
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await time.run_until(lambda: not edge.all_goes_well(healthy=lambda _: False) and bool(edge.targets()))
        await time.advance(10)
    assert world.events()[-1] == (
        f"(service web) was unable to reach steady state because (load-balancer {BALANCER}) is not active."
    )
    assert isinstance(world.state.load_balancers.get(BALANCER), LoadBalancer)


async def test_a_target_group_that_is_gone_is_named(world: World, edge: Edge, time: VirtualTime):
    with world.state.transaction() as tx:
        tx.delete(target_group())
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await time.run_until(lambda: not edge.all_goes_well() and bool(world.running()))
        await time.advance(10)
    assert world.events()[-1] == (
        f"(service web) was unable to register targets in (target-group {group_arn()}) with "
        "(error The specified target group does not exist.)"
    )
    assert not world.service().steady


async def test_a_new_start_of_the_control_plane_goes_on_where_the_old_one_was(
    world: World, edge: Edge, time: VirtualTime
):
    async with balanced_loops(world, time):
        world.put(balanced(world, 1))
        await steady(world, edge, time)
        (task,) = world.running()
        stop(world, task)
    # Nobody was there when the task was told to stop; the next one finds it out by itself.
    async with balanced_loops(world, time):
        await time.run_until(lambda: not edge.all_goes_well() and world.state.tasks.get(task.arn).stopped)
        await steady(world, edge, time)
    assert [t.task_arn for t in edge.targets()] == [world.running()[0].arn]


async def test_plain_services_have_nothing_to_do_with_targets(world: World, edge: Edge, time: VirtualTime):
    async with balanced_loops(world, time):
        plain = msgspec.structs.replace(revision(world, 1), load_balancers=())
        world.put(balanced(world, 1, deployments=(plain,)))
        await steady(world, edge, time)
        (task,) = world.running()
        assert not task.drains
        stop(world, task)
        await time.run_until(lambda: not edge.all_goes_well() and world.state.tasks.get(task.arn).stopped)
    assert edge.targets() == []
