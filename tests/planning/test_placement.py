"""Placement: filters in order, constraints, strategies, and amounts that are never exceeded."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_placement import admissible, free, take

from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.resources import Resources
from openecs.planning import cluster_query
from openecs.planning.cluster_query import InstanceFacts
from openecs.planning.placement import (
    DISTINCT,
    MEMBER_OF,
    ZONE,
    Candidate,
    Demand,
    Offer,
    Scope,
    Strategy,
    closest,
    explain,
)

RNG = random.Random(1)
SCOPE = Scope("cluster", "EC2")


def candidate(name: str, *, attributes: dict[str, str] | None = None, **changes: object) -> Candidate:
    groups: dict[str, int] = {}
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
        "groups": groups,
        "launch_types": frozenset({"EC2"}),
    }
    values |= changes
    values.setdefault("facts", InstanceFacts(attributes=attributes or {ZONE: "a"}, task_groups=values["groups"]))
    return Candidate(**values)  # type: ignore[arg-type]


def demand(**changes: object) -> Demand:
    values: dict[str, object] = {"group": "family:web", "resources": Resources(cpu=100, memory=100)}
    return Demand(**(values | changes))  # type: ignore[arg-type]


def offer(*candidates: Candidate) -> Offer:
    made = Offer()
    for each in candidates:
        made.replace(each.arn, each)
    return made


def place(wanted: Demand, count: int, offered: Offer, scope: Scope = SCOPE) -> list[str | None]:
    """The names of the chosen nodes, one task after the other."""
    rng = random.Random(1)
    chosen: list[str | None] = []
    for _ in range(count):
        found = offered.best(offered.view(scope, wanted, rng))
        chosen.append(found.arn if found else None)
        if found is not None:
            take(found, wanted)
            offered.changed(found)
            offered.group_changed(found, wanted.group)
    return chosen


@pytest.mark.parametrize(
    ("node", "wanted", "reason"),
    [
        ({}, {}, None),
        ({"accepts_tasks": False}, {}, "INACTIVE"),
        ({"connected": False}, {}, "AGENT"),
        ({}, {"required_attributes": frozenset({"gpu"})}, "ATTRIBUTE"),
        ({}, {"architecture": "arm64"}, "ATTRIBUTE"),
        ({"cpu": 99}, {}, "RESOURCE:CPU"),
        ({"gpus": 1, "memory": 0}, {"resources": Resources(gpus=2)}, "RESOURCE:GPU"),
        ({"gpus": 2}, {"resources": Resources(gpus=2)}, None),
        ({"gpus": -1}, {}, None),
        ({"memory": 99}, {}, "RESOURCE:MEMORY"),
        ({"ports_taken": {80}}, {"resources": Resources(ports=(80,))}, "RESOURCE:PORTS"),
        ({"ports_taken": {81}}, {"resources": Resources(ports=(80, 81))}, "RESOURCE:PORTS"),
        ({"reserved_ports": frozenset({22})}, {"resources": Resources(ports=(22,))}, "RESOURCE:PORTS"),
        ({"ports_udp_taken": {53}}, {"resources": Resources(ports_udp=(53,))}, "RESOURCE:PORTS"),
        ({"reserved_ports_udp": frozenset({53})}, {"resources": Resources(ports_udp=(53,))}, "RESOURCE:PORTS"),
        ({"ports_taken": {53}}, {"resources": Resources(ports_udp=(53,))}, None),
        ({}, {"constraints": (cluster_query.parse(f"attribute:{ZONE} == b"),)}, MEMBER_OF),
        ({}, {"constraints": (cluster_query.parse("task:group == service:db"),)}, MEMBER_OF),
        ({"groups": {"service:db": 1}}, {"constraints": (cluster_query.parse("task:group == service:db"),)}, None),
        ({"groups": {"family:web": 1}}, {"distinct_instance": True}, DISTINCT),
        ({"groups": {"family:db": 1}}, {"distinct_instance": True}, None),
        ({"cpu": 0, "memory": 0}, {}, "RESOURCE:CPU"),
    ],
)
def test_reasons_come_in_the_order_of_the_filters(
    node: dict[str, object], wanted: dict[str, object], reason: str | None
) -> None:
    refused = candidate("n", **node)  # type: ignore[arg-type]
    assert explain(demand(**wanted), refused) == reason
    made = offer(refused)
    assert place(demand(**wanted), 1, made) == (["n"] if reason is None else [None])
    if reason is not None:
        assert [r.reason for r in made.explain(made.view(SCOPE, demand(**wanted), RNG))] == [reason]


def test_the_nearest_is_the_one_that_got_furthest() -> None:
    made = offer(candidate("a", connected=False), candidate("b", memory=1), candidate("c", cpu=0))
    nearest = closest(made.explain(made.view(SCOPE, demand(), RNG)))
    assert nearest is not None
    assert (nearest.candidate.arn, nearest.reason) == ("b", "RESOURCE:MEMORY")


def test_distinct_instance_puts_one_task_on_each() -> None:
    made = offer(candidate("a"), candidate("b"))
    wanted = demand(distinct_instance=True)
    assert place(wanted, 3, made) == ["a", "b", None]
    assert {r.reason for r in made.explain(made.view(SCOPE, wanted, RNG))} == {DISTINCT}


def test_a_static_port_is_given_once_a_node() -> None:
    wanted = demand(resources=Resources(cpu=1, memory=1, ports=(80,)))
    assert place(wanted, 3, offer(candidate("a"), candidate("b"))) == ["a", "b", None]


def test_spread_over_zones_then_binpack_memory() -> None:
    nodes = [
        candidate("a1", attributes={ZONE: "a"}, memory=1000),
        candidate("a2", attributes={ZONE: "a"}, memory=500),
        candidate("b1", attributes={ZONE: "b"}, memory=1000),
    ]
    strategies = (Strategy("spread", f"attribute:{ZONE}"), Strategy("binpack", "memory"))
    assert place(demand(strategies=strategies), 4, offer(*nodes)) == ["a2", "b1", "a2", "b1"]


def test_spread_counts_tasks_of_the_same_group_only() -> None:
    nodes = [candidate("a", groups={"family:web": 1}), candidate("b", groups={"family:db": 5}, tasks=5)]
    assert place(demand(strategies=(Strategy("spread", "instanceId"),)), 1, offer(*nodes)) == ["b"]


def test_spread_counts_tasks_on_nodes_that_are_full_or_out_of_scope() -> None:
    nodes = [
        candidate("a1", cpu=0, groups={"family:web": 2}),
        candidate("a2"),
        candidate("b1", attributes={ZONE: "b"}, groups={"family:web": 1}, tasks=1),
        candidate("b2", attributes={ZONE: "b"}, launch_types=frozenset({"EXTERNAL"})),
    ]
    wanted = demand(strategies=(Strategy("spread", f"attribute:{ZONE}"),))
    assert place(wanted, 2, offer(*nodes)) == ["b1", "a2"]


def test_a_scope_may_be_one_auto_scaling_group() -> None:
    nodes = [candidate("a"), candidate("b", attributes={GROUP_ATTRIBUTE: "blue"})]
    made = offer(*nodes)
    assert place(demand(), 1, made, Scope("cluster", "EC2", "blue")) == ["b"]
    assert place(demand(), 1, made, Scope("cluster", "EC2", "red")) == [None]
    assert place(demand(), 1, made, Scope("cluster", "EXTERNAL")) == [None]
    assert made.explain(made.view(Scope("cluster", "EC2", "red"), demand(), RNG)) == ()


def test_random_reaches_every_node_that_fits() -> None:
    made = offer(*(candidate(f"n{i}") for i in range(5)), candidate("full", memory=1))
    chosen = place(demand(strategies=(Strategy("random"),)), 40, made)
    assert set(chosen) == {f"n{i}" for i in range(5)}


FIELDS = ["instanceId", "host", f"attribute:{ZONE}", "attribute:rack", "attribute:none"]
STRATEGIES = st.lists(
    st.one_of(
        st.just(Strategy("random")),
        st.sampled_from(["cpu", "memory", "MEMORY"]).map(lambda field: Strategy("binpack", field)),
        st.sampled_from(FIELDS).map(lambda field: Strategy("spread", field)),
        st.just(Strategy("zones", "a,b")),
    ),
    max_size=4,
)
EXPRESSIONS = st.lists(
    st.sampled_from(
        [
            f"attribute:{ZONE} in [a, b]",
            "attribute:rack exists",
            "attribute:rack =~ r[12] or runningTasksCount < 1",
            "task:group == service:x",
            "not (task:group == service:y)",
            "registeredAt < 2018-01-01",
        ]
    ).map(cluster_query.parse),
    max_size=2,
)
DEMANDS = st.builds(
    Demand,
    group=st.sampled_from(["service:x", "service:y"]),
    resources=st.builds(
        Resources,
        cpu=st.integers(0, 200),
        memory=st.integers(0, 200),
        gpus=st.integers(0, 1),
        ports=st.lists(st.sampled_from([80, 81]), max_size=2, unique=True).map(tuple),
        ports_udp=st.lists(st.just(53), max_size=1).map(tuple),
    ),
    required_attributes=st.sampled_from([frozenset(), frozenset({"rack"})]),
    architecture=st.sampled_from([None, "arm64"]),
    constraints=EXPRESSIONS.map(tuple),
    distinct_instance=st.booleans(),
    strategies=STRATEGIES.map(tuple),
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        ZONE: st.sampled_from(["a", "b", "c"]),
        "rack": st.sampled_from(["r1", "r2", "r3"]),
        "ecs.cpu-architecture": st.just("arm64"),
        GROUP_ATTRIBUTE: st.just("blue"),
    },
)


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Candidate:
    return candidate(
        name,
        attributes=draw(ATTRIBUTES),
        accepts_tasks=draw(st.sampled_from([True, True, True, False])),
        connected=draw(st.sampled_from([True, True, True, False])),
        cpu=draw(st.integers(0, 1000)),
        memory=draw(st.integers(0, 1000)),
        gpus=draw(st.integers(0, 2)),
        reserved_ports=draw(st.sampled_from([frozenset(), frozenset({80})])),
        launch_types=draw(st.sampled_from([frozenset({"EC2"}), frozenset({"EC2", "EXTERNAL"})])),
    )


NAMES = [f"n{i}" for i in range(7)]
SCOPES = [SCOPE, Scope("cluster", "EXTERNAL"), Scope("cluster", "EC2", "blue")]


@given(st.data())
def test_every_choice_is_the_one_that_the_naive_algorithm_makes(data: st.DataObject) -> None:
    """Over tasks that come and go, nodes that come, go and change, and several demands in turns."""
    few, log = data.draw(st.sampled_from([(16, 1024), (0, 1024), (0, 0), (-9, 0)]))
    made = Offer(few=few, log=log)
    rng = random.Random(data.draw(st.integers(0, 3)))
    demands = data.draw(st.lists(DEMANDS, min_size=1, max_size=3))
    placed: list[tuple[str, Demand]] = []
    for name in NAMES[: data.draw(st.integers(1, 7))]:
        made.replace(name, data.draw(nodes(name)))
    for _ in range(data.draw(st.integers(5, 40))):
        step = data.draw(st.sampled_from(["place"] * 8 + ["free", "free", "replace", "remove", "run"]))
        name = data.draw(st.sampled_from(NAMES))
        here = made.get(name)
        if step == "place":
            wanted, scope = data.draw(st.sampled_from(demands)), data.draw(st.sampled_from(SCOPES))
            everywhere = [each for each in map(made.get, NAMES) if each]
            allowed = admissible(wanted, everywhere, made.candidates(scope))
            view = made.view(scope, wanted, rng)
            chosen = made.best(view)
            assert view.fitting == sum(explain(wanted, c) is None for c in made.candidates(scope))
            if chosen is None:
                assert allowed == []
                assert len(made.explain(view)) == len(made.candidates(scope))
                continue
            assert chosen in allowed
            take(chosen, wanted)
            made.changed(chosen)
            made.group_changed(chosen, wanted.group)
            placed.append((chosen.arn, wanted))
        elif step == "free" and placed:
            where, wanted = placed.pop(data.draw(st.integers(0, len(placed) - 1)))
            held = made.get(where)
            if held is not None:
                free(held, wanted)
                made.changed(held)
                made.group_changed(held, wanted.group)
        elif step == "replace":
            made.replace(name, data.draw(nodes(name)))
            placed = [each for each in placed if each[0] != name]
        elif step == "remove":
            made.replace(name, None)
            placed = [each for each in placed if each[0] != name]
        elif here is not None and step == "run":
            here.facts.running_tasks_count = data.draw(st.integers(0, 2))
            made.changed(here)


@pytest.mark.parametrize(("few", "log"), [(16, 1024), (0, 1024), (-99, 0), (16, -90), (0, -60)])
def test_long_walks_agree_with_the_naive_algorithm(few: int, log: int) -> None:
    """Many tasks of few groups, whose views are asked rarely and find much changed."""
    rng = random.Random(few * 1000 + log)
    made = Offer(few=few, log=log)
    names = [f"n{number:02}" for number in range(12)]
    zone, rack = Strategy("spread", f"attribute:{ZONE}"), Strategy("spread", "attribute:rack")
    demands = [
        demand(group="x", strategies=(zone, Strategy("binpack", "memory"))),
        demand(group="y", strategies=(rack, zone, Strategy("spread", "host"))),
        demand(group="x", strategies=(Strategy("binpack", "cpu"), rack), resources=Resources(cpu=10, memory=1)),
        demand(group="y", strategies=(zone,), distinct_instance=True),
    ]
    placed: list[tuple[str, Demand]] = []

    def renew(name: str) -> None:
        attributes = {ZONE: rng.choice("abc"), "rack": rng.choice("123456")}
        made.replace(name, candidate(name, attributes=attributes, memory=rng.randrange(2000), cpu=3000))
        placed[:] = [each for each in placed if each[0] != name]

    for name in names:
        renew(name)
    for step in range(1500):
        if step % 100 == 99:
            renew(rng.choice(names))
        elif placed and rng.random() < 0.45:
            where, freed = placed.pop(rng.randrange(len(placed)))
            held = made.get(where)
            assert held is not None
            free(held, freed)
            made.changed(held)
            made.group_changed(held, freed.group)
        else:
            # One demand for a while, then another.
            wanted = demands[step // 25 % len(demands)]
            if step > 700 and step % 300 == 0:
                wanted = dataclasses.replace(wanted, resources=Resources(cpu=step % 7, memory=step % 11))
            everyone = made.candidates(SCOPE)
            found = made.best(made.view(SCOPE, wanted, rng))
            assert [found] == (admissible(wanted, everyone, everyone) or [None])
            if found is not None:
                take(found, wanted)
                made.changed(found)
                made.group_changed(found, wanted.group)
                placed.append((found.arn, wanted))
