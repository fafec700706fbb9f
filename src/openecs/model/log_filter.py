"""What CloudWatch Logs keeps beside groups, streams and events: filters and resource policies.

Records only.  They are found by the region and name of their log group; groups themselves are
in the log store, and whoever deletes one deletes these with it.
"""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import logs


class MetricFilter(Record, frozen=True, kw_only=True):
    """A metric filter; ``created`` in epoch milliseconds."""

    region: str
    group: str
    name: str
    pattern: str
    transformation: logs.MetricTransformation
    created: int
    #: ``@aws.account`` and ``@aws.region``, where they are dimensions too.
    system_dimensions: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return filter_key(self.region, self.group, self.name)


class SubscriptionFilter(Record, frozen=True, kw_only=True):
    """A subscription filter; ``created`` in epoch milliseconds."""

    region: str
    group: str
    name: str
    pattern: str
    #: The ARN of a log group, or an ``http(s)://`` URL.
    destination: str
    created: int
    role_arn: str | None = None
    distribution: logs.Distribution | None = None

    @property
    def key(self) -> str:
        return filter_key(self.region, self.group, self.name)


class SubscriptionProgress(Record, frozen=True, kw_only=True):
    """How far a subscription filter has delivered; written every few seconds."""

    #: The key of the filter.
    filter_key: str
    #: Stream id → sequence of its last event that needs no delivery any more.
    positions: dict[int, int]

    @property
    def key(self) -> str:
        return self.filter_key


class LogResourcePolicy(Record, frozen=True, kw_only=True):
    """A resource policy of a region, or of one log group; ``updated`` in epoch milliseconds."""

    region: str
    #: Empty for a policy of a log group, which has none.
    name: str
    document: str
    updated: int
    #: The ARN of the log group; empty for a policy of the region.
    resource_arn: str = ""
    revision: str = ""

    @property
    def key(self) -> str:
        return f"{self.region}/{self.resource_arn or self.name}"


def filter_key(region: str, group: str, name: str) -> str:
    """The key of a filter; names of groups and filters have no colon."""
    return f"{region}:{group}:{name}"
