"""Services with the EXTERNAL deployment controller under the planner: every task set by itself."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import START, Simulation, deployment, service

from openecs.model.service import Deployment, Service, TaskSetSettings
from openecs.planning.task_set_plan import computed_desired_count


def task_set(number: int, scale: float = 100.0, status: str = "ACTIVE") -> Deployment:
    return deployment(
        number,
        status=status,
        rollout_state="COMPLETED",
        task_set=TaskSetSettings(
            arn=f"arn:aws:ecs:eu-west-1:123456789012:task-set/default/web/ecs-svc/{number}",
            scale=scale,
            stability_status_at=START,
        ),
    )


def external(desired: int, *sets: Deployment) -> Service:
    return service(desired, deployments=sets, deployment_controller="EXTERNAL")


class Sets(Simulation):
    """A simulation whose safety rule is each set's, not the service's."""

    def _check_safety(self, result) -> None:
        for one in self.service.deployments:
            if one.task_set is None or one.status == "DRAINING":
                continue
            share = computed_desired_count(self.service.desired_count, one.task_set.scale)
            starting = sum(start.count for start in result.starts if start.deployment_id == one.id)
            assert len(self.alive(one.id)) + starting <= max(2 * share, len(self.alive(one.id))), self.describe()
            going = {stop.task_arn for stop in result.stops}
            healthy = {task.arn for task in self.healthy(one.id)}
            if healthy & going:
                assert len(healthy - going) >= share, self.describe()

    def change_set(self, number: int, **changes: object) -> None:
        self.service = msgspec.structs.replace(
            self.service,
            deployments=tuple(
                msgspec.structs.replace(d, **changes) if d.id == f"ecs-svc/{number}" else d
                for d in self.service.deployments
            ),
        )

    def scale_set(self, number: int, scale: float) -> None:
        found = self.set(number).task_set
        self.change_set(number, task_set=msgspec.structs.replace(found, scale=scale))

    def add(self, one: Deployment) -> None:
        self.service = msgspec.structs.replace(self.service, deployments=(one, *self.service.deployments))

    def set(self, number: int) -> Deployment:
        return next(d for d in self.service.deployments if d.id == f"ecs-svc/{number}")

    def stability(self, number: int) -> tuple[str, float]:
        found = self.set(number).task_set
        return found.stability_status, found.stability_status_at


@pytest.mark.parametrize(
    ("desired", "scale", "count"),
    [
        (0, 100.0, 0),
        (5, 0.0, 0),
        (6, 20.0, 2),
        (3, 50.0, 2),
        (10, 10.0, 1),
        (100, 7.0, 7),
        (1, 0.1, 1),
        (3, 33.4, 2),
        (3, 100 / 3, 1),
        (7, 100 / 7, 1),
        (11, 100 / 11, 1),
        (14, 900 / 14, 9),
    ],
)
def test_computed_desired_count_is_rounded_up(desired, scale, count):
    assert computed_desired_count(desired, scale) == count


def test_every_set_runs_its_share():
    simulation = Sets(external(4, task_set(2, 50.0), task_set(1, status="PRIMARY")))
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/1")) == 4
    assert len(simulation.healthy("ecs-svc/2")) == 2
    assert len(simulation.service.deployments) == 2
    assert simulation.said == ["(service web) has reached a steady state."]


def test_a_service_without_task_sets_runs_nothing():
    simulation = Sets(external(3))
    assert simulation.step().starts == ()
    assert simulation.step().actions == ()


def test_scaling_one_set_leaves_the_other_alone():
    simulation = Sets(external(4, task_set(2), task_set(1, status="PRIMARY")))
    simulation.settle()
    simulation.scale_set(2, 25.0)
    plan = simulation.step()
    assert len(plan.stops) == 3
    assert {simulation.tasks[stop.task_arn].deployment_id for stop in plan.stops} == {"ecs-svc/2"}
    simulation.settle()
    assert [len(simulation.healthy(f"ecs-svc/{n}")) for n in (1, 2)] == [4, 1]


def test_starting_tasks_go_first_when_a_set_shrinks():
    simulation = Sets(external(2, task_set(1)))
    simulation.settle()
    simulation.scale(3)
    simulation.step()
    simulation.scale(2)
    (stop,) = simulation.step().stops
    assert stop.running is False


def test_stability_follows_the_tasks_and_says_since_when():
    simulation = Sets(external(1, task_set(1)))
    simulation.step()
    assert simulation.stability(1) == ("STABILIZING", START)
    simulation.now += 5
    simulation.everything_goes_well()
    simulation.step()
    assert simulation.stability(1) == ("STEADY_STATE", START + 5)
    simulation.now += 5
    simulation.step()
    assert simulation.stability(1) == ("STEADY_STATE", START + 5)
    simulation.exits(simulation.alive()[0])
    simulation.step()
    assert simulation.stability(1) == ("STABILIZING", START + 10)


@pytest.mark.parametrize("what", ["unhealthy", "draining"])
def test_a_set_with_an_unhealthy_task_or_one_on_a_draining_instance_is_not_stable(what):
    simulation = Sets(external(2, task_set(1)), health_check=True)
    simulation.settle()
    task = simulation.alive()[0]
    if what == "unhealthy":
        simulation.change(task, health_status="UNHEALTHY")
    else:
        simulation.draining.add(task.container_instance_arn)
    plan = simulation.step()
    assert simulation.stability(1)[0] == "STABILIZING"
    # The replacement comes first, then the task goes.
    assert ([start.count for start in plan.starts], plan.stops) == ([1], ())
    simulation.settle()
    assert simulation.stability(1)[0] == "STEADY_STATE"
    assert task.arn not in {alive.arn for alive in simulation.alive()}


def test_a_deleted_set_stops_all_its_tasks_and_disappears_with_the_last():
    simulation = Sets(external(2, task_set(2), task_set(1, status="PRIMARY")))
    simulation.settle()
    simulation.change(simulation.alive("ecs-svc/2")[0], protected_until=simulation.now + 999)
    simulation.change_set(2, status="DRAINING")
    plan = simulation.step()
    assert len(plan.stops) == 2
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2", "ecs-svc/1"]
    assert simulation.stability(2)[0] == "STABILIZING"
    for task in list(simulation.tasks.values()):
        if task.desired_status == "STOPPED":
            simulation.finishes_stopping(task)
    simulation.step()
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/1"]
    assert len(simulation.healthy("ecs-svc/1")) == 2


def test_protected_tasks_are_not_scaled_in():
    simulation = Sets(external(2, task_set(1)))
    simulation.settle()
    until = simulation.now + 600
    for task in simulation.alive():
        simulation.change(task, protected_until=until)
    simulation.scale_set(1, 50.0)
    simulation.said.clear()
    plan = simulation.step()
    assert plan.stops == ()
    assert plan.wake_at == until
    (said,) = simulation.said
    assert said == (
        "(service web) was unable to reach steady state because (taskSet ecs-svc/1) was unable to scale in due to "
        "(reason 2 tasks under protection)"
    )
    simulation.now = until
    assert len(simulation.step().stops) == 1


def test_protected_tasks_stay_on_a_draining_instance():
    simulation = Sets(external(1, task_set(1)))
    simulation.settle()
    (task,) = simulation.alive()
    until = simulation.now + 600
    simulation.change(task, container_instance_arn="a", protected_until=until)
    simulation.draining = frozenset({"a"})
    # Its replacement runs before it may go.
    assert [start.count for start in simulation.step().starts] == [1]
    simulation.settle()
    assert simulation.tasks[task.arn].desired_status == "RUNNING"
    simulation.now = until
    assert [stop.task_arn for stop in simulation.step().stops] == [task.arn]


def test_a_set_that_cannot_start_backs_off_and_the_other_does_not():
    simulation = Sets(external(1, task_set(2), task_set(1, status="PRIMARY")))
    for _ in range(6):
        plan = simulation.step()
        for task in simulation.alive("ecs-svc/2"):
            simulation.fails_to_start(task)
        for task in simulation.alive("ecs-svc/1"):
            simulation.runs(task)
        simulation.now = max(simulation.now, plan.wake_at or 0.0)
    simulation.step()
    simulation.fails_to_start(simulation.alive("ecs-svc/2")[0])
    plan = simulation.step()
    assert plan.starts == ()
    assert plan.wake_at is not None
    assert plan.wake_at > simulation.now
    assert simulation.set(2).failed_tasks >= 3
    assert simulation.set(1).failed_tasks == 0
    assert "(service web, taskSet ecs-svc/2) is unable to consistently start tasks successfully." in simulation.said
    simulation.exits(simulation.alive("ecs-svc/1")[0])
    assert [start.deployment_id for start in simulation.step().starts] == ["ecs-svc/1"]


def test_a_deleted_service_with_task_sets_becomes_inactive():
    simulation = Sets(external(2, task_set(2), task_set(1)))
    simulation.settle()
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    simulation.step()
    for task in list(simulation.tasks.values()):
        if not task.stopped:
            simulation.finishes_stopping(task)
    simulation.step()
    assert simulation.service.status == "INACTIVE"


def test_a_deleted_service_without_task_sets_becomes_inactive():
    simulation = Sets(external(2))
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    simulation.step()
    assert simulation.service.status == "INACTIVE"


ROUND = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("all well", "run", "fail", "exit", "healthy", "unhealthy", "stopped"),
                *("add", "delete", "set scale", "scale", "drain", "undrain", "wait"),
            ]
        ),
        st.integers(0, 11),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(desired=st.integers(0, 6), health_check=st.booleans(), history=st.lists(ROUND, max_size=10))
def test_random_histories_end_with_every_set_at_its_share(desired, health_check, history):
    simulation = Sets(external(desired, task_set(1, status="PRIMARY")), health_check=health_check)
    fresh = 2
    for events in history:
        simulation.step()
        for what, number in events:
            tasks = [task for task in simulation.tasks.values() if not task.stopped]
            task = tasks[number % len(tasks)] if tasks else None
            live = [d for d in simulation.service.deployments if d.status != "DRAINING"]
            if what == "all well":
                simulation.everything_goes_well()
            elif what == "add":
                simulation.add(task_set(fresh, number * 100 / 11))
                fresh += 1
            elif what in ("delete", "set scale") and live:
                chosen = int(live[number % len(live)].id.rsplit("/", 1)[1])
                if what == "delete":
                    simulation.change_set(chosen, status="DRAINING")
                else:
                    simulation.scale_set(chosen, number * 9.1)
            elif what == "scale":
                simulation.scale(number)
            elif what == "drain":
                simulation.draining.add(f"instance-{number % 3}")
            elif what == "undrain":
                simulation.draining.clear()
            elif what == "wait":
                simulation.now += 2.0**number
            elif task is None:
                continue
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
        simulation.now += 1.0
    simulation.draining.clear()
    for _ in range(80):
        result = simulation.step()
        if simulation.service.steady and not simulation.unfinished():
            break
        simulation.everything_goes_well()
        if result.wake_at is not None and not result.starts and not result.stops:
            simulation.now = max(simulation.now, result.wake_at)
        simulation.now += 1.0
    for one in simulation.service.deployments:
        share = computed_desired_count(simulation.service.desired_count, one.task_set.scale)
        assert one.status != "DRAINING"
        assert len(simulation.healthy(one.id)) == len(simulation.alive(one.id)) == share, simulation.describe()
        assert one.task_set.stability_status == "STEADY_STATE"
    assert simulation.step().actions == ()


def test_running_tasks_that_are_not_healthy_yet_leave_a_drained_instance_when_enough_serve():
    simulation = Sets(external(2, task_set(1)), health_check=True)
    simulation.step()
    one, two = simulation.alive()
    simulation.runs(one)
    simulation.runs(two)
    simulation.change(two, protected_until=simulation.now + 3600)
    simulation.draining = {one.container_instance_arn, two.container_instance_arn}
    plan = simulation.step()
    assert plan.stops == ()
    assert [start.count for start in plan.starts] == [2]
    for task in simulation.alive()[2:]:
        simulation.change(task, container_instance_arn="elsewhere")
        simulation.runs(task, "HEALTHY")
    plan = simulation.step()
    assert [stop.task_arn for stop in plan.stops] == [one.arn]
    assert plan.wake_at == simulation.tasks[two.arn].protected_until


def test_one_step_stops_only_so_many_tasks():
    simulation = Sets(external(150, task_set(1), task_set(2)), nodes=30)
    for _ in range(4):
        simulation.step()
        simulation.everything_goes_well()
    simulation.change_set(1, status="DRAINING")
    simulation.change_set(2, status="DRAINING")
    assert len(simulation.step().stops) == 250
    simulation.everything_goes_well()
    assert len(simulation.step().stops) == 50
