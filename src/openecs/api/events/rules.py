"""Rules: what they match or when they fire."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.events import errors
from openecs.api.events.lookup import bus_name, rule
from openecs.api.events.pages import page
from openecs.api.events.patterns import check_pattern
from openecs.api.events.tagging import forget_tags, put_tags
from openecs.model.event_rule import DEFAULT_BUS, EventRule, rule_arn
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import parse
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Rules of one bus.
MAX_RULES = 300


class Rules:
    """The operations on rules."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutRule": self.put,
            "DescribeRule": self.describe,
            "ListRules": self.list_all,
            "ListRuleNamesByTarget": self.list_by_target,
            "EnableRule": self.enable,
            "DisableRule": self.disable,
            "DeleteRule": self.delete,
        }

    def put(self, call: Call, request: events.PutRuleRequest) -> events.PutRuleResponse:
        """Make a rule, or put another in the place of one; its targets stay."""
        bus = bus_name(self._state, call, request.event_bus_name)
        _check(request, bus)
        arn = rule_arn(call.region, call.account, bus, request.name)
        known = self._state.event_rules.get(arn)
        if known is None and self._state.event_rules.count("bus", (call.region, bus)) >= MAX_RULES:
            raise errors.limit_exceeded()
        made = EventRule(
            arn=arn,
            region=call.region,
            name=request.name,
            bus_name=bus,
            state="DISABLED" if request.state == "DISABLED" else "ENABLED",
            created_at=known.created_at if known else call.now,
            modified_at=call.now,
            event_pattern=request.event_pattern or None,
            schedule_expression=request.schedule_expression or None,
            description=request.description,
            role_arn=request.role_arn,
            created_by=known.created_by if known else call.account,
            targets=known.targets if known else (),
        )
        with self._state.transaction() as tx:
            tx.put(made)
            # As on AWS tags come only with a new rule.
            if request.tags and known is None:
                put_tags(self._state, tx, arn, request.tags)
        return events.PutRuleResponse(rule_arn=arn)

    def describe(self, call: Call, request: events.DescribeRuleRequest) -> events.DescribeRuleResponse:
        """One rule."""
        found = rule(self._state, call, request.name, request.event_bus_name)
        return events.DescribeRuleResponse(**_members(found), created_by=found.created_by)

    def list_all(self, call: Call, request: events.ListRulesRequest) -> events.ListRulesResponse:
        """The rules of a bus, by name."""
        bus = bus_name(self._state, call, request.event_bus_name)
        prefix = request.name_prefix or ""
        known = {found.name: found for found in self._state.event_rules.by("bus", (call.region, bus))}
        names, token = page(
            self._pagination,
            (name for name in known if name.startswith(prefix)),
            request,
            f"ListRules/{call.region}/{bus}/{prefix}",
        )
        return events.ListRulesResponse(
            rules=tuple(events.Rule(**_members(known[name])) for name in names), next_token=token
        )

    def list_by_target(
        self, call: Call, request: events.ListRuleNamesByTargetRequest
    ) -> events.ListRuleNamesByTargetResponse:
        """Which rules of a bus have a target."""
        bus = bus_name(self._state, call, request.event_bus_name)
        names, token = page(
            self._pagination,
            (
                found.name
                for found in self._state.event_rules.by("bus", (call.region, bus))
                if any(target.arn == request.target_arn for target in found.targets)
            ),
            request,
            f"ListRuleNamesByTarget/{call.region}/{bus}/{request.target_arn}",
        )
        return events.ListRuleNamesByTargetResponse(rule_names=tuple(names), next_token=token)

    def enable(self, call: Call, request: events.EnableRuleRequest) -> None:
        """Have a rule match and fire again."""
        self._set_state(rule(self._state, call, request.name, request.event_bus_name), "ENABLED", call.now)

    def disable(self, call: Call, request: events.DisableRuleRequest) -> None:
        """Have a rule match and fire no more."""
        self._set_state(rule(self._state, call, request.name, request.event_bus_name), "DISABLED", call.now)

    def delete(self, call: Call, request: events.DeleteRuleRequest) -> None:
        """Delete a rule without targets; one that is not there is no error."""
        bus = bus_name(self._state, call, request.event_bus_name)
        found = self._state.event_rules.get(rule_arn(call.region, call.account, bus, request.name))
        if found is None:
            return
        if found.targets:
            raise errors.invalid("Rule can't be deleted since it has targets.")
        with self._state.transaction() as tx:
            tx.delete(found)
            forget_tags(self._state, tx, found.arn)

    def _set_state(self, found: EventRule, state: str, now: float) -> None:
        if found.state != state:
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(found, state=state, modified_at=now))


def _check(request: events.PutRuleRequest, bus: str) -> None:
    if not request.event_pattern and not request.schedule_expression:
        raise errors.invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if request.state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
        raise errors.not_supported("The state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
    if request.schedule_expression:
        if bus != DEFAULT_BUS:
            raise errors.invalid("ScheduleExpression is supported only on the default event bus.")
        try:
            parse(request.schedule_expression, one_time=False, strict_units=True)
        except InvalidScheduleError:
            raise errors.invalid("Parameter ScheduleExpression is not valid.") from None
    if request.event_pattern:
        check_pattern(request.event_pattern)


def _members(found: EventRule) -> dict[str, Any]:
    """What ListRules and DescribeRule show alike."""
    return {
        "name": found.name,
        "arn": found.arn,
        "event_pattern": found.event_pattern,
        "schedule_expression": found.schedule_expression,
        "state": found.state,
        "description": found.description,
        "role_arn": found.role_arn,
        "event_bus_name": found.bus_name,
    }
