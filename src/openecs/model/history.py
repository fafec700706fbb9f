"""History: what happened to tasks and services and why, kept for weeks in the journal.

Entries are only appended and never held in memory; ``openecs why`` reads them back from the
journal.  They never decide anything.
"""

from __future__ import annotations

from typing import Any

from openecs.model.record import Record


class HistoryEntry(Record, frozen=True, kw_only=True):
    """One thing that happened.  An entry is found by each of its subjects."""

    at: float
    #: A short kind: ``placed``, ``not-placed``, ``stop-requested``, ``stopped``, ``evidence``,
    #: ``service-event``, ``deployment`` …
    kind: str
    #: One sentence for people.
    text: str
    cluster_arn: str | None = None
    task_arn: str | None = None
    service_arn: str | None = None
    #: ``ecs-svc/N``.
    deployment_id: str | None = None
    #: Facts for programs; values that JSON knows.
    facts: dict[str, Any] = {}
