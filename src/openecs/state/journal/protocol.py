"""What the store asks of a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol


class Change(NamedTuple):
    """One record's new value; ``record`` is ``None`` when it was forgotten."""

    table: str
    key: str
    record: Any


class Journal(Protocol):
    """Makes commits durable, in their order, in groups as large as they come."""

    @property
    def loaded_revision(self) -> int:
        """The revision of the newest durable commit that ``load`` found."""
        ...

    def load(self, types: dict[str, type]) -> Iterator[Change]:
        """Every durable record.  ``types`` gives the record type of each table."""
        ...

    def start(self, reached: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        """Begin to write.  Both callbacks are called on the event loop's thread."""
        ...

    def append(self, revision: int, changes: list[Change]) -> None:
        """Queue one commit; returns at once."""
        ...

    def close(self) -> None:
        """Write what is queued and stop."""
        ...
