"""What the revision before the newest one gets back while the newest one does not serve."""

from __future__ import annotations

import msgspec
import pytest
from service_simulation import Simulation, configuration, service

from openecs.model.task import Task

OLD, NEW = "ecs-svc/1", "ecs-svc/2"


def complete(desired: int, **options: object) -> Simulation:
    simulation = Simulation(service(desired, **options))
    simulation.settle(rounds=60)
    return simulation


def live(simulation: Simulation, *, hangs: str | None = None, fails: str | None = None) -> None:
    """A moment: starts and stops come true, but for a deployment that hangs or fails to start."""
    for task in list(simulation.tasks.values()):
        if task.stopped:
            continue
        if task.desired_status == "STOPPED":
            simulation.finishes_stopping(task)
        elif task.last_status == "PENDING" and task.deployment_id == fails:
            simulation.fails_to_start(task)
        elif task.last_status == "PENDING" and task.deployment_id != hangs:
            simulation.runs(task)


def forget(simulation: Simulation) -> None:
    for task in [t for t in simulation.tasks.values() if t.stopped and t.stopped_at < simulation.now - 3600]:
        del simulation.tasks[task.arn]


def stalled(desired: int = 2, *, minimum: int = 50, maximum: int = 200) -> Simulation:
    """A service whose newest deployment FAILED without a rollback before any task of it ran."""
    options = {"rollback": False, "threshold": ("COUNT", 1), "maximum": maximum}
    simulation = complete(desired, deployment_configuration=configuration(minimum=100, **options))
    simulation.update(2)
    steps(simulation, 6, 5.0, fails=NEW)
    record = msgspec.structs.replace(
        simulation.service, deployment_configuration=configuration(minimum=minimum, **options)
    )
    simulation.service = record
    assert [d.rollout_state for d in record.deployments] == ["FAILED", "COMPLETED"]
    return simulation


def steps(simulation: Simulation, count: int = 12, seconds: float = 60.0, **what: str) -> None:
    for _ in range(count):
        simulation.now += seconds
        simulation.step()
        live(simulation, **what)


def by_user(simulation: Simulation, task: Task) -> None:
    simulation.change(task, desired_status="STOPPED", stop_code="UserInitiated", stopped_reason="Task stopped by user")
    simulation.finishes_stopping(task)


def test_every_loss_is_replaced_however_long_ago_the_last_one_was_forgotten():
    simulation = complete(2)
    simulation.update(2)
    steps(simulation, fails=NEW)
    for _ in range(4):
        simulation.exits(simulation.alive(OLD)[0])
        steps(simulation, fails=NEW)
        assert len(simulation.healthy(OLD)) == 2
        for _ in range(30):
            simulation.now += 600
            forget(simulation)
            steps(simulation, 2, 1.0, fails=NEW)
        assert not any(task.stopped and task.deployment_id == OLD for task in simulation.tasks.values())
        assert len(simulation.healthy(OLD)) == 2


def test_tasks_that_callers_stop_are_replaced_during_a_deployment():
    simulation = complete(2)
    simulation.update(2)
    steps(simulation, 2, hangs=NEW)
    by_user(simulation, simulation.alive(OLD)[0])
    steps(simulation, 2, hangs=NEW)
    assert len(simulation.healthy(OLD)) == 2


@pytest.mark.parametrize("maximum", [125, 150, 200])
def test_a_revision_that_hangs_does_not_take_the_places_of_lost_tasks(maximum):
    simulation = complete(4, maximum=maximum)
    simulation.update(2)
    steps(simulation, 3, 5.0, hangs=NEW)
    for _ in range(4):
        simulation.exits(simulation.healthy(OLD)[0])
        steps(simulation, 3, 10.0, hangs=NEW)
        assert len(simulation.healthy(OLD)) == 4


