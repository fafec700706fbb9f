"""A journal that keeps nothing: for ``--ephemeral`` installations and unit tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openecs.state.journal.protocol import Change


class MemoryJournal:
    """Every commit counts as durable at once, because nothing is meant to survive."""

    loaded_revision = 0

    def __init__(self) -> None:
        self._reached: Callable[[int], None] = lambda _: None

    def load(self, types: dict[str, type]) -> Iterator[Change]:  # noqa: ARG002
        return iter(())

    def start(self, reached: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:  # noqa: ARG002
        self._reached = reached

    def append(self, revision: int, changes: list[Change]) -> None:  # noqa: ARG002
        self._reached(revision)

    def close(self) -> None:
        return
