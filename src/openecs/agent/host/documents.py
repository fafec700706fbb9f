"""The documents of this host: the newest of each, in memory and on disk.

They are there from the agent's start, before the control plane answers.  Whoever acts on them
watches kinds and looks at everything that concerns it; documents come at any time, in any order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from openecs.acs import messages as m
from openecs.acs.host_documents import DOCUMENTS, Document
from openecs.errors import OperatorError

_log = structlog.get_logger("openecs.agent")
Key = tuple[str, str]
#: Called with what changed; returns at once.
Watcher = Callable[[frozenset[Key]], None]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""


class HostDocuments:
    """All documents.  ``path`` ``None`` keeps them in memory only.  Raises ``OperatorError``."""

    def __init__(self, path: Path | None) -> None:
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)  # Private keys of certificates are among them.
            self._database = sqlite3.connect(str(path) if path is not None else ":memory:", isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            # What a host that loses power forgets comes again with its next connection.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.executescript(_SCHEMA)
            rows = self._database.execute("SELECT kind, key, body FROM document").fetchall()
        except (sqlite3.Error, OSError) as error:
            raise OperatorError(
                f"The agent cannot keep its documents in {path}: {error}. "
                "Give it a data directory that it can write to."
            ) from error
        self._bodies: dict[Key, bytes] = {}
        self._kinds: dict[str, dict[str, Any]] = {kind: {} for kind in DOCUMENTS}
        self._watchers: list[tuple[frozenset[str], Watcher]] = []
        #: Keys that the beginning of a connection has named so far; ``None`` when it is through.
        self._named: set[Key] | None = None
        #: Whether a control plane that sends documents was ever heard of.
        self.known = bool(rows)
        for kind, key, body in rows:
            self._keep((kind, key), bytes(body))

    def __repr__(self) -> str:
        return f"<HostDocuments: {len(self._bodies)}>"

    def get(self, kind: str, key: str) -> Document | None:
        """One document."""
        document: Document | None = self._kinds[kind].get(key)
        return document

    def all(self, kind: str) -> Mapping[str, Any]:
        """Key → document of that kind."""
        return MappingProxyType(self._kinds[kind])

    def watch(self, kinds: Iterable[str], changed: Watcher) -> None:
        """Call ``changed`` with the keys of those kinds after every message that changed some."""
        self._watchers.append((frozenset(kinds), changed))

    def take(self, message: m.HostDocumentsMessage) -> None:
        """A message of the control plane."""
        self.known = True
        changed: set[Key] = set()
        self._database.execute("BEGIN")
        try:
            if message.first:
                self._named = set()
            for entry in message.entries:
                key = (entry.kind, entry.key)
                if self._named is not None:
                    self._named.add(key)
                if self._put(key, bytes(entry.body)):
                    changed.add(key)
            gone = {(key.kind, key.key) for key in message.removed}
            if message.last and self._named is not None:
                gone |= set(self._bodies) - self._named
                self._named = None
            changed.update(key for key in gone if self._remove(key))
        finally:
            self._database.execute("COMMIT")
        for kinds, watcher in self._watchers:
            concerned = frozenset(key for key in changed if key[0] in kinds)
            if concerned:
                watcher(concerned)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _put(self, key: Key, body: bytes) -> bool:
        if self._bodies.get(key) == body or not self._keep(key, body):
            return False
        self._database.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (*key, body))
        return True

    def _keep(self, key: Key, body: bytes) -> bool:
        structure = DOCUMENTS.get(key[0])
        if structure is None:
            _log.debug("document of a kind that this agent does not know", kind=key[0])
            return False
        try:
            document = msgspec.json.decode(body, type=structure)
        except msgspec.DecodeError as error:
            _log.warning("document not understood, the older one stays", kind=key[0], key=key[1], error=str(error))
            return False
        self._bodies[key] = body
        self._kinds[key[0]][key[1]] = document
        return True

    def _remove(self, key: Key) -> bool:
        if self._bodies.pop(key, None) is None:
            return False
        del self._kinds[key[0]][key[1]]
        self._database.execute("DELETE FROM document WHERE kind = ? AND key = ?", key)
        return True
