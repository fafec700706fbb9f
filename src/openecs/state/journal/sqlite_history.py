"""History in the SQLite journal's file: its table, how rows get in, out and away.

Rows are written by the journal's thread together with the commit that they belong to; here are
the statements.  Each row is found by the subjects that its entry names, through indexes that
leave out the rows without that subject: most rows are about a task alone.

History has a limit, because it is in the file that holds the state and a service whose tasks
crash makes much of it: beyond ``ROWS`` rows or ``FILE_SIZE`` bytes in use the oldest rows go,
but never the newest ``NEWEST``.  The file does not shrink; what is free in it is used again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from openecs.model.history import HistoryEntry
from openecs.state.journal.protocol import HistoryQuery, is_prefix, subjects

_log = structlog.get_logger("openecs.journal")

#: Rows of history, and bytes in use of the whole file (its records of the state included).
ROWS, FILE_SIZE = 2_000_000, 1 << 30
#: Rows that the limits leave alone, so that a large state does not leave history without a place.
NEWEST = 10_000

#: ``incoming`` takes records and history in one statement, because most commits are to be a
#: single statement (see ``sqlite.MAX_ROWS``).
MIGRATION = """
    CREATE TABLE history (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, task TEXT, service TEXT, deployment TEXT,
        cluster TEXT, body BLOB NOT NULL
    );
    CREATE INDEX history_task ON history (task) WHERE task IS NOT NULL;
    CREATE INDEX history_service ON history (service) WHERE service IS NOT NULL;
    CREATE INDEX history_deployment ON history (deployment) WHERE deployment IS NOT NULL;
    CREATE INDEX history_cluster ON history (cluster) WHERE cluster IS NOT NULL;
    CREATE VIEW incoming AS
        SELECT tbl, key, body, NULL AS at, NULL AS kind, NULL AS task, NULL AS service, NULL AS deployment,
               NULL AS cluster FROM record;
    CREATE TRIGGER incoming_record INSTEAD OF INSERT ON incoming WHEN NEW.kind IS NULL BEGIN
        INSERT INTO record (tbl, key, body) VALUES (NEW.tbl, NEW.key, NEW.body)
            ON CONFLICT (tbl, key) DO UPDATE SET body = excluded.body;
    END;
    CREATE TRIGGER incoming_history INSTEAD OF INSERT ON incoming WHEN NEW.kind IS NOT NULL BEGIN
        INSERT INTO history (at, kind, task, service, deployment, cluster, body)
            VALUES (NEW.at, NEW.kind, NEW.task, NEW.service, NEW.deployment, NEW.cluster, NEW.body);
    END;
    """

#: Found by subject and time, whatever the order in which clocks had them written; the kind is there
#: so that rows of other kinds need not be read.  By time alone for what is to be forgotten.
MIGRATION_TIMES = """
    DROP INDEX history_service;
    DROP INDEX history_deployment;
    DROP INDEX history_cluster;
    CREATE INDEX history_service ON history (service, at, kind) WHERE service IS NOT NULL;
    CREATE INDEX history_deployment ON history (deployment, at, kind) WHERE deployment IS NOT NULL;
    CREATE INDEX history_cluster ON history (cluster, at, kind) WHERE cluster IS NOT NULL;
    CREATE INDEX history_at ON history (at);
    """

#: Alarms are subjects as well.
MIGRATION_ALARMS = """
    ALTER TABLE history ADD COLUMN alarm TEXT;
    CREATE INDEX history_alarm ON history (alarm, at, kind) WHERE alarm IS NOT NULL;
    DROP VIEW incoming;
    CREATE VIEW incoming AS
        SELECT tbl, key, body, NULL AS at, NULL AS kind, NULL AS task, NULL AS service, NULL AS deployment,
               NULL AS cluster, NULL AS alarm FROM record;
    CREATE TRIGGER incoming_record INSTEAD OF INSERT ON incoming WHEN NEW.kind IS NULL BEGIN
        INSERT INTO record (tbl, key, body) VALUES (NEW.tbl, NEW.key, NEW.body)
            ON CONFLICT (tbl, key) DO UPDATE SET body = excluded.body;
    END;
    CREATE TRIGGER incoming_history INSTEAD OF INSERT ON incoming WHEN NEW.kind IS NOT NULL BEGIN
        INSERT INTO history (at, kind, task, service, deployment, cluster, alarm, body)
            VALUES (NEW.at, NEW.kind, NEW.task, NEW.service, NEW.deployment, NEW.cluster, NEW.alarm, NEW.body);
    END;
    """

INCOMING = "INSERT INTO incoming (tbl, key, body, at, kind, task, service, deployment, cluster, alarm) VALUES %s"
_NOTHING = (None,) * 7
_PRUNE = "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE at < ? ORDER BY at LIMIT ?)"
_PRUNE_OLDEST = "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE id <= ? ORDER BY id LIMIT ?)"
_SELECT = "SELECT at, task, body FROM history WHERE {where} ORDER BY at DESC, id DESC LIMIT ?"

_entry = msgspec.json.Decoder(HistoryEntry)


def write(
    connection: sqlite3.Connection, rows: Sequence[tuple[str, str, bytes]], notes: Iterable[HistoryEntry]
) -> None:
    """Write a commit's records and its history in one statement."""
    encode = msgspec.json.Encoder().encode
    values: list[Any] = []
    for row in rows:
        values += row
        values += _NOTHING
    count = len(rows)
    for note in notes:
        values += (None, None, _encoded(note, encode), note.at, note.kind)
        values += subjects(note).values()
        count += 1
    connection.execute(INCOMING % ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * count), values)


