"""The catalogue: log groups, streams and finished segments in one small SQLite file.

Only facts that change rarely are here, so that a start needs neither a list of every event
nor a look into every file: segments that are complete, and the last one of streams that have
gone quiet.  A segment file that is larger than noted here, or not noted, is read at start.
The connection belongs to the writer thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from openecs.errors import OperatorError
from openecs.logs.records import LogGroup, LogStream
from openecs.logs.segment import Segment

#: Applied in order; the index of the next one is the file's ``user_version``.
MIGRATIONS = (
    """
    CREATE TABLE log_group (
        id INTEGER PRIMARY KEY AUTOINCREMENT, region TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
        retention_days INTEGER, tags TEXT NOT NULL, UNIQUE (region, name)
    );
    CREATE TABLE log_stream (
        id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
        next_sequence INTEGER NOT NULL, last_ingestion INTEGER, UNIQUE (group_id, name)
    );
    CREATE TABLE segment (
        stream_id INTEGER NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, event_count INTEGER NOT NULL,
        min_timestamp INTEGER NOT NULL, max_timestamp INTEGER NOT NULL, first_ingestion INTEGER NOT NULL,
        last_ingestion INTEGER NOT NULL, last_sequence INTEGER NOT NULL, PRIMARY KEY (stream_id, number)
    ) WITHOUT ROWID;
    """,
    # Every frame was loose before there were packed ones.
    """
    ALTER TABLE log_group ADD COLUMN deletion_protected INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE segment ADD COLUMN loose INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE segment ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
    UPDATE segment SET loose = size;
    CREATE TABLE identity AS SELECT lower(hex(randomblob(16))) AS id;
    """,
)


class Statement(NamedTuple):
    """One change of the catalogue."""

    sql: str
    parameters: tuple[Any, ...]


class Loaded(NamedTuple):
    """What the catalogue held at the start."""

    groups: list[LogGroup]
    streams: dict[int, LogStream]
    segments: list[Segment]
    next_group_id: int
    next_stream_id: int


class Catalogue:
    """The SQLite file; ``path`` is ``None`` for one that ends with the process."""

    def __init__(self, path: Path | None) -> None:
        # Opened where the store is built, used by the writer thread only from then on.
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._migrate(path)
        except BaseException:
            self._db.close()
            raise

    def load(self) -> Loaded:
        """Every group, stream and known segment."""
        decode = msgspec.json.Decoder(dict[str, str]).decode
        rows = self._db.execute(
            "SELECT id, region, name, created, retention_days, tags, deletion_protected FROM log_group"
        )
        groups = {
            row[0]: LogGroup(row[0], row[1], row[2], row[3], row[4], decode(row[5]), bool(row[6])) for row in rows
        }
        streams: dict[int, LogStream] = {}
        rows = self._db.execute("SELECT id, group_id, name, created, next_sequence, last_ingestion FROM log_stream")
        for stream_id, group_id, name, created, next_sequence, last_ingestion in rows:
            group = groups[group_id]
            stream = LogStream(stream_id, group, name, created, next_sequence, last_ingestion)
            group.streams[name] = streams[stream_id] = stream
        columns = ", ".join(Segment._fields)
        segments = [Segment._make(row) for row in self._db.execute(f"SELECT {columns} FROM segment")]  # noqa: S608
        used = dict(self._db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        return Loaded(
            list(groups.values()),
            streams,
            segments,
            used.get("log_group", 0) + 1,
            used.get("log_stream", 0) + 1,
        )

    def identity(self) -> str:
        """What tells this store from all others, for ever."""
        identity: str = self._db.execute("SELECT id FROM identity").fetchone()[0]
        return identity

    def apply(self, statements: Iterable[Statement]) -> None:
        """Make the changes durable, all or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                self._db.execute(sql, parameters)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _migrate(self, path: Path | None) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise OperatorError(
                f"{path} was written by a newer OpenECS (format {version}, this one knows {len(MIGRATIONS)}). "
                "Start that version, or name another --data-dir."
            )
        for number in range(version, len(MIGRATIONS)):
            self._db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")


def put_group(group: LogGroup) -> list[Statement]:
    """Write a group, new or changed."""
    tags = msgspec.json.encode(group.tags).decode()
    return [
        Statement(
            "INSERT INTO log_group (id, region, name, created, retention_days, tags, deletion_protected) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET retention_days = excluded.retention_days, "
            "tags = excluded.tags, deletion_protected = excluded.deletion_protected",
            (
                group.id,
                group.region,
                group.name,
                group.created,
                group.retention_days,
                tags,
                group.deletion_protected,
            ),
        )
    ]


def delete_group(group: LogGroup) -> list[Statement]:
    """Forget a group and all its streams."""
    return [
        Statement("DELETE FROM segment WHERE stream_id IN (SELECT id FROM log_stream WHERE group_id = ?)", (group.id,)),
        Statement("DELETE FROM log_stream WHERE group_id = ?", (group.id,)),
        Statement("DELETE FROM log_group WHERE id = ?", (group.id,)),
    ]


def put_stream(stream: LogStream) -> list[Statement]:
    """Write a new stream, which has no events."""
    return [
        Statement(
            "INSERT INTO log_stream (id, group_id, name, created, next_sequence) VALUES (?, ?, ?, ?, 1)",
            (stream.id, stream.group.id, stream.name, stream.created),
        )
    ]


def delete_stream(stream_id: int) -> list[Statement]:
    """Forget a stream and its segments."""
    return [
        Statement("DELETE FROM segment WHERE stream_id = ?", (stream_id,)),
        Statement("DELETE FROM log_stream WHERE id = ?", (stream_id,)),
    ]


def note_stream(stream_id: int, next_sequence: int, last_ingestion: int) -> Statement:
    """Note where a stream's numbering goes on, which its segments no longer tell once they have expired."""
    return Statement(
        "UPDATE log_stream SET next_sequence = ?, last_ingestion = ? WHERE id = ?",
        (next_sequence, last_ingestion, stream_id),
    )


def put_segment(segment: Segment) -> Statement:
    """Write what a segment holds."""
    marks = ", ".join("?" * len(segment))
    columns = ", ".join(Segment._fields)
    return Statement(f"INSERT OR REPLACE INTO segment ({columns}) VALUES ({marks})", tuple(segment))  # noqa: S608


def delete_segment(stream_id: int, number: int) -> Statement:
    """Forget a segment."""
    return Statement("DELETE FROM segment WHERE stream_id = ? AND number = ?", (stream_id, number))
