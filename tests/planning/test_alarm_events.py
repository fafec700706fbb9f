"""Alarms in events, histories and messages, against the shapes that AWS documents."""

from __future__ import annotations

import json

import msgspec
import pytest

from openecs.model.alarm import CompositeAlarm, MetricAlarm, alarm_arn
from openecs.planning.alarms.event import alarm_event
from openecs.planning.alarms.history import MAX_DATA, entries
from openecs.planning.alarms.notification import envelope, notification
from openecs.shapes import cloudwatch as cw

NOW = 1658505465.394
REGION, ACCOUNT = "us-east-1", "123456789012"


@pytest.fixture
def metric() -> MetricAlarm:
    return MetricAlarm(
        arn=alarm_arn(REGION, ACCOUNT, "ServerCpuTooHigh"),
        region=REGION,
        name="ServerCpuTooHigh",
        configured_at=NOW - 100,
        state="OK",
        state_reason="was fine",
        state_updated_at=NOW - 50,
        settings=cw.PutMetricAlarmInput(
            alarm_name="ServerCpuTooHigh",
            alarm_description="too high",
            namespace="AWS/EC2",
            metric_name="CPUUtilization",
            dimensions=(cw.Dimension(name="InstanceId", value="i-1"),),
            statistic="Average",
            period=300,
            evaluation_periods=1,
            threshold=80.0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="ignore",
        ),
    )


def in_alarm(alarm):
    return msgspec.structs.replace(
        alarm, state="ALARM", state_reason="too much", state_reason_data='{"a":1}', state_updated_at=NOW
    )


def test_a_change_of_state(metric):
    event = alarm_event(metric, in_alarm(metric), NOW + 5)
    assert (event.detail_type, event.region, event.time) == ("CloudWatch Alarm State Change", REGION, NOW)
    assert event.resources == (metric.arn,)
    detail = json.loads(event.detail)
    (query,) = detail["configuration"].pop("metrics")
    assert len(query.pop("id")) == 36
    assert query == {
        "metricStat": {
            "metric": {"namespace": "AWS/EC2", "name": "CPUUtilization", "dimensions": {"InstanceId": "i-1"}},
            "period": 300,
            "stat": "Average",
        },
        "returnData": True,
    }
    assert detail == {
        "alarmName": "ServerCpuTooHigh",
        "state": {
            "value": "ALARM",
            "reason": "too much",
            "reasonData": '{"a":1}',
            "timestamp": "2022-07-22T15:57:45.394+0000",
        },
        "previousState": {"value": "OK", "reason": "was fine", "timestamp": "2022-07-22T15:56:55.394+0000"},
        "configuration": {"description": "too high"},
    }


def test_a_composite_alarm_that_is_suppressed():
    alarm = CompositeAlarm(
        arn=alarm_arn(REGION, ACCOUNT, "c"),
        region=REGION,
        name="c",
        configured_at=1.0,
        settings=cw.PutCompositeAlarmInput(
            alarm_name="c",
            alarm_rule="ALARM(a)",
            actions_suppressor="s",
            actions_suppressor_wait_period=120,
            actions_suppressor_extension_period=180,
        ),
    )
    held = msgspec.structs.replace(
        in_alarm(alarm), suppressed_by="WaitPeriod", suppressed_reason="Actions suppressed by WaitPeriod"
    )
    detail = json.loads(alarm_event(alarm, held, NOW).detail)
    assert detail["state"]["actionsSuppressedBy"] == "WaitPeriod"
    assert detail["state"]["actionsSuppressedReason"] == "Actions suppressed by WaitPeriod"
    assert detail["configuration"] == {
        "alarmRule": "ALARM(a)",
        "actionsSuppressor": "s",
        "actionsSuppressorWaitPeriod": 120,
        "actionsSuppressorExtensionPeriod": 180,
    }


def test_changes_of_settings(metric):
    other = msgspec.structs.replace(
        metric, configured_at=NOW, settings=msgspec.structs.replace(metric.settings, threshold=90.0)
    )
    told = [
        (pair.detail_type, json.loads(pair.detail))
        for pair in (
            alarm_event(None, metric, NOW),
            alarm_event(metric, other, NOW),
            alarm_event(other, None, NOW),
        )
    ]
    assert {kind for kind, _ in told} == {"CloudWatch Alarm Configuration Change"}
    assert [detail["operation"] for _, detail in told] == ["create", "update", "delete"]
    assert told[0][1]["state"] == {"value": "OK", "timestamp": "2022-07-22T15:56:55.394+0000"}
    assert told[1][1]["configuration"]["threshold"] == 90.0
    assert told[1][1]["previousConfiguration"]["threshold"] == 80.0


def test_other_changes_are_no_events(metric):
    assert alarm_event(metric, msgspec.structs.replace(metric, muted=True), NOW) is None
    assert alarm_event(None, None, NOW) is None


def test_history_fits_whatever_the_reasons(metric):
    old = msgspec.structs.replace(metric, state_reason="x" * 1023, state_reason_data='{"a":"' + "y" * 3900 + '"}')
    new = msgspec.structs.replace(in_alarm(metric), state_reason="z" * 1023, state_reason_data="no JSON" * 500)
    (entry,) = entries(old, new, NOW)
    assert entry.text == "Alarm updated from OK to ALARM"
    assert len(entry.facts["data"]) <= MAX_DATA
    assert json.loads(entry.facts["data"])["newState"]["stateValue"] == "ALARM"


def test_messages_have_the_envelope_of_sns(metric):
    message = notification(in_alarm(metric), "OK", "arn:aws:sns:us-east-1:1:t", notification_id="1", now=NOW)
    body = json.loads(envelope(message))
    assert body["Type"] == "Notification"
    assert body["Subject"] == 'ALARM: "ServerCpuTooHigh" in us-east-1'
    assert body["Timestamp"] == "2022-07-22T15:57:45.394Z"
    inner = json.loads(body["Message"])
    assert (inner["OldStateValue"], inner["NewStateReason"], inner["Trigger"]["Statistic"]) == (
        "OK",
        "too much",
        "AVERAGE",
    )
