"""Everything that makes alarms work, put together: data, evaluation, actions."""

from __future__ import annotations

from collections.abc import Mapping

from openecs.clock import Clock
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.alarm_data import AlarmData
from openecs.control.alarm_expressions import AlarmExpressions
from openecs.control.alarm_mutes import AlarmMutes
from openecs.control.alarm_notifications import AlarmNotifications
from openecs.control.alarms import AlarmController
from openecs.control.composite_alarms import CompositeAlarmController
from openecs.control.loop import Loop, Timing
from openecs.ids import Ids
from openecs.metrics.store import MetricStore
from openecs.state.state import State


class AlarmParts:
    """The alarms of an installation; ``topics`` are ARNs of SNS topics and the URLs that stand for them."""

    def __init__(self, state: State, store: MetricStore, clock: Clock, ids: Ids, topics: Mapping[str, str]) -> None:
        self.changes = AlarmChanges(state, ids, topics)
        self.data = AlarmData(store, AlarmExpressions(store))
        self._controllers = (
            AlarmController(state, clock, self.changes, self.data),
            CompositeAlarmController(state, clock, self.changes),
            AlarmMutes(state, clock, self.changes),
            AlarmNotifications(state, clock, topics),
        )

    def loops(self, timing: Timing) -> tuple[Loop, ...]:
        """The loops that run them."""
        return tuple(controller.loop(timing) for controller in self._controllers)
