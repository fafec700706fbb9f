"""History in the SQLite journal's file: its table, how rows get in, out and away.

Rows are written by the journal's thread together with the commit that they belong to; here are
the statements.  Each row is found by the subjects that its entry names, through indexes that
leave out the rows without that subject: most rows are about a task alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from openecs.model.history import HistoryEntry
from openecs.state.journal.protocol import HistoryQuery, task_id

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

INCOMING = "INSERT INTO incoming (tbl, key, body, at, kind, task, service, deployment, cluster) VALUES %s"
_NOTHING = (None, None, None, None, None, None)
_PRUNE = "DELETE FROM history WHERE id IN (SELECT id FROM history ORDER BY id LIMIT ?) AND at < ?"
_SELECT = "SELECT body FROM history WHERE {column} = ? ORDER BY id DESC LIMIT ?"

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
        values += (None, None, encode(note), note.at, note.kind)
        values += (task_id(note), note.service_arn, note.deployment_id, note.cluster_arn)
        count += 1
    connection.execute(INCOMING % ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * count), values)


def read(path: Path, query: HistoryQuery) -> list[HistoryEntry]:
    """The newest entries of a subject, oldest first, through a connection of its own."""
    column, value = _subject(query)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        rows = connection.execute(_SELECT.format(column=column), (value, query.limit)).fetchall()
    finally:
        connection.close()
    return [_entry.decode(body) for (body,) in reversed(rows)]


def prune(connection: sqlite3.Connection, before: float, at_most: int) -> int:
    """Delete rows older than ``before`` among the oldest ``at_most``; returns how many."""
    return connection.execute(_PRUNE, (at_most, before)).rowcount


def _subject(query: HistoryQuery) -> tuple[str, str | None]:
    if query.task_id is not None:
        return "task", query.task_id
    if query.service_arn is not None:
        return "service", query.service_arn
    if query.deployment_id is not None:
        return "deployment", query.deployment_id
    return "cluster", query.cluster_arn