def test_the_place_of_a_lost_task_is_kept_while_its_own_revision_backs_off():
    simulation = complete(4, maximum=125)
    simulation.update(2)
    steps(simulation, 1, 5.0, hangs=NEW)
    simulation.exits(simulation.healthy(OLD)[0])
    simulation.step()
    (replacement,) = [task for task in simulation.alive(OLD) if task.last_status == "PENDING"]
    simulation.now += 0.5
    # One hiccup: the revision rests for a second.
    simulation.fails_to_start(replacement)
    simulation.step()
    assert len(simulation.alive(NEW)) == 1
    steps(simulation, 3, 5.0, hangs=NEW)
    assert len(simulation.healthy(OLD)) == 4


def test_scaling_out_or_what_was_replaced_on_purpose_brings_no_old_tasks():
    simulation = complete(4, minimum=50, maximum=100)
    simulation.update(2)
    steps(simulation, 2, hangs=NEW)
    assert len(simulation.healthy(OLD)) == 2
    # A higher floor asks for new tasks, not for old ones.
    simulation.service = msgspec.structs.replace(
        simulation.service,
        deployment_configuration=msgspec.structs.replace(
            simulation.service.deployment_configuration, minimum_healthy_percent=100, maximum_percent=200
        ),
    )
    simulation.scale(6)
    steps(simulation, 4, hangs=NEW)
    assert len(simulation.alive(OLD)) == 2
    assert len(simulation.alive(NEW)) > 2


def test_records_from_before_the_number_was_kept_go_on():
    simulation = complete(3)
    simulation.update(2)
    simulation.step()
    deployments = tuple(msgspec.structs.replace(d, held=None) for d in simulation.service.deployments)
    simulation.service = msgspec.structs.replace(simulation.service, deployments=deployments)
    simulation.step()
    simulation.exits(simulation.alive(OLD)[0])
    steps(simulation, 2, hangs=NEW)
    assert len(simulation.healthy(OLD)) == 3


@pytest.mark.parametrize("maximum", [100, 150, 200])
def test_a_stalled_service_keeps_all_that_is_desired(maximum):
    simulation = stalled(4, maximum=200)
    options = configuration(minimum=50, maximum=maximum, rollback=False, threshold=("COUNT", 1))
    simulation.service = msgspec.structs.replace(simulation.service, deployment_configuration=options)
    for task in simulation.alive(OLD)[:2]:
        simulation.exits(task)
    steps(simulation)
    assert len(simulation.healthy(OLD)) == 4
    by_user(simulation, simulation.alive(OLD)[0])
    steps(simulation)
    assert len(simulation.healthy(OLD)) == 4


def test_a_stalled_service_can_be_scaled():
    simulation = stalled(2)
    for desired in (5, 1, 0, 3):
        simulation.scale(desired)
        steps(simulation)
        assert len(simulation.healthy(OLD)) == desired
        assert not simulation.alive(NEW)
    # And a further update falls back on it as on any other.
    simulation.update(3)
    steps(simulation, 2, hangs="ecs-svc/3")
    simulation.exits(simulation.alive(OLD)[0])
    steps(simulation, 2, hangs="ecs-svc/3")
    assert len(simulation.healthy(OLD)) >= 2


@pytest.mark.parametrize(("minimum", "maximum"), [(50, 100), (100, 150), (0, 100)])
def test_a_stalled_service_leaves_instances_that_are_drained(minimum, maximum):
    simulation = stalled(4)
    options = configuration(minimum=minimum, maximum=maximum, rollback=False, threshold=("COUNT", 1))
    simulation.service = msgspec.structs.replace(simulation.service, deployment_configuration=options)
    gone = simulation.alive(OLD)[0].container_instance_arn
    simulation.draining.add(gone)
    for _ in range(60):
        simulation.now += 10
        simulation.step()
        live(simulation)
        # The simulation's placement takes any node.
        for task in simulation.alive():
            if task.last_status == "PENDING" and task.container_instance_arn == gone:
                simulation.change(task, container_instance_arn="instance-elsewhere", node_id="elsewhere")
    assert not [task for task in simulation.alive() if task.container_instance_arn == gone]
    assert len(simulation.healthy(OLD)) == 4


