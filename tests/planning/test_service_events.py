"""Texts, order and repetition of service events."""

from __future__ import annotations

from openecs.ids import SeededIds
from openecs.planning import service_events as events
from openecs.planning import zone_events
from openecs.shapes import ecs

NOW = 1_700_000_000.0
CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/default"
TROUBLE = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


def place(
    reason: str, *, fargate: bool = False, arn: str | None = "arn:aws:ecs:r:a:container-instance/default/i1"
) -> str:
    return events.unable_to_place("web", ecs.Failure(arn=arn, reason=reason), fargate=fargate, cluster_arn=CLUSTER)


def test_started_tasks_are_named_ten_to_an_event():
    texts = events.started("web", [f"t{n}" for n in range(12)])
    assert texts[0].startswith("(service web) has started 10 tasks: (task t0) (task t1)")
    assert texts[1] == "(service web) has started 2 tasks: (task t10) (task t11)."


def test_replacement_of_unhealthy_tasks_is_said_with_the_start():
    assert events.started("web", ["a", "b"], replaced_unhealthy=1) == [
        "(service web) has started 2 tasks: (task a) (task b). Amazon ECS replaced 1 tasks due to an unhealthy status."
    ]


def test_placement_failures_name_the_closest_instance():
    start = (
        "(service web) was unable to place a task because no container instance met all of its requirements. "
        "The closest matching (container-instance i1) "
    )
    assert place("RESOURCE:CPU") == f"{start}has insufficient CPU units available.{TROUBLE}"
    assert place("RESOURCE:MEMORY") == f"{start}has insufficient memory available.{TROUBLE}"
    assert place("RESOURCE:PORTS") == f"{start}is already using a port required by your task.{TROUBLE}"
    assert place("AGENT") == f"{start}doesn't have the agent connected.{TROUBLE}"
    assert place("ATTRIBUTE") == f"{start}is missing an attribute required by your task.{TROUBLE}"
    unsatisfied = "MemberOf placement constraint unsatisfied."
    assert place(unsatisfied) == f'{start}encountered error "{unsatisfied}".{TROUBLE}'


def test_a_launch_that_is_refused_says_why():
    assert events.launch_refused("web", "Something is wrong") == (
        "(service web) failed to launch a task with (error Something is wrong)."
    )


def test_full_subnets_are_not_blamed_on_an_instance():
    assert "free IP address" in place("RESOURCE:ENI", arn=CLUSTER)


def test_newest_first_each_a_millisecond_later():
    kept = events.append((), ["one", "two", "three"], now=NOW, ids=SeededIds())
    assert [event.message for event in kept] == ["three", "two", "one"]
    assert [event.created_at for event in kept] == [NOW + 0.002, NOW + 0.001, NOW]
    later = events.append(kept, ["four"], now=NOW, ids=SeededIds(1))
    assert later[0].created_at == NOW + 0.003
    assert len({event.id for event in later}) == 4


def test_at_most_a_hundred_are_kept():
    kept = events.append((), [f"event {n}" for n in range(150)], now=NOW, ids=SeededIds())
    assert len(kept) == 100
    assert kept[0].message == "event 149"


def test_a_lasting_condition_is_said_once_in_six_hours_unless_it_was_steady_in_between():
    ids = SeededIds()
    problem = events.start_impaired("web")
    kept = events.append((), [problem], now=NOW, ids=ids)
    kept = events.append(kept, ["(service web) has started 1 tasks: (task x)."], now=NOW + 1, ids=ids)
    assert events.append(kept, [problem], now=NOW + 2, ids=ids) == kept
    assert len(events.append(kept, [problem], now=NOW + 6 * 3600, ids=ids)) == 3
    steady = events.append(kept, [events.steady_state("web")], now=NOW + 3, ids=ids)
    assert events.append(steady, [problem], now=NOW + 4, ids=ids)[0].message == problem


def test_steady_state_may_be_said_each_time_it_is_reached():
    ids = SeededIds()
    kept = events.append((), [events.steady_state("web")], now=NOW, ids=ids)
    assert len(events.append(kept, [events.steady_state("web")], now=NOW + 10, ids=ids)) == 2


def test_a_condition_is_the_same_whichever_instance_is_the_closest_one():
    ids = SeededIds()
    kept = events.append((), [place("RESOURCE:MEMORY", arn="arn:x/i1")], now=NOW, ids=ids)
    assert events.append(kept, [place("RESOURCE:MEMORY", arn="arn:x/i2")], now=NOW + 60, ids=ids) == kept
    assert "(container-instance i1)" in (kept[0].message or "")
    # For another reason it is another condition.
    assert len(events.append(kept, [place("RESOURCE:CPU", arn="arn:x/i2")], now=NOW + 60, ids=ids)) == 2


def test_what_happens_is_told_each_time():
    ids = SeededIds()
    happened = [
        events.stopped_pending("web", 1),
        events.deployment_completed("web", "ecs-svc/1"),
        events.deployment_failed("web", "ecs-svc/2", "tasks failed to start."),
        events.rolling_back("web", "ecs-svc/1"),
    ]
    kept = events.append((), happened, now=NOW, ids=ids)
    assert len(events.append(kept, happened, now=NOW + 60, ids=ids)) == 2 * len(happened)


def test_every_lasting_condition_is_told_once():
    ids = SeededIds()
    conditions = [
        place("RESOURCE:CPU"),
        place("", fargate=True),
        events.start_impaired("web"),
        events.exits_early("web", "ecs-svc/1", 8.0),
        events.scale_in_blocked("web", "ecs-svc/1", 2),
        events.blocked_by_configuration("web"),
        events.launch_refused("web", "Something is wrong"),
        events.launch_refused("web", events.NO_INSTANCES_OF_PROVIDER),
        events.too_many_waiting("web"),
        zone_events.unbalanced("web", {"a": 3, "b": 0}),
        zone_events.balanced("web", {"a": 3, "b": 3}),
        zone_events.stopped_rebalancing("web"),
        zone_events.unable_to_place("web", "a", fargate=False),
        zone_events.protected("web", "ecs-svc/1", 3),
    ]
    kept = events.append((), conditions, now=NOW, ids=ids)
    assert len(kept) == len(conditions)
    assert events.append(kept, conditions, now=NOW + 60, ids=ids) == kept


def test_too_many_waiting_tasks_are_told_in_aws_words():
    assert events.too_many_waiting("web") == (
        "(service web) was unable to place tasks in your cluster because the tasks provisioning capacity limit was "
        "exceeded."
    )
