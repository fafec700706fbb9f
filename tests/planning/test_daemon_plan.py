"""DAEMON services under the planner: one task on every matching container instance."""

from __future__ import annotations

import msgspec
from daemon_simulation import DaemonSimulation, daemon
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import configuration

from openecs.shapes import ecs


def running(*instances: str, minimum: int = 0, **options: object) -> DaemonSimulation:
    simulation = DaemonSimulation(daemon(minimum=minimum), *instances, **options)
    simulation.settle()
    simulation.said.clear()
    return simulation


def test_every_matching_instance_gets_one_task_and_desired_count_says_how_many():
    simulation = DaemonSimulation(daemon(), "a", "b", "c")
    simulation.unsuitable["c"] = frozenset({"ecs-svc/1"})
    simulation.settle()
    assert [len(simulation.on(name)) for name in "abc"] == [1, 1, 0]
    assert simulation.service.desired_count == 2
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"
    assert simulation.said == [
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]


def test_a_service_without_instances_is_steady_with_nothing():
    simulation = DaemonSimulation(daemon())
    simulation.settle()
    assert simulation.service.desired_count == 0


def test_a_new_instance_gets_its_task_at_once():
    simulation = running("a")
    simulation.join("b")
    (start,) = simulation.step().starts
    assert start.container_instances == ("b",)
    simulation.settle()
    assert simulation.service.desired_count == 2
    assert len(simulation.service.deployments) == 1


def test_update_stops_the_old_task_of_an_instance_before_the_new_one_starts():
    simulation = running("a", "b")
    simulation.update(2)
    plan = simulation.step()
    assert plan.starts == ()
    assert len(plan.stops) == 2
    assert {stop.stopped_reason for stop in plan.stops} == {"Scaling activity initiated by (deployment ecs-svc/1)"}
    assert simulation.step().starts == ()
    simulation.ends(next(t for t in simulation.tasks.values() if t.container_instance_arn == "b"))
    (start,) = simulation.step().starts
    assert start.container_instances == ("b",)
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/2")) == 2
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]


def test_the_floor_is_rounded_up_and_kept():
    simulation = running("a", "b", "c", minimum=50)
    simulation.update(2)
    assert len(simulation.step().stops) == 1
    assert simulation.step().stops == ()
    simulation.stops_end()
    simulation.step()
    assert simulation.step().stops == ()
    simulation.everything_goes_well()
    assert len(simulation.step().stops) == 1


def test_a_floor_of_everything_blocks_and_says_so():
    simulation = running("a", "b", minimum=100)
    simulation.update(2)
    assert simulation.step().stops == ()
    (said,) = simulation.said
    assert said.endswith("Update the minimumHealthyPercent or maximumPercent value and try again.")
    assert len(simulation.healthy("ecs-svc/1")) == 2


def test_a_draining_instance_keeps_its_daemon_until_the_others_are_gone():
    simulation = running("a", "b")
    simulation.drain("a", occupied=True)
    simulation.settle()
    assert simulation.service.desired_count == 1
    assert len(simulation.on("a")) == 1
    simulation.set("a", occupied=False)
    (stop,) = simulation.step().stops
    assert simulation.tasks[stop.task_arn].container_instance_arn == "a"
    simulation.settle()
    assert simulation.on("a") == []
    simulation.set("a", active=True)
    simulation.settle()
    assert len(simulation.on("a")) == 1


def test_what_does_not_serve_yet_leaves_a_draining_instance_at_once():
    simulation = DaemonSimulation(daemon(), "a", "b")
    simulation.step()
    simulation.drain("a", occupied=True)
    (stop,) = simulation.step().stops
    assert simulation.tasks[stop.task_arn].container_instance_arn == "a"
    assert stop.running is False


def test_an_update_completes_while_an_old_task_waits_on_a_draining_instance():
    simulation = running("a", "b")
    simulation.drain("a", occupied=True)
    simulation.update(2)
    simulation.settle()
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"
    assert [task.deployment_id for task in simulation.on("a")] == ["ecs-svc/1"]
    simulation.set("a", occupied=False)
    simulation.settle()
    assert simulation.on("a") == []


