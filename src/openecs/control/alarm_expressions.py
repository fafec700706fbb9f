"""Metric math of alarms: the one series that their queries come to."""

from __future__ import annotations

from collections.abc import Sequence

from openecs.control.alarm_data import Values
from openecs.metrics.query import QueryError, evaluate
from openecs.metrics.store import MetricStore
from openecs.planning.alarms.window import Window
from openecs.shapes import cloudwatch


class AlarmExpressions:
    """Evaluates the queries of an alarm; they were checked when the alarm was put, but data may not fit."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def __call__(
        self, queries: Sequence[cloudwatch.MetricDataQuery], region: str, window: Window, now: float
    ) -> Values:
        """The values of the query that returns data, by the starts of their periods."""
        try:
            found = evaluate(self._store, queries, region=region, start=window.start, end=window.end, now=now)
        except QueryError as error:
            return Values({}, error=str(error))
        if len(found) != 1:
            return Values({}, error=f"The alarm needs one time series, its expression has {len(found)}.")
        return Values(dict(zip(found[0].timestamps, found[0].values, strict=True)))
