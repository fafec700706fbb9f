"""Rules of listeners: create, describe, modify, delete and reorder."""

from __future__ import annotations

from openecs.api.elbv2 import errors, limits, tag_store
from openecs.api.elbv2.actions import checked_actions
from openecs.api.elbv2.conditions import checked_conditions, checked_transforms
from openecs.api.elbv2.lookup import Lookup, only_one
from openecs.api.elbv2.paging import Pages
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, ListenerRule
from openecs.model.record import changed
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

#: Sorts the default rule, which has no number, behind all others.
_LAST = 10**6


class Rules:
    """The operations on rules."""

    def __init__(self, state: State, pages: Pages) -> None:
        self._state = state
        self._pages = pages
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateRule": self.create,
            "DescribeRules": self.describe,
            "ModifyRule": self.modify,
            "DeleteRule": self.delete,
            "SetRulePriorities": self.set_priorities,
        }

    def create(self, call: Call, request: elbv2.CreateRuleInput) -> elbv2.CreateRuleOutput:
        """Make a rule."""
        state = self._state
        listener = self._lookup.listener(call, request.listener_arn)
        balancer = self._lookup.load_balancer(call, listener.load_balancer_arn)
        if balancer.type == "network":
            raise errors.not_supported("Rules of network load balancers (there is no IPv6 to tell from IPv4) are")
        conditions = checked_conditions(request.conditions)
        transforms = checked_transforms(request.transforms)
        actions = checked_actions(self._lookup, call, balancer, listener.protocol, request.actions)
        siblings = state.listener_rules.by("listener", listener.arn)
        if any(rule.priority == request.priority for rule in siblings):
            raise _priority_in_use(request.priority)
        others = sum(
            state.listener_rules.count("listener", each.arn)
            for each in state.listeners.by("load_balancer", balancer.arn)
        )
        if others >= limits.RULES:
            raise errors.too_many("TooManyRules", limits.RULES, "rules of a load balancer")
        tags = tag_store.checked(request.tags)
        rule = ListenerRule(
            arn=balancer_arns.rule(listener.arn, call.ids.hex32()[:16]),
            region=call.region,
            listener_arn=listener.arn,
            priority=request.priority,
            conditions=conditions,
            actions=actions,
            transforms=transforms,
        )
        with state.transaction() as tx:
            tx.put(rule)
            tag_store.add(tx, state, rule.arn, tags)
        return elbv2.CreateRuleOutput(rules=(rule_view(rule),))

    def describe(self, call: Call, request: elbv2.DescribeRulesInput) -> elbv2.DescribeRulesOutput:
        """The rules of a listener in their order, the default one last, or those that are named."""
        only_one(ListenerArn=request.listener_arn, RuleArns=request.rule_arns)
        found: list[ListenerRule | Listener]
        if request.listener_arn:
            listener = self._lookup.listener(call, request.listener_arn)
            found = [*self._state.listener_rules.by("listener", listener.arn), listener]
        elif request.rule_arns:
            found = [self._lookup.rule(call, arn) for arn in dict.fromkeys(request.rule_arns)]
        else:
            raise errors.validation_error("You must specify either a listener ARN or rule ARNs")
        scope = f"rules/{call.region}/{request.listener_arn or ''}"
        page, marker = self._pages.page(sorted(found, key=_place), request.page_size, request.marker, scope, _place)
        return elbv2.DescribeRulesOutput(rules=tuple(rule_view(rule) for rule in page), next_marker=marker)

    def modify(self, call: Call, request: elbv2.ModifyRuleInput) -> elbv2.ModifyRuleOutput:
        """Change a rule; what is not given stays."""
        old = self._lookup.rule(call, request.rule_arn)
        if isinstance(old, Listener):
            raise errors.not_permitted(f"Default rule '{request.rule_arn}' cannot be modified")
        if request.reset_transforms and request.transforms:
            raise errors.validation_error("'Transforms' and 'ResetTransforms' cannot be specified at the same time")
        listener = self._lookup.listener(call, old.listener_arn)
        balancer = self._lookup.load_balancer(call, listener.load_balancer_arn)
        new = old
        if request.conditions is not None:
            new = changed(new, conditions=checked_conditions(request.conditions))
        if request.actions is not None:
            actions = checked_actions(self._lookup, call, balancer, listener.protocol, request.actions)
            new = changed(new, actions=actions)
        if request.transforms or request.reset_transforms:
            new = changed(new, transforms=checked_transforms(request.transforms))
        with self._state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyRuleOutput(rules=(rule_view(new),))

    def delete(self, call: Call, request: elbv2.DeleteRuleInput) -> elbv2.DeleteRuleOutput:
        """Delete a rule."""
        rule = self._lookup.rule(call, request.rule_arn)
        if isinstance(rule, Listener):
            raise errors.not_permitted(f"Default rule '{request.rule_arn}' cannot be deleted")
        with self._state.transaction() as tx:
            tx.delete(rule)
            tag_store.forget(tx, self._state, rule.arn)
        return elbv2.DeleteRuleOutput()

    def set_priorities(self, call: Call, request: elbv2.SetRulePrioritiesInput) -> elbv2.SetRulePrioritiesOutput:
        """Give several rules of one listener other priorities at once."""
        wanted: dict[str, int] = {}
        rules: list[ListenerRule] = []
        for pair in request.rule_priorities:
            rule = self._lookup.rule(call, pair.rule_arn or "")
            if isinstance(rule, Listener):
                raise errors.not_permitted(f"The priority of the default rule '{pair.rule_arn}' cannot be set")
            if pair.priority is None or rule.arn in wanted:
                raise errors.validation_error("Each rule must be specified once, with a priority")
            wanted[rule.arn] = pair.priority
            rules.append(rule)
        if len({rule.listener_arn for rule in rules}) != 1:
            raise errors.validation_error("You must specify rules of one listener")
        taken = {
            rule.priority
            for rule in self._state.listener_rules.by("listener", rules[0].listener_arn)
            if rule.arn not in wanted
        }
        for priority in wanted.values():
            if priority in taken:
                raise _priority_in_use(priority)
            taken.add(priority)
        updated = [changed(rule, priority=wanted[rule.arn]) for rule in rules]
        with self._state.transaction() as tx:
            for rule in updated:
                tx.put(rule)
        return elbv2.SetRulePrioritiesOutput(rules=tuple(rule_view(rule) for rule in updated))


def rule_view(rule: ListenerRule | Listener) -> elbv2.Rule:
    """One rule as the API shows it; a listener stands for its default rule."""
    if isinstance(rule, Listener):
        return elbv2.Rule(
            rule_arn=balancer_arns.default_rule(rule.arn),
            priority="default",
            conditions=(),
            actions=rule.default_actions,
            is_default=True,
            transforms=(),
        )
    return elbv2.Rule(
        rule_arn=rule.arn,
        priority=str(rule.priority),
        conditions=rule.conditions,
        actions=rule.actions,
        is_default=False,
        transforms=rule.transforms,
    )


def _place(rule: ListenerRule | Listener) -> tuple[int, str]:
    return (_LAST, rule.arn) if isinstance(rule, Listener) else (rule.priority, rule.arn)


def _priority_in_use(priority: int) -> AWSError:
    return AWSError("PriorityInUse", f"Priority '{priority}' is currently in use")
