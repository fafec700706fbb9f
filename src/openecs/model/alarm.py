"""CloudWatch alarms: their settings as they were put, and the state that evaluation found.

Evaluation writes the state members, PutMetricAlarm and its like the settings, SetAlarmState the
state until the next evaluation.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import cloudwatch

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class _Alarm(Record, frozen=True, kw_only=True):
    """What alarms of both kinds share; times are seconds since the epoch."""

    arn: str
    region: str
    name: str
    #: When settings were last put.
    configured_at: float
    state: AlarmState = "INSUFFICIENT_DATA"
    state_reason: str = "Unchecked: Initial alarm creation"
    #: JSON, as CloudWatch gives it; empty when there is none.
    state_reason_data: str = ""
    #: When the state or its reason was last written, and when the state became another.
    state_updated_at: float = 0.0
    state_changed_at: float = 0.0
    #: Whether a mute rule holds back actions.
    muted: bool = False
    #: The state of before actions were held back (``planning.alarms.holding``); empty when none are.
    held_from: Literal["", "OK", "ALARM", "INSUFFICIENT_DATA"] = ""
    #: The scaling policy (its ARN) or the service's ARN that made the alarm; empty for a user's.
    owner: str = ""

    @property
    def key(self) -> str:
        return self.arn


class MetricAlarm(_Alarm, frozen=True, kw_only=True):
    """An alarm on a metric or on metric math; ``settings`` without tags, defaults filled in."""

    settings: cloudwatch.PutMetricAlarmInput
    evaluation_state: Literal["", "PARTIAL_DATA", "EVALUATION_ERROR", "EVALUATION_FAILURE"] = ""

    @property
    def actions(self) -> frozenset[str]:
        """ARNs of what the alarm acts on in some state."""
        given = self.settings
        return frozenset(
            (*(given.alarm_actions or ()), *(given.ok_actions or ()), *(given.insufficient_data_actions or ()))
        )


class CompositeAlarm(_Alarm, frozen=True, kw_only=True):
    """An alarm on other alarms; ``settings`` without tags, defaults filled in."""

    settings: cloudwatch.PutCompositeAlarmInput
    suppressed_by: Literal["", "WaitPeriod", "ExtensionPeriod", "Alarm"] = ""
    suppressed_reason: str = ""
    #: When the wait or extension period began.
    suppressed_since: float = 0.0


class AlarmNotification(Record, frozen=True, kw_only=True):
    """A message about an alarm's change that is to be sent for an SNS topic; forgotten when it is."""

    id: str
    alarm_arn: str
    topic_arn: str
    subject: str
    #: JSON, as CloudWatch publishes it.
    message: str
    #: Seconds since the epoch.
    created_at: float

    @property
    def key(self) -> str:
        return self.id


class AlarmMuteRule(Record, frozen=True, kw_only=True):
    """Holds back the actions of some alarms at some times (``planning.alarms.mute``)."""

    arn: str
    region: str
    name: str
    rule: cloudwatch.Rule
    description: str | None = None
    #: Names of alarms.
    targets: tuple[str, ...] = ()
    #: Times in seconds since the epoch.
    start_date: float | None = None
    expire_date: float | None = None
    updated_at: float

    @property
    def key(self) -> str:
        return self.arn


def alarm_arn(region: str, account: str, name: str) -> str:
    """The ARN of an alarm of either kind."""
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"
