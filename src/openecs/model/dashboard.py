"""CloudWatch dashboards: stored as they were put.  They belong to the account, not to a region."""

from __future__ import annotations

from openecs.model.record import Record


class Dashboard(Record, frozen=True, kw_only=True):
    """One dashboard."""

    name: str
    arn: str
    #: JSON, as the user wrote it.
    body: str
    #: Seconds since the epoch.
    modified_at: float

    @property
    def key(self) -> str:
        return self.name


def dashboard_arn(account: str, name: str) -> str:
    """The ARN of a dashboard; it has no region."""
    return f"arn:aws:cloudwatch::{account}:dashboard/{name}"
