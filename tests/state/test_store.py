"""Transactions: all or nothing, indexes that agree with the records, notices after commits."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.cluster import Cluster
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.state.store import Notice


def make_state() -> State:
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    return state


def cluster(arn: str, region: str = "r1") -> Cluster:
    return Cluster(arn=arn, name=arn, region=region, status="ACTIVE", created_at=1.0)


class Broken(Exception):
    pass


def test_a_transaction_that_raises_leaves_nothing_behind() -> None:
    state = make_state()
    with state.transaction() as tx:
        tx.put(cluster("a"))
    before = state.store.revision

    def change_and_fail() -> None:
        with state.transaction() as tx:
            tx.put(cluster("b"))
            tx.put(cluster("a", "r2"))
            tx.delete(cluster("a"))
            raise Broken

    with pytest.raises(Broken):
        change_and_fail()
    assert [c.arn for c in state.clusters] == ["a"]
    assert [c.arn for c in state.clusters.by("region", "r1")] == ["a"]
    assert state.clusters.by("region", "r2") == ()
    assert state.store.revision == before


def test_reads_inside_a_transaction_see_its_changes() -> None:
    state = make_state()
    with state.transaction() as tx:
        tx.put(cluster("a"))
        assert state.clusters.get("a") is not None
        assert state.clusters.count("region", "r1") == 1


def test_notices_come_once_a_record_after_the_commit_with_old_and_new() -> None:
    state = make_state()
    heard: list[Notice] = []
    state.store.subscribe("cluster", heard.append)
    with state.transaction() as tx:
        tx.put(cluster("a"))
        tx.put(cluster("a", "r2"))
        assert heard == []
    (notice,) = heard
    assert notice.old is None
    assert notice.new.region == "r2"


def test_a_commit_without_a_change_makes_no_revision() -> None:
    state = make_state()
    with state.transaction():
        pass
    with state.transaction() as tx:
        tx.put(cluster("a"))
        tx.delete(cluster("a"))
    assert state.store.revision == 0


def test_transactions_do_not_nest() -> None:
    state = make_state()
    with state.transaction() as tx:
        tx.put(cluster("a"))
        with pytest.raises(RuntimeError), state.transaction():
            pass
    assert len(state.clusters) == 1


class SlowJournal(MemoryJournal):
    """Remembers what was appended and reaches nothing until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[int] = []

    def append(self, revision: int, changes: list, notes: object = ()) -> None:  # type: ignore[type-arg]
        self.appended.append(revision)


async def test_durable_waits_for_the_revision_that_was_seen() -> None:
    journal = SlowJournal()
    state = State(journal)
    with state.transaction() as tx:
        tx.put(cluster("a"))
    first = asyncio.get_running_loop().create_task(state.store.durable(1))
    with state.transaction() as tx:
        tx.put(cluster("b"))
    second = asyncio.get_running_loop().create_task(state.store.durable(2))
    await asyncio.sleep(0)
    assert not first.done()
    state.store.journal_reached(1)
    await first
    await asyncio.sleep(0)
    assert not second.done()
    state.store.journal_reached(2)
    await second


async def test_a_failing_journal_fails_those_who_wait() -> None:
    state = State(SlowJournal())
    with state.transaction() as tx:
        tx.put(cluster("a"))
    waiting = asyncio.get_running_loop().create_task(state.store.durable())
    await asyncio.sleep(0)
    state.store.journal_failed(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        await waiting
    with pytest.raises(OSError, match="disk full"):
        await state.store.durable()


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["r1", "r2", None]), st.booleans()), max_size=30
)


@given(OPERATIONS)
def test_indexes_always_agree_with_the_records(operations: list[tuple[str, str | None, bool]]) -> None:
    state = make_state()
    expected: dict[str, str] = {}
    for arn, region, fails in operations:
        try:
            with state.transaction() as tx:
                if region is None:
                    tx.delete(cluster(arn))
                else:
                    tx.put(cluster(arn, region))
                if fails:
                    raise Broken
        except Broken:
            continue
        if region is None:
            expected.pop(arn, None)
        else:
            expected[arn] = region
    assert {c.arn: c.region for c in state.clusters} == expected
    for region in ("r1", "r2"):
        assert {c.arn for c in state.clusters.by("region", region)} == {a for a, r in expected.items() if r == region}
    assert set(state.clusters.values("region")) == set(expected.values())


def test_records_are_immutable() -> None:
    record = cluster("a")
    with pytest.raises(AttributeError):
        record.name = "b"  # type: ignore[misc]
    assert msgspec.structs.replace(record, name="b").name == "b"
