"""The reconciler of load balancers: places their interfaces on hosts and keeps their state true.

The API makes load balancers with their interfaces; hosts hear of them through documents
(``balancer_documents``) and report (``balancer_reports``).  Here it is only decided which host
an interface lives on, whose reports count no longer, and what DescribeLoadBalancers says.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from openecs.clock import Clock
from openecs.control.balancer_hosts import BalancerHosts
from openecs.control.balancer_reports import BalancerReports
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.lost_views import LostViews
from openecs.model import balancer_arns
from openecs.model.host import Host
from openecs.model.node import Node
from openecs.model.record import changed
from openecs.planning.balancer_places import BalancerPlace, BalancerSeat, place, why_nowhere
from openecs.planning.balancer_state import balancer_state
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")


class BalancerController:
    """Keys are ARNs of load balancers."""

    def __init__(self, state: State, clock: Clock, reports: BalancerReports) -> None:
        self._state = state
        self._hosts = BalancerHosts(state, clock)
        self._views = LostViews(state, self._hosts)
        self._reports = reports

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs the controller."""
        loop = Loop("balancers", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "load_balancer", lambda n: (n.key,) if n.new is not None else ())
        loop.watch(store, "balancer_host", lambda n: ((n.new or n.old).load_balancer_arn,))
        loop.watch(store, "interface", _owner)
        # Of target groups that they come to use, hosts may have spoken already.
        for table in ("listener", "listener_rule"):
            loop.watch(store, table, lambda n: (balancer_arns.load_balancer_of(n.key),) if n.new is not None else ())
        loop.watch(store, "host", self._host_changed)
        loop.watch(store, "node", self._node_changed)
        return loop

    def reconcile(self, arn: str) -> Result:
        """Place what lives nowhere or whose host is gone, and say what state that makes."""
        state = self._state
        if arn not in state.load_balancers:
            return Done()
        places = self._hosts.places(arn)
        self._place(arn, places)
        lost = self._views.lost(arn)
        if lost:
            with state.transaction() as tx:
                self._views.forget(tx, arn, lost)
        self._note_missed(arn)
        self._reports.hosts_changed(arn)
        self._describe(arn, why_nowhere(places))
        overdue = self._hosts.overdue_in(i.node_id for i in state.interfaces.by("owner", arn))
        return After(overdue) if overdue is not None else Done()

    def _place(self, arn: str, places: tuple[BalancerPlace, ...]) -> None:
        """Have every interface live on a host that can have it."""
        interfaces = self._state.interfaces.by("owner", arn)
        seats = (BalancerSeat(i.id, i.availability_zone, i.node_id) for i in interfaces)
        moves = place(seats, places)
        if not moves:
            return
        with self._state.transaction() as tx:
            for interface in interfaces:
                if interface.id in moves:
                    node = moves[interface.id]
                    tx.put(changed(interface, node_id=node, status="in-use" if node is not None else "available"))
        logger.info("balancer placed", arn=arn, moves=moves)

    def _note_missed(self, arn: str) -> None:
        """Write down whose agents are away: their addresses are left out of the load balancer's name."""
        for host in self._state.balancer_hosts.by("load_balancer", arn):
            noted = changed(host, missed=self._hosts.missed(host.node_id))
            if noted is not host:
                with self._state.transaction() as tx:
                    tx.put(noted)

    def _describe(self, arn: str, nowhere: str) -> None:
        """Write the state that follows from what hosts say."""
        state = self._state
        balancer = state.load_balancers.get(arn)
        if balancer is None:
            return
        nodes = [interface.node_id for interface in state.interfaces.by("owner", arn)]
        verdict = balancer_state(
            balancer.state,
            nodes,
            {host.node_id: host for host in state.balancer_hosts.by("load_balancer", arn)},
            {n: f"The agent of host {n} is not connected." for n in nodes if n is not None and self._hosts.missed(n)},
            nowhere,
        )
        updated = changed(balancer, state=verdict.code, reason=verdict.reason)
        if updated is not balancer:
            with state.transaction() as tx:
                tx.put(updated)
            logger.info("balancer", arn=arn, state=verdict.code, reason=verdict.reason)

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