def test_what_hangs_of_a_stalled_revision_makes_room():
    simulation = complete(4, deployment_configuration=configuration(minimum=50, maximum=100, rollback=False))
    simulation.update(2)
    steps(simulation, 2, 1.0, hangs=NEW)
    assert len(simulation.alive(NEW)) == len(simulation.alive(OLD)) == 2
    simulation.stop_requested = "ABORT"
    simulation.step()
    simulation.stop_requested = None
    steps(simulation, hangs=NEW)
    assert len(simulation.healthy(OLD)) == 4


def test_nothing_beside_healthy_tasks_of_a_revision_that_was_aborted():
    simulation = complete(4, deployment_configuration=configuration(minimum=50, maximum=150, rollback=False))
    simulation.update(2)
    steps(simulation, 2, 1.0)
    running = len(simulation.healthy())
    simulation.stop_requested = "ABORT"
    simulation.step()
    simulation.stop_requested = None
    steps(simulation)
    assert len(simulation.healthy(NEW)) > 0
    assert 4 <= len(simulation.healthy()) <= running + 1


# Instances that are drained: what does not run stops, what runs follows the percentages.


def proving(**changes: object) -> Simulation:
    simulation = Simulation(service(2, deployment_configuration=configuration()))
    simulation.step()
    for task in simulation.alive():
        simulation.runs(task)
        simulation.change(task, **changes)
    simulation.draining = {task.container_instance_arn for task in simulation.alive()}
    simulation.now += 1
    return simulation


def test_running_tasks_that_prove_themselves_stay_until_others_serve():
    simulation = proving()
    before = {task.arn for task in simulation.alive()}
    plan = simulation.step()
    assert plan.stops == ()
    assert [start.count for start in plan.starts] == [2]
    assert before <= {task.arn for task in simulation.alive()}
    simulation.draining = {simulation.tasks[arn].container_instance_arn for arn in before}
    for task in simulation.alive():
        if task.arn not in before:
            simulation.change(task, container_instance_arn="instance-new", node_id="new")
            simulation.runs(task)
    simulation.now += 11
    simulation.step()
    assert not before & {task.arn for task in simulation.alive()}


def test_running_tasks_that_are_not_healthy_yet_count_for_nothing_and_go_when_enough_serve():
    simulation = Simulation(service(2, minimum=50), health_check=True)
    simulation.step()
    one, two = simulation.alive()
    simulation.runs(one)
    simulation.runs(two, "HEALTHY")
    simulation.draining = {one.container_instance_arn}
    plan = simulation.step()
    assert [stop.task_arn for stop in plan.stops] == [one.arn]
    assert [start.count for start in plan.starts] == [1]


def test_protection_holds_on_instances_that_are_drained():
    simulation = proving(protected_until=1_800_000_000.0)
    simulation.service = msgspec.structs.replace(
        simulation.service, deployment_configuration=configuration(minimum=0, maximum=200)
    )
    plan = simulation.step()
    assert plan.stops == ()
    assert plan.wake_at is not None


def test_an_unhealthy_task_in_its_grace_period_is_replaced_when_its_instance_is_drained():
    simulation = Simulation(service(1, health_check_grace_period_seconds=600), health_check=True)
    simulation.step()
    (task,) = simulation.alive()
    simulation.runs(task, "UNHEALTHY")
    simulation.draining = {task.container_instance_arn}
    plan = simulation.step()
    assert plan.stops == ()
    assert [start.count for start in plan.starts] == [1]


def test_a_step_stops_only_so_many_and_the_next_ones_the_rest():
    simulation = Simulation(service(600), nodes=30)
    simulation.settle()
    simulation.scale(10)
    counts = []
    while stops := simulation.step().stops:
        counts.append(len(stops))
        live(simulation)
    assert counts == [250, 250, 90]
    assert len(simulation.healthy()) == 10


