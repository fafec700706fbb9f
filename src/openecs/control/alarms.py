"""Metric alarms at work: keys are ARNs.

Each alarm is evaluated when its settings change and then once in its interval (a minute; a period
of less than that), so long after the interval's end that the data have arrived.  Many alarms are
spread over the minute.  An evaluation that changes nothing writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

import msgspec

from openecs.clock import Clock
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.alarm_data import AlarmData, points
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.metrics.statistics import parse_statistic
from openecs.model.alarm import MetricAlarm
from openecs.planning.alarms.reasons import MAX_REASON, reason, reason_data
from openecs.planning.alarms.verdict import Limit, Verdict, decide, too_few_samples
from openecs.planning.alarms.window import MINUTE, evaluation_range, interval_of, next_evaluation
from openecs.shapes import cloudwatch
from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds after a minute, or after a shorter interval, before which no alarm is evaluated: data are on the way.
PATIENCE, SHORT_PATIENCE = 10, 2
#: Alarms for each second over which they are spread, and the most seconds.
AT_ONCE, SPREAD = 100, 45


class AlarmController:
    """Evaluates metric alarms."""

    def __init__(self, state: State, clock: Clock, changes: AlarmChanges, data: AlarmData) -> None:
        self._state = state
        self._clock = clock
        self._changes = changes
        self._data = data

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("alarms", self.reconcile, timing, resync=lambda: [alarm.arn for alarm in self._state.metric_alarms])
        loop.watch(self._state.store, "metric_alarm", _settings_changed)
        return loop

    def reconcile(self, key: str) -> Result:
        """Evaluate one alarm now."""
        alarm = self._state.metric_alarms.get(key)
        if alarm is None:
            return Done()
        now = self._clock.now()
        self._evaluate(alarm, now)
        interval = interval_of(alarm.settings)
        return After(next_evaluation(interval, self._offset(key, interval), now) - now)

    def _offset(self, key: str, interval: int) -> float:
        patience = PATIENCE if interval >= MINUTE else SHORT_PATIENCE
        spread = min(len(self._state.metric_alarms) // AT_ONCE + 1, SPREAD, interval - patience)
        return patience + crc32(key.encode()) % spread

    def _evaluate(self, alarm: MetricAlarm, now: float) -> None:
        settings = alarm.settings
        window = evaluation_range(settings, now)
        found = self._data.read(alarm, window, now)
        if found.error:
            self._note_error(alarm, found.error, now)
            return
        limit = limit_of(settings)
        verdict = decide(limit, points(found.values, window))
        state = verdict.state or alarm.state
        evaluation_state = "PARTIAL_DATA" if found.partial else ""
        if state == alarm.state and evaluation_state == alarm.evaluation_state:
            return
        samples = self._data.samples(alarm, window)
        if _says_nothing(settings, verdict, samples):
            return
        with self._state.transaction() as tx:
            if state == alarm.state:
                self._changes.write(
                    tx,
                    alarm,
                    msgspec.structs.replace(alarm, evaluation_state=evaluation_state, state_updated_at=now),
                    now,
                )
                return
            self._changes.set_state(
                tx,
                alarm,
                state,
                reason(limit, verdict, state, m_of_n=settings.datapoints_to_alarm is not None)[:MAX_REASON],
                reason_data(settings, limit, verdict, now=now, period=window.period, samples=samples),
                now,
                evaluation_state=evaluation_state,
            )

    def _note_error(self, alarm: MetricAlarm, error: str, now: float) -> None:
        """An expression that has no result, whatever the data are."""
        if alarm.evaluation_state == "EVALUATION_ERROR" and alarm.state_reason == error[:MAX_REASON]:
            return
        with self._state.transaction() as tx:
            self._changes.set_state(
                tx, alarm, "INSUFFICIENT_DATA", error[:MAX_REASON], "", now, evaluation_state="EVALUATION_ERROR"
            )


def limit_of(settings: cloudwatch.PutMetricAlarmInput) -> Limit:
    """What the values of an alarm are held against."""
    periods = settings.evaluation_periods or 1
    return Limit(
        settings.comparison_operator or "",
        settings.threshold or 0.0,
        periods,
        settings.datapoints_to_alarm or periods,
        settings.treat_missing_data or "missing",  # type: ignore[arg-type]
    )


def _says_nothing(settings: cloudwatch.PutMetricAlarmInput, verdict: Verdict, samples: Mapping[float, float]) -> bool:
    """Whether a percentile of few samples is to be ignored."""
    statistic = parse_statistic(settings.extended_statistic or "")
    if settings.evaluate_low_sample_count_percentile != "ignore" or statistic is None or statistic.kind != "p":
        return False
    count = sum(samples.get(point.at, 0.0) for point in verdict.real)
    return bool(verdict.real) and too_few_samples(statistic.high or 0.0, count)


def _settings_changed(notice: Notice) -> Iterable[str]:
    """A new alarm, or one that is to be evaluated in another way; its own evaluations wake nobody."""
    old, new = notice.old, notice.new
    if new is None or (old is not None and old.settings is new.settings):
        return
    if (
        old is None
        or msgspec.structs.replace(old.settings, actions_enabled=new.settings.actions_enabled) != new.settings
    ):
        yield notice.key
