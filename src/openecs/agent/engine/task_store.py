"""What the agent must remember over its own restarts: tasks, and who it is.

One SQLite file in the agent's data directory.  Calls are synchronous: a step takes tens of
microseconds, and its order with what follows matters.  Role credentials are never written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from openecs.acs.task_payload import RoleCredentials, TaskPayload
from openecs.agent.engine.task_state import TaskState
from openecs.errors import OperatorError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (arn TEXT PRIMARY KEY, payload BLOB NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class TaskStore:
    """The agent's memory.  ``path`` ``None`` keeps it in memory only."""

    def __init__(self, path: Path | None) -> None:
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)  # Tasks' environments are nobody else's business.
            self._database = sqlite3.connect(str(path) if path is not None else ":memory:", isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            # A killed agent loses nothing; a host that loses power loses its containers as well.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise OperatorError(
                f"The agent cannot keep its state in {path}: {error}. Give it a data directory that it can write to."
            ) from error
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode_payload = msgspec.msgpack.Decoder(TaskPayload).decode
        self._decode_state = msgspec.msgpack.Decoder(TaskState).decode

    def add(self, payload: TaskPayload, state: TaskState) -> None:
        """A new task; an existing one of that ARN is replaced."""
        self._database.execute(
            "INSERT OR REPLACE INTO task VALUES (?, ?, ?)",
            (payload.arn, self._encode(without_secrets(payload)), self._encode(state)),
        )

    def save(self, state: TaskState) -> None:
        """The task's new state."""
        self._database.execute("UPDATE task SET state = ? WHERE arn = ?", (self._encode(state), state.arn))

    def remove(self, arn: str) -> None:
        """Forget a task."""
        self._database.execute("DELETE FROM task WHERE arn = ?", (arn,))

    def tasks(self) -> list[tuple[TaskPayload, TaskState]]:
        """Every task."""
        rows = self._database.execute("SELECT payload, state FROM task").fetchall()
        return [(self._decode_payload(payload), self._decode_state(state)) for payload, state in rows]

    def get(self, name: str) -> str | None:
        """A fact about the agent itself (``node-id``, ``container-instance-arn``)."""
        row = self._database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str | None) -> None:
        """Remember a fact, or forget it with ``None``."""
        if value is None:
            self._database.execute("DELETE FROM fact WHERE name = ?", (name,))
        else:
            self._database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def without_secrets(payload: TaskPayload) -> TaskPayload:
    """The payload with credentials reduced to their ids."""
    return msgspec.structs.replace(
        payload,
        role_credentials=_only_id(payload.role_credentials),
        execution_role_credentials=_only_id(payload.execution_role_credentials),
    )


def _only_id(credentials: RoleCredentials | None) -> RoleCredentials | None:
    return None if credentials is None else RoleCredentials(credentials_id=credentials.credentials_id)
