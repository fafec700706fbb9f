"""Metric filters: put, describe, delete, test.  What they do with events is ``control.metric_filters``."""

from __future__ import annotations

import math

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import invalid_parameter
from openecs.api.logs.filter_pattern import pattern_of
from openecs.api.logs.group_filters import (
    RESOURCE_LIMIT,
    GroupFilters,
    check_system_fields,
    existing,
    filters_page,
    refuse_transformed,
)
from openecs.api.logs.lookup import find_group
from openecs.errors import AWSError
from openecs.logs.patterns.column_pattern import ColumnPattern
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.json_pattern import JsonPattern
from openecs.logs.patterns.pattern import Pattern
from openecs.logs.patterns.selector import Selector
from openecs.logs.store import LogStore
from openecs.model.log_filter import MetricFilter, filter_key
from openecs.shapes import logs as shapes
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MOST_FILTERS = 100
MOST_DIMENSIONS = 3
SYSTEM_DIMENSIONS = ("@aws.account", "@aws.region")


class MetricFilters:
    """The metric filter operations."""

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
                "PutMetricFilter": self.put,
                "DescribeMetricFilters": self.describe,
                "DeleteMetricFilter": self.delete,
                "TestMetricFilter": self.test,
            },
        )

    def put(self, call: Call, request: shapes.PutMetricFilterRequest) -> None:
        """Create a filter, or replace the one of that name."""
        refuse_transformed(transformed=request.apply_on_transformed_logs, criteria=request.field_selection_criteria)
        system = check_system_fields(
            request.emit_system_field_dimensions or (), SYSTEM_DIMENSIONS, "emitSystemFieldDimensions"
        )
        (transformation,) = request.metric_transformations
        _check(transformation, pattern_of(request.filter_pattern), len(system))
        group = find_group(self._store, call, request.log_group_name)
        key = filter_key(call.region, group.name, request.filter_name)
        known = self._state.metric_filters.get(key)
        if known is None and self._filters.metric_filter_count(call.region, group.name) >= MOST_FILTERS:
            raise AWSError("LimitExceededException", RESOURCE_LIMIT)
        self._filters.check_expressions(call.region, group.name, key, request.filter_pattern)
        with self._state.transaction() as tx:
            tx.put(
                MetricFilter(
                    region=call.region,
                    group=group.name,
                    name=request.filter_name,
                    pattern=request.filter_pattern,
                    transformation=transformation,
                    created=round(call.now * 1000),
                    system_dimensions=system,
                )
            )

    def describe(
        self, call: Call, request: shapes.DescribeMetricFiltersRequest
    ) -> shapes.DescribeMetricFiltersResponse:
        """The filters of a group or of all groups, by name."""
        if (request.metric_name is None) != (request.metric_namespace is None):
            raise invalid_parameter("metricName and metricNamespace must be specified together.")
        if request.log_group_name is None:
            found = [f for f in self._state.metric_filters if f.region == call.region]
        else:
            group = find_group(self._store, call, request.log_group_name)
            found = list(self._state.metric_filters.by("group", (call.region, group.name)))
        metric = (request.metric_namespace, request.metric_name)
        if metric != (None, None):
            found = [f for f in found if metric == (f.transformation.metric_namespace, f.transformation.metric_name)]
        scope = f"DescribeMetricFilters:{call.region}:{request.log_group_name}:{metric}"
        page, token = filters_page(self._pagination, found, request, scope)
        return shapes.DescribeMetricFiltersResponse(metric_filters=tuple(map(_describe, page)), next_token=token)

    def delete(self, call: Call, request: shapes.DeleteMetricFilterRequest) -> None:
        """Delete a filter; what it has published stays."""
        group = find_group(self._store, call, request.log_group_name)
        key = filter_key(call.region, group.name, request.filter_name)
        with self._state.transaction() as tx:
            tx.delete(existing(self._state.metric_filters.get(key), "metric"))

    def test(self, _call: Call, request: shapes.TestMetricFilterRequest) -> shapes.TestMetricFilterResponse:
        """Which of the messages a pattern matches, and the columns that it names."""
        pattern = pattern_of(request.filter_pattern)
        return shapes.TestMetricFilterResponse(
            matches=tuple(
                shapes.MetricFilterMatchRecord(
                    event_number=number, event_message=message, extracted_values=pattern.columns(message)
                )
                for number, message in enumerate(request.log_event_messages, 1)
                if pattern.matches(message)
            )
        )


def _check(transformation: shapes.MetricTransformation, pattern: Pattern, system: int) -> None:
    value = transformation.metric_value
    if value.startswith("$"):
        _check_field(value, pattern, "metricValue")
    elif not _is_number(value):
        raise invalid_parameter(f"Invalid metric transformation: metricValue {value} is neither a number nor a field.")
    if not transformation.metric_name or not transformation.metric_namespace:
        raise invalid_parameter("Invalid metric transformation: metricName and metricNamespace cannot be empty.")
    if transformation.metric_namespace.startswith("AWS/"):
        raise invalid_parameter("Invalid metric transformation: namespaces that begin with AWS/ are reserved.")
    dimensions = transformation.dimensions or {}
    if len(dimensions) + system > MOST_DIMENSIONS:
        raise invalid_parameter(f"A metric filter can have no more than {MOST_DIMENSIONS} dimensions.")
    if (dimensions or system) and transformation.default_value is not None:
        raise invalid_parameter(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
        )
    if transformation.default_value is not None and not math.isfinite(transformation.default_value):
        raise invalid_parameter("Invalid metric transformation: defaultValue must be a finite number.")
    for name, field in dimensions.items():
        if not name or not field.startswith("$"):
            raise invalid_parameter(
                "Invalid metric transformation: a dimension needs a name and a field of the pattern, $field."
            )
        _check_field(field, pattern, "dimensions")


def _check_field(field: str, pattern: Pattern, member: str) -> None:
    """A field is a column of the pattern (``$bytes``, ``$7``) or a selector (``$.latency``), by the pattern's kind."""
    if isinstance(pattern, JsonPattern):
        try:
            Selector(field)
        except PatternError as error:
            raise invalid_parameter(f"Invalid metric transformation: {error}") from None
    elif not isinstance(pattern, ColumnPattern) or not pattern.has(field):
        raise invalid_parameter(
            f"Invalid metric transformation: {field} in {member} is no field of the filter pattern."
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _describe(item: MetricFilter) -> shapes.MetricFilter:
    return shapes.MetricFilter(
        filter_name=item.name,
        filter_pattern=item.pattern,
        metric_transformations=(item.transformation,),
        creation_time=item.created,
        log_group_name=item.group,
        apply_on_transformed_logs=False,
        emit_system_field_dimensions=item.system_dimensions or None,
    )