def test_a_disconnected_instance_keeps_its_task_and_gets_none():
    simulation = running("a", "b")
    simulation.set("a", connected=False)
    simulation.join("c")
    simulation.set("c", connected=False)
    plan = simulation.step()
    assert plan.starts == plan.stops == ()
    assert simulation.service.desired_count == 2
    simulation.ends(simulation.on("a")[0])
    simulation.now += 120
    assert simulation.step().starts == ()
    assert simulation.service.desired_count == 1
    simulation.set("a", connected=True)
    (start,) = simulation.step().starts
    assert start.container_instances == ("a",)


def test_a_lost_machine_does_not_hold_a_deployment_up():
    simulation = running("a", "b")
    simulation.set("a", connected=False)
    simulation.update(2)
    simulation.step()
    old = {task.container_instance_arn: task for task in simulation.tasks.values()}
    for _ in range(5):
        # What runs on the lost machine never reports again.
        simulation.ends(old["b"])
        for task in simulation.alive("ecs-svc/2"):
            simulation.runs(task)
        simulation.step()
    assert simulation.service.steady
    assert simulation.service.desired_count == 1
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]
    simulation.set("a", connected=True)
    assert simulation.step().starts == ()
    simulation.ends(old["a"])
    simulation.settle()
    assert [task.deployment_id for task in simulation.on("a")] == ["ecs-svc/2"]


def test_a_task_whose_instance_no_longer_meets_the_constraints_is_stopped():
    simulation = running("a", "b")
    simulation.unsuitable["a"] = frozenset({"ecs-svc/1"})
    (stop,) = simulation.step().stops
    assert simulation.tasks[stop.task_arn].container_instance_arn == "a"
    simulation.settle()
    assert simulation.service.desired_count == 1


def test_tasks_of_a_deregistered_instance_are_stopped():
    simulation = running("a", "b")
    del simulation.instances["a"]
    assert len(simulation.step().stops) == 1


def test_an_instance_without_room_is_not_tried_again_and_holds_the_steady_state_up():
    simulation = DaemonSimulation(daemon(), "a", "b")
    simulation.full.add("b")
    for _ in range(5):
        simulation.step()
        simulation.everything_goes_well()
    assert [len(simulation.on(name)) for name in "ab"] == [1, 0]
    assert simulation.service.desired_count == 2
    assert not simulation.service.steady
    assert simulation.service.deployments[0].rollout_state == "IN_PROGRESS"
    assert simulation.step().actions == ()
    simulation.full.clear()
    simulation.settle()
    assert len(simulation.on("b")) == 1


def test_unhealthy_tasks_are_replaced_one_after_the_other():
    simulation = running("a", "b", health_check=True)
    for task in simulation.alive():
        simulation.change(task, health_status="UNHEALTHY")
    (stop,) = simulation.step().stops
    assert stop.stopped_reason == "Task failed container health checks"
    assert simulation.step().stops == ()
    simulation.stops_end()
    plan = simulation.step()
    assert [start.replaces_unhealthy for start in plan.starts] == [1]
    assert len(plan.stops) == 1
    simulation.settle()
    assert len(simulation.healthy()) == 2


def test_protected_tasks_stay_until_their_protection_ends():
    simulation = running("a", "b")
    kept = simulation.on("a")[0]
    simulation.change(kept, protected_until=simulation.now + 600)
    simulation.update(2)
    plan = simulation.step()
    assert [simulation.tasks[stop.task_arn].container_instance_arn for stop in plan.stops] == ["b"]
    assert plan.wake_at == simulation.tasks[kept.arn].protected_until
    assert "(reason 1 tasks under protection)" in "".join(simulation.said)
    simulation.now = plan.wake_at
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/2")) == 2


def test_a_protected_task_stays_on_a_draining_instance_until_its_protection_ends():
    simulation = running("a", "b")
    kept = simulation.on("a")[0]
    simulation.change(kept, protected_until=simulation.now + 600)
    simulation.drain("a")
    plan = simulation.step()
    assert plan.stops == ()
    assert plan.wake_at == simulation.tasks[kept.arn].protected_until
    simulation.now = plan.wake_at
    assert [stop.task_arn for stop in simulation.step().stops] == [kept.arn]


