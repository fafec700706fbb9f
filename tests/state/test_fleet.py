"""The fleet: what it offers is what the records say, whatever happened and was undone before."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.planning.launch_requirements import LAUNCH_TYPES
from openecs.planning.placement import ZONE, Demand, Scope, Strategy
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.state.usage import fargate_group

CLUSTERS = ("one", "two")
SCOPES = [Scope("one", "EC2"), Scope("two", "EXTERNAL"), Scope("one", "FARGATE")]


class Undo(Exception):
    """Ends a transaction without effect."""


def node(name: str, **changes: Any) -> Node:
    base = Node(id=name, capacity=Resources(cpu=1000, memory=1000), agent_connected=True, reserved_ports=(22,))
    return msgspec.structs.replace(base, **changes)


def instance(node_id: str, cluster: str = "one", zone: str = "a", **changes: Any) -> ContainerInstance:
    base = ContainerInstance(
        arn=f"{cluster}/{node_id}",
        cluster_arn=cluster,
        region="r",
        node_id=node_id,
        status="ACTIVE",
        registered_at=1.0,
        attributes=(
            ecs.Attribute(name=ZONE, value=zone),
            ecs.Attribute(name=LAUNCH_TYPES, value="EC2,EXTERNAL"),
        ),
    )
    return msgspec.structs.replace(base, **changes)


def task(name: str, node_id: str | None, cluster: str | None, **changes: Any) -> Task:
    """A task on the node as the cluster lends it, or (without a cluster) on the pool's."""
    base = Task(
        arn=name,
        region="r",
        cluster_arn=cluster or "one",
        task_definition_arn="d:1",
        launch_type="EC2" if cluster else "FARGATE",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=1.0,
        group="service:web",
        containers=(),
        reservation=Resources(cpu=100, memory=100, ports=(80,)),
        node_id=node_id,
        container_instance_arn=f"{cluster}/{node_id}" if cluster and node_id else None,
    )
    return msgspec.structs.replace(base, **changes)


def lasting_task(name: str, node_id: str | None, cluster: str | None, group: str, **changes: Any) -> Task:
    """A task whose name says what never changes of a task: its cluster and its group."""
    return task(f"{name} {cluster} {group}", node_id, cluster, group=group, **changes)


def put(state: State, *records: Any) -> None:
    with state.transaction() as tx:
        for record in records:
            tx.put(record)


def offered(state: State) -> dict[str, Any]:
    """Everything that placement can see, by scope and name."""
    seen: dict[str, Any] = {}
    for scope in SCOPES:
        for candidate in state.fleet.offer(scope).candidates(scope):
            seen[f"{scope.launch_type} {candidate.arn}"] = (
                candidate.node_id,
                candidate.container_instance_arn,
                candidate.accepts_tasks,
                candidate.connected,
                candidate.cpu,
                candidate.memory,
                candidate.gpus,
                {*candidate.ports_taken, *candidate.reserved_ports},
                {*candidate.ports_udp_taken, *candidate.reserved_ports_udp},
                candidate.tasks,
                dict(candidate.groups),
                dict(candidate.facts.attributes),
                candidate.facts.running_tasks_count,
                set(candidate.facts.task_groups),
            )
    return seen


def afresh(state: State) -> State:
    """The same records, as a restart reads them."""
    copy = State(MemoryJournal())
    for table in (state.tasks, state.container_instances, state.nodes):
        put(copy, *table)
    return copy


def demand(group: str, **changes: Any) -> Demand:
    return Demand(group=group, resources=Resources(cpu=100, memory=100), strategies=(SPREAD, PACK), **changes)


SPREAD, PACK = Strategy("spread", f"attribute:{ZONE}"), Strategy("binpack", "memory")
NAMES = ["n1", "n2", "n3"]
STATUSES = st.sampled_from(["PROVISIONING", "PENDING", "RUNNING", "STOPPING", "STOPPED"])
RECORDS = st.one_of(
    st.builds(
        node,
        st.sampled_from(NAMES),
        capacity=st.sampled_from([Resources(cpu=1000, memory=1000), Resources(cpu=500, memory=300)]),
        agent_connected=st.booleans(),
        fargate_pool=st.booleans(),
        gpus=st.sampled_from([(), ("g",)]),
    ),
    st.builds(
        instance,
        st.sampled_from(NAMES),
        st.sampled_from(CLUSTERS),
        st.sampled_from(["a", "b"]),
        status=st.sampled_from(["ACTIVE", "DRAINING", "INACTIVE"]),
        registered_at=st.sampled_from([1.0, 2.0]),
    ),
    st.builds(
        lasting_task,
        st.sampled_from(["t1", "t2"]),
        st.sampled_from(NAMES),
        st.sampled_from([*CLUSTERS, None]),
        st.sampled_from(["service:web", "service:db"]),
        last_status=STATUSES,
        desired_status=st.sampled_from(["RUNNING", "STOPPED"]),
        reservation=st.sampled_from([Resources(cpu=100, memory=100, ports=(80,)), Resources(cpu=10, gpus=1)]),
    ),
)
CHANGES = st.lists(st.tuples(RECORDS, st.sampled_from(["put", "put", "put", "delete"])), min_size=1, max_size=6)


