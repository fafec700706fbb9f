"""History: it goes with its transaction, is found by its subjects, survives and is pruned."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openecs.model.cluster import Cluster
from openecs.model.history import HistoryEntry
from openecs.state.journal import sqlite_history
from openecs.state.journal.memory import HISTORY, MemoryJournal
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.journal.sqlite import MAX_ROWS, MIGRATIONS, SqliteJournal
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

TASK = "arn:aws:ecs:eu-west-1:123456789012:task/default/0123"
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/default/web"


def entry(text: str, at: float = 1.0, **subjects: str) -> HistoryEntry:
    return HistoryEntry(at=at, kind="placed", text=text, **(subjects or {"task_arn": TASK}))


def cluster(arn: str) -> Cluster:
    return Cluster(arn=arn, name="x", region="r", status="ACTIVE", created_at=1.0)


@pytest.fixture(params=["sqlite", "memory"])
async def state(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[State]:
    journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "journal.db")
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    yield state
    journal.close()


async def texts(state: State, *subject: str, **query: Any) -> list[str]:
    return [found.text for found in await state.store.history(HistoryQuery(*subject, **query))]


async def test_entries_are_found_by_each_subject_oldest_first(state: State) -> None:
    with state.transaction() as tx:
        tx.note(entry("one"))
        tx.note(entry("two", task_arn=TASK, service_arn=SERVICE, deployment_id="ecs-svc/1"))
        tx.note(entry("three", cluster_arn="c"))
    assert await texts(state, "task", "0123") == ["one", "two"]
    assert await texts(state, "service", SERVICE) == ["two"]
    assert await texts(state, "deployment", "ecs-svc/1") == ["two"]
    assert await texts(state, "cluster", "c") == ["three"]
    assert await texts(state, "task", "9999") == []


async def test_the_newest_are_given_when_there_are_more_than_asked_for(state: State) -> None:
    for number in range(5):
        with state.transaction() as tx:
            tx.note(entry(str(number)))
    assert await texts(state, "task", "0123", limit=2) == ["3", "4"]


async def test_an_entry_keeps_everything_it_says(state: State) -> None:
    told = HistoryEntry(at=2.5, kind="evidence", text="t", task_arn=TASK, facts={"log": "a\nb", "exit_code": 1})
    with state.transaction() as tx:
        tx.put(cluster("a"))
        tx.note(told)
    assert await state.store.history(HistoryQuery("task", "0123")) == [told]


async def test_a_transaction_that_is_undone_leaves_no_history(state: State) -> None:
    def fail() -> None:
        with state.transaction() as tx:
            tx.note(entry("never"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert await texts(state, "task", "0123") == []
    assert state.store.revision == 0


@pytest.mark.parametrize("strict", [False, True])
async def test_who_takes_notes_does_so_within_the_transaction(state: State, strict: bool) -> None:
    def take_notes(tx: Transaction, notices: object) -> None:
        (notice,) = notices  # type: ignore[misc]
        assert isinstance(notice, Notice)
        tx.note(entry(f"{notice.key} because {tx.reasons[notice.key].text}"))
        if notice.key == "bad":
            raise LookupError

    state.store.keep_history(take_notes, strict=strict)
    with state.transaction() as tx:
        tx.because("a", "", detail=1)
        tx.because("a", "it is wanted")
        tx.put(cluster("a"))
        assert tx.reasons["a"].facts == {"detail": 1}
    assert await texts(state, "task", "0123") == ["a because it is wanted"]

    def fail() -> None:
        with state.transaction() as tx:
            tx.because("bad", "it is wanted")
            tx.note(entry("said by the caller"))
            tx.put(cluster("bad"))

    if strict:
        with pytest.raises(LookupError):
            fail()
        assert [c.arn for c in state.clusters] == ["a"]
    else:
        # History never decides: the change stands, and what its maker said of it.
        fail()
        assert [c.arn for c in state.clusters] == ["a", "bad"]
        assert await texts(state, "task", "0123") == ["a because it is wanted", "said by the caller"]
        assert state.store.history_failures == 1


async def test_the_oldest_are_pruned_in_batches(state: State) -> None:
    for number in range(10):
        with state.transaction() as tx:
            tx.note(entry(str(number), at=float(number)))
    assert await state.store.prune_history(7.0, 5) == 5
    assert await texts(state, "task", "0123") == ["5", "6", "7", "8", "9"]
    assert await state.store.prune_history(7.0, 5) == 2
    assert await state.store.prune_history(7.0, 5) == 0
    assert await texts(state, "task", "0123") == ["7", "8", "9"]


async def test_a_stretch_with_the_clock_ahead_holds_up_nothing(state: State) -> None:
    for number in range(5):
        with state.transaction() as tx:
            tx.note(entry(f"ahead {number}", at=1e9))
    for number in range(5):
        with state.transaction() as tx:
            tx.note(entry(str(number), at=float(number)))
    assert await state.store.prune_history(3.0, 2) == 2
    assert await state.store.prune_history(3.0, 2) == 1
    assert await texts(state, "task", "0123") == ["3", "4", *(f"ahead {number}" for number in range(5))]


async def test_kinds_and_times_choose_among_a_subjects_entries(state: State) -> None:
    with state.transaction() as tx:
        for at in range(300):
            tx.note(HistoryEntry(at=float(at), kind="stopped", text=f"s{at}", service_arn=SERVICE, cluster_arn="c"))
            if at % 100 == 50:
                tx.note(HistoryEntry(at=float(at), kind="service-changed", text=f"c{at}", service_arn=SERVICE))
    changes = ("service-changed", "deployment")
    assert await texts(state, "service", SERVICE, kinds=changes) == ["c50", "c150", "c250"]
    assert await texts(state, "service", SERVICE, kinds=changes, until=200.0, limit=1) == ["c150"]
    assert await texts(state, "service", SERVICE, kinds=changes, since=51.0, until=250.0) == ["c150", "c250"]
    assert await texts(state, "service", SERVICE, since=150.0, until=151.0) == ["s150", "c150", "s151"]
    assert await texts(state, "cluster", "c", until=10.0, limit=2) == ["s9", "s10"]
    assert len(await texts(state, "service", SERVICE)) == 200


async def journal_in(path: Path) -> tuple[SqliteJournal, State]:
    journal = SqliteJournal(path / "journal.db")
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    return journal, state


@pytest.mark.parametrize("limit", ["ROWS", "FILE_SIZE"])
async def test_beyond_its_limits_history_loses_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    journal, state = await journal_in(tmp_path)
    for number in range(50):
        with state.transaction() as tx:
            tx.note(entry(str(number), at=float(number)))
    await state.store.durable()
    assert await state.store.prune_history(0.0, 100) == 0
    monkeypatch.setattr(sqlite_history, "NEWEST", 10)
    monkeypatch.setattr(sqlite_history, limit, 10)
    assert await state.store.prune_history(0.0, 25) == 25
    assert await state.store.prune_history(30.0, 10) == 10
    assert await state.store.prune_history(0.0, 25) == 5
    assert await state.store.prune_history(0.0, 25) == 0
    assert await texts(state, "task", "0123") == [str(number) for number in range(40, 50)]
    journal.close()


async def test_an_entry_that_cannot_be_read_says_so_and_hides_no_other(tmp_path: Path) -> None:
    journal, state = await journal_in(tmp_path)
    for text in ("one", "two", "three"):
        with state.transaction() as tx:
            tx.note(entry(text))
    await state.store.durable()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute('UPDATE history SET body = CAST(\'{"at": "never"}\' AS BLOB) WHERE id = 2')
    connection.close()
    found = await state.store.history(HistoryQuery("task", "0123"))
    assert [(e.kind, e.at) for e in found] == [("placed", 1.0), ("unreadable", 1.0), ("placed", 1.0)]
    assert "cannot read" in found[1].text
    journal.close()


async def test_an_entry_that_cannot_be_written_keeps_nothing_from_the_file(tmp_path: Path) -> None:
    journal, state = await journal_in(tmp_path)
    with state.transaction() as tx:
        tx.put(cluster("a"))
        tx.note(msgspec.structs.replace(entry("odd \udc80"), facts={"what": object()}))
    await state.store.durable()
    (found,) = await state.store.history(HistoryQuery("task", "0123"))
    assert (found.text, found.facts) == ("odd ?", {"lost": "UnicodeEncodeError"})
    journal.close()


async def test_queries_by_subject_use_the_subjects_index(tmp_path: Path) -> None:
    journal, _ = await journal_in(tmp_path)
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        for subject in ("task", "service", "deployment", "cluster"):
            where = f"{subject} = 'x' AND at BETWEEN 1 AND 2 AND kind IN ('a', 'b')"
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sqlite_history._SELECT.format(where=where)}", (5,))
            assert f"USING INDEX history_{subject} " in str(plan.fetchall())
    connection.close()


async def test_what_is_kept_in_memory_is_bounded() -> None:
    journal = MemoryJournal()
    for number in range(HISTORY + 10):
        journal.append(number, [], [entry(str(number))])
    assert len(await journal.history(HistoryQuery("task", "0123", limit=10**6))) == HISTORY


async def test_history_and_records_survive_together_whatever_the_size_of_the_commit(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    for records, notes in ((1, 1), (MAX_ROWS, 1), (2, MAX_ROWS * 2 + 3)):
        with state.transaction() as tx:
            for number in range(records):
                tx.put(cluster(f"{records}-{notes}-{number}"))
            for _ in range(notes):
                tx.note(entry(f"{records}"))
    with state.transaction() as tx:
        tx.delete(cluster("1-1-0"))
        tx.note(entry("gone"))
    await state.store.durable()
    journal.close()
    again = State(SqliteJournal(tmp_path / "journal.db"))
    again.store.load()
    assert len(again.clusters) == MAX_ROWS + 2
    assert again.store.revision == 4
    assert len(await again.store.history(HistoryQuery("task", "0123", limit=1000))) == 1 + 1 + MAX_ROWS * 2 + 3 + 1


async def test_a_file_without_history_gets_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.executescript(MIGRATIONS[0] + MIGRATIONS[1])
        connection.execute("INSERT INTO record VALUES ('cluster', 'a', ?)", (msgspec.json.encode(cluster("a")),))
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    journal = SqliteJournal(tmp_path / "journal.db")
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    assert [c.arn for c in state.clusters] == ["a"]
    with state.transaction() as tx:
        tx.put(msgspec.structs.replace(cluster("a"), name="new"))
        tx.note(entry("first"))
    assert await texts(state, "task", "0123") == ["first"]
    journal.close()
