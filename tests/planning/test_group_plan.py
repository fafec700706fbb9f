"""Which machines groups start and end, and how many capacity providers want."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance
from openecs.model.resources import Resources
from openecs.planning import managed_scaling
from openecs.planning.group_plan import JOIN_WITHIN, plan
from openecs.shapes import ecs

GROUP = AutoScalingGroup(
    arn="g", name="g", region="r", created_at=0.0, min_size=0, max_size=10, desired=2, zones=("ra", "rb", "rc")
)


def machine(name: str, zone: str = "ra", **changes: object) -> GroupInstance:
    base = GroupInstance(id=name, group_arn="g", region="r", zone=zone, created_at=0.0, state="InService", started=True)
    return msgspec.structs.replace(base, **changes)


def group(desired: int, **changes: object) -> AutoScalingGroup:
    return msgspec.structs.replace(GROUP, desired=desired, **changes)


def ended(wanted: AutoScalingGroup, *machines: GroupInstance, now: float = 10.0, **tasks: int) -> list[str]:
    return [end.instance.id for end in plan(wanted, machines, tasks, now).ends]


def test_machines_are_spread_over_zones() -> None:
    launches = plan(group(4), [machine("a", "ra")], {}, 0.0).launches
    assert [one.zone for one in launches] == ["rb", "rc", "ra"]
    assert "increasing the capacity from 1 to 4" in launches[0].cause


def test_who_goes_first() -> None:
    old, young = machine("old", created_at=1.0), machine("young", created_at=2.0)
    assert ended(group(1), young, old) == ["old"]
    assert ended(group(1), young, old, old=3) == ["young"]
    assert ended(group(1), old, machine("new", state="Pending", created_at=9.0)) == ["new"]
    assert ended(group(2), machine("b", "rb"), machine("a1", created_at=5.0), machine("a2", created_at=6.0)) == ["a1"]


def test_protected_machines_stay_unless_unhealthy_or_the_group_goes() -> None:
    kept = machine("kept", protected=True)
    assert ended(group(0), kept) == []
    assert ended(group(1), machine("kept", protected=True, healthy=False)) == ["kept"]
    assert ended(group(1, deleting=True), kept) == ["kept"]


def test_an_unhealthy_machine_is_replaced() -> None:
    todo = plan(group(2), [machine("bad", healthy=False), machine("good")], {}, 0.0)
    assert [end.instance.id for end in todo.ends] == ["bad"]
    assert len(todo.launches) == 1


def test_a_machine_that_never_joins_is_replaced() -> None:
    late = machine("late", state="Pending")
    assert ended(group(1), late, now=JOIN_WITHIN - 1) == []
    assert ended(group(1), late, now=JOIN_WITHIN) == ["late"]


@pytest.mark.parametrize(
    ("process", "launches", "ends"), [("Launch", 0, 1), ("Terminate", 1, 0), ("ReplaceUnhealthy", 1, 0)]
)
def test_suspended_processes(process: str, launches: int, ends: int) -> None:
    todo = plan(group(2, suspended=(process,)), [machine("bad", healthy=False)], {}, 0.0)
    assert (len(todo.launches), len(todo.ends)) == (launches, ends)


machines = st.lists(
    st.builds(
        machine,
        st.uuids().map(str),
        st.sampled_from(GROUP.zones),
        state=st.sampled_from(["Pending", "InService", "Terminating"]),
        healthy=st.booleans(),
        protected=st.booleans(),
        created_at=st.floats(0, 100),
    ),
    max_size=8,
)


@given(machines, st.integers(0, 10))
def test_a_plan_leads_to_the_desired_capacity_at_most(found: list[GroupInstance], desired: int) -> None:
    todo = plan(group(desired), found, {}, 100.0)
    living = [one for one in found if one.state != "Terminating"]
    gone = {end.instance.id for end in todo.ends}
    assert gone <= {one.id for one in living}
    left = len(living) - len(gone) + len(todo.launches)
    protected = sum(one.protected and one.healthy for one in living)
    assert left == max(desired, 0) or (left > desired and left <= max(desired, protected))
    assert not todo.launches or left == desired


def task(cpu: int = 0, memory: int = 0, *ports: int) -> Resources:
    return Resources(cpu=cpu, memory=memory, ports=ports)


SIZE = Resources(cpu=1024, memory=1000)


@pytest.mark.parametrize(
    ("waiting", "size", "expected"),
    [
        ([], SIZE, 0),
        ([task(512, 100)] * 4, SIZE, 2),
        ([task(0, 600), task(0, 300), task(0, 500)], SIZE, 2),
        ([task(0, 10, 80), task(0, 10, 80)], SIZE, 2),
        ([task(2048, 10)], SIZE, 0),
        ([task(1, 1)] * 9, None, 1),
    ],
)
def test_machines_for_waiting_tasks(waiting: list[Resources], size: Resources | None, expected: int) -> None:
    assert managed_scaling.machines_for(waiting, size) == expected


@pytest.mark.parametrize(
    ("needed", "there", "expected"), [(0, 0, 100.0), (3, 0, 200.0), (3, 2, 150.0), (2, 4, 50.0), (0, 4, 0.0)]
)
def test_reservation(needed: int, there: int, expected: float) -> None:
    assert managed_scaling.reservation(needed, there) == expected


def settings(target: int = 100, least: int = 1, most: int = 10_000) -> ecs.ManagedScaling:
    return ecs.ManagedScaling(
        status="ENABLED",
        target_capacity=target,
        minimum_scaling_step_size=least,
        maximum_scaling_step_size=most,
        instance_warmup_period=300,
    )


@pytest.mark.parametrize(
    ("given", "needed", "there", "expected"),
    [
        # As on AWS the first step from nothing is to two.
        (settings(), 1, 0, 2),
        (settings(), 5, 2, 5),
        (settings(most=2), 5, 2, 4),
        (settings(least=4), 3, 2, 6),
        # Spare capacity: 4 of 5 are in use at 80 %.
        (settings(80), 4, 4, 5),
        (settings(80), 4, 5, 5),
        (settings(), 2, 2, 2),
        (settings(), 0, 0, 0),
        # Towards fewer: half of them at most.
        (settings(), 1, 8, 4),
        (settings(), 7, 8, 7),
        (settings(), 0, 1, 0),
    ],
)
def test_wanted_machines(given: ecs.ManagedScaling, needed: int, there: int, expected: int) -> None:
    assert managed_scaling.wanted(given, needed, there) == expected
