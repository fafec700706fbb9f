"""A journal that keeps nothing: for ``--ephemeral`` installations and unit tests.

Only the newest history stays, in memory, so that ``openecs why`` has something to tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from openecs.model.history import HistoryEntry
from openecs.state.journal.protocol import Change, HistoryQuery, matches

#: Entries of history that stay; the oldest go first.
HISTORY = 5_000


class MemoryJournal:
    """Every commit counts as durable at once, because nothing is meant to survive."""

    loaded_revision = 0

    def __init__(self) -> None:
        self._reached: Callable[[int], None] = lambda _: None
        self._history: deque[HistoryEntry] = deque(maxlen=HISTORY)

    def load(self, types: dict[str, type]) -> Iterator[Change]:  # noqa: ARG002
        return iter(())

    def start(self, reached: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:  # noqa: ARG002
        self._reached = reached

    def append(self, revision: int, changes: list[Change], notes: Sequence[HistoryEntry] = ()) -> None:  # noqa: ARG002
        self._history.extend(notes)
        self._reached(revision)

    async def history(self, query: HistoryQuery) -> list[HistoryEntry]:
        found = sorted((entry for entry in self._history if matches(query, entry)), key=lambda entry: entry.at)
        return found[-query.limit :]

    async def prune_history(self, before: float, at_most: int) -> int:
        old = [number for number, entry in enumerate(self._history) if entry.at < before][:at_most]
        for number in reversed(old):
            del self._history[number]
        return len(old)

    def close(self) -> None:
        return