def test_a_broken_image_trips_the_breaker_and_the_last_revision_comes_back():
    breaker = ecs.DeploymentCircuitBreaker(enable=True, rollback=True)
    simulation = running("a", "b", minimum=50)
    configuration = msgspec.structs.replace(
        simulation.service.deployment_configuration, deployment_circuit_breaker=breaker
    )
    simulation.service = msgspec.structs.replace(simulation.service, deployment_configuration=configuration)
    simulation.update(2)
    for _ in range(60):
        plan = simulation.step()
        if simulation.service.deployments[0].rolls_back:
            break
        simulation.stops_end()
        for task in simulation.alive("ecs-svc/2"):
            simulation.ends(task, "TaskFailedToStart")
        simulation.now = max(simulation.now + 1.0, plan.wake_at or 0.0)
        assert len(simulation.healthy("ecs-svc/1")) >= 1
    assert "(service web) rolling back to deployment ecs-svc/1." in simulation.said
    for _ in range(30):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 10.0
    assert len(simulation.healthy("ecs-svc/1")) == 2
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("all well", "all well", "run", "fail", "exit", "healthy", "unhealthy", "stopped"),
                *("update", "join", "leave", "drain", "occupy", "undrain", "cut", "connect", "tag", "untag"),
                *("fill", "free", "wait"),
            ]
        ),
        st.integers(0, 11),
    ),
    max_size=5,
)


