"""What hosts report of load balancers and targets, put into the records of observed state."""

from __future__ import annotations

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import BalancerReport, Document, TargetsReport, TargetView
from openecs.clock import Clock
from openecs.control.target_lookup import TargetLookup
from openecs.model.load_balancer import BalancerHost
from openecs.model.record import changed
from openecs.model.target_group import HostView, Target, TargetHealth
from openecs.planning.target_state import condition
from openecs.state.state import State
from openecs.state.store import Transaction


class BalancerReports:
    """Takes the reports of the kinds ``balancer`` and ``targets``."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._lookup = TargetLookup(state)

    def attach(self, board: HostBoard) -> None:
        """Hear the reports of all hosts."""
        board.take_reports("balancer", self.take_balancer)
        board.take_reports("targets", self.take_targets)

    def take_balancer(self, node_id: str, key: str, report: Document | None) -> None:
        """The part of a load balancer that a host runs."""
        old = self._state.balancer_hosts.get(f"{key}|{node_id}")
        if not isinstance(report, BalancerReport) or key not in self._state.load_balancers:
            if old is not None:
                with self._state.transaction() as tx:
                    tx.delete(old)
            return
        record = old or BalancerHost(load_balancer_arn=key, node_id=node_id)
        new = changed(
            record,
            ready=report.ready,
            problem=report.problem,
            endpoints=dict(report.endpoints),
            applied=report.applied,
        )
        if new is not old:
            with self._state.transaction() as tx:
                tx.put(new)

    def take_targets(self, node_id: str, key: str, report: Document | None) -> None:
        """The targets of a group as a host sees them.  What it does not name, it does not see."""
        views = report.targets if isinstance(report, TargetsReport) else ()
        seen = {(view.id, view.port): view for view in views}
        now = self._clock.now()
        with self._state.transaction() as tx:
            for target in self._state.targets.by("target_group", key):
                self._merge(tx, node_id, target, seen.get((target.id, target.port)), now)
            for health in self._state.target_health.by("target_group", key):
                if health.key not in self._state.targets:
                    tx.delete(health)

    def _merge(self, tx: Transaction, node_id: str, target: Target, view: TargetView | None, now: float) -> None:
        old = self._state.target_health.get(target.key)
        base = old or TargetHealth(target_group_arn=target.target_group_arn, id=target.id, port=target.port)
        views = dict(base.views)
        known = views.get(node_id)
        if view is None:
            views.pop(node_id, None)
        else:
            seen = HostView(state=view.state, reason=view.reason, description=view.description, drained=view.drained)
            if known is None or changed(known, at=0.0) != seen:
                views[node_id] = changed(seen, at=now)
        new = changed(base, views=views)
        if new.healthy_at is None and self._healthy(target, new):
            new = changed(new, healthy_at=now)
        if new is not old and (old is not None or new.views):
            tx.put(new)

    def _healthy(self, target: Target, health: TargetHealth) -> bool:
        hosts = self._lookup.ready_hosts(target.target_group_arn)
        return condition(target, health, in_use=True, hosts=hosts).state == "healthy"
