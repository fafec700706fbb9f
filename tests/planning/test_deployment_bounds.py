"""Floor and ceiling of a service, and what a deployment can do between them."""

from __future__ import annotations

import pytest
from service_simulation import Simulation, configuration, service

from openecs.planning.deployment_bounds import bounds


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "lower", "upper", "stops", "starts"),
    [
        # AWS's own examples first.
        (4, 50, 100, 2, 4, 2, 0),
        (2, 75, 200, 2, 4, 0, 2),
        (3, 75, 125, 3, 3, 0, 0),
        (4, 100, 200, 4, 8, 0, 4),
        (1, 0, 100, 0, 1, 1, 0),
        (1, 50, 150, 1, 1, 0, 0),
        (3, 34, 133, 2, 3, 1, 0),
        (10, 95, 110, 10, 11, 0, 1),
        (5, 50, 150, 3, 7, 2, 2),
        (0, 100, 200, 0, 0, 0, 0),
    ],
)
def test_the_first_step_of_a_deployment(desired, minimum, maximum, lower, upper, stops, starts):
    simulation = Simulation(service(desired, minimum=minimum, maximum=maximum))
    assert bounds(simulation.service, desired) == (lower, upper)
    simulation.settle()
    simulation.said.clear()
    simulation.update(2)
    plan = simulation.step()
    assert len(plan.stops) == stops
    assert sum(start.count for start in plan.starts) == starts
    blocked = [text for text in simulation.said if "Update the minimumHealthyPercent or maximumPercent" in text]
    assert len(blocked) == (1 if desired and not stops and not starts else 0)


def test_a_revision_whose_health_checks_fail_rolls_back():
    simulation = Simulation(service(1, deployment_configuration=configuration()), health_check=True)
    simulation.settle()
    simulation.update(2)
    sick = set()
    for _ in range(60):
        simulation.step()
        assert simulation.healthy("ecs-svc/1")
        if simulation.service.primary.id == "ecs-svc/1":
            break
        for task in list(simulation.tasks.values()):
            if task.desired_status == "STOPPED" and not task.stopped:
                simulation.finishes_stopping(task)
            elif task.deployment_id == "ecs-svc/2" and not task.stopped:
                simulation.runs(task, "UNHEALTHY")
                sick.add(task.arn)
        simulation.now += 1
    assert simulation.service.primary.id == "ecs-svc/1"
    assert len(sick) == 3


def test_an_old_task_that_turns_unhealthy_during_a_deployment_is_replaced_with_its_own_revision():
    simulation = Simulation(service(2, maximum=300), health_check=True)
    simulation.settle()
    simulation.update(2)
    simulation.step()
    simulation.now += 1
    sick = simulation.healthy("ecs-svc/1")[0]
    simulation.change(sick, health_status="UNHEALTHY")
    starts = simulation.step().starts
    assert [(start.deployment_id, start.count) for start in starts] == [("ecs-svc/1", 1)]
