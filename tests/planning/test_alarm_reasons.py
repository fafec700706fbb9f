"""What is said about an alarm's state, against what CloudWatch says."""

from __future__ import annotations

import json

import pytest

from openecs.planning.alarms.reasons import MAX_REASON, MAX_REASON_DATA, reason, reason_data
from openecs.planning.alarms.texts import iso_time, long_time, number
from openecs.planning.alarms.verdict import Limit, Point, decide
from openecs.shapes.cloudwatch import PutMetricAlarmInput

#: 2025-05-15T15:29:00Z
START = 1747322940.0


def told(comparison, threshold, values, *, to_alarm=None, missing="missing", state=None):
    periods = len(values)
    limit = Limit(comparison, threshold, periods, to_alarm or periods, missing)
    points = [Point(START + 60 * number, value) for number, value in enumerate(values)]
    verdict = decide(limit, points)
    return reason(limit, verdict, state or verdict.state, m_of_n=to_alarm is not None)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (
            "Threshold Crossed: 1 datapoint [1.0 (15/05/25 15:29:00)] was greater than the threshold (0.0).",
            {"comparison": "GreaterThanThreshold", "threshold": 0.0, "values": [1.0]},
        ),
        (
            "Threshold Crossed: 1 datapoint [0.0 (15/05/25 15:29:00)] was not greater than the threshold (0.0).",
            {"comparison": "GreaterThanThreshold", "threshold": 0.0, "values": [0.0]},
        ),
        (
            (
                "Threshold Crossed: 1 out of the last 1 datapoints [3.4666088898518357 (15/05/25 15:29:00)] was less "
                "than or equal to the threshold (20.0) (minimum 1 datapoint for OK -> ALARM transition)."
            ),
            {
                "comparison": "LessThanOrEqualToThreshold",
                "threshold": 20.0,
                "values": [3.4666088898518357],
                "to_alarm": 1,
            },
        ),
        (
            (
                "Threshold Crossed: 3 out of the last 3 datapoints [90.0 (15/05/25 15:31:00), 80.0 (15/05/25 15:30:00)"
                ", 75.0 (15/05/25 15:29:00)] were greater than the threshold (70.0) (minimum 3 datapoints for OK -> "
                "ALARM transition)."
            ),
            {"comparison": "GreaterThanThreshold", "threshold": 70.0, "values": [75.0, 80.0, 90.0], "to_alarm": 3},
        ),
        (
            (
                "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (15/05/25 15:31:00), 1.0 (15/05/25 15:30:00)] "
                "were not greater than the threshold (70.0) (minimum 2 datapoints for ALARM -> OK transition)."
            ),
            {"comparison": "GreaterThanThreshold", "threshold": 70.0, "values": [75.0, 1.0, 1.0], "to_alarm": 2},
        ),
        (
            (
                "Threshold Crossed: 6 datapoints were less than the threshold (65.0). The most recent datapoints which "
                "crossed the threshold: [5.0 (15/05/25 15:34:00), 4.0 (15/05/25 15:33:00), 3.0 (15/05/25 15:32:00), "
                "2.0 (15/05/25 15:31:00), 1.0 (15/05/25 15:30:00)]."
            ),
            {"comparison": "LessThanThreshold", "threshold": 65.0, "values": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]},
        ),
        (
            (
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
                "[Breaching]."
            ),
            {"comparison": "GreaterThanThreshold", "threshold": 1.0, "values": [None], "missing": "breaching"},
        ),
        (
            (
                "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
                "[NonBreaching]."
            ),
            {"comparison": "GreaterThanThreshold", "threshold": 1.0, "values": [None] * 3, "missing": "notBreaching"},
        ),
        (
            (
                "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as "
                "[Breaching]."
            ),
            {
                "comparison": "GreaterThanThreshold",
                "threshold": 1.0,
                "values": [2.0, None, None],
                "missing": "breaching",
            },
        ),
        (
            "Insufficient Data: 2 datapoints were unknown.",
            {"comparison": "GreaterThanThreshold", "threshold": 1.0, "values": [None, None]},
        ),
    ],
)
def test_reasons(text, given):
    assert told(**given) == text


def test_reason_data():
    settings = PutMetricAlarmInput(alarm_name="a", statistic="Sum", unit="Count")
    limit = Limit("GreaterThanThreshold", 0.0, 2, 2, "breaching")
    verdict = decide(limit, [Point(START, None), Point(START + 60, 1.0), Point(START + 120, None)])
    data = reason_data(settings, limit, verdict, now=START + 164.984, period=60, samples={START + 60: 3.0})
    assert json.loads(data) == {
        "version": "1.0",
        "queryDate": "2025-05-15T15:31:44.984+0000",
        "startDate": "2025-05-15T15:30:00.000+0000",
        "unit": "Count",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [1.0],
        "threshold": 0.0,
        "evaluatedDatapoints": [
            {"timestamp": "2025-05-15T15:31:00.000+0000"},
            {"timestamp": "2025-05-15T15:30:00.000+0000", "sampleCount": 3.0, "value": 1.0},
        ],
    }


def test_long_ranges_fit_into_the_members():
    limit = Limit("GreaterThanThreshold", 0.0, 1440, 1440)
    verdict = decide(limit, [Point(START + 60 * n, 1234.567890123 + n) for n in range(1440)])
    settings = PutMetricAlarmInput(alarm_name="a", statistic="Sum")
    data = reason_data(settings, limit, verdict, now=START, period=60, samples={})
    assert len(data) <= MAX_REASON_DATA
    assert json.loads(data)["recentDatapoints"][-1] == 1234.567890123 + 1439
    assert len(reason(limit, verdict, "ALARM", m_of_n=True)) <= MAX_REASON


@pytest.mark.parametrize(
    ("value", "text"),
    [(70, "70.0"), (0.0, "0.0"), (-2.5, "-2.5"), (15000000.0, "1.5E7"), (0.0002, "2.0E-4"), (1e22, "1.0E22")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_times():
    assert iso_time(START + 0.0004) == "2025-05-15T15:29:00.000+0000"
    assert long_time(1658505465.394) == "Friday 22 July, 2022 15:57:45 UTC"
