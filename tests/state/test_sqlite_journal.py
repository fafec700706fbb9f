"""The SQLite journal: what was reported durable is there after any end of the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from openecs.errors import OperatorError
from openecs.model.cluster import Cluster
from openecs.state.journal.sqlite import MAX_ROWS, MIGRATIONS, SqliteJournal
from openecs.state.state import State


def cluster(arn: str, name: str = "x") -> Cluster:
    return Cluster(arn=arn, name=name, region="r", status="ACTIVE", created_at=1.0)


def opened(path: Path) -> tuple[State, SqliteJournal]:
    journal = SqliteJournal(path)
    state = State(journal)
    state.store.load()
    return state, journal


async def test_records_survive_and_deleted_ones_do_not(tmp_path: Path) -> None:
    state, journal = opened(tmp_path / "journal.db")
    journal.start(state.store.journal_reached, state.store.journal_failed)
    with state.transaction() as tx:
        tx.put(cluster("a", "old"))
        tx.put(cluster("b"))
    with state.transaction() as tx:
        tx.put(cluster("a", "new"))
        tx.delete(cluster("b"))
    await state.store.durable()
    journal.close()
    again, _ = opened(tmp_path / "journal.db")
    assert [(c.arn, c.name) for c in again.clusters] == [("a", "new")]
    assert again.store.revision == state.store.revision


async def test_a_commit_of_more_rows_than_a_statement_takes_is_whole(tmp_path: Path) -> None:
    state, journal = opened(tmp_path / "journal.db")
    journal.start(state.store.journal_reached, state.store.journal_failed)
    count = MAX_ROWS * 2 + 7
    with state.transaction() as tx:
        for number in range(count):
            tx.put(cluster(f"a{number}"))
    await state.store.durable()
    journal.close()
    again, _ = opened(tmp_path / "journal.db")
    assert len(again.clusters) == count
    assert again.store.revision == 1


def test_a_file_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("INSERT INTO record VALUES ('cluster', 'a', ?)", (msgspec.json.encode(cluster("a")),))
        connection.execute("UPDATE meta SET value = 41")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    state, _ = opened(tmp_path / "journal.db")
    assert [c.arn for c in state.clusters] == ["a"]
    assert state.store.revision == 41


def test_a_newer_file_is_refused_with_the_next_step(tmp_path: Path) -> None:
    opened(tmp_path / "journal.db")
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OperatorError, match="newer OpenECS"):
        opened(tmp_path / "journal.db")


def test_an_unknown_kind_of_record_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "journal.db")
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("INSERT INTO record VALUES ('spaceship', 'a', '{}')")
    connection.close()
    with pytest.raises(OperatorError, match="spaceship"):
        opened(tmp_path / "journal.db")


async def test_a_journal_that_cannot_write_says_so(tmp_path: Path) -> None:
    state, journal = opened(tmp_path / "journal.db")
    journal.start(state.store.journal_reached, state.store.journal_failed)
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("DROP TABLE record")
    connection.close()
    with state.transaction() as tx:
        tx.put(cluster("a"))
    with pytest.raises(sqlite3.OperationalError):
        await state.store.durable()


WRITER = """
import asyncio, sys
from pathlib import Path
from openecs.model.cluster import Cluster
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    number = len(state.clusters)
    while True:
        arn = f"c{number:06d}"
        with state.transaction() as tx:
            tx.put(Cluster(arn=arn, name=arn, region="r", status="ACTIVE", created_at=1.0))
            tx.put(Cluster(arn=arn + "-twin", name=arn, region="r", status="ACTIVE", created_at=1.0))
        await state.store.durable()
        print(arn, flush=True)
        number += 1

asyncio.run(main())
"""


def test_kill_at_random_points_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    acknowledged: set[str] = set()
    for attempt in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(3 + 17 * attempt):
            acknowledged.add(writer.stdout.readline().strip())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged.update(line.strip() for line in writer.stdout if line.endswith("\n"))
        writer.wait()
        writer.stdout.close()
        state, _ = opened(path)
        found = {c.arn for c in state.clusters}
        assert acknowledged <= found
        # Both records of a transaction are there or neither.
        assert {a for a in found if not a.endswith("-twin")} == {a.removesuffix("-twin") for a in found if "-" in a}


async def test_many_commits_that_wait_together_become_durable_together(tmp_path: Path) -> None:
    state, journal = opened(tmp_path / "journal.db")
    journal.start(state.store.journal_reached, state.store.journal_failed)

    async def one(number: int) -> None:
        with state.transaction() as tx:
            tx.put(cluster(f"c{number}"))
        await state.store.durable()

    async with asyncio.TaskGroup() as group:
        for number in range(500):
            group.create_task(one(number))
    journal.close()
    again, _ = opened(tmp_path / "journal.db")
    assert len(again.clusters) == 500
