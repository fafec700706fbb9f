"""How deployments end: completed, failed, rolled back, stopped by request."""

from __future__ import annotations

import msgspec
import pytest
from service_simulation import START, Simulation, configuration, deployment, service

from openecs.planning import rollback, rollout
from openecs.planning.service_actions import Event, FailDeployment
from openecs.planning.service_snapshot import ServiceSnapshot, take_census
from openecs.shapes import ecs

CYCLES = 40


def complete(desired: int = 3, *, health_check: bool = False, **options: object) -> Simulation:
    simulation = Simulation(
        service(desired, deployment_configuration=configuration(**options)), health_check=health_check
    )
    simulation.settle(rounds=60)
    simulation.said.clear()
    return simulation


def fail_everything_of(simulation: Simulation, deployment_id: str) -> None:
    """Tasks of one deployment never start, until it is not PRIMARY and IN_PROGRESS any more."""
    for _ in range(CYCLES):
        simulation.step()
        primary = simulation.service.primary
        if primary.id != deployment_id or primary.rollout_state != "IN_PROGRESS":
            simulation.step()
            return
        for task in simulation.alive(deployment_id):
            if task.last_status == "PENDING":
                simulation.fails_to_start(task)
        simulation.now += 1
    raise AssertionError(f"it never failed: {simulation.describe()}")


def states(simulation: Simulation) -> dict[str, tuple[str, str]]:
    return {d.id: (d.status, d.rollout_state) for d in simulation.service.deployments}


def test_a_broken_revision_rolls_back_and_the_old_tasks_are_never_touched():
    simulation = complete(3)
    before = {task.arn for task in simulation.healthy("ecs-svc/1")}
    simulation.update(2)
    fail_everything_of(simulation, "ecs-svc/2")
    assert simulation.said == [
        "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
        "(service web) rolling back to deployment ecs-svc/1.",
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "COMPLETED")}
    assert {task.arn for task in simulation.healthy()} == before
    assert simulation.service.last_completed == simulation.service.deployments[0]


def test_the_texts_of_a_deployment_that_failed_are_aws():
    simulation = complete(3)
    simulation.update(2)
    simulation.step()
    for task in simulation.alive("ecs-svc/2"):
        simulation.fails_to_start(task)
    simulation.step()
    restored, failed = simulation.service.deployments
    assert (restored.id, restored.status, restored.rollout_state) == ("ecs-svc/1", "PRIMARY", "IN_PROGRESS")
    assert restored.rollout_state_reason == "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."
    assert restored.rolls_back == "ecs-svc/2"
    assert (failed.id, failed.status, failed.rollout_state) == ("ecs-svc/2", "ACTIVE", "FAILED")
    assert failed.rollout_state_reason == "ECS deployment circuit breaker: tasks failed to start."
    assert restored.cause == failed.cause == "circuit breaker"
    assert simulation.service.last_completed is None


def test_a_deployment_that_failed_is_not_said_to_be_backed_off():
    simulation = complete(1)
    simulation.update(2)
    fail_everything_of(simulation, "ecs-svc/2")
    assert simulation.service.primary.id == "ecs-svc/1"
    assert not [text for text in simulation.said if "consistently" in text]


def test_a_crash_loop_says_how_long_it_waits_once_per_delay():
    simulation = Simulation(service(1))
    for _ in range(400):
        simulation.step()
        for task in simulation.alive():
            simulation.exits(task) if task.last_status == "RUNNING" else simulation.runs(task)
        simulation.now += 0.25
    said = [text for text in simulation.said if "tasks exit or fail" in text]
    assert len(said) == len(set(said)) >= 6
    assert said[:2] == [
        "(service web) (deployment ecs-svc/1) tasks exit or fail their health checks soon after they start. "
        f"The next task is started {delay} after the last one ended."
        for delay in ("1 second", "2 seconds")
    ]


