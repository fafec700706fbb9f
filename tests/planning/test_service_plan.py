"""Services under the planner: single situations, told as stories."""

from __future__ import annotations

from service_simulation import START, Simulation, service

from openecs.planning.service_snapshot import ServiceSnapshot, take_census


def first_rollout(desired: int, **options: object) -> Simulation:
    simulation = Simulation(service(desired, **options))
    simulation.settle()
    simulation.said.clear()
    simulation.started.clear()
    return simulation


def test_new_service_starts_what_is_desired_and_becomes_steady():
    simulation = Simulation(service(3))
    assert [start.count for start in simulation.step().starts] == [3]
    assert simulation.step().actions == ()
    simulation.everything_goes_well()
    simulation.step()
    assert simulation.said == [
        "(service web) (deployment ecs-svc/1) deployment completed.",
        "(service web) has reached a steady state.",
    ]
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"
    assert simulation.service.deployments[0].rollout_state_reason == "ECS deployment ecs-svc/1 completed."
    assert simulation.service.deployments[0].first_running_at == START


def test_a_service_of_nothing_is_complete_at_once():
    simulation = Simulation(service(0))
    simulation.step()
    assert simulation.service.deployments[0].rollout_state == "COMPLETED"
    assert simulation.step().actions == ()


def test_steady_state_is_said_again_after_six_hours():
    simulation = first_rollout(1)
    wake_at = simulation.step().wake_at
    assert wake_at is not None
    assert simulation.said == []
    simulation.now = wake_at
    simulation.step()
    assert simulation.said == ["(service web) has reached a steady state."]


def test_rolling_update_with_defaults_starts_all_then_stops_all():
    simulation = first_rollout(4)
    simulation.update(2)
    plan = simulation.step()
    assert [(start.deployment_id, start.count) for start in plan.starts] == [("ecs-svc/2", 4)]
    assert plan.stops == ()
    first, *others = simulation.alive("ecs-svc/2")
    simulation.runs(first)
    assert len(simulation.step().stops) == 1
    for task in others:
        simulation.runs(task)
    plan = simulation.step()
    assert len(plan.stops) == 3
    assert {stop.stopped_reason for stop in plan.stops} == {"Scaling activity initiated by (deployment ecs-svc/1)"}
    assert {stop.stop_code for stop in plan.stops} == {"ServiceSchedulerInitiated"}
    simulation.settle()
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/2"]
    assert len(simulation.healthy("ecs-svc/2")) == 4


def test_fifty_percent_may_stop_half_before_anything_starts():
    simulation = first_rollout(4, minimum=50, maximum=100)
    simulation.update(2)
    plan = simulation.step()
    assert len(plan.stops) == 2
    assert plan.starts == ()
    for task in list(simulation.tasks.values()):
        if task.desired_status == "STOPPED":
            simulation.finishes_stopping(task)
    assert [start.count for start in simulation.step().starts] == [2]
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/2")) == 4


def test_percentages_that_leave_no_room_are_said_once_and_change_nothing():
    simulation = first_rollout(1, minimum=50, maximum=150)
    simulation.update(2)
    simulation.step()
    (said,) = simulation.said
    assert said.startswith("(service web) was unable to stop or start tasks during a deployment because of the ")
    assert said.endswith("Update the minimumHealthyPercent or maximumPercent value and try again.")
    assert len(simulation.healthy("ecs-svc/1")) == 1


def test_a_task_that_exits_is_replaced():
    simulation = first_rollout(3)
    simulation.now += 3600
    simulation.exits(simulation.alive()[0])
    assert [start.count for start in simulation.step().starts] == [1]
    simulation.settle()
    assert len(simulation.healthy()) == 3
    assert simulation.said[-1] == "(service web) has reached a steady state."
    assert "deployment completed" not in "".join(simulation.said)


def test_scaling_in_takes_the_fullest_zone_and_starting_tasks_first():
    simulation = first_rollout(6)
    simulation.scale(7)
    simulation.step()
    simulation.scale(4)
    plan = simulation.step()
    stopped = [simulation.tasks[stop.task_arn] for stop in plan.stops]
    assert [stop.running for stop in plan.stops] == [False, True, True]
    # Six healthy tasks on three nodes: nodes 0 and 2 share zone 0, which has four of them.
    assert [task.availability_zone for task in stopped[1:]] == ["zone-0", "zone-0"]
    assert len({task.node_id for task in stopped[1:]}) == 2


