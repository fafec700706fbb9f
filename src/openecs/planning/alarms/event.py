"""The EventBridge event of an alarm's change: of its state, or of its settings.  Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from openecs.planning.alarms.configuration import Alarm, configured, state_of, watched

SOURCE = "aws.cloudwatch"


class AlarmEvent(NamedTuple):
    """What an event about an alarm says; the envelope's other members are the caller's."""

    detail_type: str
    region: str
    #: Seconds since the epoch.
    time: float
    resources: tuple[str, ...]
    #: JSON text of an object.
    detail: bytes


def alarm_event(old: Alarm | None, new: Alarm | None, now: float) -> AlarmEvent | None:
    """The event of a record's change (``None``: there was or is none), if it is worth one.

    ``now`` (epoch seconds) is when an alarm that is gone was deleted.
    """
    alarm = new or old
    if alarm is None:
        return None
    detail: dict[str, Any] = {"alarmName": alarm.name}
    if old is not None and new is not None and old.configured_at == new.configured_at:
        if old.state == new.state:
            return None
        detail |= {"state": state_of(new), "previousState": state_of(old), "configuration": watched(new)}
        return _event("CloudWatch Alarm State Change", new, new.state_updated_at, detail)
    if new is None:
        operation, time = "delete", now
    else:
        operation, time = ("create" if old is None else "update"), new.configured_at
    state = state_of(alarm)
    if old is None:
        # A new alarm has not found a reason yet.
        state = {"value": state["value"], "timestamp": state["timestamp"]}
    detail |= {"operation": operation, "state": state, "configuration": configured(alarm)}
    if old is not None and new is not None:
        detail["previousConfiguration"] = configured(old)
    return _event("CloudWatch Alarm Configuration Change", alarm, time, detail)


def _event(detail_type: str, alarm: Alarm, time: float, detail: dict[str, Any]) -> AlarmEvent:
    return AlarmEvent(detail_type, alarm.region, time, (alarm.arn,), msgspec.json.encode(detail))
