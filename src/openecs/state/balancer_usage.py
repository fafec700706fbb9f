"""Which load balancer uses a target group or a certificate.

Derived from listeners and rules as they change and never stored.  A target group is used by one
load balancer at most (as on AWS); a certificate by any number of listeners.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, ListenerRule
from openecs.shapes import elbv2


class BalancerUsage:
    """Sums over listeners and rules; the methods ``…_changed`` are the tables' watchers."""

    def __init__(self) -> None:
        #: Target group → load balancer → listeners and rules that name it.
        self._groups: dict[str, Counter[str]] = {}
        #: Load balancer → target groups.
        self._by_balancer: dict[str, Counter[str]] = {}
        #: Certificate → listeners.
        self._certificates: dict[str, dict[str, None]] = {}

    def load_balancers(self, target_group_arn: str) -> tuple[str, ...]:
        """ARNs of the load balancers that use a target group: one or none."""
        return tuple(self._groups.get(target_group_arn, ()))

    def load_balancer(self, target_group_arn: str) -> str | None:
        """ARN of the load balancer that uses a target group."""
        return next(iter(self._groups.get(target_group_arn, ())), None)

    def target_groups(self, load_balancer_arn: str) -> tuple[str, ...]:
        """ARNs of the target groups that a load balancer uses."""
        return tuple(self._by_balancer.get(load_balancer_arn, ()))

    def listeners(self, certificate_arn: str) -> tuple[str, ...]:
        """ARNs of the listeners that have a certificate."""
        return tuple(self._certificates.get(certificate_arn, ()))

    def listener_changed(self, old: Listener | None, new: Listener | None) -> None:
        """Take one replacement of a listener into account."""
        for listener, by in ((old, -1), (new, 1)):
            if listener is not None:
                self._count(listener.load_balancer_arn, named_groups(listener.default_actions), by)
        if old is not None:
            for arn in set(old.certificates):
                users = self._certificates[arn]
                users.pop(old.arn, None)
                if not users:
                    del self._certificates[arn]
        if new is not None:
            for arn in new.certificates:
                self._certificates.setdefault(arn, {})[new.arn] = None

    def rule_changed(self, old: ListenerRule | None, new: ListenerRule | None) -> None:
        """Take one replacement of a rule into account."""
        for rule, by in ((old, -1), (new, 1)):
            if rule is not None:
                self._count(balancer_arns.load_balancer_of(rule.arn), named_groups(rule.actions), by)

    def _count(self, load_balancer_arn: str, groups: Iterable[str], by: int) -> None:
        for group in groups:
            _add(self._groups, group, load_balancer_arn, by)
            _add(self._by_balancer, load_balancer_arn, group, by)


def named_groups(actions: Iterable[elbv2.Action]) -> tuple[str, ...]:
    """The target groups that actions forward to, each once."""
    found: dict[str, None] = {}
    for action in actions:
        if action.target_group_arn:
            found[action.target_group_arn] = None
        for group in (action.forward_config.target_groups or ()) if action.forward_config else ():
            if group.target_group_arn:
                found[group.target_group_arn] = None
    return tuple(found)


def _add(table: dict[str, Counter[str]], key: str, what: str, by: int) -> None:
    counts = table.setdefault(key, Counter())
    counts[what] += by
    if not counts[what]:
        del counts[what]
    if not counts:
        del table[key]
