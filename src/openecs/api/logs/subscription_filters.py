"""Subscription filters: put, describe, delete.  What they deliver is ``control.subscriptions``.

Destinations are log groups of this installation and HTTP endpoints; both are extensions.
"""

from __future__ import annotations

from openecs import arn as arns
from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import group_not_found, invalid_parameter
from openecs.api.logs.filter_pattern import pattern_of
from openecs.api.logs.group_filters import RESOURCE_LIMIT, GroupFilters, existing, filters_page, refuse_transformed
from openecs.api.logs.lookup import find_group
from openecs.errors import AWSError
from openecs.logs.records import LogGroup
from openecs.logs.store import LogStore
from openecs.logs.subscription_target import HttpTarget, target_of
from openecs.model.log_filter import SubscriptionFilter, SubscriptionProgress, filter_key
from openecs.shapes import logs as shapes
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MOST_FILTERS = 2


class SubscriptionFilters:
    """The subscription filter operations."""

    def __init__(self, store: LogStore, state: State, pagination: Pagination, filters: GroupFilters) -> None:
        self._store = store
        self._state = state
        self._pagination = pagination
        self._filters = filters

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "PutSubscriptionFilter": self.put,
                "DescribeSubscriptionFilters": self.describe,
                "DeleteSubscriptionFilter": self.delete,
            },
        )

    def put(self, call: Call, request: shapes.PutSubscriptionFilterRequest) -> None:
        """Create a filter, or replace the one of that name; it delivers events that come from now on."""
        refuse_transformed(transformed=request.apply_on_transformed_logs, criteria=request.field_selection_criteria)
        if request.emit_system_fields:
            raise invalid_parameter("emitSystemFields is not supported by OpenECS.")
        pattern_of(request.filter_pattern)
        group = find_group(self._store, call, request.log_group_name)
        self._check_destination(call, group, request.destination_arn)
        key = filter_key(call.region, group.name, request.filter_name)
        known = self._state.subscription_filters.get(key)
        if known is None and self._state.subscription_filters.count("group", (call.region, group.name)) >= MOST_FILTERS:
            raise AWSError("LimitExceededException", RESOURCE_LIMIT)
        self._filters.check_expressions(call.region, group.name, key, request.filter_pattern)
        with self._state.transaction() as tx:
            tx.put(
                SubscriptionFilter(
                    region=call.region,
                    group=group.name,
                    name=request.filter_name,
                    pattern=request.filter_pattern,
                    destination=request.destination_arn,
                    created=round(call.now * 1000) if known is None else known.created,
                    role_arn=request.role_arn,
                    distribution=request.distribution,
                )
            )
            if known is None:
                positions = {stream.id: stream.next_sequence - 1 for stream in group.streams.values()}
                tx.put(SubscriptionProgress(filter_key=key, positions=positions))

    def describe(
        self, call: Call, request: shapes.DescribeSubscriptionFiltersRequest
    ) -> shapes.DescribeSubscriptionFiltersResponse:
        """The filters of a group, by name."""
        group = find_group(self._store, call, request.log_group_name)
        found = self._state.subscription_filters.by("group", (call.region, group.name))
        scope = f"DescribeSubscriptionFilters:{call.region}:{group.id}"
        page, token = filters_page(self._pagination, found, request, scope)
        return shapes.DescribeSubscriptionFiltersResponse(
            subscription_filters=tuple(map(_describe, page)), next_token=token
        )

    def delete(self, call: Call, request: shapes.DeleteSubscriptionFilterRequest) -> None:
        """Delete a filter; what it has not delivered yet stays undelivered."""
        group = find_group(self._store, call, request.log_group_name)
        key = filter_key(call.region, group.name, request.filter_name)
        known = existing(self._state.subscription_filters.get(key), "subscription")
        progress = self._state.subscription_progress.get(known.key)
        with self._state.transaction() as tx:
            tx.delete(known)
            if progress is not None:
                tx.delete(progress)

    def _check_destination(self, call: Call, group: LogGroup, destination: str) -> None:
        target = target_of(destination)
        if target is None:
            parsed = arns.parse(destination)
            what = f"{parsed.service} as a destination" if parsed is not None else "This destinationArn"
            raise invalid_parameter(
                f"{what} is not supported by OpenECS. Name the ARN of a log group or an http:// or https:// URL."
            )
        if isinstance(target, HttpTarget):
            return
        if target.account != call.account:
            raise invalid_parameter("destinationArn of another account is not supported by OpenECS.")
        if target.group not in self._store.groups(target.region):
            raise group_not_found()
        if self._leads_to((target.region, target.group), (call.region, group.name)):
            raise invalid_parameter("The destination would send the events back to their own log group.")

    def _leads_to(self, start: tuple[str, str], end: tuple[str, str]) -> bool:
        """Whether events of one group come to another one through subscriptions."""
        seen, waiting = set[tuple[str, str]](), [start]
        while waiting:
            here = waiting.pop()
            if here == end:
                return True
            if here in seen:
                continue
            seen.add(here)
            targets = (target_of(f.destination) for f in self._state.subscription_filters.by("group", here))
            waiting += [(t.region, t.group) for t in targets if t is not None and not isinstance(t, HttpTarget)]
        return False


def _describe(item: SubscriptionFilter) -> shapes.SubscriptionFilter:
    return shapes.SubscriptionFilter(
        filter_name=item.name,
        log_group_name=item.group,
        filter_pattern=item.pattern,
        destination_arn=item.destination,
        role_arn=item.role_arn,
        distribution=item.distribution or "ByLogStream",
        apply_on_transformed_logs=False,
        creation_time=item.created,
    )
