"""Forgetting what hosts said that nobody can ask any more.

A host whose agent is connected withdraws what it said of a load balancer when it hears that it runs
nothing of it any more; nobody asks for it meanwhile.  A host whose agent is away withdraws nothing:
what it said goes when the load balancer has no interface on it any more, or when it has been away
for too long; it says everything again when it comes back.  That nothing is in flight to a target
that drains stays true: such a target got nothing new since.
"""

from __future__ import annotations

from openecs.control.balancer_hosts import BalancerHosts
from openecs.control.target_lookup import TargetLookup
from openecs.model.record import changed
from openecs.state.state import State
from openecs.state.store import Transaction


class LostViews:
    """Finds and forgets them, for one load balancer at a time."""

    def __init__(self, state: State, hosts: BalancerHosts) -> None:
        self._state = state
        self._hosts = hosts
        self._lookup = TargetLookup(state)

    def lost(self, load_balancer_arn: str) -> frozenset[str]:
        """The nodes that said something which counts no longer."""
        state = self._state
        said = {host.node_id for host in state.balancer_hosts.by("load_balancer", load_balancer_arn)}
        for group in state.balancer_usage.target_groups(load_balancer_arn):
            for health in state.target_health.by("target_group", group):
                said.update(node for node, view in health.views.items() if not view.drained)
        gone = said - self._lookup.hosts_of(load_balancer_arn)
        return frozenset(
            {node for node in gone if not self._hosts.connected(node)}
            | {node for node in said if self._hosts.is_lost(node)}
        )

    def forget(self, tx: Transaction, load_balancer_arn: str, nodes: frozenset[str]) -> None:
        """Forget what the nodes said of a load balancer and its targets."""
        state = self._state
        for host in state.balancer_hosts.by("load_balancer", load_balancer_arn):
            if host.node_id in nodes:
                tx.delete(host)
        for group in state.balancer_usage.target_groups(load_balancer_arn):
            for health in state.target_health.by("target_group", group):
                views = {n: view for n, view in health.views.items() if n not in nodes or view.drained}
                if len(views) < len(health.views):
                    tx.put(changed(health, views=views))
