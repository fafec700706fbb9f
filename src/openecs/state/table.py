"""One table of records in memory, with the few indexes that callers need.

Not a database: one thread owns it, reads give the records themselves (they are immutable)
and iteration follows insertion order, so that everything built on it is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    """What every table record has."""

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Keyed)

#: From a record to the value it is found under; ``None`` leaves it out of the index.
IndexKey = Callable[[R], Hashable | None]


class Table(Generic[R]):
    """Records of one type by key, and by each declared index."""

    def __init__(self, name: str, record_type: type[R], **indexes: IndexKey[R]) -> None:
        self.name = name
        self.record_type = record_type
        self._records: dict[str, R] = {}
        self._indexes: dict[str, dict[Hashable, dict[str, R]]] = {name: {} for name in indexes}
        self._index_keys = tuple((index_key, self._indexes[name]) for name, index_key in indexes.items())
        self._watchers: list[Callable[[R | None, R | None], None]] = []

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self)} records>"

    def get(self, key: str) -> R | None:
        """The record with this key."""
        return self._records.get(key)

    def by(self, index: str, value: Hashable) -> tuple[R, ...]:
        """The records that an index holds under ``value``, oldest insertion first."""
        found = self._indexes[index].get(value)
        return tuple(found.values()) if found else ()

    def count(self, index: str, value: Hashable) -> int:
        """How many records an index holds under ``value``."""
        return len(self._indexes[index].get(value, ()))

    def values(self, index: str) -> tuple[Hashable, ...]:
        """The values that an index knows at present."""
        return tuple(self._indexes[index])

    def watch(self, watcher: Callable[[R | None, R | None], None]) -> None:
        """Call ``watcher(old, new)`` at every replacement, undone ones included.

        For sums and sets derived from the records, which are thus right inside transactions
        too.  Watchers only compute; they never write to a table.
        """
        self._watchers.append(watcher)

    def replace(self, key: str, record: R | None) -> R | None:
        """Set or (with ``None``) forget the record of ``key``; returns what was there.

        Only transactions and the journal's loader call this.
        """
        old = self._records.get(key)
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record
        # On the way of every change of every record: most leave most indexes' values as they are.
        for index_key, index in self._index_keys:
            before = index_key(old) if old is not None else None
            after = index_key(record) if record is not None else None
            if before is not None and before != after:
                bucket = index[before]
                del bucket[key]
                if not bucket:
                    del index[before]
            if record is not None and after is not None:
                found = index.get(after)
                if found is None:
                    index[after] = {key: record}
                else:
                    found[key] = record
        for watcher in self._watchers:
            watcher(old, record)
        return old
