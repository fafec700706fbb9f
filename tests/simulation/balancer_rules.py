"""What must hold of the load balancer whenever something is committed: where it lives, what its rules say.

An interface lives on one host, one that can run it and hears of it, and moves when that host is
gone.  What hosts said counts while they have an interface.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simulated_balancer import BALANCER

from openecs.model import balancer_arns
from openecs.model.host import Host
from openecs.model.load_balancer import BalancerHost, Listener
from openecs.model.network_interface import Interface
from openecs.model.target_group import TargetHealth
from openecs.shapes import elbv2
from openecs.state.journal.protocol import Change
from openecs.state.state import State

if TYPE_CHECKING:
    from invariants import Checker
    from simulated_node import Node

#: Seconds after which the interfaces of a host whose agent is away live on another one.
AWAY_LIMIT = 30.0
#: Seconds that this may take.
_SOON = 5.0


class BalancerRules:
    """The load balancer as committed."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.interfaces: dict[str, Interface] = {}
        self._said: dict[str, BalancerHost] = {}
        self._hosts: dict[str, Host] = {}
        #: Node → since when its agent is away.
        self._away: dict[str, float] = {}
        #: Node → since when its agent is here.
        self._here: dict[str, float] = {}
        #: Rule → what it does; a listener's own actions are those of its default rule.
        self._actions: dict[str, tuple[elbv2.Action, ...]] = {}
        self._state = ""

    def loaded(self, state: State) -> None:
        self.interfaces = {i.id: i for i in state.interfaces if i.owner_arn == BALANCER}
        self._said = {host.key: host for host in state.balancer_hosts}
        self._hosts = {host.node_id: host for host in state.hosts}
        now = self._checker.now()
        self._away = {node.id: now for node in state.nodes if not node.agent_connected}
        self._here = {node.id: now for node in state.nodes if node.agent_connected}
        self._actions = {_rule_of(listener): listener.default_actions for listener in state.listeners}
        self._actions |= {rule.arn: rule.actions for rule in state.listener_rules}
        balancer = state.load_balancers.get(BALANCER)
        self._state = balancer.state if balancer is not None else ""

    def take(self, changes: list[Change]) -> dict[str, tuple[elbv2.Action, ...]]:
        """Take a commit in; returns the rules that changed with what they did before."""
        before: dict[str, tuple[elbv2.Action, ...]] = {}
        moved: list[tuple[Interface | None, Interface]] = []
        for change in changes:
            record: Any = change.record
            if change.table == "interface":
                if record is not None:
                    moved.append((self.interfaces.get(change.key), record))
                _set(self.interfaces, change.key, record)
            elif change.table == "balancer_host":
                _set(self._said, change.key, record)
            elif change.table == "host":
                _set(self._hosts, change.key, record)
            elif change.table == "node":
                self._node(change.key, record)
            elif change.table in ("listener", "listener_rule") and record is not None:
                rule = _rule_of(record) if change.table == "listener" else record.arn
                before[rule] = self._actions.get(rule, ())
                self._actions[rule] = record.default_actions if change.table == "listener" else record.actions
            elif change.table == "load_balancer" and record is not None and record.state != self._state:
                self._state = record.state
                self._checker.trace(f"the load balancer is {record.state}: {record.reason}")
        for old, new in moved:
            self._moved(old, new)
        self._overdue()
        return before

    def homes(self) -> frozenset[str]:
        """The nodes on which it has interfaces."""
        return frozenset(i.node_id for i in self.interfaces.values() if i.node_id is not None)

    def ready(self) -> frozenset[str]:
        """Those of them that say that they run it."""
        return frozenset(said.node_id for said in self._said.values() if said.ready) & self.homes()

    def weights(self, rule: str) -> dict[str, int]:
        """What a rule gives to target groups."""
        return weights(self._actions.get(rule, ()))

    def _node(self, node_id: str, record: Any) -> None:
        if record is None or record.agent_connected:
            self._away.pop(node_id, None)
        else:
            self._away.setdefault(node_id, self._checker.now())
        if record is not None and record.agent_connected:
            self._here.setdefault(node_id, self._checker.now())
        else:
            self._here.pop(node_id, None)

    def _moved(self, old: Interface | None, new: Interface) -> None:
        was = old.node_id if old is not None else None
        if new.node_id == was:
            return
        self._checker.trace(f"{new.id} moves from {was} to {new.node_id}")
        if not self._checker.clocks_are_right():
            return
        wrong = self._checker.wrong
        away = self._checker.now() - self._away[was] if was in self._away else 0.0
        if was in self._checker.nodes and not self._unable(was) and away < AWAY_LIMIT:
            wrong(f"{new.id} left {was}, which was away for {away:g} s")
        if new.node_id is None:
            return
        node = self._checker.nodes.get(new.node_id)
        if node is None or not node.agent_connected:
            wrong(f"{new.id} moved to {new.node_id}, whose agent is not connected")
        elif self._unable(new.node_id):
            wrong(f"{new.id} moved to {new.node_id}, which runs no load balancers")

    def _overdue(self) -> None:
        """Nothing stays on a host that is away while another one could have it."""
        if not self._checker.clocks_are_right():
            return
        now = self._checker.now()
        for interface in self.interfaces.values():
            away = now - self._away.get(interface.node_id or "", now)
            if away < AWAY_LIMIT + _SOON:
                continue
            if any(now - since > _SOON and not self._unable(node) for node, since in self._here.items()):
                self._checker.wrong(f"{interface.id} is still on {interface.node_id}, which is away for {away:g} s")

    def _unable(self, node_id: str | None) -> bool:
        host = self._hosts.get(node_id or "")
        return host is None or host.balancer_problem != ""

    # -- once everything is quiet ---------------------------------------------------------

    def left(self, serving: Iterable[Node], health: Iterable[TargetHealth]) -> str | None:
        """What is still to come of it; ``serving``: the machines that there are."""
        nodes = {node.node_id: node for node in serving}
        homes = self.homes()
        for interface in self.interfaces.values():
            node = nodes.get(interface.node_id or "")
            if node is None or node.balancer_problem:
                return f"{interface.id} lives on {node.name if node else interface.node_id}"
        if self._state != "active":
            return f"the load balancer is {self._state}"
        said = {one.node_id: one for one in self._said.values()}
        if said.keys() != homes:
            return f"the load balancer lives on {sorted(homes)}, and {sorted(said)} speak of it"
        for name, node in nodes.items():
            document = node.serves.get(BALANCER)
            if (document is None) != (name not in homes):
                return f"{node.name} {'serves nothing' if document is None else 'still serves'}"
            if document is not None and (not said[name].ready or said[name].applied != document.revision):
                return f"{node.name} serves {document.revision} and is known as {said[name]}"
        for one in health:
            if one.views.keys() != homes:
                return f"{one.key} is seen by {sorted(one.views)}, and the load balancer lives on {sorted(homes)}"
        return None


def weights(actions: tuple[elbv2.Action, ...]) -> dict[str, int]:
    """What actions give to target groups; one that is alone gets everything."""
    for action in actions:
        if action.forward_config is not None and action.forward_config.target_groups:
            return {g.target_group_arn or "": g.weight or 0 for g in action.forward_config.target_groups}
        if action.target_group_arn:
            return {action.target_group_arn: 100}
    return {}


def _rule_of(listener: Listener) -> str:
    return balancer_arns.default_rule(listener.arn)


def _set(records: dict[str, Any], key: str, record: Any) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record
