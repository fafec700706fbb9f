"""An alarm's settings as events, histories and notifications tell them.  Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from openecs.model.alarm import CompositeAlarm, MetricAlarm
from openecs.planning.alarms.texts import iso_time
from openecs.shapes import cloudwatch

Alarm = MetricAlarm | CompositeAlarm

#: The id of the one query of an alarm on one metric is made up; the same for every alarm of that name.
_IDS = uuid.UUID("6f5d1d4e-8a3e-5c1b-9d0a-3f2b7c6a5e41")


def watched(alarm: Alarm) -> dict[str, Any]:
    """What an alarm watches, as the ``configuration`` of a state change's event."""
    settings = alarm.settings
    told: dict[str, Any] = {}
    if settings.alarm_description:
        told["description"] = settings.alarm_description
    if isinstance(settings, cloudwatch.PutCompositeAlarmInput):
        told["alarmRule"] = settings.alarm_rule
        _add(told, "actionsSuppressor", settings.actions_suppressor)
        _add(told, "actionsSuppressorWaitPeriod", settings.actions_suppressor_wait_period)
        _add(told, "actionsSuppressorExtensionPeriod", settings.actions_suppressor_extension_period)
    else:
        told["metrics"] = [_query(query) for query in queries(alarm.arn, settings)]
    return told


def configured(alarm: Alarm) -> dict[str, Any]:
    """All settings of an alarm, as the event of its change tells them."""
    settings = alarm.settings
    told: dict[str, Any] = {}
    if isinstance(settings, cloudwatch.PutMetricAlarmInput):
        for name, value in (
            ("evaluationPeriods", settings.evaluation_periods),
            ("datapointsToAlarm", settings.datapoints_to_alarm),
            ("threshold", settings.threshold),
            ("comparisonOperator", settings.comparison_operator),
            ("treatMissingData", settings.treat_missing_data),
            ("evaluateLowSampleCountPercentile", settings.evaluate_low_sample_count_percentile),
        ):
            _add(told, name, value)
    return (
        told
        | watched(alarm)
        | {
            "alarmName": alarm.name,
            "actionsEnabled": settings.actions_enabled is not False,
            "timestamp": iso_time(alarm.configured_at),
            "okActions": settings.ok_actions or (),
            "alarmActions": settings.alarm_actions or (),
            "insufficientDataActions": settings.insufficient_data_actions or (),
        }
    )


def queries(arn: str, settings: cloudwatch.PutMetricAlarmInput) -> tuple[cloudwatch.MetricDataQuery, ...]:
    """The queries of an alarm; an alarm on one metric has one."""
    if settings.metrics is not None:
        return settings.metrics
    metric = cloudwatch.Metric(
        namespace=settings.namespace, metric_name=settings.metric_name, dimensions=settings.dimensions
    )
    stat = cloudwatch.MetricStat(
        metric=metric,
        period=settings.period or 60,
        stat=settings.statistic or settings.extended_statistic or "",
        unit=settings.unit,
    )
    return (cloudwatch.MetricDataQuery(id=str(uuid.uuid5(_IDS, arn)), metric_stat=stat, return_data=True),)


def _query(query: cloudwatch.MetricDataQuery) -> Mapping[str, Any]:
    told: dict[str, Any] = {"id": query.id}
    _add(told, "expression", query.expression)
    _add(told, "label", query.label)
    if query.metric_stat is not None:
        metric = query.metric_stat.metric
        told["metricStat"] = {
            "metric": {
                "namespace": metric.namespace,
                "name": metric.metric_name,
                "dimensions": {d.name: d.value for d in metric.dimensions or ()},
            },
            "period": query.metric_stat.period,
            "stat": query.metric_stat.stat,
        }
        _add(told["metricStat"], "unit", query.metric_stat.unit)
    elif query.period is not None:
        told["period"] = query.period
    return told | {"returnData": query.return_data is not False}


def _add(told: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        told[name] = value


def state_of(alarm: Alarm) -> dict[str, Any]:
    """The ``state`` of an alarm within an event."""
    told: dict[str, Any] = {"value": alarm.state, "reason": alarm.state_reason}
    if alarm.state_reason_data:
        told["reasonData"] = alarm.state_reason_data
    told["timestamp"] = iso_time(alarm.state_updated_at)
    if isinstance(alarm, CompositeAlarm) and alarm.suppressed_by:
        told = {"actionsSuppressedBy": alarm.suppressed_by, "actionsSuppressedReason": alarm.suppressed_reason} | told
    return told


def json(value: Any) -> str:
    """JSON text in the order of the members."""
    return msgspec.json.encode(value).decode()
