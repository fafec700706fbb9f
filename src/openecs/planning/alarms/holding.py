"""Whether the actions of an alarm's state are held back, and when they follow.  Pure.

A mute rule holds them back, and of a composite alarm its suppressor: while that is in ALARM, for a
while after it was (extension period), and for a while after a change in case that it is about to
be (wait period).  What is held back follows afterwards, unless the state is again what it was.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from openecs.model.alarm import AlarmState, CompositeAlarm, MetricAlarm


class Settled(NamedTuple):
    """The alarm as it is to be written, and whether its actions are due now."""

    alarm: MetricAlarm | CompositeAlarm
    act: bool


def settle(alarm: MetricAlarm | CompositeAlarm, changed_from: AlarmState | None) -> Settled:
    """``alarm`` with what is held back up to date; ``changed_from`` is the state that it leaves now."""
    held_from = alarm.held_from or changed_from or ""
    if alarm.muted or (isinstance(alarm, CompositeAlarm) and alarm.suppressed_by):
        return Settled(_held(alarm, held_from), act=False)
    return Settled(_held(alarm, ""), act=held_from not in ("", alarm.state))


def suppress(alarm: CompositeAlarm, suppressor: AlarmState | None, *, changed: bool, now: float) -> CompositeAlarm:
    """``alarm`` with its suppression up to date; ``changed`` when its state changes with this."""
    settings = alarm.settings
    wait, extension = settings.actions_suppressor_wait_period or 0, settings.actions_suppressor_extension_period or 0
    before = alarm.suppressed_by
    after = before
    since = alarm.suppressed_since
    if settings.actions_suppressor is None:
        after = ""
    elif suppressor == "ALARM":
        after = "Alarm"
    elif before == "Alarm":
        after, since = ("ExtensionPeriod" if extension > 0 else ""), now
    elif before == "":
        after, since = ("WaitPeriod" if changed and wait > 0 else ""), now
    if after == before and after != "Alarm" and ends_in(alarm, now) == 0:
        after = ""
    if after == before:
        return alarm
    reason = f"Actions suppressed by {_name(alarm) if after == 'Alarm' else after}" if after else ""
    return msgspec.structs.replace(
        alarm, suppressed_by=after, suppressed_reason=reason, suppressed_since=since if after else 0.0
    )


def ends_in(alarm: CompositeAlarm, now: float) -> float | None:
    """Seconds after which a wait or extension period is over; ``None`` when there is none."""
    periods = {
        "WaitPeriod": alarm.settings.actions_suppressor_wait_period,
        "ExtensionPeriod": alarm.settings.actions_suppressor_extension_period,
    }
    if alarm.suppressed_by not in periods:
        return None
    return max(alarm.suppressed_since + (periods[alarm.suppressed_by] or 0) - now, 0.0)


def _held(alarm: MetricAlarm | CompositeAlarm, held_from: str) -> MetricAlarm | CompositeAlarm:
    return alarm if alarm.held_from == held_from else msgspec.structs.replace(alarm, held_from=held_from)


def _name(alarm: CompositeAlarm) -> str:
    return (alarm.settings.actions_suppressor or "").rpartition(":alarm:")[2]
