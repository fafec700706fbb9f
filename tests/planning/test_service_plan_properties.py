"""Random histories of a service: what must hold whatever happens to its tasks.

Every step of the simulation checks that no start goes above ``maximumPercent`` and no stop of
a healthy task goes below ``minimumHealthyPercent``.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import Simulation, service

ROUND = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("all well", "all well", "run", "fail", "exit", "healthy", "unhealthy", "stopped"),
                *("update", "scale", "drain", "undrain", "wait"),
            ]
        ),
        st.integers(0, 11),
    ),
    min_size=0,
    max_size=6,
)


def act(simulation: Simulation, what: str, number: int, update: int) -> None:
    tasks = [task for task in simulation.tasks.values() if not task.stopped]
    task = tasks[number % len(tasks)] if tasks else None
    if what == "all well":
        simulation.everything_goes_well()
    elif what == "update":
        simulation.update(update)
    elif what == "scale":
        simulation.scale(number % 8)
    elif what == "drain":
        simulation.draining.add(f"instance-{number % 3}")
    elif what == "undrain":
        simulation.draining.clear()
    elif what == "wait":
        simulation.now += 2.0**number
    elif task is None:
        return
    elif what == "run" and task.desired_status == "RUNNING":
        simulation.runs(task, task.health_status)
    elif what == "fail" and task.last_status == "PENDING":
        simulation.fails_to_start(task)
    elif what == "exit" and task.last_status == "RUNNING":
        simulation.exits(task)
    elif what in ("healthy", "unhealthy") and task.last_status == "RUNNING":
        simulation.change(task, health_status=what.upper())
    elif what == "stopped" and task.desired_status == "STOPPED":
        simulation.finishes_stopping(task)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    desired=st.integers(0, 7),
    running_already=st.booleans(),
    minimum=st.sampled_from([0, 25, 50, 75, 100]),
    maximum=st.sampled_from([100, 125, 150, 200, 300]),
    grace=st.sampled_from([None, 0, 30]),
    health_check=st.booleans(),
    history=st.lists(ROUND, max_size=12),
)
def test_random_histories_are_safe_and_converge(
    desired, running_already, minimum, maximum, grace, health_check, history
):
    record = service(desired, minimum=minimum, maximum=maximum, health_check_grace_period_seconds=grace)
    simulation = Simulation(record, health_check=health_check)
    if running_already:
        simulation.settle()
    update = 2
    for events in history:
        simulation.step()
        for what, number in events:
            act(simulation, what, number, update)
            update += 1
        simulation.now += 1.0
    # Then nobody touches it any more and everything goes well.
    simulation.draining.clear()
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
        # Only percentages that round to no room may block.
        wanted = simulation.service.desired_count
        assert -(-wanted * minimum // 100) == wanted * maximum // 100, simulation.describe()
        return
    assert simulation.service.steady, simulation.describe()
    assert len(simulation.healthy()) == simulation.service.desired_count
    assert len(simulation.service.deployments) == 1
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"
    assert simulation.step().actions == ()


@settings(max_examples=100, deadline=None)
@given(
    desired=st.integers(1, 12),
    minimum=st.sampled_from([0, 50, 75, 100]),
    maximum=st.sampled_from([150, 200]),
    order=st.randoms(use_true_random=False),
)
def test_rolling_update_keeps_its_floor_and_ceiling_at_every_moment(desired, minimum, maximum, order):
    simulation = Simulation(service(desired, minimum=minimum, maximum=maximum), health_check=True)
    simulation.settle(rounds=100)
    simulation.update(2)
    floor = min(-(-desired * minimum // 100), desired)
    for _ in range(400):
        result = simulation.step()
        if simulation.service.steady and len(simulation.service.deployments) == 1:
            break
        if any("Update the minimumHealthyPercent" in event.text for event in result.events):
            assert floor >= desired * maximum // 100
            return
        moving = [
            task
            for task in simulation.tasks.values()
            if not task.stopped and (task.desired_status == "STOPPED" or task not in simulation.healthy())
        ]
        if moving:
            task = order.choice(moving)
            if task.desired_status == "STOPPED":
                simulation.finishes_stopping(task)
            elif task.last_status == "PENDING":
                simulation.runs(task)
            else:
                simulation.change(task, health_status="HEALTHY")
        assert len(simulation.healthy()) >= floor
        assert sum(not task.stopped for task in simulation.tasks.values()) <= desired * maximum // 100
        simulation.now += 0.5
    assert len(simulation.healthy("ecs-svc/2")) == desired