def test_a_crash_loop_is_no_steady_state_until_a_task_outlives_the_others():
    simulation = Simulation(service(1))
    simulation.settle()
    simulation.said.clear()
    for _ in range(4):
        (task,) = simulation.alive()
        simulation.runs(task)
        simulation.step()
        simulation.now += 0.5
        simulation.exits(task)
        simulation.step()
        simulation.now = max(simulation.now, simulation.step().wake_at or 0.0)
        simulation.step()
    # Only the first exit may be one of those that happen.
    assert sum("steady state" in text for text in simulation.said) <= 1
    assert not simulation.service.steady
    last_exit = simulation.service.deployments[0].crashes.until
    simulation.runs(simulation.alive()[0])
    plan = simulation.step()
    assert plan.wake_at == last_exit + 60.0
    assert "steady state" not in simulation.said[-1]
    simulation.now = plan.wake_at
    simulation.step()
    assert simulation.service.steady
    assert simulation.said[-1] == "(service web) has reached a steady state."


def test_going_back_means_the_images_that_ran_even_if_they_were_settled_after_completion():
    simulation = complete(1, minimum=0)
    (task,) = simulation.healthy()
    digest = "sha256:" + "a" * 64
    simulation.change(
        task, containers=(msgspec.structs.replace(task.containers[0], image_digest=digest, keeps_version=True),)
    )
    simulation.step()
    simulation.update(2)
    simulation.step()
    # Nothing of the old revision is left, not even its deployment, when the new one fails.
    simulation.exits(simulation.tasks[task.arn])
    simulation.service = msgspec.structs.replace(
        simulation.service, deployments=tuple(d for d in simulation.service.deployments if d.id != "ecs-svc/1")
    )
    simulation.tasks.pop(task.arn)
    fail_everything_of(simulation, "ecs-svc/2")
    assert simulation.service.primary.id == "ecs-svc/1"
    assert [pin.digest for pin in simulation.service.primary.pins] == [digest]


def test_without_rollback_the_deployment_stalls_and_the_old_tasks_stay():
    simulation = complete(3, rollback=False)
    simulation.update(2)
    fail_everything_of(simulation, "ecs-svc/2")
    primary = simulation.service.primary
    assert (primary.id, primary.rollout_state) == ("ecs-svc/2", "FAILED")
    assert primary.rollout_state_reason == "ECS deployment circuit breaker: tasks failed to start."
    assert simulation.said == ["(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start."]
    for _ in range(CYCLES):
        simulation.now += 600
        plan = simulation.step()
        assert plan.starts == plan.stops == ()
    assert len(simulation.healthy("ecs-svc/1")) == 3
    # A task that the old revision loses is replaced with its own revision.
    simulation.exits(simulation.alive("ecs-svc/1")[0])
    assert [start.deployment_id for start in simulation.step().starts] == ["ecs-svc/1"]


def test_a_first_deployment_that_fails_has_nothing_to_go_back_to():
    simulation = Simulation(service(2, deployment_configuration=configuration()))
    fail_everything_of(simulation, "ecs-svc/1")
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "FAILED")}
    simulation.now += 7200
    assert simulation.step().actions == ()
    # A new deployment starts anew.
    simulation.update(2)
    simulation.settle(rounds=60)
    assert states(simulation) == {"ecs-svc/2": ("PRIMARY", "COMPLETED")}


def test_a_completed_deployment_is_used_once_for_a_rollback():
    simulation = complete(2, minimum=0)
    simulation.update(2)
    simulation.step()
    for task in simulation.alive("ecs-svc/1"):
        simulation.exits(task)
    for task in simulation.alive("ecs-svc/2"):
        simulation.fails_to_start(task)
    fail_everything_of(simulation, "ecs-svc/2")
    assert simulation.service.primary.id == "ecs-svc/1"
    assert simulation.service.last_completed is None
    # What worked before does not work any more either.
    fail_everything_of(simulation, "ecs-svc/1")
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "FAILED")}
    assert [text for text in simulation.said if "rolling back" in text] == [
        "(service web) rolling back to deployment ecs-svc/1."
    ]


def unproved(desired: int = 2, *, running: int = 2, health_check: bool = False, **options: object) -> Simulation:
    """The first deployment runs but has not proved its tasks when an update replaces it."""
    simulation = Simulation(
        service(desired, deployment_configuration=configuration(**options)), health_check=health_check
    )
    simulation.step()
    for task in simulation.alive()[:running]:
        simulation.runs(task)
        if health_check:
            simulation.change(task, health_status="HEALTHY", healthy_at=simulation.now)
    simulation.now += 1
    simulation.step()
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "IN_PROGRESS")}
    simulation.update(2)
    return simulation


