"""The data of metric alarms: their periods' values from the metric store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from openecs.metrics.metric import MetricKey, dimensions
from openecs.model.alarm import MetricAlarm
from openecs.planning.alarms.verdict import Point
from openecs.planning.alarms.window import Window, evaluation_range
from openecs.shapes import cloudwatch


class Statistics(Protocol):
    """What alarms need of the metric store."""

    def statistics(
        self, key: MetricKey, start: float, end: float, period: int, wanted: Sequence[str], unit: str | None = None
    ) -> dict[str, list[tuple[float, float]]]:
        """For each wanted statistic the starts of periods with data, ascending, and the values."""
        ...


class Values(NamedTuple):
    """The value of an expression in each period that has one, and what was wrong with it."""

    values: Mapping[float, float]
    #: Whether more data were asked for than can be given.
    partial: bool = False
    #: Why the expression has no result at all; empty otherwise.
    error: str = ""


class Expressions(Protocol):
    """Evaluates the metric math of an alarm."""

    def __call__(
        self, queries: Sequence[cloudwatch.MetricDataQuery], region: str, window: Window, now: float
    ) -> Values: ...


class AlarmData:
    """Reads what alarms evaluate."""

    def __init__(self, store: Statistics, expressions: Expressions) -> None:
        self._store = store
        self._expressions = expressions

    def read(self, alarm: MetricAlarm, window: Window, now: float) -> Values:
        """The values of the alarm's metric or expression in the periods of a window."""
        settings = alarm.settings
        if settings.metrics is not None:
            return self._expressions(settings.metrics, alarm.region, window, now)
        statistic = settings.statistic or settings.extended_statistic or ""
        return Values(dict(self._statistic(alarm, window, statistic)))

    def samples(self, alarm: MetricAlarm, window: Window) -> Mapping[float, float]:
        """How many samples the periods of an alarm on one metric have."""
        if alarm.settings.metrics is not None:
            return {}
        return dict(self._statistic(alarm, window, "SampleCount"))

    def values(self, alarm: MetricAlarm, now: float) -> tuple[float, ...]:
        """The values of the periods that an alarm looks at, oldest first, missing ones left out."""
        window = evaluation_range(alarm.settings, now)
        values = self.read(alarm, window, now).values
        found = [values[at] for at in sorted(values)]
        return tuple(found[-(alarm.settings.evaluation_periods or 1) :])

    def _statistic(self, alarm: MetricAlarm, window: Window, statistic: str) -> list[tuple[float, float]]:
        settings = alarm.settings
        key = MetricKey(
            alarm.region,
            settings.namespace or "",
            settings.metric_name or "",
            dimensions({d.name: d.value for d in settings.dimensions or ()}),
        )
        return self._store.statistics(key, window.start, window.end, window.period, (statistic,), settings.unit)[
            statistic
        ]


def points(values: Mapping[float, float], window: Window) -> list[Point]:
    """Every period of a window, oldest first, with its value if it has one."""
    start, period = window.start, window.period
    return [Point(at, values.get(at)) for at in (start + period * number for number in range(window.periods))]
