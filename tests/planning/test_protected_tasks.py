"""Task scale-in protection: what the service scheduler leaves alone, and for how long."""

from __future__ import annotations

from service_simulation import Simulation, service

LIMIT = "was unable to reach steady state because (taskSet ecs-svc/1) was unable to scale in due to (reason"


def running(desired: int, **options: object) -> Simulation:
    simulation = Simulation(service(desired, **options))
    simulation.settle()
    simulation.said.clear()
    simulation.started.clear()
    return simulation


def protect(simulation: Simulation, count: int, seconds: float = 600.0) -> set[str]:
    tasks = simulation.healthy()[-count:]
    for task in tasks:
        simulation.change(task, protected_until=simulation.now + seconds)
    return {task.arn for task in tasks}


def test_scaling_in_takes_unprotected_tasks():
    simulation = running(4)
    protected = protect(simulation, 2)
    simulation.scale(2)
    stopped = {stop.task_arn for stop in simulation.step().stops}
    assert len(stopped) == 2
    assert not stopped & protected
    simulation.settle()
    assert simulation.said == ["(service web) has reached a steady state."]


def test_more_protected_than_desired_is_said_and_ends_with_the_protection():
    simulation = running(4)
    protected = protect(simulation, 3)
    simulation.scale(1)
    simulation.step()
    for task in simulation.alive():
        simulation.finishes_stopping(task) if task.desired_status == "STOPPED" else None
    assert simulation.said == [f"(service web) {LIMIT} 3 tasks under protection)"]
    plan = simulation.step()
    assert {task.arn for task in simulation.alive()} == protected
    assert plan.wake_at == simulation.now + 600
    simulation.now = plan.wake_at
    assert len(simulation.step().stops) == 2


def test_a_deployment_leaves_protected_tasks_until_their_protection_ends():
    simulation = running(3)
    protected = protect(simulation, 2)
    simulation.update(2)
    for _ in range(10):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 1
    assert {task.arn for task in simulation.alive("ecs-svc/1")} == protected
    assert len(simulation.healthy("ecs-svc/2")) == 3
    assert simulation.service.primary.rollout_state == "IN_PROGRESS"
    assert f"(service web) {LIMIT} 2 tasks under protection)" in simulation.said
    for arn in protected:
        simulation.change(simulation.tasks[arn], protected_until=None)
    simulation.settle()
    assert simulation.service.primary.rollout_state == "COMPLETED"
    assert simulation.alive("ecs-svc/1") == []


def test_protection_ends_by_itself_and_the_deployment_goes_on():
    simulation = running(2)
    protect(simulation, 1, seconds=120)
    simulation.update(2)
    for _ in range(10):
        plan = simulation.step()
        simulation.everything_goes_well()
        simulation.now += 1
    assert plan.wake_at is not None
    simulation.now = plan.wake_at
    simulation.settle()
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]


def test_without_room_and_with_everything_protected_nothing_moves_and_no_configuration_is_blamed():
    simulation = running(2, minimum=0, maximum=100)
    protect(simulation, 2)
    simulation.update(2)
    plan = simulation.step()
    assert plan.stops == plan.starts == ()
    assert simulation.said == [f"(service web) {LIMIT} 2 tasks under protection)"]


def test_protection_does_not_keep_a_task_that_fails_its_health_checks():
    simulation = Simulation(service(2), health_check=True)
    simulation.settle()
    protected = protect(simulation, 1)
    (arn,) = protected
    simulation.change(simulation.tasks[arn], health_status="UNHEALTHY")
    simulation.step()
    simulation.runs(simulation.started[-1], "HEALTHY")
    (stop,) = simulation.step().stops
    assert stop.task_arn == arn
    assert stop.failed_health_checks


def test_protected_tasks_stay_on_an_instance_that_is_drained():
    simulation = running(3)
    for task in simulation.healthy():
        if task.container_instance_arn == "instance-1":
            simulation.change(task, protected_until=simulation.now + 60)
    simulation.draining.add("instance-1")
    for _ in range(5):
        plan = simulation.step()
        simulation.everything_goes_well()
        simulation.now += 1
    assert len([t for t in simulation.alive() if t.container_instance_arn == "instance-1"]) == 1
    simulation.now = plan.wake_at
    simulation.settle()
    assert not [t for t in simulation.alive() if t.container_instance_arn == "instance-1"]


def test_deleting_the_service_stops_protected_tasks_too():
    import msgspec

    simulation = running(2)
    protect(simulation, 2)
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    assert len(simulation.step().stops) == 2