def test_an_update_before_the_first_deployment_is_proved_can_go_back_to_it():
    simulation = unproved(2)
    before = {task.arn for task in simulation.alive("ecs-svc/1")}
    fail_everything_of(simulation, "ecs-svc/2")
    assert states(simulation)["ecs-svc/1"] == ("PRIMARY", "IN_PROGRESS")
    assert simulation.service.primary.rolls_back == "ecs-svc/2"
    simulation.settle(rounds=60)
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "COMPLETED")}
    assert {task.arn for task in simulation.healthy()} == before


def test_what_lacks_tasks_and_was_never_completed_is_not_gone_back_to():
    simulation = unproved(2, running=1)
    fail_everything_of(simulation, "ecs-svc/2")
    assert states(simulation)["ecs-svc/2"] == ("PRIMARY", "FAILED")
    assert len(simulation.healthy("ecs-svc/1")) == 1


def test_tasks_that_are_not_healthy_do_not_make_a_deployment_to_go_back_to():
    simulation = unproved(2, running=1, health_check=True)
    waits = next(task for task in simulation.alive("ecs-svc/1") if task.last_status != "RUNNING")
    simulation.runs(waits)
    simulation.change(waits, health_status="UNHEALTHY")
    fail_everything_of(simulation, "ecs-svc/2")
    assert states(simulation)["ecs-svc/2"] == ("PRIMARY", "FAILED")


def test_a_failed_deployment_is_never_gone_back_to_however_many_tasks_it_has():
    simulation = unproved(2)
    simulation.service = msgspec.structs.replace(simulation.service, deployments=simulation.service.deployments[1:])
    simulation.service = msgspec.structs.replace(
        simulation.service,
        deployments=(msgspec.structs.replace(simulation.service.deployments[0], status="PRIMARY"),),
    )
    simulation.stop_requested = "ABORT"
    simulation.step()
    simulation.stop_requested = None
    simulation.update(3)
    fail_everything_of(simulation, "ecs-svc/3")
    assert states(simulation)["ecs-svc/3"] == ("PRIMARY", "FAILED")
    assert len(simulation.healthy("ecs-svc/1")) == 2


def test_a_rollback_that_fails_is_not_followed_by_another():
    simulation = unproved(2)
    newest, older = simulation.service.deployments
    newest = msgspec.structs.replace(newest, rolls_back="ecs-svc/3")
    simulation.service = msgspec.structs.replace(simulation.service, deployments=(newest, older))
    fail_everything_of(simulation, "ecs-svc/2")
    assert states(simulation)["ecs-svc/2"] == ("PRIMARY", "FAILED")
    assert len(simulation.healthy("ecs-svc/1")) == 2


def test_a_service_without_tasks_has_nothing_to_go_back_to_that_was_never_completed():
    older = deployment(1, status="ACTIVE")
    record = service(0, deployments=(deployment(2), older), deployment_configuration=configuration())
    census = take_census(ServiceSnapshot(record, ()), START)
    assert rollback.target(record, census, 0) is None
    assert rollback.target(record, census, 1) is None
    # Unless it was completed, before that was kept anywhere else.
    completed = msgspec.structs.replace(older, rollout_state="COMPLETED")
    record = msgspec.structs.replace(record, deployments=(deployment(2), completed))
    assert rollback.target(record, take_census(ServiceSnapshot(record, ()), START), 0) == completed


def test_a_completed_deployment_of_an_older_record_can_be_gone_back_to():
    simulation = complete(2)
    kept = simulation.service.last_completed
    simulation.service = msgspec.structs.replace(simulation.service, last_completed=None)
    simulation.step()
    assert simulation.service.last_completed == kept
    after = simulation.service
    # And it is written once.
    simulation.step()
    assert simulation.service is after
    # Nor is the first look at it needed: the update may come before.
    simulation.service = msgspec.structs.replace(simulation.service, last_completed=None)
    simulation.update(2)
    fail_everything_of(simulation, "ecs-svc/2")
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "COMPLETED")}


