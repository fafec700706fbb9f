"""Finding buses and rules that a request names."""

from __future__ import annotations

from openecs.api.events import errors
from openecs.arn import parse
from openecs.model.event_rule import DEFAULT_BUS, EventBus, EventRule, bus_arn, rule_arn
from openecs.state.state import State
from openecs.wire.call import Call


def bus_name(state: State, call: Call, given: str | None) -> str:
    """The name of the bus that is given by name or ARN, the default one without; raises when it is not there."""
    name = given or DEFAULT_BUS
    if name.startswith("arn:"):
        parsed = parse(name)
        if parsed is None or (parsed.region, parsed.account) != (call.region, call.account):
            raise errors.bus_not_found(name)
        name = parsed.resource.partition("/")[2]
    if name != DEFAULT_BUS and bus_arn(call.region, call.account, name) not in state.event_buses:
        raise errors.bus_not_found(name)
    return name


def bus(state: State, call: Call, name: str) -> EventBus:
    """The record of a bus that exists; the default bus has one without being in the table."""
    arn = bus_arn(call.region, call.account, name)
    found = state.event_buses.get(arn)
    if found is None and name != DEFAULT_BUS:
        raise errors.bus_not_found(name)
    return found or EventBus(arn=arn, region=call.region, name=name, created_at=0.0, modified_at=0.0)


def rule(state: State, call: Call, name: str, given_bus: str | None) -> EventRule:
    """The rule of that name; raises when bus or rule are not there."""
    on = bus_name(state, call, given_bus)
    found = state.event_rules.get(rule_arn(call.region, call.account, on, name))
    if found is None:
        raise errors.rule_not_found(name, on)
    return found
