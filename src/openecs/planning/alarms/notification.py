"""The message of an alarm to an SNS topic, as CloudWatch publishes it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from openecs.model.alarm import AlarmNotification, CompositeAlarm
from openecs.planning.alarms.configuration import Alarm, json
from openecs.planning.alarms.texts import iso_time
from openecs.shapes import cloudwatch


def notification(
    alarm: Alarm, old_state: str, topic_arn: str, *, notification_id: str, now: float
) -> AlarmNotification:
    """What is to be sent to ``topic_arn`` of an alarm that came from ``old_state``."""
    return AlarmNotification(
        id=notification_id,
        alarm_arn=alarm.arn,
        topic_arn=topic_arn,
        subject=f'{alarm.state}: "{alarm.name}" in {alarm.region}',
        message=json(_message(alarm, old_state)),
        created_at=now,
    )


def envelope(message: AlarmNotification) -> bytes:
    """The body of the request that SNS makes; it has no signature, because there is no key of AWS."""
    return msgspec.json.encode(
        {
            "Type": "Notification",
            "MessageId": message.id,
            "TopicArn": message.topic_arn,
            "Subject": message.subject,
            "Message": message.message,
            "Timestamp": iso_time(message.created_at).replace("+0000", "Z"),
        }
    )


def _message(alarm: Alarm, old_state: str) -> Mapping[str, Any]:
    settings = alarm.settings
    told: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": settings.alarm_description,
        "AWSAccountId": alarm.arn.split(":")[4],
        "AlarmConfigurationUpdatedTimestamp": iso_time(alarm.configured_at),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": iso_time(alarm.state_changed_at),
        "Region": alarm.region,
        "AlarmArn": alarm.arn,
        "OldStateValue": old_state,
        "OKActions": settings.ok_actions or (),
        "AlarmActions": settings.alarm_actions or (),
        "InsufficientDataActions": settings.insufficient_data_actions or (),
    }
    if isinstance(settings, cloudwatch.PutCompositeAlarmInput):
        return told | {"AlarmRule": settings.alarm_rule, "TriggeringChildren": _triggering(alarm)}
    return told | {"Trigger": _trigger(settings)}


def _trigger(settings: cloudwatch.PutMetricAlarmInput) -> Mapping[str, Any]:
    shared: dict[str, Any] = {
        "Period": settings.period,
        "EvaluationPeriods": settings.evaluation_periods,
        "ComparisonOperator": settings.comparison_operator,
        "Threshold": settings.threshold,
        "TreatMissingData": settings.treat_missing_data or "missing",
        "EvaluateLowSampleCountPercentile": settings.evaluate_low_sample_count_percentile or "",
    }
    if settings.datapoints_to_alarm is not None:
        shared["DatapointsToAlarm"] = settings.datapoints_to_alarm
    if settings.metrics is not None:
        del shared["Period"]
        return shared | {"Metrics": msgspec.to_builtins(settings.metrics)}
    kind: dict[str, Any] = {"StatisticType": "Statistic", "Statistic": (settings.statistic or "").upper()}
    if settings.statistic is None:
        kind = {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": settings.extended_statistic}
    return {
        "MetricName": settings.metric_name,
        "Namespace": settings.namespace,
        **kind,
        "Unit": settings.unit,
        "Dimensions": [{"value": d.value, "name": d.name} for d in settings.dimensions or ()],
        **shared,
    }


def _triggering(alarm: Alarm) -> list[Mapping[str, Any]]:
    if not isinstance(alarm, CompositeAlarm) or not alarm.state_reason_data:
        return []
    try:
        found = msgspec.json.decode(alarm.state_reason_data)["triggeringAlarms"]
        return [
            {"Arn": one["arn"], "State": {"Value": one["state"]["value"], "Timestamp": one["state"]["timestamp"]}}
            for one in found
        ]
    except (msgspec.DecodeError, KeyError, TypeError):
        # Callers of SetAlarmState give data as they like.
        return []
