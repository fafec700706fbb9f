"""Zone rebalancing under the planner: one task at a time, nothing below the desired count."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import Simulation, deployment, service

from openecs.planning.service_actions import Plan
from openecs.planning.service_places import Zones
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot
from openecs.planning.zone_rebalancing import eligible
from openecs.shapes import ecs

SPREAD = ecs.PlacementStrategy(type="spread", field="attribute:ecs.availability-zone")


class Zoned(Simulation):
    """Tasks start in the usable zone with the fewest tasks, or where rebalancing wants them."""

    def __init__(self, desired: int, *zones: str, maximum: int = 200, health_check: bool = False, **changes) -> None:
        record = service(desired, maximum=maximum, availability_zone_rebalancing="ENABLED", **changes)
        super().__init__(record, health_check=health_check)
        self.zones = set(zones)
        #: Zones without room for one more task, and those of which the controller knows it.
        self.without_room: set[str] = set()
        self.known_full: set[str] = set()
        self._zone = ""

    def step(self) -> Plan:
        zones = Zones(frozenset(self.zones), frozenset(self.known_full))
        snapshot = ServiceSnapshot(self.service, tuple(self.tasks.values()), frozenset(self.draining), (), zones)
        result = plan(snapshot, self.now)
        self._check_safety(result)
        self.service = result.service
        for start in result.starts:
            for _ in range(start.count):
                self._start_in(start.deployment_id, start.rebalance_zone)
        for stop in result.stops:
            self.change(
                self.tasks[stop.task_arn],
                desired_status="STOPPED",
                stopping_at=self.now,
                stop_code=stop.stop_code,
                stopped_reason=stop.stopped_reason,
            )
        self.said += [event.text for event in result.events]
        self.last = result
        return result

    def _start_in(self, deployment_id: str, wanted: str | None) -> None:
        counts = self.counts()
        zones = [wanted] if wanted else sorted(self.zones, key=lambda zone: (counts[zone], zone))
        zone = next((zone for zone in zones if zone not in self.without_room), None)
        if zone is None:
            if wanted:
                self.known_full.add(wanted)
            return
        before = set(self.tasks)
        self._launch(deployment_id)
        (arn,) = set(self.tasks) - before
        self.change(self.tasks[arn], availability_zone=zone)

    def counts(self) -> Counter[str]:
        return Counter(dict.fromkeys(self.zones, 0)) + Counter(task.availability_zone for task in self.alive())

    def spread(self) -> dict[str, int]:
        return {zone: count for zone, count in sorted(self.counts().items()) if count}

    def rest(self, rounds: int = 80) -> None:
        """Let everything go well until two plans in a row move nothing."""
        quiet = 0
        for _ in range(rounds):
            result = self.step()
            moves = result.starts or result.stops or self.unfinished() or self.service.rebalancing_zone
            quiet = 0 if moves else quiet + 1
            if quiet == 2:
                return
            self.everything_goes_well()
            self.now += 1.0
        raise AssertionError(f"never came to rest: {self.describe()}")


def lopsided(desired: int = 4, **options) -> Zoned:
    """All tasks in zone a, then zone b opens."""
    simulation = Zoned(desired, "a", **options)
    simulation.rest()
    simulation.zones.add("b")
    simulation.said.clear()
    return simulation


def test_a_task_starts_in_the_emptiest_zone_and_one_stops_in_the_fullest_when_it_is_healthy():
    simulation = lopsided(2, health_check=True)
    plan = simulation.step()
    assert [(start.count, start.rebalance_zone) for start in plan.starts] == [(1, "b")]
    assert plan.stops == ()
    new = simulation.started[-1]
    assert simulation.step().actions == ()
    simulation.runs(new)
    assert simulation.step().actions == ()
    simulation.change(new, health_status="HEALTHY")
    (stop,) = simulation.step().stops
    assert stop.rebalance_zone == "a"
    assert stop.stopped_reason == "Availability-zone rebalancing initiated by (deployment ecs-svc/1)"
    assert stop.stop_code == "ServiceSchedulerInitiated"
    simulation.rest()
    assert simulation.spread() == {"a": 1, "b": 1}
    assert simulation.said == [
        "(service web) is not AZ balanced with 2 tasks in a and 0 tasks in b. AZ Rebalancing in progress.",
        "(service web) is AZ balanced with 1 tasks in a and 1 tasks in b.",
    ]
    assert simulation.step().actions == ()


def test_it_waits_for_the_steady_state_to_be_said():
    simulation = lopsided(4)
    simulation.zones.discard("b")
    simulation.step()
    simulation.exits(simulation.alive()[0])
    simulation.step()
    simulation.zones.add("b")
    simulation.rest()
    assert [text.split(") ")[1].split(" with ")[0] for text in simulation.said] == [
        "has reached a steady state.",
        "is not AZ balanced",
        "is AZ balanced",
    ]


def test_several_moves_are_one_operation():
    simulation = lopsided(6)
    simulation.zones.add("c")
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2, "c": 2}
    assert [text.split(" with ")[0] for text in simulation.said] == [
        "(service web) is not AZ balanced",
        "(service web) is AZ balanced",
    ]


def test_a_difference_of_one_is_balanced():
    simulation = Zoned(5, "a", "b", "c")
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2, "c": 1}
    simulation.said.clear()
    assert simulation.step().actions == ()


def test_nothing_is_left_undone_when_a_zone_without_nodes_holds_more():
    simulation = lopsided(4)
    simulation.zones = {"b"}
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("changes", "possible"),
    [
        ({}, True),
        ({"availability_zone_rebalancing": "DISABLED"}, False),
        ({"scheduling_strategy": "DAEMON"}, False),
        ({"deployment_controller": "EXTERNAL"}, False),
        ({"status": "DRAINING"}, False),
        ({"placement_strategy": (SPREAD,)}, True),
        ({"placement_strategy": (SPREAD, ecs.PlacementStrategy(type="binpack", field="memory"))}, True),
        ({"placement_strategy": (ecs.PlacementStrategy(type="binpack", field="memory"), SPREAD)}, False),
        ({"placement_strategy": (ecs.PlacementStrategy(type="spread", field="instanceId"),)}, False),
        (
            {
                "placement_constraints": (
                    ecs.PlacementConstraint(type="memberOf", expression="attribute:ecs.availability-zone == a"),
                )
            },
            False,
        ),
        ({"placement_constraints": (ecs.PlacementConstraint(type="distinctInstance"),)}, True),
        ({"deployments": (deployment(1, launch_type="EXTERNAL"),)}, False),
        ({"deployment_configuration": ecs.DeploymentConfiguration(maximum_percent=100)}, False),
        ({"deployment_configuration": ecs.DeploymentConfiguration()}, True),
    ],
)
def test_which_services_are_rebalanced(changes, possible):
    record = service(4, **{"availability_zone_rebalancing": "ENABLED", **changes})
    assert eligible(record) is possible


def test_a_zone_without_room_is_tried_once_and_the_operation_stopped():
    simulation = lopsided(4)
    simulation.without_room.add("b")
    simulation.rest()
    assert simulation.spread() == {"a": 4}
    assert simulation.said[-1] == "(service web) stopped AZ Rebalancing."
    for _ in range(5):
        simulation.now += 60
        assert simulation.step().actions == ()
    simulation.without_room.clear()
    simulation.known_full.clear()
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2}


def test_the_next_emptiest_zone_is_taken_when_the_emptiest_has_no_room():
    simulation = lopsided(6)
    simulation.zones.add("c")
    simulation.without_room.add("b")
    simulation.rest()
    assert simulation.spread() == {"a": 3, "c": 3}


def test_percentages_without_room_for_one_more_leave_it():
    simulation = lopsided(2, maximum=140)
    assert simulation.step().actions == ()
    assert simulation.spread() == {"a": 2}


def test_a_deployment_ends_the_operation_and_places_afresh():
    simulation = lopsided(4)
    simulation.step()
    simulation.update(2)
    plan = simulation.step()
    assert "(service web) stopped AZ Rebalancing." in simulation.said
    assert simulation.service.rebalancing_zone is None
    assert {start.rebalance_zone for start in plan.starts} == {None}
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2}
    assert len(simulation.healthy("ecs-svc/2")) == 4


def test_scaling_in_meanwhile_ends_the_operation():
    simulation = lopsided(4)
    simulation.step()
    simulation.scale(3)
    simulation.rest()
    assert len(simulation.healthy()) == 3
    assert max(simulation.counts().values()) - min(simulation.counts().values()) <= 1


def test_a_failing_extra_task_backs_off():
    simulation = lopsided(4)
    starts = [0, 0]
    for second in range(400):
        starts[second // 200] += len(simulation.step().starts)
        for task in simulation.alive():
            if task.last_status == "PENDING":
                simulation.fails_to_start(task)
        simulation.now += 1.0
        assert len(simulation.healthy()) == 4
    assert starts[0] > 4 * starts[1] > 0


def test_protected_tasks_of_the_fullest_zone_are_let_be():
    simulation = lopsided(4)
    for task in simulation.alive():
        simulation.change(task, protected_until=simulation.now + 300)
    plan = simulation.step()
    assert plan.starts == ()
    (said,) = simulation.said
    assert said == (
        "(service web) was unable to AZ Rebalance because (taskSet ecs-svc/1) was unable to scale in due to (reason 4 "
        "tasks under protection)."
    )
    assert plan.wake_at == simulation.now + 300
    simulation.now = plan.wake_at
    simulation.rest()
    assert simulation.spread() == {"a": 2, "b": 2}


def test_a_protected_task_is_never_the_one_that_stops():
    simulation = lopsided(4)
    kept = simulation.alive()[1:]
    for task in kept:
        simulation.change(task, protected_until=simulation.now + 10_000)
    simulation.rest()
    assert {task.arn for task in kept} <= {task.arn for task in simulation.alive()}
    assert simulation.spread() == {"a": 3, "b": 1}


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "all well",
                "all well",
                "run",
                "fail",
                "exit",
                "update",
                "scale",
                "open",
                "close",
                "fill",
                "protect",
                "wait",
            ]
        ),
        st.integers(0, 11),
    ),
    max_size=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    desired=st.integers(0, 8),
    maximum=st.sampled_from([110, 150, 200]),
    zones=st.sets(st.sampled_from("abc"), min_size=1),
    history=st.lists(EVENTS, max_size=10),
)
def test_random_histories_end_balanced_and_never_serve_less_for_it(desired, maximum, zones, history):
    simulation = Zoned(desired, *zones, maximum=maximum)
    update = 2

    def step() -> Plan:
        before = len(simulation.healthy())
        result = simulation.step()
        if any(stop.rebalance_zone for stop in result.stops):
            assert before - len(result.stops) >= simulation.service.desired_count
        return result

    for events in history:
        step()
        for what, number in events:
            tasks = [task for task in simulation.tasks.values() if not task.stopped]
            task = tasks[number % len(tasks)] if tasks else None
            zone = "abc"[number % 3]
            if what == "all well":
                simulation.everything_goes_well()
            elif what == "update":
                simulation.update(update)
                update += 1
            elif what == "scale":
                simulation.scale(number % 9)
            elif what == "open":
                simulation.zones.add(zone)
                simulation.known_full.clear()
            elif what == "close" and len(simulation.zones) > 1:
                simulation.zones.discard(zone)
            elif what == "fill":
                simulation.without_room.add(zone)
            elif what == "wait":
                simulation.now += 2.0**number
            elif task is None:
                continue
            elif what == "protect":
                simulation.change(task, protected_until=simulation.now + 100)
            elif what == "run" and task.desired_status == "RUNNING":
                simulation.runs(task)
            elif what == "fail" and task.last_status == "PENDING":
                simulation.fails_to_start(task)
            elif what == "exit" and task.last_status == "RUNNING":
                simulation.exits(task)
        simulation.now += 1.0
    simulation.without_room.clear()
    simulation.known_full.clear()
    blocked = False
    for _ in range(200):
        result = step()
        blocked = any("Update the minimumHealthyPercent" in event.text for event in result.events)
        still = not result.actions and not simulation.unfinished()
        resting = still and simulation.service.steady and simulation.service.rebalancing_zone is None
        if blocked or (resting and (result.wake_at is None or result.wake_at > simulation.now + 3600)):
            break
        simulation.everything_goes_well()
        if still and result.wake_at is not None:
            simulation.now = max(simulation.now, result.wake_at)
        simulation.now += 1.0
    wanted = simulation.service.desired_count
    if blocked:
        assert wanted * maximum // 100 == wanted
        return
    assert len(simulation.healthy()) == wanted, simulation.describe()
    counts = simulation.counts()
    lowest = min(counts[zone] for zone in simulation.zones)
    if wanted * maximum // 100 > wanted:
        assert max(counts.values(), default=0) - lowest <= 1, simulation.describe() + str(counts)
