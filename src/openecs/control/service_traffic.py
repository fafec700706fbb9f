"""Shifts the traffic of services between the target groups of their revisions, by listener rules.

A rule's forward action gets both target groups of a load balancer with weights.  They are written
in the transaction that decides about them, and made so again while the deployment goes on if
somebody else changes the rule.  What is to be written is ``planning.traffic_shift``'s to say.
For Service Connect nothing is written: hosts are told what follows (``connect_routing``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from openecs.control import connect_routing
from openecs.control.balancer_revision import in_force
from openecs.control.connect_reports import ConnectReports
from openecs.control.listener_actions import actions_at, put_actions
from openecs.ids import Ids
from openecs.model import balancer_arns
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import forward_weights, service_events
from openecs.planning.service_snapshot import TrafficView
from openecs.planning.traffic_shift import weights
from openecs.state.state import State
from openecs.state.store import Transaction


class _Share(NamedTuple):
    """What one rule is to do: target groups with the weights that they are to have."""

    rule: str
    groups: tuple[tuple[str, int], ...]


class ServiceTraffic:
    """Reads and writes listener rules for the services controller."""

    def __init__(self, state: State, ids: Ids, connect: ConnectReports) -> None:
        self._state = state
        self._ids = ids
        self._connect = connect

    def view(self, service: Service) -> TrafficView | None:
        """Where the newest deployment of a service is with its traffic; ``None``: it does not shift any."""
        record = self._state.service_deployments.get(service.service_deployment_arn or "")
        if record is None or record.shift is None:
            return None
        shares = tuple(self._shares(record, record.shift))
        return TrafficView(
            record.shift,
            record.deployment_configuration,
            self._ids,
            applied=not record.finished and self._applied(service, shares),
            tests=any(test for _, test in self._rules(record)) or connect_routing.tests(self._state, record),
        )

    def write(self, tx: Transaction, service: Service, shift: TrafficShift | None) -> list[str]:
        """Have the rules say what ``shift`` says; returns what there is to tell about it."""
        record = self._state.service_deployments.get(service.service_deployment_arn or "")
        if record is None or record.finished or shift is None:
            return []
        said = []
        for share in self._shares(record, shift):
            actions = actions_at(self._state, share.rule)
            wanted = forward_weights.weighted(actions, share.groups) if actions is not None else None
            if wanted is None:
                why = "it forwards to no target group any more" if actions is not None else "it does not exist"
                said.append(service_events.traffic_not_shifted(service.name, share.rule, why))
            elif wanted != actions:
                put_actions(self._state, tx, share.rule, wanted)
        return said

    def due(self, service: Service, shift: TrafficShift | None) -> bool:
        """Whether a rule does not say what ``shift`` says."""
        record = self._state.service_deployments.get(service.service_deployment_arn or "")
        if record is None or record.finished or shift is None:
            return False
        return not all(self._written(share) for share in self._shares(record, shift))

    def _applied(self, service: Service, shares: tuple[_Share, ...]) -> bool:
        if not all(self._written(share) for share in shares):
            return False
        if not connect_routing.in_force(self._state, self._connect, service):
            return False
        balancers = {balancer_arns.load_balancer_of(share.rule) for share in shares}
        return all(in_force(self._state, arn) for arn in balancers)

    def _written(self, share: _Share) -> bool:
        actions = actions_at(self._state, share.rule)
        return actions is not None and forward_weights.weighted(actions, share.groups) == actions

    def _rules(self, record: ServiceDeployment) -> Iterator[tuple[str | None, str | None]]:
        """The production and test rules of the revision that is brought out."""
        revision = self._state.service_revisions.get(record.target_revision_arn)
        for balancer in revision.load_balancers if revision is not None else ():
            advanced = balancer.advanced_configuration
            if advanced is not None:
                yield advanced.production_listener_rule, advanced.test_listener_rule

    def _shares(self, record: ServiceDeployment, shift: TrafficShift) -> Iterator[_Share]:
        revision = self._state.service_revisions.get(record.target_revision_arn)
        for balancer in revision.load_balancers if revision is not None else ():
            advanced = balancer.advanced_configuration
            if revision is None or advanced is None:
                continue
            pair = (balancer.target_group_arn or "", advanced.alternate_target_group_arn or "")
            for rule, percent in (
                (advanced.production_listener_rule, shift.production),
                (advanced.test_listener_rule, shift.test),
            ):
                older, newer = weights(percent)
                shares = (older, newer) if revision.alternate else (newer, older)
                if rule:
                    yield _Share(rule, tuple(zip(pair, shares, strict=True)))
