"""Which periods an alarm looks at, and when it does.  Pure.

A window slides: it ends with the last whole minute (or the last whole period of an alarm with
shorter ones), so alarms with periods of several minutes are evaluated every minute, too.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.shapes import cloudwatch

#: Periods before the evaluated ones that may stand in for missing data: CloudWatch's tables have
#: five for three.
EXTRA_PERIODS = 2
#: An alarm that looks further back than this many seconds is evaluated once an hour.
LONG = 86400
MINUTE, HOUR = 60, 3600


class Window(NamedTuple):
    """``periods`` periods of ``period`` seconds from ``start`` (epoch seconds) on."""

    start: float
    period: int
    periods: int

    @property
    def end(self) -> float:
        """Where the last period ends."""
        return self.start + self.period * self.periods


def period_of(settings: cloudwatch.PutMetricAlarmInput) -> int:
    """Seconds of an alarm's period; that of metric math is the longest of its queries."""
    if settings.metrics is None:
        return settings.period or MINUTE
    periods = [query.metric_stat.period if query.metric_stat else query.period or 0 for query in settings.metrics]
    return max([*periods, 1])


def evaluation_range(settings: cloudwatch.PutMetricAlarmInput, now: float) -> Window:
    """The periods whose data an alarm takes into account at ``now`` (epoch seconds)."""
    period = period_of(settings)
    # The functions of metric math count periods from the epoch on.
    step = period if settings.metrics is not None else min(period, MINUTE)
    end = int(now) // step * step
    count = (settings.evaluation_periods or 1) + EXTRA_PERIODS
    return Window(float(end - count * period), period, count)


def interval_of(settings: cloudwatch.PutMetricAlarmInput) -> int:
    """Seconds between two evaluations of an alarm."""
    period = period_of(settings)
    if period * (settings.evaluation_periods or 1) > LONG:
        return HOUR
    return min(period, MINUTE)


def next_evaluation(interval: int, offset: float, now: float) -> float:
    """The next time after ``now`` that is ``offset`` seconds after a multiple of ``interval``."""
    return (now - offset) // interval * interval + interval + offset
