"""Alarms as DescribeAlarms shows them."""

from __future__ import annotations

from openecs.model.alarm import CompositeAlarm, MetricAlarm
from openecs.planning.alarms.configuration import Alarm
from openecs.shapes import cloudwatch as cw

#: Settings that are members of the replies under the same names.
_METRIC = tuple(n for n in cw.PutMetricAlarmInput.__struct_fields__ if n in cw.MetricAlarm.__struct_fields__)
_COMPOSITE = tuple(n for n in cw.PutCompositeAlarmInput.__struct_fields__ if n in cw.CompositeAlarm.__struct_fields__)


def metric_view(alarm: MetricAlarm) -> cw.MetricAlarm:
    """A metric alarm in full."""
    return cw.MetricAlarm(
        alarm_arn=alarm.arn,
        alarm_configuration_updated_timestamp=alarm.configured_at,
        state_value=alarm.state,
        state_reason=alarm.state_reason,
        state_reason_data=alarm.state_reason_data or None,
        state_updated_timestamp=alarm.state_updated_at,
        state_transitioned_timestamp=alarm.state_changed_at,
        evaluation_state=alarm.evaluation_state or None,
        **{name: getattr(alarm.settings, name) for name in _METRIC},
    )


def composite_view(alarm: CompositeAlarm) -> cw.CompositeAlarm:
    """A composite alarm in full."""
    return cw.CompositeAlarm(
        alarm_arn=alarm.arn,
        alarm_configuration_updated_timestamp=alarm.configured_at,
        state_value=alarm.state,
        state_reason=alarm.state_reason,
        state_reason_data=alarm.state_reason_data or None,
        state_updated_timestamp=alarm.state_updated_at,
        state_transitioned_timestamp=alarm.state_changed_at,
        actions_suppressed_by=alarm.suppressed_by or None,
        actions_suppressed_reason=alarm.suppressed_reason or None,
        **{name: getattr(alarm.settings, name) for name in _COMPOSITE},
    )


def child_view(alarm: Alarm) -> cw.MetricAlarm | cw.CompositeAlarm:
    """What is shown of an alarm as another one's child."""
    kind = cw.MetricAlarm if isinstance(alarm, MetricAlarm) else cw.CompositeAlarm
    return kind(
        alarm_name=alarm.name,
        alarm_arn=alarm.arn,
        state_value=alarm.state,
        state_updated_timestamp=alarm.state_updated_at,
    )


def parent_view(alarm: CompositeAlarm) -> cw.CompositeAlarm:
    """What is shown of an alarm as another one's parent."""
    return cw.CompositeAlarm(alarm_name=alarm.name, alarm_arn=alarm.arn)