def test_unhealthy_task_is_replaced_before_it_is_stopped():
    simulation = Simulation(service(2), health_check=True)
    simulation.settle()
    sick = simulation.alive()[0]
    simulation.change(sick, health_status="UNHEALTHY")
    plan = simulation.step()
    assert [(start.count, start.replaces_unhealthy) for start in plan.starts] == [(1, 1)]
    assert plan.stops == ()
    replacement = simulation.started[-1]
    simulation.runs(replacement)
    assert simulation.step().stops == ()
    simulation.change(replacement, health_status="HEALTHY")
    (stop,) = simulation.step().stops
    assert stop.task_arn == sick.arn
    assert stop.stopped_reason == "Task failed container health checks"


def test_unhealthy_task_is_stopped_first_when_there_is_no_room():
    simulation = Simulation(service(2, minimum=0, maximum=100), health_check=True)
    simulation.settle()
    for task in simulation.alive():
        simulation.change(task, health_status="UNHEALTHY")
    assert len(simulation.step().stops) == 1
    assert simulation.step().stops == ()


def test_grace_period_lets_an_unhealthy_task_be():
    simulation = Simulation(service(1, health_check_grace_period_seconds=60), health_check=True)
    simulation.step()
    (task,) = simulation.alive()
    simulation.runs(task, "UNHEALTHY")
    plan = simulation.step()
    assert plan.actions == ()
    assert plan.wake_at == START + 60
    simulation.now = START + 60
    assert [start.replaces_unhealthy for start in simulation.step().starts] == [1]


def test_tasks_without_health_checks_count_as_soon_as_they_run():
    simulation = Simulation(service(1))
    simulation.step()
    simulation.runs(simulation.alive()[0])
    simulation.step()
    assert simulation.service.steady


def test_tasks_that_never_start_are_backed_off_and_reported():
    simulation = Simulation(service(1))
    delays = []
    for _ in range(6):
        simulation.step()
        assert len(simulation.alive()) == 1
        simulation.fails_to_start(simulation.alive()[0])
        plan = simulation.step()
        assert plan.starts == ()
        assert plan.wake_at is not None
        delays.append(plan.wake_at - simulation.now)
        simulation.now = plan.wake_at
    assert delays == [1, 2, 4, 8, 16, 32]
    assert simulation.service.deployments[0].failed_tasks == 6
    assert "(service web) is unable to consistently start tasks successfully." in simulation.said
    simulation.step()
    simulation.runs(simulation.alive()[0])
    simulation.step()
    assert simulation.service.deployments[0].failed_tasks == 0
    assert simulation.service.steady


def test_back_off_is_never_longer_than_27_minutes():
    simulation = Simulation(service(1))
    for _ in range(15):
        simulation.step()
        simulation.fails_to_start(simulation.alive()[0])
        plan = simulation.step()
        assert plan.wake_at is not None
        assert plan.wake_at - simulation.now <= 27 * 60
        simulation.now = plan.wake_at
    assert plan.wake_at is not None


def test_many_tasks_that_fail_together_are_one_round():
    simulation = Simulation(service(50))
    simulation.step()
    for task in simulation.alive():
        simulation.fails_to_start(task)
    plan = simulation.step()
    assert simulation.service.deployments[0].failed_tasks == 50
    assert plan.wake_at == START + 1


def test_failures_are_counted_once():
    simulation = Simulation(service(1))
    simulation.step()
    simulation.now += 1
    simulation.fails_to_start(simulation.alive()[0])
    simulation.step()
    simulation.step()
    simulation.step()
    assert simulation.service.deployments[0].failed_tasks == 1


def test_a_task_that_was_stopped_before_it_ran_is_no_failure():
    simulation = Simulation(service(1))
    simulation.step()
    simulation.now += 1
    task = simulation.alive()[0]
    simulation.change(task, stop_code="UserInitiated", desired_status="STOPPED")
    simulation.finishes_stopping(task)
    assert [start.count for start in simulation.step().starts] == [1]
    assert simulation.service.deployments[0].failed_tasks == 0


