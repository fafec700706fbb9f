"""Which tasks go first: zones stay balanced, then instances, or with binpack the emptiest goes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_simulation import CLUSTER, SERVICE, START, Simulation, service

from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot
from openecs.planning.service_victims import choose, packing, spare_by
from openecs.shapes import ecs


def task(number: int, zone: str, node: str, *, age: float = 0.0, memory: int = 100) -> Task:
    return Task(
        arn=f"task/{number:05}",
        region="eu-west-1",
        cluster_arn=CLUSTER,
        task_definition_arn="web:1",
        launch_type="EC2",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=START - age,
        group="service:web",
        containers=(),
        reservation=Resources(cpu=memory, memory=memory),
        service_arn=SERVICE,
        deployment_id="ecs-svc/1",
        node_id=node,
        container_instance_arn=node,
        availability_zone=zone,
    )


def one_by_one(candidates: list[Task], count: int, everyone: list[Task]) -> list[str]:
    """The rule as it is told: look at every candidate before each choice."""
    zones, nodes = Counter(t.availability_zone for t in everyone), Counter(t.node_id for t in everyone)
    left, chosen = list(candidates), []
    for _ in range(min(count, len(left))):
        victim = max(left, key=lambda t: (zones[t.availability_zone], nodes[t.node_id], t.created_at, t.arn))
        left.remove(victim)
        zones[victim.availability_zone] -= 1
        nodes[victim.node_id] -= 1
        chosen.append(victim.arn)
    return chosen


PLACES = st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 4), st.booleans())


@given(st.lists(PLACES, max_size=30), st.integers(0, 30), st.booleans())
def test_it_chooses_what_looking_at_everyone_before_each_choice_chooses(places, count, shared):
    # Shared nodes are in several zones, as those of the Fargate pool are by their subnets.
    everyone = [
        task(n, zone, f"{'' if shared else zone}{node}", age=age) for n, (zone, node, age, _) in enumerate(places)
    ]
    candidates = [t for t, (*_, free) in zip(everyone, places, strict=True) if free]
    chosen = [t.arn for t in choose(candidates, count, everyone)]
    expected = one_by_one(candidates, count, everyone)
    assert sorted(chosen) == sorted(expected)
    if count < len(candidates):
        assert chosen == expected


def test_thousands_of_tasks_on_thousands_of_nodes_are_looked_at_once():
    looked = Counter()

    class Counted(str):
        __slots__ = ()

        def __hash__(self) -> int:
            looked["node"] += 1
            return super().__hash__()

        __eq__ = str.__eq__

    everyone = [task(n, f"z{n % 3}", Counted(f"n{n % 2500}")) for n in range(5000)]
    assert len(choose(everyone, 2500, everyone)) == 2500
    # Every node before each choice would be millions.
    assert looked["node"] < 150_000


def binpacked(field: str = "memory", **changes: object):
    return service(4, placement_strategy=(ecs.PlacementStrategy(type="binpack", field=field),), **changes)


def test_a_service_that_packs_empties_the_instance_that_will_have_the_most_left():
    everyone = [task(n, "a", node) for n, node in enumerate(["full", "full", "empty", "empty", "half"])]
    spare = spare_by(binpacked(), {"full": 50, "empty": 700, "half": 300})
    assert [t.node_id for t in choose(everyone, 3, everyone, spare)] == ["empty", "empty", "half"]
    # Without packing, instances stay equally full.
    assert [t.node_id for t in choose(everyone, 3, everyone)] != ["empty", "empty", "half"]


def test_zones_stay_balanced_before_bins_are_emptied():
    everyone = [task(n, zone, node) for n, (zone, node) in enumerate([("a", "x"), ("a", "y"), ("a", "y"), ("b", "z")])]
    spare = spare_by(binpacked("CPU"), {"x": 10, "y": 20, "z": 900})
    assert [t.node_id for t in choose(everyone, 2, everyone, spare)] == ["y", "y"]


def test_a_large_task_leaves_more():
    everyone = [task(0, "a", "x", memory=500), task(1, "a", "y", memory=100)]
    spare = spare_by(binpacked(), {"x": 0, "y": 300})
    assert [t.node_id for t in choose(everyone, 1, everyone, spare)] == ["x"]


@pytest.mark.parametrize(
    ("strategies", "field"),
    [
        ([], None),
        ([("random", None)], None),
        ([("binpack", "memory")], "memory"),
        ([("spread", "attribute:ecs.availability-zone"), ("binpack", "CPU")], "cpu"),
        ([("spread", "instanceId"), ("binpack", "cpu")], None),
    ],
)
def test_what_a_service_packs(strategies, field):
    given = tuple(ecs.PlacementStrategy(type=kind, field=of) for kind, of in strategies)
    assert packing(service(1, placement_strategy=given)) == field


def test_scale_in_of_a_service_that_packs():
    simulation = Simulation(binpacked(), nodes=2)
    simulation.settle()
    simulation.scale(3)
    for number, one in enumerate(list(simulation.tasks.values())):
        simulation.change(one, availability_zone="a", node_id=f"node-{number % 2}")
    for roomy in ("node-0", "node-1"):
        snapshot = ServiceSnapshot(
            simulation.service, tuple(simulation.tasks.values()), room_left={"node-0": 5, "node-1": 5, roomy: 9}
        )
        (stop,) = plan(snapshot, simulation.now).stops
        assert simulation.tasks[stop.task_arn].node_id == roomy
