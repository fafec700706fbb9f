"""Why a metric alarm is in its state, as text and as JSON in CloudWatch's words.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from openecs.model.alarm import AlarmState
from openecs.planning.alarms.texts import counted, iso_time, number, short_time
from openecs.planning.alarms.verdict import Limit, Point, Verdict
from openecs.shapes import cloudwatch

_OPERATORS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
#: From so many datapoints on only the newest are told, and that many of them.
TOLD = 5
#: Characters that the members have room for.
MAX_REASON, MAX_REASON_DATA = 1023, 4000


def reason(limit: Limit, verdict: Verdict, state: AlarmState, *, m_of_n: bool) -> str:
    """The ``StateReason`` of ``state``; ``m_of_n`` when the alarm names its DatapointsToAlarm."""
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_were(verdict.filled, 'datapoint')} unknown."
    if verdict.filled:
        return f"Threshold Crossed: {_filled(limit, verdict)}."
    alarm = state == "ALARM"
    crossing = [point for point in verdict.real if limit.breached_by(_value(point)) == alarm]
    count = len(crossing)
    if m_of_n:
        # CloudWatch has the plural here even of one.
        what = f"{count} out of the last {limit.periods} datapoints"
        least = limit.to_alarm if alarm else limit.periods - limit.to_alarm + 1
        change = "OK -> ALARM" if alarm else "ALARM -> OK"
        end = f" (minimum {counted(least, 'datapoint')} for {change} transition)."
    else:
        what, end = counted(count, "datapoint"), "."
    told = ", ".join(f"{number(_value(point))} ({short_time(point.at)})" for point in crossing[:TOLD])
    how = "was" if count == 1 else "were"
    compared = (
        f"{how}{'' if alarm else ' not'} {_OPERATORS[limit.comparison]} the threshold ({number(limit.threshold)})"
    )
    if count < TOLD:
        return f"Threshold Crossed: {what} [{told}] {compared}{end}"
    which = "crossed" if alarm else "did not cross"
    return (
        f"Threshold Crossed: {what} {compared}. The most recent datapoints which {which} the threshold: [{told}]{end}"
    )


def reason_data(
    settings: cloudwatch.PutMetricAlarmInput,
    limit: Limit,
    verdict: Verdict,
    *,
    now: float,
    period: int,
    samples: Mapping[float, float],
) -> str:
    """The ``StateReasonData``; ``samples`` are the sample counts by the starts of periods."""
    real = verdict.real
    members: dict[str, Any] = {"version": "1.0", "queryDate": iso_time(now)}
    if real:
        members["startDate"] = iso_time(real[-1].at)
    statistic = settings.statistic or settings.extended_statistic
    members |= {name: value for name, value in (("unit", settings.unit), ("statistic", statistic)) if value is not None}
    members |= {
        "period": period,
        "recentDatapoints": [point.value for point in reversed(real)],
        "threshold": limit.threshold,
    }
    newest_first = sorted(verdict.evaluated, key=lambda point: -point.at)
    return _fitting(members, [_evaluated(point, samples) for point in newest_first])


def _evaluated(point: Point, samples: Mapping[float, float]) -> dict[str, Any]:
    told: dict[str, Any] = {"timestamp": iso_time(point.at)}
    if point.value is not None:
        if point.at in samples:
            told["sampleCount"] = samples[point.at]
        told["value"] = point.value
    return told


def _fitting(members: dict[str, Any], evaluated: Sequence[dict[str, Any]]) -> str:
    """The JSON, with as many of the newest periods as there is room for."""
    while True:
        text = msgspec.json.encode(members | {"evaluatedDatapoints": evaluated}).decode()
        if len(text) <= MAX_REASON_DATA:
            return text
        if not evaluated:
            members["recentDatapoints"] = members["recentDatapoints"][len(members["recentDatapoints"]) // 2 + 1 :]
        evaluated = evaluated[: len(evaluated) // 2]


def _filled(limit: Limit, verdict: Verdict) -> str:
    real = len(verdict.real)
    received = _were(real, "datapoint") if real else "no datapoints were"
    periods = counted(limit.periods, "period")
    if limit.missing not in ("breaching", "notBreaching"):
        return f"{received} received for {periods} and {_were(verdict.filled, 'datapoint')} unknown"
    treated = "Breaching" if limit.missing == "breaching" else "NonBreaching"
    return f"{received} received for {periods} and {_were(verdict.filled, 'missing datapoint')} treated as [{treated}]"


def _were(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'was' if count == 1 else 'were'}"


def _value(point: Point) -> float:
    if point.value is None:
        raise ValueError("a period without data has no value")
    return point.value
