"""The reconciler of load balancers: places their interfaces on hosts and keeps their state true.

The API makes load balancers with their interfaces; hosts hear of them through documents
(``balancer_documents``) and report (``balancer_reports``).  Here it is only decided which host
an interface lives on, and what DescribeLoadBalancers says.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from openecs.clock import Clock
from openecs.control.balancer_hosts import BalancerHosts
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.model.host import Host
from openecs.model.node import Node
from openecs.model.record import changed
from openecs.planning.balancer_places import BalancerSeat, place, why_nowhere
from openecs.planning.balancer_state import balancer_state
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")


class BalancerController:
    """Keys are ARNs of load balancers."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._hosts = BalancerHosts(state, clock)

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs the controller."""
        loop = Loop("balancers", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "load_balancer", lambda n: (n.key,) if n.new is not None else ())
        loop.watch(store, "balancer_host", lambda n: ((n.new or n.old).load_balancer_arn,))
        loop.watch(store, "interface", _owner)
        loop.watch(store, "host", self._host_changed)
        loop.watch(store, "node", self._node_changed)
        return loop

    def reconcile(self, arn: str) -> Result:
        """Place what lives nowhere or whose host is gone, and say what state that makes."""
        state = self._state
        balancer = state.load_balancers.get(arn)
        if balancer is None:
            return Done()
        interfaces = state.interfaces.by("owner", arn)
        places = self._hosts.places(arn)
        moves = place((BalancerSeat(i.id, i.availability_zone, i.node_id) for i in interfaces), places)
        nodes = [moves.get(i.id, i.node_id) for i in interfaces]
        verdict = balancer_state(
            balancer.state,
            nodes,
            {host.node_id: host for host in state.balancer_hosts.by("load_balancer", arn)},
            self._hosts.absent(nodes),
            why_nowhere(places),
        )
        updated = changed(balancer, state=verdict.code, reason=verdict.reason)
        # A host that is away withdraws nothing, and says everything again when it comes back.
        gone = [
            host
            for host in state.balancer_hosts.by("load_balancer", arn)
            if host.node_id not in nodes and self._hosts.absent([host.node_id])
        ]
        if moves or gone or updated is not balancer:
            with state.transaction() as tx:
                for host in gone:
                    tx.delete(host)
                for interface in interfaces:
                    if interface.id in moves:
                        node = moves[interface.id]
                        status = "in-use" if node is not None else "available"
                        tx.put(changed(interface, node_id=node, status=status))
                if updated is not balancer:
                    tx.put(updated)
            logger.info("balancer", arn=arn, state=verdict.code, reason=verdict.reason, moves=moves)
        overdue = self._hosts.overdue_in(nodes)
        return After(overdue) if overdue is not None else Done()

    def _all(self) -> Iterable[str]:
        return [balancer.arn for balancer in self._state.load_balancers]

    def _host_changed(self, notice: Notice) -> Iterable[str]:
        old: Host | None = notice.old
        new: Host | None = notice.new
        if old is not None and new is not None and old.balancer_problem == new.balancer_problem:
            return ()
        return self._all()

    def _node_changed(self, notice: Notice) -> Iterable[str]:
        old: Node | None = notice.old
        new: Node | None = notice.new
        if old is not None and new is not None and old.agent_connected == new.agent_connected:
            return ()
        return self._all()


def _owner(notice: Notice) -> Iterable[str]:
    owner = (notice.new or notice.old).owner_arn
    return (owner,) if owner is not None else ()
