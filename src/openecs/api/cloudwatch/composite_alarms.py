"""PutCompositeAlarm: rules about rules."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.api.cloudwatch.alarm_errors import validation
from openecs.api.cloudwatch.alarm_records import AlarmRecords
from openecs.api.cloudwatch.alarm_rules import check_actions, check_name, refuse_tag_propagation
from openecs.control.alarm_changes import find_alarm
from openecs.model.alarm import CompositeAlarm, MetricAlarm, alarm_arn
from openecs.planning.alarms.rule import RuleError, children, name_of, parse
from openecs.shapes import cloudwatch as cw
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

#: Composite alarms that may name the same alarm.
MAX_PARENTS = 150


class CompositeAlarms:
    """Creates and updates composite alarms; what both kinds have in common is in ``alarms``."""

    def __init__(self, state: State, records: AlarmRecords) -> None:
        self._state = state
        self._records = records

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"PutCompositeAlarm": self.put}

    def put(self, call: Call, request: cw.PutCompositeAlarmInput) -> None:
        """Create a composite alarm, or replace the settings of one and leave its state."""
        settings = self._checked(call, request)
        existing = find_alarm(self._state, call.region, call.account, request.alarm_name)
        if isinstance(existing, MetricAlarm):
            raise validation(f"{request.alarm_name} is a metric alarm; an alarm cannot become one of another kind.")
        alarm = existing or CompositeAlarm(
            arn=alarm_arn(call.region, call.account, request.alarm_name),
            region=call.region,
            name=request.alarm_name,
            configured_at=call.now,
            state_updated_at=call.now,
            state_changed_at=call.now,
            settings=settings,
        )
        after = msgspec.structs.replace(alarm, settings=settings, configured_at=call.now)
        self._records.put(existing, after, request.tags, call.now)

    def _checked(self, call: Call, given: cw.PutCompositeAlarmInput) -> cw.PutCompositeAlarmInput:
        check_name(given.alarm_name)
        refuse_tag_propagation(given.action_configuration)
        lists = (given.ok_actions, given.alarm_actions, given.insufficient_data_actions)
        check_actions(lists, self._records.topics, scaling=False)
        self._check_rule(call, given)
        self._check_suppressor(call, given)
        return msgspec.structs.replace(
            given,
            tags=None,
            actions_enabled=given.actions_enabled is not False,
            ok_actions=given.ok_actions or (),
            alarm_actions=given.alarm_actions or (),
            insufficient_data_actions=given.insufficient_data_actions or (),
        )

    def _check_rule(self, call: Call, given: cw.PutCompositeAlarmInput) -> None:
        if given.alarm_rule != given.alarm_rule.strip():
            raise validation("AlarmRule must not contain leading or trailing whitespace or be null")
        try:
            named = children(parse(given.alarm_rule))
        except RuleError as error:
            raise validation(f"Error in AlarmRule: {error}") from None
        self._must_exist(call, named, given.alarm_name, "in the alarm rule")
        own = alarm_arn(call.region, call.account, given.alarm_name)
        for name in named:
            parents = self._state.alarm_parents.parents(call.region, name)
            if len(parents) >= MAX_PARENTS and own not in parents:
                raise validation(f"{name} is in the rules of {MAX_PARENTS} composite alarms already.")

    def _check_suppressor(self, call: Call, given: cw.PutCompositeAlarmInput) -> None:
        periods = (given.actions_suppressor_wait_period, given.actions_suppressor_extension_period)
        if given.actions_suppressor is None:
            if any(period is not None for period in periods):
                raise validation(
                    "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod need an ActionsSuppressor."
                )
            return
        if any(period is None for period in periods):
            raise validation(
                "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod are required when ActionsSuppressor "
                "is specified."
            )
        if any(period is not None and period < 0 for period in periods):
            raise validation("ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod must not be negative.")
        name = name_of(given.actions_suppressor)
        if name == given.alarm_name:
            raise validation("A composite alarm cannot be its own ActionsSuppressor.")
        self._must_exist(call, (name,), given.alarm_name, "in the actions suppressor")

    def _must_exist(self, call: Call, names: Iterable[str], own: str, where: str) -> None:
        missing = [
            name for name in names if name != own and find_alarm(self._state, call.region, call.account, name) is None
        ]
        if missing:
            told = ", ".join(missing)
            raise validation(f"Could not save the composite alarm as alarms [{told}] {where} do not exist")
