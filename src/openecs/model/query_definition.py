"""Queries of Logs Insights that were saved under a name."""

from __future__ import annotations

from openecs.model.record import Record


class QueryDefinition(Record, frozen=True, kw_only=True):
    """One saved query of a region."""

    id: str
    region: str
    name: str
    query: str
    log_groups: tuple[str, ...]
    modified_at: float
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id
