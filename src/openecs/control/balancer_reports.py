"""What hosts report of load balancers and targets, put into the records of observed state.

A host is heard about the load balancers that have an interface on it, and about the target groups
that these use.  What another one says counts for nothing: it is late, or it is not to be trusted.
It is kept in memory until the host withdraws it or hangs up, because an interface may come back to a
host that has not even heard that it was away, and such a host does not say everything again.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import BalancerReport, Document, TargetsReport, TargetView
from openecs.clock import Clock
from openecs.control.target_lookup import TargetLookup
from openecs.model.load_balancer import BalancerHost
from openecs.model.record import changed
from openecs.model.target_group import HostView, Target, TargetHealth
from openecs.planning.target_state import condition
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

logger = structlog.get_logger("openecs.control")


class _Said(NamedTuple):
    """Of what a report is: the kind of reports, the key of this one, and whose it is."""

    kind: str
    key: str
    node_id: str


class BalancerReports:
    """Takes the reports of the kinds ``balancer`` and ``targets``."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._lookup = TargetLookup(state)
        #: The newest reports of hosts that are not heard.
        self._unheard: dict[_Said, Document] = {}
        state.store.subscribe("node", self._node_changed)

    def attach(self, board: HostBoard) -> None:
        """Hear the reports of all hosts."""
        board.take_reports("balancer", self.take_balancer)
        board.take_reports("targets", self.take_targets)

    def take_balancer(self, node_id: str, key: str, report: Document | None) -> None:
        """The part of a load balancer that a host runs."""
        state = self._state
        old = state.balancer_hosts.get(f"{key}|{node_id}")
        hosts = self._lookup.hosts_of(key) if key in state.load_balancers else None
        heard = self._is_heard(_Said("balancer", key, node_id), report, hosts)
        if not heard or not isinstance(report, BalancerReport):
            if old is not None:
                with state.transaction() as tx:
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
            with state.transaction() as tx:
                tx.put(new)

    def take_targets(self, node_id: str, key: str, report: Document | None) -> None:
        """The targets of a group as a host sees them.  What it does not name, it does not see."""
        state = self._state
        hosts = self._lookup.hosts(key) if key in state.target_groups else None
        heard = self._is_heard(_Said("targets", key, node_id), report, hosts)
        views = report.targets if heard and isinstance(report, TargetsReport) else ()
        seen = {(view.id, view.port): view for view in views}
        now = self._clock.now()
        with state.transaction() as tx:
            for target in state.targets.by("target_group", key):
                self._merge(tx, node_id, target, seen.get((target.id, target.port)), now)
            for health in state.target_health.by("target_group", key):
                if health.key not in state.targets:
                    tx.delete(health)
            self._note_healthy(tx, key)

    def hosts_changed(self, load_balancer_arn: str) -> None:
        """Other hosts run the load balancer now, or serve, or other target groups are used."""
        hosts = self._lookup.hosts_of(load_balancer_arn)
        groups = self._state.balancer_usage.target_groups(load_balancer_arn)
        keys = {load_balancer_arn, *groups}
        for said, report in list(self._unheard.items()):
            if said.key in keys and said.node_id in hosts:
                take = self.take_balancer if said.kind == "balancer" else self.take_targets
                take(said.node_id, said.key, report)
        with self._state.transaction() as tx:
            for group in groups:
                self._note_healthy(tx, group)

    def _is_heard(self, said: _Said, report: Document | None, hosts: frozenset[str] | None) -> bool:
        """Whether a report counts; ``hosts``: those that are heard about this, ``None`` when it is not there."""
        if report is None or hosts is None or said.node_id in hosts:
            self._unheard.pop(said, None)
            return hosts is not None
        if said not in self._unheard:
            there = (self._state.load_balancers, self._state.target_groups)
            self._unheard = {s: r for s, r in self._unheard.items() if any(s.key in table for table in there)}
            logger.info(
                "report ignored: no interface of this load balancer lives on the host that speaks of it",
                node=said.node_id,
                kind=said.kind,
                key=said.key,
            )
        self._unheard[said] = report
        return False

    def _node_changed(self, notice: Notice) -> None:
        """A host that connects says everything again."""
        if notice.new is None or not notice.new.agent_connected:
            self._unheard = {said: report for said, report in self._unheard.items() if said.node_id != notice.key}

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
        if new is not old and (old is not None or new.views):
            tx.put(new)

    def _note_healthy(self, tx: Transaction, target_group_arn: str) -> None:
        """Note the first time at which targets are healthy."""
        hosts = self._lookup.ready_hosts(target_group_arn)
        for health in self._state.target_health.by("target_group", target_group_arn):
            target = self._state.targets.get(health.key)
            if target is None or health.healthy_at is not None:
                continue
            if condition(target, health, in_use=True, hosts=hosts).state == "healthy":
                tx.put(changed(health, healthy_at=self._clock.now()))
