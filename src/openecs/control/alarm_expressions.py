"""Metric math of alarms: the series of its metrics from the metric store, then the expression."""

from __future__ import annotations

from collections.abc import Sequence

from openecs.control.alarm_data import Statistics, Values
from openecs.metrics.metric import MetricKey, dimensions
from openecs.planning.alarms.window import Window
from openecs.planning.metric_math import (
    Context,
    MetricMathError,
    Range,
    Result,
    Series,
    evaluate,
    evaluation_order,
    parse,
)
from openecs.shapes import cloudwatch


class AlarmExpressions:
    """Evaluates the queries of an alarm; they have been checked when the alarm was put."""

    def __init__(self, store: Statistics) -> None:
        self._store = store

    def __call__(
        self, queries: Sequence[cloudwatch.MetricDataQuery], region: str, window: Window, now: float
    ) -> Values:
        """The values of the query that returns data, by the starts of their periods."""
        del now
        found: dict[str, Result] = {
            query.id: self._series(query.metric_stat, region, window)
            for query in queries
            if query.metric_stat is not None
        }
        metrics = tuple(found)
        context = Context(Range(window.start, window.end, window.period), metrics)
        wanted = next(query.id for query in queries if query.return_data is not False)
        try:
            expressions = {query.id: parse(query.expression) for query in queries if query.expression is not None}
            for name in evaluation_order(expressions):
                found[name] = evaluate(expressions[name], found, context)
        except MetricMathError as error:
            return Values({}, error=f"Error in expression '{wanted}': {error}")
        result = found[wanted]
        if not isinstance(result, Series):
            if len(result) != 1:
                return Values({}, error=f"Error in expression '{wanted}': an alarm needs one time series.")
            result = result[0]
        return Values(dict(zip(result.timestamps, result.values, strict=True)))

    def _series(self, stat: cloudwatch.MetricStat, region: str, window: Window) -> Series:
        metric = stat.metric
        key = MetricKey(
            region,
            metric.namespace or "",
            metric.metric_name or "",
            dimensions({d.name: d.value for d in metric.dimensions or ()}),
        )
        pairs = self._store.statistics(key, window.start, window.end, stat.period, (stat.stat,), stat.unit)[stat.stat]
        return Series([at for at, _ in pairs], [value for _, value in pairs], stat.period, metric.metric_name or "")
