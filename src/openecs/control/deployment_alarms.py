"""The CloudWatch alarms that guard deployments of services: which are in ALARM, and for how long to watch.

An alarm that does not exist is in no state, as on AWS: it may be created after the service.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.control.alarm_changes import find_alarm
from openecs.model.alarm import CompositeAlarm
from openecs.model.service import Service
from openecs.planning.alarms.configuration import Alarm
from openecs.planning.alarms.rule import children
from openecs.planning.alarms.window import period_of
from openecs.state.state import State
from openecs.state.store import Notice


class DeploymentAlarms:
    """Reads the alarms of services."""

    def __init__(self, state: State) -> None:
        self._state = state

    def in_alarm(self, service: Service) -> frozenset[str]:
        """The names of the service's deployment alarms that are in ALARM."""
        return frozenset(alarm.name for alarm in self._alarms(service) if alarm.state == "ALARM")

    def bake(self, service: Service) -> float:
        """Seconds for which a deployment is watched when its tasks are there.

        So long an alarm takes to see what the new tasks do: its periods, and one more for their data to arrive.
        """
        return max((self._patience(alarm, set()) for alarm in self._alarms(service)), default=0.0)

    def alarm_changed(self, notice: Notice) -> Iterable[str]:
        """ARNs of the services whose deployments an alarm guards, when its state became another."""
        old, new = notice.old, notice.new
        if old is not None and new is not None and old.state == new.state:
            return
        alarm: Alarm = new or old
        for service in self._state.services:
            alarms = service.deployment_configuration.alarms
            if (
                alarms is not None
                and alarms.enable
                and alarm.name in alarms.alarm_names
                and service.status == "ACTIVE"
                and service.region == alarm.region
            ):
                yield service.arn

    def _alarms(self, service: Service) -> list[Alarm]:
        alarms = service.deployment_configuration.alarms
        if alarms is None or not alarms.enable:
            return []
        account = service.arn.split(":")[4]
        found = (find_alarm(self._state, service.region, account, name) for name in alarms.alarm_names)
        return [alarm for alarm in found if alarm is not None]

    def _patience(self, alarm: Alarm, seen: set[str]) -> float:
        if not isinstance(alarm, CompositeAlarm):
            return period_of(alarm.settings) * ((alarm.settings.evaluation_periods or 1) + 1.0)
        seen.add(alarm.name)
        account = alarm.arn.split(":")[4]
        named = (name for name in children(self._state.alarm_parents.rule(alarm.arn)) if name not in seen)
        found = (find_alarm(self._state, alarm.region, account, name) for name in named)
        return max((self._patience(child, seen) for child in found if child is not None), default=0.0)
