"""What must hold while services shift traffic between two target groups (BLUE_GREEN, LINEAR, CANARY).

Looked at are the listener rules as committed, what the proxies of the hosts serve, and the tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from balancer_rules import BalancerRules, weights
from simulated_balancer import BALANCER, PAIRS, pair, pair_of, production_rule

from openecs.acs.host_documents import BalancerDocument
from openecs.model.service import Deployment, Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import Task
from openecs.shapes import elbv2

if TYPE_CHECKING:
    from invariants import Checker

#: Of all traffic; in tenths of a percent where it is divided.
_WHOLE = (100, 1000)
_ROLLED_BACK = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class ShiftRules:
    """Weights, and tasks that are stopped while traffic reaches them."""

    def __init__(self, checker: Checker, balancer: BalancerRules) -> None:
        self._checker = checker
        self._balancer = balancer
        #: What the proxies of hosts serve: node → load balancer → document.
        self.proxies: Callable[[], Mapping[str, Mapping[str, BalancerDocument]]] = dict

    def committed(
        self,
        rules: dict[str, tuple[elbv2.Action, ...]],
        before: dict[str, Task | None],
        records: dict[str, ServiceDeployment | None],
    ) -> None:
        """Check one commit: rules, tasks and service deployments as they were."""
        for number in range(len(PAIRS)):
            rule = production_rule(number)
            if rule in rules:
                self._shifted(number, weights(rules[rule]), self._balancer.weights(rule))
        for arn, old in records.items():
            new = self._checker.service_deployments.get(arn)
            if new is not None and new.shift is not None and (old is None or old.status != new.status):
                self._ended(new)
        self._stopped(before)

    # -- where traffic goes ---------------------------------------------------------------

    def _shifted(self, number: int, old: dict[str, int], new: dict[str, int]) -> None:
        wrong = self._checker.wrong
        if not new.keys() <= set(pair(number)):
            wrong(f"the rule of pair {number} gives traffic to {sorted(new)}")
        if sum(new.values()) not in _WHOLE:
            wrong(f"the weights of pair {number} are {new}")
        if old == new:
            return
        self._checker.trace(f"pair {number} has the weights {[new.get(arn, 0) for arn in pair(number)]}")
        service = self._service(number)
        record = self._newest(service)
        if service is None or record is None or record.status in _ROLLED_BACK:
            # Going back is not put off: what is newer has failed, whatever became of the older one meanwhile.
            return
        primary = service.primary
        if primary is None or primary.rollout_state == "FAILED" or primary.rolls_back is not None:
            return
        group = group_of(primary)
        if _part(new, group) > _part(old, group):
            healthy = [t for t in self._live(service, primary) if self._checker.service_rules.healthy(service, t)]
            if len(healthy) < service.desired_count:
                wrong(f"{primary.id} gets {new} and has {len(healthy)} healthy tasks of {service.desired_count}")

    def _ended(self, record: ServiceDeployment) -> None:
        """All traffic goes to what a deployment has brought out, or gone back to."""
        service = self._checker.services[record.service_arn]
        number = pair_of(service)
        if number is None or record.status not in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL") or service.primary is None:
            return
        known = self._balancer.weights(production_rule(number))
        if _part(known, group_of(service.primary)) != 1.0:
            self._checker.wrong(f"{record.arn} is {record.status}, and the weights of pair {number} are {known}")

    # -- who is stopped -------------------------------------------------------------------

    def _stopped(self, before: dict[str, Task | None]) -> None:
        for arn, old in before.items():
            task = self._checker.tasks.get(arn)
            service = self._checker.services.get(task.service_arn or "") if task is not None else None
            if old is None or task is None or service is None or service.status != "ACTIVE":
                continue
            if task.stop_code != "ServiceSchedulerInitiated" or old.desired_status != "RUNNING":
                continue
            number = pair_of(service)
            if number is not None and self._checker.service_rules.healthy(service, old, leaving=True):
                self._needed(service, number, old)

    def _needed(self, service: Service, number: int, task: Task) -> None:
        """A healthy task was stopped: enough others are left where its traffic goes, or none goes there."""
        groups = self._checker.target_rules.groups_of(task) & set(pair(number))
        lower = math.ceil(service.desired_count * (service.deployment_configuration.minimum_healthy_percent or 0) / 100)
        for group in groups:
            shares = [_part(self._balancer.weights(production_rule(number)), group)]
            for node, serves in self.proxies().items():
                document = serves.get(BALANCER)
                if document is not None and node in self._balancer.homes():
                    shares.append(_part(_served(document, production_rule(number)), group))
            if not any(shares):
                continue
            left = [
                t
                for t in self._checker.tasks.values()
                if t.service_arn == service.arn
                and t.desired_status == "RUNNING"
                and group in self._checker.target_rules.groups_of(t)
                and self._checker.service_rules.healthy(service, t)
            ]
            if len(left) < min(lower, service.desired_count):
                self._checker.wrong(
                    f"{task.arn} was stopped while its target group had {shares} of the traffic and {len(left)} others"
                )

    # -- small ----------------------------------------------------------------------------

    def _service(self, number: int) -> Service | None:
        return next((s for s in self._checker.services.values() if pair_of(s) == number and s.status == "ACTIVE"), None)

    def _newest(self, service: Service | None) -> ServiceDeployment | None:
        arn = service.service_deployment_arn if service is not None else None
        return self._checker.service_deployments.get(arn or "")

    def _live(self, service: Service, deployment: Deployment) -> list[Task]:
        live = self._checker.service_rules.live(service)
        return [t for t in live if t.desired_status == "RUNNING" and t.deployment_id == deployment.id]


def group_of(deployment: Deployment) -> str:
    """The target group of a pair in which a deployment's tasks are."""
    one = deployment.load_balancers[0]
    advanced = one.advanced_configuration
    group = advanced.alternate_target_group_arn if deployment.alternate and advanced is not None else None
    return group or one.target_group_arn or ""


def _served(document: BalancerDocument, rule: str) -> dict[str, int]:
    for listener in document.listeners:
        for known in listener.rules:
            if known.arn == rule:
                return weights(known.actions)
    return {}


def _part(known: dict[str, int], group: str) -> float:
    """The share of the traffic that a group gets, up to 1."""
    return known.get(group, 0) / (sum(known.values()) or 1)
