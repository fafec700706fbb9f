"""A registered task definition revision as state keeps it."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import ecs

TaskDefinitionStatus = Literal["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"]


class TaskDefinition(Record, frozen=True, kw_only=True):
    """One revision.  ``definition`` is immutable once registered: exactly what
    DescribeTaskDefinition answers, defaults filled in, save for ``status``."""

    arn: str
    family: str
    revision: int
    region: str
    status: TaskDefinitionStatus
    definition: ecs.TaskDefinition
    deregistered_at: float | None = None
    delete_requested_at: float | None = None

    @property
    def key(self) -> str:
        return self.arn


class TaskDefinitionFamily(Record, frozen=True, kw_only=True):
    """The revision counter of a family; it never goes back, whatever is deleted."""

    region: str
    family: str
    latest_revision: int

    @property
    def key(self) -> str:
        return f"{self.region}:{self.family}"
