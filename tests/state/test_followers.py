"""Followers: what follows from a transaction is committed with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from openecs.model.cluster import Cluster
from openecs.model.tags import ResourceTags
from openecs.state.journal.memory import MemoryJournal
from openecs.state.journal.protocol import Change
from openecs.state.state import State
from openecs.state.store import Notice


class Journal(MemoryJournal):
    """Remembers its appends."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[list[tuple[str, str]]] = []

    def append(self, revision: int, changes: list[Change], notes: Sequence[object] = ()) -> None:
        self.appended.append([(change.table, change.key) for change in changes])
        super().append(revision, changes)


def cluster(name: str) -> Cluster:
    return Cluster(arn=name, name=name, region="r", status="ACTIVE", created_at=1.0)


def tags_for_clusters(notices: Sequence[Notice]) -> Iterable[ResourceTags]:
    return [ResourceTags(arn=notice.key) for notice in notices if notice.table == "cluster" and notice.new]


def test_what_follows_is_in_the_same_commit_and_is_told_to_subscribers() -> None:
    journal = Journal()
    state = State(journal)
    told: list[str] = []
    state.store.subscribe("tags", lambda notice: told.append(notice.key))
    state.store.follow(tags_for_clusters)
    with state.transaction() as tx:
        tx.put(cluster("a"))
    assert journal.appended == [[("cluster", "a"), ("tags", "a")]]
    assert told == ["a"]


def test_a_transaction_that_changes_nothing_has_no_followers() -> None:
    state = State(Journal())
    asked: list[object] = []
    with state.transaction() as tx:
        tx.put(cluster("a"))
    state.store.follow(lambda notices: asked.append(notices) or ())  # type: ignore[func-returns-value]
    with state.transaction():
        pass
    assert asked == []


def test_a_follower_that_fails_costs_what_it_would_have_added_only() -> None:
    state = State(Journal())

    def fail(notices: Sequence[Notice]) -> Iterable[object]:
        yield ResourceTags(arn="half")
        raise ZeroDivisionError

    state.store.follow(fail)
    state.store.follow(tags_for_clusters)
    with state.transaction() as tx:
        tx.put(cluster("a"))
    assert [cluster.arn for cluster in state.clusters] == ["a"]
    assert [tags.arn for tags in state.tags] == ["a"]


def test_an_undone_transaction_is_followed_by_nothing() -> None:
    state = State(Journal())
    state.store.follow(tags_for_clusters)

    def change_and_fail() -> None:
        with state.transaction() as tx:
            tx.put(cluster("a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert not len(state.tags)
