"""What the store asks of a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from openecs.model.history import HistoryEntry


class Change(NamedTuple):
    """One record's new value; ``record`` is ``None`` when it was forgotten."""

    table: str
    key: str
    record: Any


class HistoryQuery(NamedTuple):
    """Which history is wanted: the entries of one subject, the newest ``limit`` of them.

    Exactly one of the subjects is given.
    """

    #: A task's id, without the rest of its ARN.
    task_id: str | None = None
    service_arn: str | None = None
    #: ``ecs-svc/N``.
    deployment_id: str | None = None
    #: For what concerns a whole cluster: changes of its container instances.
    cluster_arn: str | None = None
    limit: int = 200


def task_id(entry: HistoryEntry) -> str | None:
    """By what an entry about a task is found: people know the id, not the whole ARN."""
    return entry.task_arn.rsplit("/", 1)[-1] if entry.task_arn else None


def matches(query: HistoryQuery, entry: HistoryEntry) -> bool:
    """Whether an entry is about the subject that a query asks for."""
    if query.task_id is not None:
        return task_id(entry) == query.task_id
    if query.service_arn is not None:
        return entry.service_arn == query.service_arn
    if query.deployment_id is not None:
        return entry.deployment_id == query.deployment_id
    return entry.cluster_arn == query.cluster_arn


class Journal(Protocol):
    """Makes commits durable, in their order, in groups as large as they come.

    Beside the records it keeps history: entries that come with a commit, are read back with
    ``history`` and never loaded.
    """

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

    def append(self, revision: int, changes: list[Change], notes: Sequence[HistoryEntry] = ()) -> None:
        """Queue one commit and the history that belongs to it; returns at once."""
        ...

    async def history(self, query: HistoryQuery) -> list[HistoryEntry]:
        """The newest entries of a subject, oldest first; only what is durable."""
        ...

    async def prune_history(self, before: float, at_most: int) -> int:
        """Forget the oldest entries if they are older than ``before`` (epoch seconds), at most so many.

        Returns how many were forgotten.
        """
        ...

    def close(self) -> None:
        """Write what is queued and stop."""
        ...
