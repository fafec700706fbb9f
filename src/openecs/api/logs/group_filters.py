"""What in state belongs to log groups: counted, limited and forgotten with its group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from openecs.api.logs.errors import INVALID_TOKEN, invalid_parameter
from openecs.errors import AWSError
from openecs.logs.patterns.pattern import expressions
from openecs.model.log_filter import MetricFilter, SubscriptionFilter
from openecs.shapes import logs as shapes
from openecs.state.state import State
from openecs.wire.pagination import Pagination

#: Metric and subscription filters of one group that may have regular expressions in their patterns.
MOST_WITH_EXPRESSIONS = 5
PAGE_SIZE = 50
RESOURCE_LIMIT = "Resource limit exceeded."

Filter = TypeVar("Filter", MetricFilter, SubscriptionFilter)


class GroupFilters:
    """The filters and the policy of a group, by the group's region and name."""

    def __init__(self, state: State) -> None:
        self._state = state

    def metric_filter_count(self, region: str, group: str) -> int:
        """How many metric filters a group has."""
        return self._state.metric_filters.count("group", (region, group))

    def check_expressions(self, region: str, group: str, key: str, pattern: str) -> None:
        """Refuse a pattern with regular expressions for a group that has enough of them beside ``key``."""
        if not expressions(pattern):
            return
        at = (region, group)
        others = [f.pattern for f in self._state.metric_filters.by("group", at) if f.key != key]
        others += [f.pattern for f in self._state.subscription_filters.by("group", at) if f.key != key]
        if sum(expressions(other) > 0 for other in others) >= MOST_WITH_EXPRESSIONS:
            raise AWSError("LimitExceededException", RESOURCE_LIMIT)

    def forget(self, region: str, group: str, arn: str) -> None:
        """The group is deleted."""
        at = (region, group)
        records: list[object] = [
            *self._state.metric_filters.by("group", at),
            *self._state.subscription_filters.by("group", at),
        ]
        progress = (
            self._state.subscription_progress.get(f.key) for f in self._state.subscription_filters.by("group", at)
        )
        policy = self._state.log_resource_policies.get(f"{region}/{arn}")
        records += [record for record in (*progress, policy) if record is not None]
        if records:
            with self._state.transaction() as tx:
                for record in records:
                    tx.delete(record)


def filters_page(
    pagination: Pagination,
    found: Iterable[Filter],
    request: shapes.DescribeMetricFiltersRequest | shapes.DescribeSubscriptionFiltersRequest,
    scope: str,
) -> tuple[Sequence[Filter], str | None]:
    """One page of those of the filters that have the prefix, by name, and the token of the next; ``scope`` is what
    was asked for besides.
    """
    prefix = request.filter_name_prefix or ""
    return pagination.paginate(
        sorted((one for one in found if one.name.startswith(prefix)), key=_order),
        max_results=request.limit,
        next_token=request.next_token,
        default=PAGE_SIZE,
        limit=PAGE_SIZE,
        scope=f"{scope}:{prefix}",
        key=_order,
        member="limit",
        invalid_token=INVALID_TOKEN,
    )


def _order(item: MetricFilter | SubscriptionFilter) -> tuple[str, str]:
    return item.name, item.group


def existing(known: Filter | None, kind: str) -> Filter:
    """The filter; raises the ``AWSError`` of one that is not there."""
    if known is None:
        raise AWSError("ResourceNotFoundException", f"The specified {kind} filter does not exist.")
    return known


def refuse_transformed(*, transformed: bool | None, criteria: str | None) -> None:
    """Settings that are about log transformers and other accounts' events, which do not exist here."""
    if transformed:
        raise invalid_parameter("applyOnTransformedLogs is not supported by OpenECS: log groups have no transformer.")
    if criteria:
        raise invalid_parameter(
            "fieldSelectionCriteria is not supported by OpenECS: all events are of one account and region."
        )


def check_system_fields(fields: Iterable[str], allowed: Iterable[str], member: str) -> tuple[str, ...]:
    """The fields, each one of ``allowed`` and given once."""
    given = tuple(fields)
    strangers = set(given) - set(allowed)
    if strangers or len(given) != len(set(given)):
        raise invalid_parameter(f"{member} can hold {', '.join(allowed)}, each once.")
    return given
