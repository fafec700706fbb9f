"""Random histories with circuit breaker, rollbacks, stop requests and protected tasks.

Every step of the simulation also checks the floor and the ceiling.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import Simulation, configuration, service

from openecs.planning import circuit_breaker
from openecs.planning.service_actions import CompleteDeployment, FailDeployment, Plan

EVENT = st.tuples(
    st.sampled_from(
        [
            *("all well", "all well", "run", "fail", "fail", "exit", "exit", "healthy", "unhealthy", "stopped"),
            *("update", "scale", "wait", "protect", "unprotect", "stop", "alarm", "calm", "forget"),
        ]
    ),
    st.integers(0, 11),
)


class Checked(Simulation):
    """Checks at every step what must hold whatever happens."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.completed: set[str] = set()
        self.went_back: list[str] = []

    def step(self) -> Plan:
        before = self.service
        protected = {task.arn for task in self.alive() if task.protected(self.now)}
        desired = before.desired_count
        # Older deployments that did not fail and serve in full: as good as completed ones.
        in_full = {
            d.id
            for d in before.deployments
            if d.status == "ACTIVE" and d.rollout_state != "FAILED" and 0 < desired <= len(self.healthy(d.id))
        }
        rollback_asked = self.stop_requested == "ROLLBACK"
        rollback_configured = self.stop_requested is None and circuit_breaker.rolls_back(before)
        result = super().step()
        stalled = {d.id for d in result.service.deployments if d.rollout_state == "FAILED"}
        assert not {start.deployment_id for start in result.starts} & stalled, self.describe()
        assert not {s.task_arn for s in result.stops if not s.failed_health_checks} & protected, self.describe()
        assert sum(d.status == "PRIMARY" for d in result.service.deployments) == 1
        assert len({d.id for d in result.service.deployments}) == len(result.service.deployments)
        primary = result.service.primary
        assert primary is not None
        if primary.rollout_state == "IN_PROGRESS" and circuit_breaker.enabled(result.service):
            threshold = circuit_breaker.threshold(result.service.deployment_configuration, self.service.desired_count)
            assert primary.breaker.count < threshold
        for action in result.actions:
            if isinstance(action, CompleteDeployment):
                self.completed.add(action.deployment_id)
            elif isinstance(action, FailDeployment):
                failed = before.primary
                assert failed is not None
                assert (failed.id, failed.rollout_state) == (action.deployment_id, "IN_PROGRESS")
                if action.rolls_back_to is not None:
                    assert primary.id == action.rolls_back_to
                    # What was completed is gone back to, once per completion.
                    if action.rolls_back_to in self.completed:
                        self.completed.discard(action.rolls_back_to)
                    else:
                        assert failed.rolls_back is None
                        assert action.rolls_back_to in in_full, self.describe()
                elif rollback_asked or rollback_configured:
                    assert before.last_completed is None, self.describe()
                    assert not in_full or failed.rolls_back is not None, self.describe()
        return result


def act(simulation: Checked, what: str, number: int, update: int) -> None:
    tasks = [task for task in simulation.tasks.values() if not task.stopped]
    task = tasks[number % len(tasks)] if tasks else None
    if what == "all well":
        simulation.everything_goes_well()
    elif what == "update":
        simulation.update(update)
    elif what == "scale":
        simulation.scale(number % 8)
    elif what == "wait":
        simulation.now += 2.0**number
    elif what == "stop":
        simulation.stop_requested = ("ABORT", "ROLLBACK")[number % 2]
        simulation.step()
        simulation.stop_requested = None
    elif what == "alarm":
        simulation.alarms.add("errors")
    elif what == "calm":
        simulation.alarms.clear()
    elif what == "forget":
        for old in [t.arn for t in simulation.tasks.values() if t.stopped and t.stopped_at < simulation.now - 3600]:
            del simulation.tasks[old]
    elif task is None:
        return
    elif what == "protect":
        simulation.change(task, protected_until=simulation.now + 60.0 * (number + 1))
    elif what == "unprotect":
        simulation.change(task, protected_until=None)
    elif what == "run" and task.desired_status == "RUNNING":
        simulation.runs(task, task.health_status)
    elif what == "fail" and task.last_status == "PENDING":
        simulation.fails_to_start(task)
    elif what == "exit" and task.last_status == "RUNNING":
        simulation.exits(task)
    elif what == "healthy" and task.last_status == "RUNNING":
        simulation.change(task, health_status="HEALTHY", healthy_at=task.healthy_at or simulation.now)
    elif what == "unhealthy" and task.last_status == "RUNNING":
        simulation.change(task, health_status="UNHEALTHY")
    elif what == "stopped" and task.desired_status == "STOPPED":
        simulation.finishes_stopping(task)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    desired=st.integers(0, 7),
    minimum=st.sampled_from([0, 50, 100]),
    maximum=st.sampled_from([100, 150, 200]),
    rollback=st.booleans(),
    reset=st.sampled_from([None, True, False]),
    threshold=st.sampled_from([None, ("COUNT", 1), ("COUNT", 2), ("UNBOUNDED_PERCENT", 30)]),
    health_check=st.booleans(),
    alarms=st.booleans(),
    history=st.lists(st.lists(EVENT, max_size=6), max_size=14),
)
def test_random_histories_with_the_circuit_breaker(
    desired, minimum, maximum, rollback, reset, threshold, health_check, alarms, history
):
    options: dict[str, object] = {}
    if alarms:
        from openecs.shapes import ecs

        options["alarms"] = ecs.DeploymentAlarms(alarm_names=("errors",), enable=True, rollback=rollback)
    record = service(
        desired,
        deployment_configuration=configuration(
            minimum=minimum, maximum=maximum, rollback=rollback, reset=reset, threshold=threshold, **options
        ),
    )
    simulation = Checked(record, health_check=health_check)
    update = 2
    for events in history:
        simulation.step()
        for what, number in events:
            act(simulation, what, number, update)
            update += 1
        simulation.now += 1.0
    # Then nobody touches it any more and everything goes well.
    simulation.alarms.clear()
    for task in list(simulation.tasks.values()):
        simulation.change(task, protected_until=None)
    for _ in range(150):
        result = simulation.step()
        blocked = any("Update the minimumHealthyPercent" in event.text for event in result.events)
        primary = simulation.service.primary
        assert primary is not None
        if blocked or simulation.service.steady:
            break
        moving = any(
            not task.stopped and (task.desired_status == "STOPPED" or task.last_status != "RUNNING")
            for task in simulation.tasks.values()
        )
        if primary.rollout_state == "FAILED" and not result.actions and not moving:
            break
        simulation.everything_goes_well()
        if result.wake_at is not None and not result.starts and not result.stops:
            simulation.now = max(simulation.now, result.wake_at)
        simulation.now += 1.0
    else:
        raise AssertionError(simulation.describe())
    if blocked:
        wanted = simulation.service.desired_count
        assert -(-wanted * minimum // 100) == wanted * maximum // 100, simulation.describe()
    elif primary.rollout_state != "FAILED":
        assert primary.rollout_state == "COMPLETED"
        assert len(simulation.healthy()) == simulation.service.desired_count
        assert len(simulation.service.deployments) == 1
        assert simulation.service.last_completed is not None
        assert simulation.service.last_completed.id == primary.id
        assert simulation.step().actions == ()
