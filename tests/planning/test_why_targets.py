"""``openecs why`` of tasks and services behind load balancers."""

from __future__ import annotations

from service_simulation import deployment, service
from test_why_answers import task

from openecs.model.traffic_shift import HookRun, TrafficShift
from openecs.planning.target_verdict import NOT_REGISTERED, TargetFailure, TargetVerdict
from openecs.planning.why import ServiceStory, TaskStory, why_deployment, why_service, why_task
from openecs.shapes import ecs

GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/blue/73e2d6bc24d8a067"
SICK = TargetVerdict("UNHEALTHY", TargetFailure(GROUP, 8080, "Health checks failed with these codes: [503]"))
SICK_TEXT = "is unhealthy in target group blue (port 8080): Health checks failed with these codes: [503]"
BALANCED = deployment(
    1, load_balancers=(ecs.LoadBalancer(target_group_arn=GROUP, container_name="web", container_port=80),)
)


def story(*tasks, **targets: TargetVerdict) -> ServiceStory:
    record = service(len(tasks), deployments=(BALANCED,))
    return ServiceStory(record.arn, record, tasks, (), {t.arn: targets[f"t{t.arn[-1]}"] for t in tasks})


def test_a_service_waits_for_a_target_that_is_not_healthy_yet():
    answer = why_service(story(task("1"), task("2"), t1=TargetVerdict("HEALTHY"), t2=NOT_REGISTERED), 100.0)
    waits = "task 2 runs and is not healthy in all its target groups yet"
    assert answer.summary == f"2 of 2 tasks run; waiting: {waits}"
    assert [line.text for line in answer.now if line.what == "targets"] == [waits]


def test_an_unhealthy_target_is_named_with_what_its_load_balancer_found():
    told = story(task("1"), t1=SICK)
    assert why_service(told, 100.0).summary == f"1 of 1 tasks run; waiting: task 1 {SICK_TEXT}"
    assert f"task 1 {SICK_TEXT}" in [line.text for line in why_deployment("ecs-svc/1", told, 100.0).now]
    assert f"it {SICK_TEXT}" in [line.text for line in why_task(TaskStory(task(), (), targets=SICK)).now]


def test_a_task_that_drains_says_what_it_waits_for():
    going = task(
        desired_status="STOPPED", last_status="DEACTIVATING", stopped_reason="Task stopped by user", drains=True
    )
    lines = [line.text for line in why_task(TaskStory(going, ())).now]
    drains = "its agent is told when nothing is in flight to it any more and no name leads to it"
    assert f"it drains: {drains}" in lines
    lines = [line.text for line in why_service(story(going, t1=NOT_REGISTERED), 100.0).now]
    assert f"task 0001 is DEACTIVATING: Task stopped by user; {drains}" in lines


def test_a_deployment_that_shifts_traffic_says_which_stage_it_is_in_and_what_for():
    shift = TrafficShift(stage="PRODUCTION_TRAFFIC_SHIFT", stage_started_at=1.0, production=20.0, test=100.0)
    told = ServiceStory("arn", service(1, deployments=(deployment(2),)), (task("1"),), (), shift=shift)
    waits = (
        "deployment ecs-svc/2 is in lifecycle stage PRODUCTION_TRAFFIC_SHIFT: until every load balancer routes as the "
        "newest step says and its bake time is over (production traffic 20 %, test traffic 100 %)"
    )
    assert why_service(told, 100.0).summary == f"1 of 1 tasks run; {waits}"
    assert waits in [line.text for line in why_deployment("ecs-svc/2", told, 100.0).now]
    run = HookRun(
        id="ecs-pause-1",
        stage="POST_SCALE_UP",
        step=0,
        index=0,
        status="AWAITING_ACTION",
        expires_at=5.0,
        timeout_action="ROLLBACK",
    )
    paused = told._replace(shift=TrafficShift(stage="POST_SCALE_UP", stage_started_at=1.0, hooks=(run,)))
    assert "paused at POST_SCALE_UP by the hook ecs-pause-1" in why_service(paused, 100.0).summary


def test_a_rollback_says_what_it_waits_for():
    back = deployment(1, rolls_back="ecs-svc/2")
    shift = TrafficShift(stage="SCALE_UP", stage_started_at=1.0)
    told = ServiceStory("arn", service(1, deployments=(back,)), (task("1"),), (), shift=shift)
    assert "has all traffic again and waits until ecs-svc/2 is gone" in why_service(told, 100.0).summary
