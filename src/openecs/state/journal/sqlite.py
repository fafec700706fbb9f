"""The SQLite journal: one writer thread that groups commits.

The file holds the newest value of every record, written in WAL mode with
``synchronous=FULL``.  A commit is durable when the SQLite transaction that holds it is;
commits that queue up while one is written go out together with the next.  Numbered
migrations run at ``load`` and are remembered in ``user_version``.  History is in the same file
and goes into the same commits (``sqlite_history``).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from openecs.errors import OperatorError
from openecs.model.history import HistoryEntry
from openecs.state.journal import sqlite_history
from openecs.state.journal.protocol import Change, HistoryQuery

#: Applied in order; the index of the next one is the file's ``user_version``.
MIGRATIONS = (
    """
    CREATE TABLE record (
        tbl TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tbl, key)
    ) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO meta (name, value) VALUES ('revision', 0);
    """,
    # The revision as a row beside the records, so that one statement can write all of a commit.
    """
    INSERT INTO record (tbl, key, body) SELECT '', 'revision', CAST(value AS TEXT) FROM meta WHERE name = 'revision';
    DROP TABLE meta;
    """,
    sqlite_history.MIGRATION,
    sqlite_history.MIGRATION_TIMES,
    sqlite_history.MIGRATION_ALARMS,
)
#: Where the newest revision stands among the records; no table has an empty name.
REVISION = ("", "revision")

UPSERT = "INSERT INTO record (tbl, key, body) VALUES %s ON CONFLICT (tbl, key) DO UPDATE SET body = excluded.body"
#: Rows that one statement writes.  Every statement gives up the interpreter's lock and must wait for
#: a busy event loop to get it back, so most commits are a single statement and a transaction by itself.
MAX_ROWS = 100
#: Pages in the WAL at which SQLite carries them over into the file.  The commit that
#: does it takes several milliseconds longer, so it is done eight times less often than by default.
CHECKPOINT_PAGES = 8000
DELETE = "DELETE FROM record WHERE tbl = ? AND key = ?"


class Commit(NamedTuple):
    """What one transaction wrote."""

    revision: int
    changes: list[Change]
    notes: Sequence[HistoryEntry]


class Prune(NamedTuple):
    """History to forget; ``done`` hears how many entries went."""

    before: float
    at_most: int
    done: Callable[[int], object]


class SqliteJournal:
    """A journal in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[Commit | Prune | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._log = structlog.get_logger("openecs.journal")
        self.loaded_revision = 0

    def load(self, types: dict[str, type]) -> Iterator[Change]:
        """Migrate the file if need be, then give every record in it."""
        connection = self._connect()
        try:
            self._migrate(connection)
            (revision,) = connection.execute("SELECT body FROM record WHERE tbl = ? AND key = ?", REVISION).fetchone()
            self.loaded_revision = int(revision)
            decoders: dict[str, Any] = {name: msgspec.json.Decoder(kind).decode for name, kind in types.items()}
            for table, key, body in connection.execute("SELECT tbl, key, body FROM record WHERE tbl <> ''"):
                decode = decoders.get(table)
                if decode is None:
                    raise OperatorError(
                        f"{self._path} holds records of the unknown kind {table!r}: it was written by "
                        "a newer OpenECS. Start that version, or name another --data-dir."
                    )
                yield Change(table, key, decode(body))
        finally:
            connection.close()

    def start(self, reached: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._write_all, args=(loop, reached, failed), name="journal", daemon=True
        )
        self._thread.start()

    def append(self, revision: int, changes: list[Change], notes: Sequence[HistoryEntry] = ()) -> None:
        self._queue.put(Commit(revision, changes, notes))

    async def history(self, query: HistoryQuery) -> list[HistoryEntry]:
        return await asyncio.to_thread(sqlite_history.read, self._path, query)

    async def prune_history(self, before: float, at_most: int) -> int:
        """The journal's thread does it between two commits, so that no other writer stands in its way."""
        loop = asyncio.get_running_loop()
        pruned: asyncio.Future[int] = loop.create_future()

        def settle(count: int) -> None:
            if not pruned.done():
                pruned.set_result(count)

        self._queue.put(Prune(before, at_most, lambda count: loop.call_soon_threadsafe(settle, count)))
        return await pruned

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _write_all(
        self,
        loop: asyncio.AbstractEventLoop,
        reached: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        try:
            connection = self._connect()
            try:
                while (job := self._next_job()) is not None:
                    if isinstance(job, Prune):
                        job.done(sqlite_history.prune(connection, job.before, job.at_most))
                    else:
                        self._write(connection, job)
                        loop.call_soon_threadsafe(reached, job[-1].revision)
            finally:
                connection.close()
        except BaseException as error:  # noqa: BLE001 -- the thread's last word; the server stops on it
            self._log.critical("the journal can no longer write", path=str(self._path), error=str(error))
            loop.call_soon_threadsafe(failed, error)

    def _next_job(self) -> list[Commit] | Prune | None:
        """All commits that wait, at least one, or history to forget; ``None`` when the journal closes."""
        first = self._queue.get()
        if not isinstance(first, Commit):
            return first
        group = [first]
        while not self._queue.empty():
            job = self._queue.get()
            if not isinstance(job, Commit):
                # Its turn comes after these commits; what was queued meanwhile may go before it.
                self._queue.put(job)
                break
            group.append(job)
        return group

    def _write(self, connection: sqlite3.Connection, group: list[Commit]) -> None:
        # A record that changed several times within the group is written once.
        newest = {(c.table, c.key): c.record for commit in group for c in commit.changes}
        notes = [note for commit in group for note in commit.notes]
        encode = msgspec.json.Encoder().encode
        rows = [(t, k, encode(r)) for (t, k), r in newest.items() if r is not None]
        rows.append((*REVISION, b"%d" % group[-1].revision))
        gone = [key for key, r in newest.items() if r is None]
        if not gone and len(rows) + len(notes) <= MAX_ROWS:
            if notes:
                sqlite_history.write(connection, rows, notes)
            else:
                _upsert(connection, rows)
            return
        connection.execute("BEGIN IMMEDIATE")
        for start in range(0, len(rows), MAX_ROWS):
            _upsert(connection, rows[start : start + MAX_ROWS])
        for start in range(0, len(notes), MAX_ROWS):
            sqlite_history.write(connection, (), notes[start : start + MAX_ROWS])
        connection.executemany(DELETE, gone)
        connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise OperatorError(
                f"{self._path} was written by a newer OpenECS (format {version}, this one knows "
                f"{len(MIGRATIONS)}). Start that version, or name another --data-dir."
            )
        for number in range(version, len(MIGRATIONS)):
            connection.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )


def _upsert(connection: sqlite3.Connection, rows: list[tuple[str, str, bytes]]) -> None:
    """Write rows in one statement."""
    places = ", ".join(["(?, ?, ?)"] * len(rows))
    connection.execute(UPSERT % places, [value for row in rows for value in row])
