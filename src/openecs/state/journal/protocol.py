"""What the store asks of a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from openecs.model.history import HistoryEntry


class Change(NamedTuple):
    """One record's new value; ``record`` is ``None`` when it was forgotten."""

    table: str
    key: str
    record: Any


class HistoryQuery(NamedTuple):
    """Which history is wanted: of the entries of one subject that fit, the newest ``limit``."""

    #: ``cluster`` is for what concerns a whole cluster: changes of its container instances.
    subject: Literal["task", "service", "deployment", "cluster", "alarm"]
    #: A task's id (without the rest of its ARN), a service's ARN, ``ecs-svc/N``, a cluster's ARN, an alarm's ARN
    #: (or, ending in ``:``, what the ARNs of all alarms of a region begin with).
    value: str
    #: As in ``HistoryEntry.kind``; empty for all.
    kinds: tuple[str, ...] = ()
    #: Epoch seconds, both inclusive.
    since: float = float("-inf")
    until: float = float("inf")
    limit: int = 200


def task_id(entry: HistoryEntry) -> str | None:
    """By what an entry about a task is found: people know the id, not the whole ARN."""
    return entry.task_arn.rsplit("/", 1)[-1] if entry.task_arn else None


def subjects(entry: HistoryEntry) -> dict[str, str | None]:
    """What an entry is about, by the kinds of subjects in the order of ``HistoryQuery.subject``."""
    return {
        "task": task_id(entry),
        "service": entry.service_arn,
        "deployment": entry.deployment_id,
        "cluster": entry.cluster_arn,
        "alarm": entry.alarm_arn,
    }


def is_prefix(query: HistoryQuery) -> bool:
    """Whether a query is for all subjects whose names begin with its value."""
    return query.subject == "alarm" and query.value.endswith(":")


def matches(query: HistoryQuery, entry: HistoryEntry) -> bool:
    """Whether an entry is one that a query asks for."""
    value = subjects(entry)[query.subject]
    if value is None or not (value.startswith(query.value) if is_prefix(query) else value == query.value):
        return False
    return (not query.kinds or entry.kind in query.kinds) and query.since <= entry.at <= query.until


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
        """The entries that are asked for, oldest first; only what is durable.

        What cannot be read is an entry that says so.
        """
        ...

    async def prune_history(self, before: float, at_most: int) -> int:
        """Forget entries older than ``before`` (epoch seconds), and the oldest beyond the journal's own limits.

        At most so many at once; returns how many were forgotten.
        """
        ...

    def close(self) -> None:
        """Write what is queued and stop."""
        ...