def act(simulation: DaemonSimulation, what: str, number: int, update: int) -> None:
    tasks = [task for task in simulation.tasks.values() if not task.stopped]
    task = tasks[number % len(tasks)] if tasks else None
    name = "abcd"[number % 4]
    there = name in simulation.instances
    if what == "all well":
        simulation.everything_goes_well()
    elif what == "update":
        simulation.update(update)
    elif what == "wait":
        simulation.now += 2.0**number
    elif what == "join":
        if not there:
            simulation.join(name)
    elif what in ("leave", "drain", "occupy", "undrain", "cut", "connect", "tag", "untag", "fill", "free"):
        if not there:
            return
        if what == "leave":
            del simulation.instances[name]
        elif what == "tag":
            simulation.unsuitable[name] = frozenset({f"ecs-svc/{update - 1}", f"ecs-svc/{update}"})
        elif what == "untag":
            simulation.unsuitable.pop(name, None)
        elif what == "fill":
            simulation.full.add(name)
        elif what == "free":
            simulation.full.discard(name)
        else:
            changes = {
                "drain": {"active": False, "occupied": False},
                "occupy": {"active": False, "occupied": True},
                "undrain": {"active": True, "occupied": False},
                "cut": {"connected": False},
                "connect": {"connected": True},
            }[what]
            simulation.set(name, **changes)
    elif task is None:
        return
    elif what == "run" and task.desired_status == "RUNNING" and task.last_status == "PENDING":
        simulation.runs(task)
    elif what == "fail" and task.last_status == "PENDING":
        simulation.ends(task, "TaskFailedToStart")
    elif what == "exit" and task.last_status == "RUNNING":
        simulation.ends(task)
    elif what in ("healthy", "unhealthy") and task.last_status == "RUNNING":
        simulation.change(task, health_status=what.upper())
    elif what == "stopped" and task.desired_status == "STOPPED":
        simulation.ends(task)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    minimum=st.sampled_from([0, 25, 50, 75, 100]),
    health_check=st.booleans(),
    instances=st.sets(st.sampled_from("abcd")),
    history=st.lists(EVENTS, max_size=12),
)
def test_random_histories_never_double_up_and_end_with_one_task_each(minimum, health_check, instances, history):
    simulation = DaemonSimulation(daemon(minimum=minimum), *sorted(instances), health_check=health_check)
    update = 2
    for events in history:
        simulation.step()
        for what, number in events:
            act(simulation, what, number, update)
            update += 1
        simulation.now += 1.0
    # Then nobody touches it any more and everything goes well.
    simulation.full.clear()
    simulation.unsuitable.clear()
    for name in simulation.instances:
        simulation.set(name, active=True, occupied=False, connected=True)
    blocked = False
    for _ in range(120):
        result = simulation.step()
        blocked = any("Update the minimumHealthyPercent" in event.text for event in result.events)
        if simulation.service.steady or blocked:
            break
        simulation.everything_goes_well()
        if result.wake_at is not None and not result.starts and not result.stops:
            simulation.now = max(simulation.now, result.wake_at)
        simulation.now += 1.0
    if blocked:
        # Only a floor that rounds to everything leaves no room.
        wanted = len(simulation.instances)
        assert -(-wanted * minimum // 100) == wanted, simulation.describe()
        return
    assert simulation.service.steady, simulation.describe()
    newest = simulation.service.deployments[0].id
    assert simulation.service.desired_count == len(simulation.instances)
    for name in simulation.instances:
        assert [task.deployment_id for task in simulation.on(name)] == [newest], simulation.describe()
    assert len(simulation.service.deployments) == 1
    assert simulation.step().actions == ()


def stalled(*instances: str, **given: object) -> DaemonSimulation:
    """A DAEMON service whose newest deployment FAILED without a rollback."""
    options = {"maximum": 100, "rollback": False, "threshold": ("COUNT", 1)}
    record = daemon(deployment_configuration=configuration(minimum=0, **options))
    simulation = DaemonSimulation(record, *instances, **given)
    for _ in range(10):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 6
    simulation.service = msgspec.structs.replace(
        simulation.service, deployment_configuration=configuration(minimum=50, **options)
    )
    simulation.update(2)
    for _ in range(6):
        simulation.step()
        simulation.stops_end()
        for task in simulation.alive("ecs-svc/2"):
            simulation.ends(task, "TaskFailedToStart")
        simulation.now += 5
    assert simulation.service.primary.rollout_state == "FAILED"
    return simulation


def go_on(simulation: DaemonSimulation, rounds: int = 6) -> None:
    for _ in range(rounds):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 100


def test_a_stalled_deployment_leaves_no_instance_without_the_revision_that_worked():
    simulation = stalled("a", "b", "c")
    go_on(simulation)
    assert [len(simulation.on(name)) for name in "abc"] == [1, 1, 1]
    simulation.ends(simulation.on("a")[0])
    go_on(simulation)
    simulation.join("d")
    go_on(simulation)
    assert [task.deployment_id for name in "abcd" for task in simulation.on(name)] == ["ecs-svc/1"] * 4
    assert simulation.service.desired_count == 4
    # A machine that is drained loses it, and all of them do not take the deployment with them.
    for name in "abcd":
        simulation.drain(name)
    go_on(simulation)
    assert simulation.alive() == []
    simulation.join("e")
    go_on(simulation)
    assert [task.deployment_id for task in simulation.on("e")] == ["ecs-svc/1"]


def test_a_stalled_deployment_starts_the_old_revision_only_where_it_belongs():
    simulation = stalled("a", "b")
    simulation.join("d")
    simulation.unsuitable["d"] = frozenset({"ecs-svc/1"})
    go_on(simulation)
    assert simulation.on("d") == []
    assert not simulation.alive("ecs-svc/2")


def test_unhealthy_tasks_of_a_stalled_service_are_replaced():
    simulation = stalled("a", "b", health_check=True)
    go_on(simulation)
    (task,) = simulation.on("a")
    simulation.change(task, health_status="UNHEALTHY")
    go_on(simulation)
    assert [one.arn != task.arn for one in simulation.on("a")] == [True]


def test_a_running_task_that_is_not_healthy_yet_stays_while_its_instance_has_others():
    simulation = DaemonSimulation(daemon(), "a", "b", health_check=True)
    simulation.step()
    (task,), (pending,) = simulation.on("a"), simulation.on("b")
    simulation.runs(task)
    simulation.drain("a", occupied=True)
    simulation.drain("b", occupied=True)
    plan = simulation.step()
    assert [stop.task_arn for stop in plan.stops] == [pending.arn]
    simulation.set("a", occupied=False)
    simulation.change(task, protected_until=simulation.now + 60)
    assert simulation.step().stops == ()
    simulation.change(task, protected_until=None)
    assert [stop.task_arn for stop in simulation.step().stops] == [task.arn]


def test_one_step_stops_only_so_many_tasks():
    names = [f"i{number}" for number in range(300)]
    simulation = running(*names)
    for name in names:
        simulation.drain(name)
    assert len(simulation.step().stops) == 250
    simulation.stops_end()
    assert len(simulation.step().stops) == 50
