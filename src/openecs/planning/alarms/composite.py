"""The state of a composite alarm: from its rule and its children to what is written.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from openecs.model.alarm import AlarmState, CompositeAlarm
from openecs.planning.alarms.configuration import Alarm, json
from openecs.planning.alarms.reasons import MAX_REASON_DATA
from openecs.planning.alarms.rule import Rule, holds, supporters
from openecs.planning.alarms.texts import iso_time, long_time


def evaluate(alarm: CompositeAlarm, rule: Rule, children: Mapping[str, Alarm], now: float) -> CompositeAlarm:
    """``alarm`` as its rule wants it; the same object when its state is right already."""
    states: dict[str, AlarmState] = {name: child.state for name, child in children.items()}
    state: AlarmState = "ALARM" if holds(rule, states) else "OK"
    if state == alarm.state:
        return alarm
    responsible = [children[name] for name in supporters(rule, states)]
    newest = max(responsible, key=lambda child: child.state_changed_at, default=None)
    if alarm.state_updated_at <= alarm.configured_at and alarm.state == "INSUFFICIENT_DATA":
        reason = f"{alarm.arn} was created and its alarm rule evaluates to {state}"
    elif newest is None or newest.state_changed_at < alarm.configured_at:
        reason = f"{alarm.arn} was updated and its alarm rule evaluates to {state}"
    else:
        reason = f"{newest.arn} transitioned to {newest.state} at {long_time(newest.state_changed_at)}"
    told = [
        {"arn": child.arn, "state": {"value": child.state, "timestamp": iso_time(child.state_changed_at)}}
        for child in responsible
    ]
    while len(data := json({"triggeringAlarms": told})) > MAX_REASON_DATA:
        told = told[: len(told) // 2]
    return msgspec.structs.replace(
        alarm,
        state=state,
        state_reason=reason[:1023],
        state_reason_data=data,
        state_updated_at=now,
        state_changed_at=now,
    )
