"""Mute rules of alarms: put, get, list, delete."""

from __future__ import annotations

import msgspec

from openecs.api.cloudwatch.alarm_errors import validation
from openecs.api.cloudwatch.alarm_records import tags_of
from openecs.control.alarm_changes import find_alarm
from openecs.errors import AWSError
from openecs.model.alarm import AlarmMuteRule
from openecs.model.tags import ResourceTags
from openecs.planning.alarms.mute import parse_mute, read
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.shapes import cloudwatch as cw
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE, LARGEST_PAGE = 50, 100


class AlarmMuteRules:
    """The operations on mute rules."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutAlarmMuteRule": self.put,
            "GetAlarmMuteRule": self.get,
            "ListAlarmMuteRules": self.list_rules,
            "DeleteAlarmMuteRule": self.delete,
        }

    def put(self, call: Call, request: cw.PutAlarmMuteRuleInput) -> None:
        """Create a rule or replace one."""
        try:
            parse_mute(request.rule.schedule, request.start_date, request.expire_date)
        except InvalidScheduleError as error:
            raise validation(str(error)) from None
        start, expire = request.start_date, request.expire_date
        if expire is not None and expire <= (call.now if start is None else start):
            raise validation("ExpireDate must be after StartDate, and in the future.")
        targets = request.mute_targets.alarm_names if request.mute_targets is not None else ()
        missing = [name for name in targets if find_alarm(self._state, call.region, call.account, name) is None]
        if missing:
            raise validation(f"The alarms [{', '.join(missing)}] do not exist.")
        arn = _arn(call, request.name)
        tags = tags_of(request.tags or ()) if arn not in self._state.alarm_mute_rules else ()
        with self._state.transaction() as tx:
            if tags:
                tx.put(ResourceTags(arn=arn, tags=tags))
            tx.put(
                AlarmMuteRule(
                    arn=arn,
                    region=call.region,
                    name=request.name,
                    rule=request.rule,
                    description=request.description,
                    targets=targets,
                    start_date=start,
                    expire_date=expire,
                    updated_at=call.now,
                )
            )

    def get(self, call: Call, request: cw.GetAlarmMuteRuleInput) -> cw.GetAlarmMuteRuleOutput:
        """One rule in full."""
        rule = self._state.alarm_mute_rules.get(_arn(call, request.alarm_mute_rule_name))
        if rule is None:
            raise AWSError(
                "ResourceNotFoundException",
                f"The alarm mute rule {request.alarm_mute_rule_name} does not exist.",
                status=404,
                members={"ResourceType": "AlarmMuteRule", "ResourceId": request.alarm_mute_rule_name},
            )
        mute = read(rule)
        return cw.GetAlarmMuteRuleOutput(
            name=rule.name,
            alarm_mute_rule_arn=rule.arn,
            description=rule.description,
            rule=rule.rule,
            mute_targets=cw.MuteTargets(alarm_names=rule.targets) if rule.targets else None,
            start_date=rule.start_date,
            expire_date=rule.expire_date,
            status=mute.status(call.now),
            last_updated_timestamp=rule.updated_at,
            mute_type=mute.kind,
        )

    def list_rules(self, call: Call, request: cw.ListAlarmMuteRulesInput) -> cw.ListAlarmMuteRulesOutput:
        """Rules by target and status."""
        found = []
        for rule in sorted(self._state.alarm_mute_rules.by("region", call.region), key=_name):
            mute = read(rule)
            status = mute.status(call.now)
            wanted = request.alarm_name is None or request.alarm_name in rule.targets
            if wanted and (not request.statuses or status in request.statuses):
                found.append((rule, mute.kind, status))
        filters = msgspec.structs.replace(request, max_records=None, next_token=None)
        try:
            page, token = self._pagination.paginate(
                found,
                max_results=request.max_records,
                next_token=request.next_token,
                default=PAGE_SIZE,
                limit=LARGEST_PAGE,
                scope=f"alarm-mute-rules:{call.region}:{msgspec.json.encode(filters).decode()}",
                key=lambda item: item[0].name,
                member="maxRecords",
            )
        except AWSError as error:
            raise AWSError("InvalidNextToken", error.message) from None
        return cw.ListAlarmMuteRulesOutput(
            alarm_mute_rule_summaries=tuple(
                cw.AlarmMuteRuleSummary(
                    alarm_mute_rule_arn=rule.arn,
                    expire_date=rule.expire_date,
                    status=status,
                    mute_type=kind,
                    last_updated_timestamp=rule.updated_at,
                )
                for rule, kind, status in page
            ),
            next_token=token,
        )

    def delete(self, call: Call, request: cw.DeleteAlarmMuteRuleInput) -> None:
        """Forget a rule, if there is one; what it held back follows."""
        rule = self._state.alarm_mute_rules.get(_arn(call, request.alarm_mute_rule_name))
        if rule is None:
            return
        tags = self._state.tags.get(rule.arn)
        with self._state.transaction() as tx:
            if tags is not None:
                tx.delete(tags)
            tx.delete(rule)


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:cloudwatch:{call.region}:{call.account}:alarm-mute-rule:{name}"


def _name(rule: AlarmMuteRule) -> str:
    return rule.name
