"""Tasks whose agent is out of reach: when they are replaced, and when they are told to stop."""

from __future__ import annotations

import msgspec
import pytest
from service_simulation import Simulation, deployment, service

from openecs.model.service import TaskSetSettings
from openecs.model.task import Task

LOST_AFTER = 300.0


def running(desired: int, **options: object) -> Simulation:
    simulation = Simulation(service(desired, **options))
    simulation.lost_after = LOST_AFTER
    simulation.settle()
    simulation.started.clear()
    simulation.said.clear()
    return simulation


def cut_off(simulation: Simulation, count: int) -> list[str]:
    tasks = simulation.healthy()[:count]
    for task in tasks:
        simulation.change(task, unreachable_since=simulation.now)
    return [task.arn for task in tasks]


def tasks(simulation: Simulation, arns: list[str]) -> list[Task]:
    return [simulation.tasks[arn] for arn in arns]


def test_nothing_happens_before_the_time():
    simulation = running(3)
    cut_off(simulation, 2)
    plan = simulation.step()
    assert not plan.actions
    assert plan.wake_at == simulation.now + LOST_AFTER
    simulation.now += LOST_AFTER - 1
    assert not simulation.step().actions


def test_never_when_so_configured():
    simulation = running(3)
    simulation.lost_after = None
    cut_off(simulation, 3)
    simulation.now += 1e6
    assert not simulation.step().starts


@pytest.mark.parametrize(("minimum", "maximum"), [(100, 200), (100, 100), (50, 100), (0, 100)])
def test_lost_tasks_are_replaced_whatever_the_percentages(minimum: int, maximum: int):
    simulation = running(4, minimum=minimum, maximum=maximum)
    gone = cut_off(simulation, 2)
    simulation.now += LOST_AFTER
    plan = simulation.step()
    assert [start.count for start in plan.starts] == [2]
    assert not plan.stops
    simulation.settle()
    assert len(simulation.healthy()) == 4
    assert {task.stop_code for task in tasks(simulation, gone)} == {"InfrastructureHealth"}
    assert {task.last_status for task in tasks(simulation, gone)} == {"DEACTIVATING"}
    assert simulation.service.steady
    assert len(simulation.started) == 2


def test_tasks_that_come_back_in_time_stay_and_the_replacements_go():
    simulation = running(3)
    back = cut_off(simulation, 2)
    simulation.now += LOST_AFTER
    simulation.step()
    replacements = [task.arn for task in simulation.started]
    for arn in back:
        simulation.change(simulation.tasks[arn], unreachable_since=None)
    simulation.settle()
    assert {task.desired_status for task in tasks(simulation, back)} == {"RUNNING"}
    assert {task.last_status for task in tasks(simulation, replacements)} == {"STOPPED"}
    assert len(simulation.healthy()) == 3


def test_when_nothing_can_be_reached_nothing_is_given_up():
    simulation = running(3)
    simulation.capacity = 3
    everything = cut_off(simulation, 3)
    simulation.now += LOST_AFTER
    for _ in range(5):
        assert not simulation.step().stops
        simulation.now += 60
    for arn in everything:
        simulation.change(simulation.tasks[arn], unreachable_since=None)
    simulation.settle()
    assert {task.desired_status for task in tasks(simulation, everything)} == {"RUNNING"}


def test_a_deployment_completes_without_the_lost_tasks_of_the_old_revision():
    simulation = running(3)
    gone = cut_off(simulation, 1)
    simulation.now += LOST_AFTER
    simulation.update(2)
    simulation.settle()
    assert simulation.service.primary.rollout_state == "COMPLETED"
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]
    assert {task.desired_status for task in tasks(simulation, gone)} == {"STOPPED"}
    assert len(simulation.healthy("ecs-svc/2")) == 3


def test_a_lost_task_that_was_told_to_stop_holds_nothing_up():
    simulation = running(2, maximum=100)
    gone = cut_off(simulation, 1)
    simulation.change(simulation.tasks[gone[0]], desired_status="STOPPED", last_status="DEACTIVATING")
    simulation.step()
    assert not simulation.started
    simulation.now += LOST_AFTER
    simulation.settle()
    assert len(simulation.healthy()) == 2


def test_a_deleted_service_does_not_wait_for_machines_that_are_gone():
    simulation = running(2)
    cut_off(simulation, 1)
    simulation.now += LOST_AFTER
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    simulation.step()
    simulation.everything_goes_well()
    simulation.step()
    assert simulation.service.status == "INACTIVE"
    assert not simulation.alive()


def test_task_sets_replace_lost_tasks():
    settings = TaskSetSettings(arn="arn", scale=100.0)
    first = deployment(1, rollout_state="COMPLETED", task_set=settings)
    simulation = running(2, deployment_controller="EXTERNAL", deployments=(first,))
    gone = cut_off(simulation, 1)
    simulation.now += LOST_AFTER
    simulation.settle()
    assert len(simulation.healthy()) == 2
    assert {task.desired_status for task in tasks(simulation, gone)} == {"STOPPED"}
