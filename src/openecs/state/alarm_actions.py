"""Which alarms act on what: a view of the metric alarms by the ARNs of their actions."""

from __future__ import annotations

from openecs.model.alarm import MetricAlarm


class AlarmActions:
    """Kept right by watching the table of metric alarms."""

    def __init__(self) -> None:
        #: ARN of an action → ARNs of the alarms that have it for any state, in the order of their coming.
        self._alarms: dict[str, dict[str, None]] = {}

    def alarms(self, action_arn: str) -> tuple[str, ...]:
        """ARNs of the alarms that have this action for some state."""
        return tuple(self._alarms.get(action_arn, ()))

    def alarm_changed(self, old: MetricAlarm | None, new: MetricAlarm | None) -> None:
        """Follow one change of the table."""
        if old is not None and new is not None and old.settings is new.settings:
            return
        if old is not None:
            for action in old.actions:
                acting = self._alarms[action]
                del acting[old.arn]
                if not acting:
                    del self._alarms[action]
        if new is not None:
            for action in new.actions:
                self._alarms.setdefault(action, {})[new.arn] = None
