"""How changes of alarms are written: with what is held back, and with the actions that are due.

Everybody who changes the state of an alarm does it here, so that no change forgets its actions:
the controllers, and SetAlarmState.  Scaling policies act by themselves (``control.scaling`` watches
the alarms); for an SNS topic a message is put beside the change, to be sent when it is durable.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from openecs.ids import Ids
from openecs.model.alarm import AlarmState, CompositeAlarm, MetricAlarm, alarm_arn
from openecs.planning.alarms.configuration import Alarm
from openecs.planning.alarms.history import action_entry
from openecs.planning.alarms.holding import settle, suppress
from openecs.planning.alarms.notification import notification
from openecs.planning.alarms.rule import name_of
from openecs.state.state import State
from openecs.state.store import Transaction


def is_scaling_policy(action: str) -> bool:
    """Whether an action is a policy of Application Auto Scaling or EC2 Auto Scaling."""
    return action.startswith("arn:aws:autoscaling:") and ":scalingPolicy:" in action


def find_alarm(state: State, region: str, account: str, name: str) -> Alarm | None:
    """The alarm of a name, of either kind."""
    arn = alarm_arn(region, account, name)
    return state.metric_alarms.get(arn) or state.composite_alarms.get(arn)


class AlarmChanges:
    """Writes alarms.  ``topics`` are the ARNs of the SNS topics that the operator maps to URLs."""

    def __init__(self, state: State, ids: Ids, topics: Collection[str] = ()) -> None:
        self._state = state
        self._ids = ids
        self.topics = frozenset(topics)

    def write(self, tx: Transaction, before: Alarm | None, after: Alarm, now: float) -> None:
        """Put ``after`` in place of ``before`` and do what its change of state calls for."""
        changed = before is not None and before.state != after.state
        if isinstance(after, CompositeAlarm):
            after = suppress(after, self._suppressor(after), changed=changed, now=now)
        settled = settle(after, before.state if before is not None and changed else None)
        if settled.act:
            old_state = after.held_from or (before.state if before is not None else after.state)
            self._act(tx, settled.alarm, old_state, now)
        if settled.alarm is not before:
            tx.put(settled.alarm)

    def set_state(
        self, tx: Transaction, alarm: Alarm, state: AlarmState, reason: str, data: str, now: float, **others: Any
    ) -> None:
        """Write another state, or another reason for the same."""
        changed_at = now if state != alarm.state else alarm.state_changed_at
        after = msgspec.structs.replace(
            alarm,
            state=state,
            state_reason=reason,
            state_reason_data=data,
            state_updated_at=now,
            state_changed_at=changed_at,
            **others,
        )
        self.write(tx, alarm, after, now)

    def _suppressor(self, alarm: CompositeAlarm) -> AlarmState | None:
        if alarm.settings.actions_suppressor is None:
            return None
        account = alarm.arn.split(":")[4]
        found = find_alarm(self._state, alarm.region, account, name_of(alarm.settings.actions_suppressor))
        return found.state if found is not None else None

    def _act(self, tx: Transaction, alarm: Alarm, old_state: str, now: float) -> None:
        if alarm.settings.actions_enabled is False:
            return
        for action in dict.fromkeys(actions_of(alarm)):
            if action in self.topics:
                tx.put(notification(alarm, old_state, action, notification_id=self._ids.uuid(), now=now))
            elif is_scaling_policy(action) and isinstance(alarm, MetricAlarm):
                tx.note(action_entry(alarm, action, now))


def actions_of(alarm: Alarm) -> tuple[str, ...]:
    """The actions for the state in which an alarm is."""
    settings = alarm.settings
    actions = {
        "ALARM": settings.alarm_actions,
        "OK": settings.ok_actions,
        "INSUFFICIENT_DATA": settings.insufficient_data_actions,
    }
    return actions[alarm.state] or ()
