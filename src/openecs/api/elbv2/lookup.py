"""Finds load balancers, listeners, rules and target groups by what callers name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from openecs.api.elbv2 import errors
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, ListenerRule, LoadBalancer
from openecs.model.target_group import TargetGroup
from openecs.state.state import State
from openecs.state.table import Table
from openecs.wire.call import Call


class _Regional(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def region(self) -> str: ...


R = TypeVar("R", bound=_Regional)


class Lookup:
    """Looks resources of the caller's region up; raises AWS's refusal for those that are not there."""

    def __init__(self, state: State) -> None:
        self.state = state

    def load_balancer(self, call: Call, arn: str) -> LoadBalancer:
        """The load balancer of this ARN."""
        return _found(call, self.state.load_balancers, arn, "loadbalancer", errors.load_balancer_not_found)

    def listener(self, call: Call, arn: str) -> Listener:
        """The listener of this ARN."""
        return _found(call, self.state.listeners, arn, "listener", errors.listener_not_found)

    def target_group(self, call: Call, arn: str) -> TargetGroup:
        """The target group of this ARN."""
        return _found(call, self.state.target_groups, arn, "targetgroup", errors.target_group_not_found)

    def rule(self, call: Call, arn: str) -> ListenerRule | Listener:
        """The rule of this ARN; for a default rule its listener."""
        _require(arn, "listener-rule")
        owner = self.state.listeners.get(balancer_arns.listener_of_rule(arn))
        if owner is not None and arn == balancer_arns.default_rule(owner.arn) and owner.region == call.region:
            return owner
        return _found(call, self.state.listener_rules, arn, "listener-rule", errors.rule_not_found)

    def exists(self, call: Call, arn: str) -> None:
        """Raise unless a resource has this ARN, whatever its kind."""
        match balancer_arns.kind_of(arn):
            case "loadbalancer":
                self.load_balancer(call, arn)
            case "listener":
                self.listener(call, arn)
            case "listener-rule":
                self.rule(call, arn)
            case "targetgroup":
                self.target_group(call, arn)
            case _:
                raise errors.validation_error(f"'{arn}' is not a valid ARN of a load balancing resource")


def only_one(**given: object) -> None:
    """Raise unless at most one of the members was given."""
    names = [name for name, value in given.items() if value]
    if len(names) > 1:
        words = " and ".join(f"'{name}'" for name in names)
        raise errors.validation_error(f"{words} cannot be specified at the same time")


def ordered(records: Sequence[R]) -> list[R]:
    """The records by ARN, for pages."""
    return sorted(records, key=lambda record: record.key)


def _found(call: Call, table: Table[R], arn: str, kind: str, missing: Callable[[], AWSError]) -> R:
    _require(arn, kind)
    record = table.get(arn)
    if record is None or record.region != call.region:
        raise missing()
    return record


def _require(arn: str, kind: str) -> None:
    if balancer_arns.kind_of(arn) != kind:
        raise errors.validation_error(f"'{arn}' is not a valid {_NOUNS[kind]} ARN")


_NOUNS = {
    "loadbalancer": "load balancer",
    "listener": "listener",
    "listener-rule": "listener rule",
    "targetgroup": "target group",
}
