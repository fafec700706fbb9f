"""The hosts of load balancers: which can run them, which are away and since when.

How long an agent has been away is remembered by this process alone: after a start of the control
plane every host has its time to come back.
"""

from __future__ import annotations

import math
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
#: Seconds that an agent may be away without anybody being told: agents renew their connections now and then.
BLINK = 3.0


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

    def connected(self, node_id: str) -> bool:
        """Whether a host's agent is connected now."""
        node = self._state.nodes.get(node_id)
        return node is not None and node.agent_connected

    def missed(self, node_id: str) -> bool:
        """Whether a host's agent has been away for longer than a blink."""
        return self._away_for(node_id) >= BLINK

    def is_lost(self, node_id: str) -> bool:
        """Whether a host's agent has been away for too long."""
        return self._away_for(node_id) >= AWAY_LIMIT

    def overdue_in(self, nodes: Iterable[str | None]) -> float | None:
        """Seconds until one of the nodes that are away is missed, or lost."""
        gone = [self._away_for(node) for node in nodes if node is not None and node in self._away]
        waits = [limit - seconds for seconds in gone for limit in (BLINK, AWAY_LIMIT)]
        return min((wait for wait in waits if wait > 0), default=None)

    def _away_for(self, node_id: str) -> float:
        """Seconds; for ever when the host is not known any more."""
        if node_id not in self._state.nodes:
            return math.inf
        now = self._clock.now()
        return now - self._away.get(node_id, now)

    def _node_changed(self, notice: Notice) -> None:
        new: Node | None = notice.new
        if new is None or new.agent_connected:
            self._away.pop(notice.key, None)
        else:
            self._away.setdefault(notice.key, self._clock.now())
