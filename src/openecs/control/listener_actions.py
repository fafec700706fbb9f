"""What a listener rule does, found by what users name: a rule, a listener's default rule, a listener."""

from __future__ import annotations

import msgspec

from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, ListenerRule
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.state.store import Transaction


def find(state: State, arn: str) -> Listener | ListenerRule | None:
    """The rule, or the listener whose default actions are meant; ``None``: there is none."""
    kind = balancer_arns.kind_of(arn)
    if kind == "listener":
        return state.listeners.get(arn)
    if kind != "listener-rule":
        return None
    listener = balancer_arns.listener_of_rule(arn)
    if balancer_arns.default_rule(listener) == arn:
        return state.listeners.get(listener)
    return state.listener_rules.get(arn)


def actions_at(state: State, arn: str) -> tuple[elbv2.Action, ...] | None:
    """The actions of a rule, or the default ones of a listener; ``None``: there is none."""
    found = find(state, arn)
    if found is None:
        return None
    return found.default_actions if isinstance(found, Listener) else found.actions


def put_actions(state: State, tx: Transaction, arn: str, actions: tuple[elbv2.Action, ...]) -> None:
    """Replace them.  There has to be such a rule or listener."""
    found = find(state, arn)
    if isinstance(found, Listener):
        tx.put(msgspec.structs.replace(found, default_actions=actions))
    elif found is not None:
        tx.put(msgspec.structs.replace(found, actions=actions))
