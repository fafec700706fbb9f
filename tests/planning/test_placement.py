"""Placement: filters in order, constraints, strategies, and amounts that are never exceeded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.resources import Resources
from openecs.planning import cluster_query
from openecs.planning.cluster_query import InstanceFacts
from openecs.planning.placement import DISTINCT, MEMBER_OF, Candidate, Demand, Strategy, closest, explain, place

RNG = random.Random(1)


def candidate(name: str, **changes: object) -> Candidate:
    values: dict[str, object] = {
        "node_id": name,
        "container_instance_arn": name,
        "accepts_tasks": True,
        "connected": True,
        "cpu": 1024,
        "memory": 1000,
        "gpus": 0,
        "ports_taken": set(),
        "ports_udp_taken": set(),
        "facts": InstanceFacts(attributes={"ecs.availability-zone": "a"}),
    }
    return Candidate(**(values | changes))  # type: ignore[arg-type]


def demand(**changes: object) -> Demand:
    values: dict[str, object] = {"group": "family:web", "resources": Resources(cpu=100, memory=100)}
    return Demand(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("node", "wanted", "reason"),
    [
        ({}, {}, None),
        ({"accepts_tasks": False}, {}, "INACTIVE"),
        ({"connected": False}, {}, "AGENT"),
        ({}, {"required_attributes": frozenset({"gpu"})}, "ATTRIBUTE"),
        ({"cpu": 99}, {}, "RESOURCE:CPU"),
        ({"memory": 99}, {}, "RESOURCE:MEMORY"),
        ({"ports_taken": {80}}, {"resources": Resources(ports=(80,))}, "RESOURCE:PORTS"),
        ({"ports_udp_taken": {53}}, {"resources": Resources(ports_udp=(53,))}, "RESOURCE:PORTS"),
        ({"ports_taken": {53}}, {"resources": Resources(ports_udp=(53,))}, None),
        ({}, {"constraints": (cluster_query.parse("attribute:ecs.availability-zone == b"),)}, MEMBER_OF),
        ({"groups": {"family:web": 1}}, {"distinct_instance": True}, DISTINCT),
        ({"groups": {"family:db": 1}}, {"distinct_instance": True}, None),
        ({"cpu": 0, "memory": 0}, {}, "RESOURCE:CPU"),
    ],
)
def test_reasons_come_in_the_order_of_the_filters(
    node: dict[str, object], wanted: dict[str, object], reason: str | None
) -> None:
    assert explain(demand(**wanted), candidate("n", **node)) == reason


def test_the_closest_is_the_one_that_got_furthest() -> None:
    decision = place(demand(), 1, [candidate("a", connected=False), candidate("b", memory=1)], RNG)[0]
    nearest = closest(decision.rejections)
    assert nearest is not None
    assert (nearest.candidate.arn, nearest.reason) == ("b", "RESOURCE:MEMORY")


def test_distinct_instance_puts_one_task_on_each() -> None:
    decisions = place(demand(distinct_instance=True), 3, [candidate("a"), candidate("b")], RNG)
    assert [d.chosen.arn if d.chosen else None for d in decisions] == ["a", "b", None]
    assert {r.reason for r in decisions[2].rejections} == {DISTINCT}


def test_a_static_port_is_given_once_a_node() -> None:
    wanted = demand(resources=Resources(cpu=1, memory=1, ports=(80,)))
    decisions = place(wanted, 3, [candidate("a"), candidate("b")], RNG)
    assert sorted(d.chosen.arn for d in decisions if d.chosen) == ["a", "b"]
    assert decisions[2].chosen is None


def test_spread_over_zones_then_binpack_memory() -> None:
    def in_zone(zone: str) -> InstanceFacts:
        return InstanceFacts(attributes={"ecs.availability-zone": zone})

    nodes = [
        candidate("a1", facts=in_zone("a"), memory=1000),
        candidate("a2", facts=in_zone("a"), memory=500),
        candidate("b1", facts=in_zone("b"), memory=1000),
    ]
    strategies = (Strategy("spread", "attribute:ecs.availability-zone"), Strategy("binpack", "memory"))
    chosen = [d.chosen.arn for d in place(demand(strategies=strategies), 4, nodes, RNG) if d.chosen]
    assert chosen == ["a2", "b1", "a2", "b1"]


def test_spread_counts_tasks_of_the_same_group_only() -> None:
    nodes = [candidate("a", groups={"family:web": 1}), candidate("b", groups={"family:db": 5}, tasks=5)]
    (decision,) = place(demand(strategies=(Strategy("spread", "instanceId"),)), 1, nodes, RNG)
    assert decision.chosen is nodes[1]


NODES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 400), st.booleans(), st.sampled_from(["a", "b"])),
    min_size=1,
    max_size=6,
)
STRATEGIES = st.lists(
    st.sampled_from(
        [
            Strategy("random"),
            Strategy("binpack", "cpu"),
            Strategy("binpack", "memory"),
            Strategy("spread", "instanceId"),
            Strategy("spread", "attribute:ecs.availability-zone"),
        ]
    ),
    max_size=3,
)


@given(NODES, STRATEGIES, st.integers(1, 200), st.integers(1, 200), st.integers(1, 8))
def test_amounts_are_never_exceeded_and_nothing_that_fits_is_refused(
    nodes: list[tuple[int, int, bool, str]], strategies: list[Strategy], cpu: int, memory: int, count: int
) -> None:
    candidates = [
        candidate(
            f"n{i}",
            cpu=c,
            memory=m,
            connected=up,
            facts=InstanceFacts(attributes={"ecs.availability-zone": zone}),
        )
        for i, (c, m, up, zone) in enumerate(nodes)
    ]
    wanted = demand(resources=Resources(cpu=cpu, memory=memory), strategies=tuple(strategies))
    decisions = place(wanted, count, candidates, random.Random(3))
    assert len(decisions) == count
    placed: dict[str, int] = {}
    for decision in decisions:
        if decision.chosen is not None:
            placed[decision.chosen.arn] = placed.get(decision.chosen.arn, 0) + 1
    for i, (c, m, up, _) in enumerate(nodes):
        here = placed.get(f"n{i}", 0)
        assert here * cpu <= c
        assert here * memory <= m
        assert up or here == 0
    room = sum(min(c // cpu, m // memory) for c, m, up, _ in nodes if up)
    assert sum(placed.values()) == min(count, room)
