"""History: what happened to tasks, services and alarms and why, kept for weeks in the journal.

Entries are only appended and never held in memory; ``openecs why`` reads them back from the
journal.  They never decide anything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openecs.model.record import Record


class Actor(NamedTuple):
    """On whose behalf something is done: who (a principal's ARN) called which operation."""

    principal: str
    operation: str


class HistoryEntry(Record, frozen=True, kw_only=True):
    """One thing that happened.  An entry is found by each of its subjects."""

    at: float
    #: ``waiting``, ``placed``, ``unhealthy``, ``protected``, ``stop-requested``, ``stopped`` and ``evidence`` are
    #: about a task; ``not-placed``, ``service-changed``, ``service-event`` and ``deployment`` about a service;
    #: ``instance`` about a container instance, found by its cluster; ``alarm-state``, ``alarm-configuration`` and
    #: ``alarm-action`` about an alarm.
    kind: str
    #: One sentence for people.
    text: str
    #: The subjects by which it is found, and no others: every one of them costs an index entry.
    cluster_arn: str | None = None
    task_arn: str | None = None
    service_arn: str | None = None
    #: ``ecs-svc/N``.
    deployment_id: str | None = None
    #: The ARN of an alarm; its entries are what DescribeAlarmHistory shows.
    alarm_arn: str | None = None
    #: Facts for programs; values that JSON knows.
    facts: dict[str, Any] = {}
