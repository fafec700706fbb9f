"""The hosts of load balancers: which can run them, which are away and since when.

How long an agent has been away is remembered by this process alone: after a start of the control
plane every host has its time to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from openecs.clock import Clock
from openecs.model.node import Node
from openecs.planning.balancer_places import BalancerPlace
from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds after which the interfaces of a host whose agent is away move to another host, and what it said
#: counts no longer.
AWAY_LIMIT = 30.0


class BalancerHosts:
    """Looks hosts up for load balancers."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        now = clock.now()
        #: Node → since when its agent is not connected.
        self._away = {node.id: now for node in state.nodes if not node.agent_connected}
        state.store.subscribe("node", self._node_changed)

    def places(self, load_balancer_arn: str) -> tuple[BalancerPlace, ...]:
        """Every host, as a place for the interfaces of one load balancer."""
        state = self._state
        others: Counter[str] = Counter(
            interface.node_id
            for interface in state.interfaces
            if interface.node_id is not None and interface.owner_arn not in (None, load_balancer_arn)
        )
        return tuple(
            BalancerPlace(
                node_id=node.id,
                availability_zone=node.availability_zone or "",
                problem=host.balancer_problem,
                present=not self.is_lost(node.id),
                connected=node.agent_connected,
                others=others[node.id],
            )
            for node in state.nodes
            if (host := state.hosts.get(node.id)) is not None
        )

    def absent(self, nodes: Iterable[str | None]) -> dict[str, str]:
        """Those of the nodes whose agent is away, each with the words for it."""
        found = {}
        for node_id in nodes:
            node = self._state.nodes.get(node_id) if node_id is not None else None
            if node_id is not None and (node is None or not node.agent_connected):
                found[node_id] = f"The agent of host {node_id} is not connected."
        return found

    def is_lost(self, node_id: str) -> bool:
        """Whether a host's agent has been away for too long, or the host is not known any more."""
        now = self._clock.now()
        return node_id not in self._state.nodes or now - self._away.get(node_id, now) >= AWAY_LIMIT

    def overdue_in(self, nodes: Iterable[str | None]) -> float | None:
        """Seconds until the first of the nodes that are away has been so for too long."""
        now = self._clock.now()
        waits = [AWAY_LIMIT - (now - self._away[node]) for node in nodes if node is not None and node in self._away]
        return min((wait for wait in waits if wait > 0), default=None)

    def _node_changed(self, notice: Notice) -> None:
        new: Node | None = notice.new
        if new is None or new.agent_connected:
            self._away.pop(notice.key, None)
        else:
            self._away.setdefault(notice.key, self._clock.now())