@settings(max_examples=150)
@given(st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=8))
def test_what_is_offered_is_what_the_records_say(transactions: list[tuple[list[tuple[Any, str]], bool]]) -> None:
    state = State(MemoryJournal())
    rng = random.Random(1)
    for changes, undone in transactions:
        before = offered(state)
        try:
            with state.transaction() as tx:
                for record, how in changes:
                    if how == "put":
                        tx.put(record)
                    else:
                        tx.delete(record)
                if undone:
                    # A view that looks while the transaction is open must forget what it saw.
                    _choices(state, rng)
                    raise Undo
        except Undo:
            assert offered(state) == before
        same = afresh(state)
        assert offered(state) == offered(same)
        assert _choices(state, rng) == _choices(same, rng)


def _choices(state: State, rng: random.Random) -> list[tuple[str | None, int, int]]:
    """What the views say: the best, how many fit, how many refusals there are."""
    seen = []
    for scope in SCOPES:
        offer = state.fleet.offer(scope)
        group = fargate_group("one", "service:web") if scope.launch_type == "FARGATE" else "service:web"
        for wanted in (demand(group), demand(group, distinct_instance=True)):
            view = offer.view(scope, wanted, rng)
            best = offer.best(view)
            seen.append((best.arn if best else None, view.fitting, len(offer.explain(view))))
    return seen


def test_a_task_counts_on_its_node_for_every_cluster_and_in_its_group_for_its_own() -> None:
    state = State(MemoryJournal())
    put(state, node("n1", fargate_pool=True), instance("n1", "one"), instance("n1", "two"), task("t", "n1", "one"))
    for scope in SCOPES:
        (candidate,) = state.fleet.offer(scope).candidates(scope)
        assert (candidate.cpu, candidate.memory, candidate.tasks) == (900, 900, 1)
        assert 80 in candidate.ports_taken
        assert candidate.groups == ({"service:web": 1} if candidate.arn == "one/n1" else {})


def test_a_task_that_was_told_to_stop_keeps_its_room_and_leaves_its_group() -> None:
    state = State(MemoryJournal())
    put(state, node("n1"), instance("n1"), task("t", "n1", "one"))
    offer = state.fleet.offer(SCOPES[0])
    rng = random.Random(1)
    wanted = demand("service:web", distinct_instance=True)
    view = offer.view(SCOPES[0], wanted, rng)
    assert offer.best(view) is None
    put(state, task("t", "n1", "one", desired_status="STOPPED", last_status="STOPPING"))
    found = offer.best(view)
    assert found is not None
    assert (found.cpu, found.groups) == (900, {})
    put(state, task("t", "n1", "one", desired_status="STOPPED", last_status="STOPPED"))
    assert (found.cpu, found.tasks) == (1000, 0)


def test_groups_of_the_pool_are_kept_apart_by_cluster() -> None:
    state = State(MemoryJournal())
    put(state, node("n1", fargate_pool=True), instance("n1"), task("t", "n1", None))
    (candidate,) = state.fleet.offer(SCOPES[2]).candidates(SCOPES[2])
    assert candidate.groups == {fargate_group("one", "service:web"): 1}


def test_a_view_that_is_far_behind_is_right_again() -> None:
    state = State(MemoryJournal())
    put(state, *(node(f"n{i}") for i in range(20)), *(instance(f"n{i}") for i in range(20)))
    scope = SCOPES[0]
    offer = state.fleet.offer(scope)
    rng = random.Random(1)
    view = offer.view(scope, demand("service:web"), rng)
    for number in range(2000):
        put(state, task(f"t{number % 7}", f"n{number % 20}", "one", group=f"g{number % 3}"))
    put(state, task("last", "n3", "one"))
    found = offer.best(view)
    fresh = afresh(state).fleet.offer(scope)
    expected = fresh.best(fresh.view(scope, demand("service:web"), rng))
    assert found is not None
    assert expected is not None
    assert (found.arn, view.fitting) == (expected.arn, 20)


def test_nodes_are_renewed_in_the_same_order_in_every_run(monkeypatch):
    """A set's order depends on the process: twenty pairs would not all be in the order old, new."""
    state = State(MemoryJournal())
    renewed: list[str] = []
    monkeypatch.setattr(state.fleet, "_renew", renewed.append)
    expected = []
    for number in range(20):
        old, new = f"old-{number}", f"new-{number}"
        state.fleet._instance_changed(instance(old), instance(new))
        expected += [old, new]
    assert renewed == expected
