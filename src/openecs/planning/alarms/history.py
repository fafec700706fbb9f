"""What the history says of an alarm: its states, its settings and its actions.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from openecs.model.alarm import CompositeAlarm
from openecs.model.history import HistoryEntry
from openecs.planning.alarms.configuration import Alarm, configured, json

#: Kinds of entries of history, by the type that DescribeAlarmHistory calls them.
KINDS = {"StateUpdate": "alarm-state", "ConfigurationUpdate": "alarm-configuration", "Action": "alarm-action"}
#: Characters that ``HistoryData`` has room for.
MAX_DATA = 4095


def entries(old: Alarm | None, new: Alarm | None, now: float) -> Iterator[HistoryEntry]:
    """What a committed change of an alarm is worth remembering; it was deleted at ``now`` (epoch seconds)."""
    if new is None:
        if old is not None:
            yield _configuration(old, "deleted", {"type": "Delete", "deletedAlarm": _shown(old)}, now)
    elif old is None:
        yield _configuration(new, "created", {"type": "Create", "createdAlarm": _shown(new)}, new.configured_at)
    elif old.settings != new.settings:
        yield _configuration(new, "updated", {"type": "Update", "updatedAlarm": _shown(new)}, new.configured_at)
    if old is not None and new is not None and old.state != new.state:
        data = {"version": "1.0", "oldState": _state(old), "newState": _state(new)}
        if len(json(data)) > MAX_DATA:
            data = {"version": "1.0", "oldState": _state(old, data=False), "newState": _state(new)}
        if len(json(data)) > MAX_DATA:
            data = {name: _state(alarm, data=False) for name, alarm in (("oldState", old), ("newState", new))}
            data = {"version": "1.0", **data}
        yield _entry(new, "StateUpdate", f"Alarm updated from {old.state} to {new.state}", data, new.state_updated_at)


def action_entry(alarm: Alarm, action: str, now: float, *, failure: str = "") -> HistoryEntry:
    """That an action of an alarm was executed, or why it could not be."""
    data = {
        "actionState": "Failed" if failure else "Succeeded",
        "stateUpdateTimestamp": int(alarm.state_updated_at * 1000),
        "notificationResource": action,
    }
    if failure:
        data["error"] = failure
    summary = f"Successfully executed action {action}"
    if failure:
        summary = f"Failed to execute action {action}. Received error: {failure}"
    return _entry(alarm, "Action", summary, data, now)


def _configuration(alarm: Alarm, what: str, data: dict[str, Any], now: float) -> HistoryEntry:
    return _entry(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {what}', {"version": "1.0", **data}, now)


def _entry(alarm: Alarm, kind: str, summary: str, data: dict[str, Any], now: float) -> HistoryEntry:
    composite = isinstance(alarm, CompositeAlarm)
    return HistoryEntry(
        at=now,
        kind=KINDS[kind],
        text=summary[:255],
        alarm_arn=alarm.arn,
        facts={"data": json(data)[:MAX_DATA], "type": "CompositeAlarm" if composite else "MetricAlarm"},
    )


def _shown(alarm: Alarm) -> dict[str, Any]:
    return {"alarmArn": alarm.arn, **configured(alarm), "stateValue": alarm.state}


def _state(alarm: Alarm, *, data: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {"stateValue": alarm.state, "stateReason": alarm.state_reason}
    if alarm.state_reason_data and data:
        told["stateReasonData"] = _plain(alarm.state_reason_data)
    return told


def _plain(text: str) -> Any:
    """The value of JSON text; what callers of SetAlarmState gave as data need not be JSON."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