def read(path: Path, query: HistoryQuery) -> list[HistoryEntry]:
    """The entries that are asked for, oldest first, through a connection of its own."""
    values: list[Any] = [query.value, query.since, query.until]
    where = f"{query.subject} = ? AND at BETWEEN ? AND ?"
    if is_prefix(query):
        # Everything from the value on that is before the same text with its last sign's successor.
        where = f"{query.subject} >= ? AND {query.subject} < ? AND at BETWEEN ? AND ?"
        values.insert(1, query.value[:-1] + chr(ord(query.value[-1]) + 1))
    if query.kinds:
        where += f" AND kind IN ({', '.join('?' * len(query.kinds))})"
        values += query.kinds
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        rows = connection.execute(_SELECT.format(where=where), (*values, query.limit)).fetchall()
    finally:
        connection.close()
    return [_decoded(*row) for row in reversed(rows)]


def prune(connection: sqlite3.Connection, before: float, at_most: int) -> int:
    """Delete up to ``at_most`` rows older than ``before``, or else of the oldest beyond the limits.

    Returns how many.
    """
    pruned = connection.execute(_PRUNE, (before, at_most)).rowcount
    if pruned < at_most and (last := _beyond(connection)) is not None:
        pruned += connection.execute(_PRUNE_OLDEST, (last, at_most - pruned)).rowcount
    return pruned


def _beyond(connection: sqlite3.Connection) -> int | None:
    """The newest row that the limits have no place for."""
    # Ids without gaps would make the difference exact; gaps only make the oldest rows go earlier.
    (oldest, newest) = connection.execute(
        "SELECT (SELECT id FROM history ORDER BY id LIMIT 1), (SELECT id FROM history ORDER BY id DESC LIMIT 1)"
    ).fetchone()
    if oldest is None:
        return None
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    last: int = newest - (NEWEST if (pages - free) * size > FILE_SIZE else max(ROWS, NEWEST))
    return last if last >= oldest else None


def _encoded(note: HistoryEntry, encode: Callable[[Any], bytes]) -> bytes:
    """An entry as it is kept.  One that cannot be written must not keep its commit from the file."""
    try:
        return encode(note)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        _log.exception("an entry of history cannot be kept whole", kind=note.kind)
        text = note.text.encode("utf-8", "replace").decode()
        return encode(msgspec.structs.replace(note, text=text, facts={"lost": type(error).__name__}))


def _decoded(at: float, task: str | None, body: bytes) -> HistoryEntry:
    try:
        return _entry.decode(body)
    except msgspec.DecodeError as error:
        text = f"an entry that this version of OpenECS cannot read: {error}"
        return HistoryEntry(at=at, kind="unreadable", text=text, task_arn=task)