def test_a_rollback_starts_the_tasks_that_the_failed_deployment_replaced():
    simulation = complete(4, minimum=50, maximum=100, threshold=("COUNT", 2))
    simulation.update(2)
    simulation.step()
    for task in list(simulation.tasks.values()):
        if task.desired_status == "STOPPED":
            simulation.finishes_stopping(task)
    fail_everything_of(simulation, "ecs-svc/2")
    assert len(simulation.healthy("ecs-svc/1")) == 2
    simulation.settle(rounds=60)
    assert len(simulation.healthy("ecs-svc/1")) == 4
    assert states(simulation) == {"ecs-svc/1": ("PRIMARY", "COMPLETED")}


def test_a_crash_loop_after_the_start_rolls_back_with_the_floor_kept():
    simulation = complete(2)
    simulation.update(2)
    for _ in range(200):
        simulation.step()
        assert len(simulation.healthy("ecs-svc/1")) == 2
        if simulation.service.primary.id == "ecs-svc/1":
            break
        for task in simulation.alive("ecs-svc/2"):
            if task.last_status == "RUNNING":
                simulation.exits(task)
            else:
                simulation.runs(task)
        simulation.now += 1
    assert simulation.service.primary.id == "ecs-svc/1"
    assert simulation.now - START < 30 + 20


def test_exactly_the_threshold_fails_the_deployment():
    simulation = complete(5, threshold=("COUNT", 4))
    simulation.update(2)
    simulation.step()
    simulation.now += 1
    *three, fourth, _ = simulation.alive("ecs-svc/2")
    for task in three:
        simulation.fails_to_start(task)
    simulation.step()
    assert simulation.service.primary.id == "ecs-svc/2"
    simulation.fails_to_start(fourth)
    plan = simulation.step()
    assert [action for action in plan.actions if isinstance(action, FailDeployment)] == [
        FailDeployment("ecs-svc/2", "ECS deployment circuit breaker: tasks failed to start.", "ecs-svc/1")
    ]
    # What is said of the deployment comes before what is said of tasks.
    assert isinstance(plan.actions[0], FailDeployment)
    assert all(isinstance(action, Event) for action in plan.actions[1:3])


def test_an_update_during_a_rollback_falls_back_on_the_revision_that_was_proved():
    simulation = complete(2)
    simulation.update(2)
    simulation.step()
    simulation.alarms.clear()
    # A task of the failed deployment is slow to stop, so the rollback is not complete yet.
    slow, other = simulation.alive("ecs-svc/2")
    simulation.runs(slow)
    simulation.fails_to_start(other)
    simulation.stop_requested = "ROLLBACK"
    simulation.draining.add("nowhere")
    simulation.step()
    simulation.stop_requested = None
    assert simulation.service.primary.id == "ecs-svc/1"
    simulation.update(3)
    simulation.step()
    assert len(simulation.healthy("ecs-svc/1")) == 2
    simulation.settle(rounds=60)
    assert states(simulation) == {"ecs-svc/3": ("PRIMARY", "COMPLETED")}


@pytest.mark.parametrize(("request_type", "primary", "state"), [("ROLLBACK", 1, "COMPLETED"), ("ABORT", 2, "FAILED")])
def test_a_stop_request_ends_the_deployment(request_type, primary, state):
    simulation = complete(2, rollback=False)
    simulation.update(2)
    simulation.step()
    simulation.stop_requested = request_type
    simulation.step()
    simulation.stop_requested = None
    assert simulation.service.primary.id == f"ecs-svc/{primary}"
    for _ in range(20):
        simulation.everything_goes_well()
        simulation.now += 1
        simulation.step()
    assert simulation.service.primary.rollout_state == state
    if request_type == "ROLLBACK":
        assert len(simulation.healthy("ecs-svc/1")) == 2
        assert simulation.alive("ecs-svc/2") == []
    else:
        # Nothing more is started and nothing that runs is taken away.
        assert len(simulation.healthy("ecs-svc/2")) == 2


def alarming(desired: int = 1, **options: object) -> Simulation:
    alarms = ecs.DeploymentAlarms(alarm_names=("errors", "latency"), enable=True, rollback=True)
    return complete(desired, alarms=alarms, **options)


def test_an_alarm_rolls_the_deployment_back():
    simulation = alarming()
    simulation.update(2)
    simulation.step()
    simulation.alarms.add("latency")
    simulation.step()
    assert simulation.service.primary.id == "ecs-svc/1"
    assert simulation.said[0] == "(service web) (deployment ecs-svc/2) deployment failed: alarm detected."


