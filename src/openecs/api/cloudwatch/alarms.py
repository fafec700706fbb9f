"""Alarms: put, describe, delete, set, enable and disable.  Evaluation is in ``openecs.control``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from openecs.api.cloudwatch.alarm_errors import combination, not_found, validation
from openecs.api.cloudwatch.alarm_records import AlarmRecords
from openecs.api.cloudwatch.alarm_rules import metric_alarm
from openecs.api.cloudwatch.alarm_view import child_view, composite_view, metric_view, parent_view
from openecs.control.alarm_changes import AlarmChanges, find_alarm
from openecs.errors import AWSError
from openecs.metrics.metric import dimensions
from openecs.model.alarm import CompositeAlarm, MetricAlarm, alarm_arn
from openecs.planning.alarms.configuration import Alarm
from openecs.planning.alarms.rule import children
from openecs.shapes import cloudwatch as cw
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 100


class Alarms:
    """The operations on alarms of both kinds, and PutMetricAlarm."""

    def __init__(self, state: State, pagination: Pagination, changes: AlarmChanges) -> None:
        self._state = state
        self._pagination = pagination
        self._changes = changes
        self._records = AlarmRecords(state, changes)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutMetricAlarm": self.put,
            "DescribeAlarms": self.describe,
            "DescribeAlarmsForMetric": self.describe_for_metric,
            "DeleteAlarms": self.delete,
            "SetAlarmState": self.set_state,
            "EnableAlarmActions": self.enable,
            "DisableAlarmActions": self.disable,
        }

    def put(self, call: Call, request: cw.PutMetricAlarmInput) -> None:
        """Create a metric alarm, or replace the settings of one and leave its state."""
        settings = metric_alarm(request, self._records.topics)
        existing = find_alarm(self._state, call.region, call.account, request.alarm_name)
        if isinstance(existing, CompositeAlarm):
            raise validation(f"{request.alarm_name} is a composite alarm; an alarm cannot become one of another kind.")
        alarm = existing or MetricAlarm(
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

    def describe(self, call: Call, request: cw.DescribeAlarmsInput) -> cw.DescribeAlarmsOutput:
        """Alarms by name, prefix, state and action, or the relatives of one."""
        if request.children_of_alarm_name is not None or request.parents_of_alarm_name is not None:
            return self._relatives(call, request)
        if request.alarm_names is not None and request.alarm_name_prefix is not None:
            raise combination("AlarmNamePrefix and AlarmNames cannot both be specified.")
        wanted: set[str] = {*(request.alarm_types or ("MetricAlarm",))}
        found = [alarm for alarm in self._of_types(call.region, wanted) if _matches(alarm, request)]
        shown, token = self._page(call, request, found)
        return cw.DescribeAlarmsOutput(
            composite_alarms=tuple(composite_view(alarm) for alarm in shown if isinstance(alarm, CompositeAlarm)),
            metric_alarms=tuple(metric_view(alarm) for alarm in shown if isinstance(alarm, MetricAlarm)),
            log_alarms=() if "LogAlarm" in wanted else None,
            next_token=token,
        )

    def describe_for_metric(
        self, call: Call, request: cw.DescribeAlarmsForMetricInput
    ) -> cw.DescribeAlarmsForMetricOutput:
        """The alarms on one metric; those on metric math are not among them."""
        wanted = dimensions({d.name: d.value for d in request.dimensions or ()})
        found = [
            alarm
            for alarm in self._of_types(call.region, {"MetricAlarm"})
            if isinstance(alarm, MetricAlarm)
            and (alarm.settings.namespace, alarm.settings.metric_name) == (request.namespace, request.metric_name)
            and dimensions({d.name: d.value for d in alarm.settings.dimensions or ()}) == wanted
            and all(
                getattr(request, name) in (None, getattr(alarm.settings, name))
                for name in ("statistic", "extended_statistic", "period", "unit")
            )
        ]
        return cw.DescribeAlarmsForMetricOutput(metric_alarms=tuple(metric_view(a) for a in sorted(found, key=_order)))

    def delete(self, call: Call, request: cw.DeleteAlarmsInput) -> None:
        """Forget alarms; names of none are passed over."""
        found = list(self._named(call, request.alarm_names))
        if sum(isinstance(alarm, CompositeAlarm) for alarm in found) > 1:
            raise validation("DeleteAlarms can delete at most one composite alarm at a time.")
        doomed = {alarm.arn for alarm in found}
        parents = self._state.alarm_parents
        for alarm in found:
            depending = {*parents.parents(call.region, alarm.name), *parents.suppressed(call.region, alarm.name)}
            # In a circle an alarm depends on itself, or on one that depends on it.
            if depending and (not depending <= doomed or alarm.arn in depending):
                names = ", ".join(sorted(arn.partition(":alarm:")[2] for arn in depending))
                message = f"Cannot delete {alarm.name} as there are primary alarm(s) depending on it: {names}"
                raise AWSError("ResourceConflict", message, status=409)
        with self._state.transaction() as tx:
            for alarm in found:
                self._records.delete(tx, alarm)

    def set_state(self, call: Call, request: cw.SetAlarmStateInput) -> None:
        """Give an alarm a state until it is evaluated again."""
        alarm = find_alarm(self._state, call.region, call.account, request.alarm_name)
        if alarm is None:
            raise not_found("alarm", request.alarm_name)
        data = request.state_reason_data or ""
        if data and not _is_json(data):
            raise AWSError("InvalidFormat", "StateReasonData must be JSON.")
        with self._state.transaction() as tx:
            self._changes.set_state(tx, alarm, request.state_value, request.state_reason, data, call.now)

    def enable(self, call: Call, request: cw.EnableAlarmActionsInput) -> None:
        """Let alarms act again."""
        self._switch(call, request.alarm_names, on=True)

    def disable(self, call: Call, request: cw.DisableAlarmActionsInput) -> None:
        """Keep alarms from acting."""
        self._switch(call, request.alarm_names, on=False)

    def _switch(self, call: Call, names: Iterable[str], *, on: bool) -> None:
        with self._state.transaction() as tx:
            for alarm in self._named(call, names):
                if (alarm.settings.actions_enabled is not False) != on:
                    settings = msgspec.structs.replace(alarm.settings, actions_enabled=on)
                    tx.put(msgspec.structs.replace(alarm, settings=settings, configured_at=call.now))

    def _relatives(self, call: Call, request: cw.DescribeAlarmsInput) -> cw.DescribeAlarmsOutput:
        others = (request.alarm_names, request.alarm_name_prefix, request.alarm_types, request.state_value)
        both = request.children_of_alarm_name is not None and request.parents_of_alarm_name is not None
        if both or request.action_prefix is not None or any(other is not None for other in others):
            raise validation(
                "ChildrenOfAlarmName and ParentsOfAlarmName can be specified with MaxRecords and NextToken only."
            )
        name = request.children_of_alarm_name or request.parents_of_alarm_name or ""
        alarm = find_alarm(self._state, call.region, call.account, name)
        if alarm is None:
            raise not_found("alarm", name)
        if request.parents_of_alarm_name is not None:
            arns = self._state.alarm_parents.parents(call.region, name)
            parents = [parent for arn in arns if (parent := self._state.composite_alarms.get(arn)) is not None]
            shown, token = self._page(call, request, parents)
            views = tuple(parent_view(parent) for parent in shown if isinstance(parent, CompositeAlarm))
            return cw.DescribeAlarmsOutput(composite_alarms=views, metric_alarms=(), next_token=token)
        named = children(self._state.alarm_parents.rule(alarm.arn)) if isinstance(alarm, CompositeAlarm) else ()
        shown, token = self._page(call, request, list(self._named(call, named)))
        found = [child_view(child) for child in shown]
        return cw.DescribeAlarmsOutput(
            composite_alarms=tuple(view for view in found if isinstance(view, cw.CompositeAlarm)),
            metric_alarms=tuple(view for view in found if isinstance(view, cw.MetricAlarm)),
            next_token=token,
        )

    def _page(
        self, call: Call, request: cw.DescribeAlarmsInput, found: Sequence[Alarm]
    ) -> tuple[Sequence[Alarm], str | None]:
        filters = msgspec.structs.replace(request, max_records=None, next_token=None)
        try:
            return self._pagination.paginate(
                sorted(found, key=_order),
                max_results=request.max_records,
                next_token=request.next_token,
                default=PAGE_SIZE,
                limit=PAGE_SIZE,
                scope=f"alarms:{call.region}:{msgspec.json.encode(filters).decode()}",
                key=_order,
                member="maxRecords",
            )
        except AWSError as error:
            raise AWSError("InvalidNextToken", error.message) from None

    def _of_types(self, region: str, wanted: set[str]) -> Iterator[Alarm]:
        if "CompositeAlarm" in wanted:
            yield from self._state.composite_alarms.by("region", region)
        if "MetricAlarm" in wanted:
            yield from self._state.metric_alarms.by("region", region)

    def _named(self, call: Call, names: Iterable[str]) -> Iterator[Alarm]:
        """The alarms that there are of some names, each once."""
        for name in dict.fromkeys(names):
            alarm = find_alarm(self._state, call.region, call.account, name)
            if alarm is not None:
                yield alarm


def _matches(alarm: Alarm, request: cw.DescribeAlarmsInput) -> bool:
    settings = alarm.settings
    if request.alarm_names is not None and alarm.name not in request.alarm_names:
        return False
    if request.alarm_name_prefix is not None and not alarm.name.startswith(request.alarm_name_prefix):
        return False
    if request.state_value not in (None, alarm.state):
        return False
    actions = (
        *(settings.ok_actions or ()),
        *(settings.alarm_actions or ()),
        *(settings.insufficient_data_actions or ()),
    )
    return request.action_prefix is None or any(action.startswith(request.action_prefix) for action in actions)


def _order(alarm: Alarm) -> tuple[str, str]:
    """Composite alarms come first."""
    return ("composite" if isinstance(alarm, CompositeAlarm) else "metric", alarm.name)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