def test_a_deleted_service_stops_its_tasks_in_steps_too():
    simulation = Simulation(service(300), nodes=30)
    simulation.settle()
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    assert [len(simulation.step().stops) for _ in range(2)] == [250, 50]
    simulation.everything_goes_well()
    simulation.step()
    assert simulation.service.status == "INACTIVE"


def test_instances_can_be_drained_while_the_newest_revision_cannot_start():
    simulation = complete(2)
    simulation.update(2)
    steps(simulation, 4, fails=NEW)
    gone = simulation.alive(OLD)[0]
    simulation.draining.add(gone.container_instance_arn)
    for _ in range(8):
        simulation.now = max(simulation.now + 1, simulation.step().wake_at or 0.0)
        for task in simulation.alive(OLD):
            if task.last_status == "PENDING":
                simulation.change(task, container_instance_arn="elsewhere", node_id="elsewhere")
        live(simulation, fails=NEW)
    assert gone.arn not in {task.arn for task in simulation.alive()}
    assert len(simulation.healthy(OLD)) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_a_replacement_for_a_task_on_a_drained_instance_is_waited_for(fails):
    if fails:
        simulation = complete(1)
        simulation.update(2)
        steps(simulation, 8, fails=NEW)
    else:
        simulation = stalled(1, minimum=100)
    (task,) = simulation.alive(OLD)
    simulation.draining.add(task.container_instance_arn)
    (start,) = simulation.step().starts
    assert start.deployment_id == OLD
    for _ in range(5):
        plan = simulation.step()
        assert not [stop for stop in plan.stops if simulation.tasks[stop.task_arn].deployment_id == OLD]
        assert OLD not in {start.deployment_id for start in plan.starts}
    replacement = simulation.alive(OLD)[-1]
    simulation.change(replacement, container_instance_arn="elsewhere", node_id="elsewhere")
    simulation.runs(replacement)
    assert [stop.task_arn for stop in simulation.step().stops] == [task.arn]


def test_what_others_run_does_not_stop_what_a_stalled_service_starts():
    """A revision in between serves and may not be stopped; the one that is fallen back on starts."""
    simulation = stalled(1, minimum=100)
    (old,) = simulation.alive(OLD)
    failed, proven = simulation.service.deployments
    between = msgspec.structs.replace(failed, id="ecs-svc/9", status="ACTIVE", rollout_state="IN_PROGRESS")
    simulation.service = msgspec.structs.replace(simulation.service, deployments=(failed, between, proven))
    simulation.change(old, deployment_id="ecs-svc/9")
    (start,) = simulation.step().starts
    assert start.deployment_id == OLD
    for _ in range(4):
        assert not simulation.step().starts
        assert len(simulation.alive(OLD)) == 1
    simulation.runs(simulation.alive(OLD)[0])
    assert [stop.task_arn for stop in simulation.step().stops] == [old.arn]


def test_healthy_tasks_do_not_go_for_a_protected_one_on_a_drained_instance():
    simulation = stalled(2, minimum=50)
    gone = simulation.alive(OLD)[0]
    simulation.change(gone, protected_until=simulation.now + 1e6)
    simulation.draining.add(gone.container_instance_arn)
    (start,) = simulation.step().starts
    assert (start.deployment_id, start.count) == (OLD, 1)
    simulation.change(simulation.alive(OLD)[-1], container_instance_arn="elsewhere", node_id="elsewhere")
    simulation.everything_goes_well()
    for _ in range(4):
        plan = simulation.step()
        assert plan.starts == plan.stops == ()
    simulation.now += 1e6
    assert [stop.task_arn for stop in simulation.step().stops] == [gone.arn]


def test_what_one_step_cannot_stop_any_more_is_not_given_up():
    simulation = Simulation(service(300, minimum=0), nodes=30)
    simulation.settle()
    simulation.update(2)
    plan = simulation.step()
    assert len(plan.stops) == 250
    old = next(d for d in simulation.service.deployments if d.id == OLD)
    assert old.held == 50
    simulation.settle()
    assert [d.id for d in simulation.service.deployments] == [NEW]