def test_an_alarm_that_was_there_before_the_deployment_is_ignored_for_it():
    simulation = alarming()
    simulation.alarms.add("errors")
    simulation.update(2)
    simulation.settle(rounds=60)
    assert states(simulation) == {"ecs-svc/2": ("PRIMARY", "COMPLETED")}
    # The next one looks again.
    simulation.alarms.clear()
    simulation.update(3)
    simulation.step()
    simulation.alarms.add("errors")
    simulation.step()
    assert simulation.service.primary.id == "ecs-svc/2"


def test_alarms_of_others_and_alarms_afterwards_change_nothing():
    simulation = alarming()
    simulation.update(2)
    simulation.step()
    simulation.alarms.add("of somebody else")
    simulation.settle(rounds=60)
    simulation.alarms |= {"errors"}
    simulation.now += 60
    simulation.step()
    assert states(simulation) == {"ecs-svc/2": ("PRIMARY", "COMPLETED")}


def test_a_deployment_bakes_before_it_is_complete():
    simulation = alarming(bake_time_in_minutes=5)
    simulation.update(2)
    for _ in range(30):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 1
    plan = simulation.step()
    assert simulation.service.steady
    assert simulation.service.primary.rollout_state == "IN_PROGRESS"
    assert rollout.suspends_scale_in(simulation.service)
    simulation.now = plan.wake_at
    simulation.step()
    assert simulation.service.primary.rollout_state == "COMPLETED"
    assert not rollout.suspends_scale_in(simulation.service)


def early(cleanup: str, percent: int) -> ecs.DeploymentConfiguration:
    return ecs.DeploymentConfiguration(
        maximum_percent=200,
        minimum_healthy_percent=0,
        early_success_criteria=ecs.DeploymentEarlySuccessCriteria(
            enable=True, healthy_percent=percent, source_service_revision_cleanup=cleanup
        ),
    )


def test_deferred_early_success_completes_with_a_share_of_healthy_tasks_and_goes_on():
    simulation = Simulation(service(4, deployment_configuration=early("DEFERRED", 50)), health_check=True)
    simulation.settle()
    simulation.update(2)
    simulation.step()
    one, two, *_ = simulation.alive("ecs-svc/2")
    for task, state in ((one, "IN_PROGRESS"), (two, "COMPLETED")):
        simulation.runs(task)
        simulation.change(task, health_status="HEALTHY")
        simulation.step()
        assert simulation.service.primary.rollout_state == state
    assert not simulation.service.steady
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/2")) == 4
    assert [text for text in simulation.said if "ecs-svc/2) deployment completed" in text] == [
        "(service web) (deployment ecs-svc/2) deployment completed."
    ]


def test_early_success_does_not_count_tasks_that_are_stopped_at_the_same_time():
    configured = msgspec.structs.replace(early("DEFERRED", 100), maximum_percent=100)
    simulation = Simulation(service(3, deployment_configuration=configured), health_check=True)
    simulation.step()
    first, *others = simulation.alive("ecs-svc/1")
    for task in others:
        simulation.runs(task)
        simulation.change(task, health_status="HEALTHY")
    # One that is protected before it runs stays: the healthy ones go.
    simulation.change(first, protected_until=simulation.now + 3600.0)
    simulation.service = msgspec.structs.replace(simulation.service, desired_count=1)
    simulation.step()
    assert simulation.healthy("ecs-svc/1") == []
    assert simulation.service.primary.rollout_state == "IN_PROGRESS"


def test_blocking_early_success_waits_until_the_older_tasks_go():
    configured = early("BLOCKING", 50)
    configured = msgspec.structs.replace(configured, minimum_healthy_percent=100)
    simulation = Simulation(service(4, deployment_configuration=configured), health_check=True)
    simulation.settle()
    simulation.update(2)
    simulation.step()
    *most, last = simulation.alive("ecs-svc/2")
    for task in most:
        simulation.runs(task)
        simulation.change(task, health_status="HEALTHY")
        simulation.step()
    # Three of four are healthy, one old task still has to serve.
    assert simulation.service.primary.rollout_state == "IN_PROGRESS"
    simulation.runs(last)
    simulation.change(last, health_status="HEALTHY")
    simulation.step()
    simulation.step()
    assert simulation.service.primary.rollout_state == "COMPLETED"