def test_a_crash_loop_after_running_slows_down():
    simulation = Simulation(service(1))
    starts = []
    for _ in range(200):
        if simulation.step().starts:
            starts.append(simulation.now)
        for task in simulation.alive():
            if task.last_status == "RUNNING":
                simulation.exits(task)
            else:
                simulation.runs(task)
        simulation.now += 1
    assert len(starts) < 15
    assert starts[1] - starts[0] <= 3
    assert simulation.service.deployments[0].failed_tasks == 0


def test_broken_revision_leaves_the_old_one_alone():
    simulation = first_rollout(4)
    simulation.update(2)
    for _ in range(8):
        simulation.step()
        for task in simulation.alive("ecs-svc/2"):
            simulation.fails_to_start(task)
        simulation.now += 1
    assert len(simulation.healthy("ecs-svc/1")) == 4
    simulation.step()
    simulation.exits(simulation.alive("ecs-svc/1")[0])
    simulation.step()
    # The old revision replaces what it lost while the new one cannot start.
    assert len(simulation.alive("ecs-svc/1")) == 4


def test_scaling_out_during_a_deployment_adds_tasks_of_the_new_revision_only():
    simulation = first_rollout(2)
    simulation.update(2)
    simulation.scale(6)
    simulation.step()
    assert {task.deployment_id for task in simulation.started} == {"ecs-svc/2"}
    simulation.settle()
    assert len(simulation.healthy("ecs-svc/2")) == 6


def test_a_third_revision_replaces_a_second_that_never_ran():
    simulation = first_rollout(2)
    simulation.update(2)
    simulation.step()
    simulation.now += 1
    simulation.update(3)
    plan = simulation.step()
    assert {simulation.tasks[stop.task_arn].deployment_id for stop in plan.stops} == {"ecs-svc/2"}
    assert len(simulation.healthy("ecs-svc/1")) == 2
    simulation.settle()
    assert [d.id for d in simulation.service.deployments] == ["ecs-svc/3"]


def test_tasks_on_draining_instances_are_replaced_first():
    simulation = first_rollout(3)
    simulation.draining.add("instance-1")
    (on_it,) = [task for task in simulation.alive() if task.container_instance_arn == "instance-1"]
    plan = simulation.step()
    assert [start.count for start in plan.starts] == [1]
    assert plan.stops == ()
    simulation.everything_goes_well()
    (stop,) = simulation.step().stops
    assert stop.task_arn == on_it.arn
    assert stop.reason == "its container instance is DRAINING"


def test_pending_tasks_on_draining_instances_stop_at_once():
    simulation = Simulation(service(3))
    simulation.step()
    simulation.draining.add("instance-1")
    (stop,) = simulation.step().stops
    assert not stop.running


def test_draining_with_hundred_percent_twice_stays_as_it_is():
    simulation = first_rollout(3, minimum=100, maximum=100)
    simulation.draining.add("instance-1")
    plan = simulation.step()
    assert plan.starts == ()
    assert plan.stops == ()


def test_deleted_service_stops_its_tasks_and_is_inactive_when_they_go_down():
    import msgspec

    simulation = first_rollout(2)
    simulation.service = msgspec.structs.replace(simulation.service, status="DRAINING", desired_count=0)
    assert len(simulation.step().stops) == 2
    assert simulation.step().service.status == "DRAINING"
    for task in list(simulation.tasks.values()):
        simulation.change(task, last_status="STOPPING")
    simulation.now += 5
    simulation.step()
    assert simulation.service.status == "INACTIVE"
    assert simulation.service.deleted_at == simulation.now
    assert simulation.step().actions == ()


def test_a_plan_that_changes_nothing_keeps_the_record():
    simulation = first_rollout(2)
    record = simulation.service
    assert simulation.step().service is record


def test_side_containers_do_not_decide_about_health():
    import msgspec

    simulation = Simulation(service(1), health_check=True)
    simulation.step()
    task = simulation.alive()[0]
    side = msgspec.structs.replace(task.containers[0], essential=False)
    simulation.change(task, containers=(side,))
    simulation.runs(simulation.tasks[task.arn], "UNKNOWN")
    census = take_census(ServiceSnapshot(simulation.service, tuple(simulation.tasks.values())), simulation.now)
    assert len(census.groups[0].healthy) == 1
