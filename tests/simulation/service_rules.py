"""What must hold of services whenever something is committed: how many tasks they start and stop.

The arithmetic is written down here once more and not taken from the product.  Every rule looks at
one commit: the records before it and after it.  What deployments go through is in
``deployment_rules``.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from simulated_balancer import pair_of

from openecs.model.service import Deployment, Service
from openecs.model.task import Task

if TYPE_CHECKING:
    from invariants import Checker

#: Seconds after which services replace tasks whose agent is out of reach.
LOST_AFTER = 45.0
#: Seconds for which a task without health checks has to run while a circuit breaker watches.
PROOF = 10.0
SCHEDULER = "ServiceSchedulerInitiated"
SICK = ("failed container health checks", "failed ELB health checks")


class ServiceRules:
    """Floors, ceilings, protection, daemons and task sets."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def committed(self, before: dict[str, Task | None]) -> None:
        """Check one commit; ``before`` has the changed tasks as they were."""
        tasks = self._checker.tasks
        new = [tasks[arn] for arn, old in before.items() if old is None and arn in tasks]
        for arn in sorted({task.service_arn for task in new if task.service_arn}):
            self._maximum(self._checker.services[arn], [task for task in new if task.service_arn == arn])
        stopped: dict[str, list[Task]] = {}
        for arn, old in before.items():
            task = tasks.get(arn)
            if old is None or task is None or task.service_arn is None:
                continue
            if task.stop_code == "InfrastructureHealth" and old.stop_code is None and not self.lost(old):
                self._checker.wrong(f"{arn} was given up although its agent was within reach")
            if task.stop_code != SCHEDULER:
                continue
            if old.desired_status == "RUNNING" and task.desired_status == "STOPPED":
                service = self._checker.services[task.service_arn]
                self._protected(service, old, task)
                if service.status == "ACTIVE" and self.healthy(service, old, leaving=True):
                    stopped.setdefault(service.arn, []).append(old)
        for arn in sorted(stopped):
            self._minimum(self._checker.services[arn], stopped[arn])

    def healthy(self, service: Service, task: Task, *, leaving: bool = False) -> bool:
        """Whether the task counts as healthy, the proof period included; ``leaving``: see ``TargetRules``."""
        if task.last_status != "RUNNING":
            return False
        as_target = self._checker.target_rules.healthy(task, leaving=leaving)
        if as_target is False:
            return False
        if any(container.has_health_check and container.essential for container in task.containers):
            return task.health_status == "HEALTHY"
        if as_target:
            return True
        deployment = next((d for d in service.deployments if d.id == task.deployment_id), None)
        breaker = service.deployment_configuration.deployment_circuit_breaker
        if deployment is None or breaker is None or not breaker.enable:
            return True
        if deployment.rollout_state != "IN_PROGRESS" or deployment.status != "PRIMARY":
            return True
        return (task.started_at or 0.0) + PROOF <= self._checker.now()

    def live(self, service: Service) -> list[Task]:
        """Its tasks that are not STOPPED."""
        return [t for t in self._checker.tasks.values() if t.service_arn == service.arn and not t.stopped]

    def lost(self, task: Task) -> bool:
        """Whether its agent is out of reach for so long that it counts for nothing.

        A task of a DAEMON service belongs to its instance and never is: no other can take its place.
        """
        service = self._checker.services.get(task.service_arn or "")
        if service is not None and service.scheduling_strategy == "DAEMON":
            return False
        return task.unreachable_since is not None and task.unreachable_since + LOST_AFTER <= self._checker.now()

    # -- never too many -------------------------------------------------------------------

    def _maximum(self, service: Service, new: list[Task]) -> None:
        wrong = self._checker.wrong
        live = self.live(service)
        if service.scheduling_strategy == "DAEMON":
            places = Counter(task.container_instance_arn for task in live)
            for task in new:
                if places[task.container_instance_arn] > 1:
                    wrong(f"{service.name} is a DAEMON service and started a second task on {task.node_id}")
                if self._checker.instances.get(task.container_instance_arn or "") != "ACTIVE":
                    wrong(f"{service.name} is a DAEMON service and started {task.arn} on a DRAINING instance")
        elif service.deployment_controller == "EXTERNAL":
            for deployment in service.deployments:
                alive = [
                    t
                    for t in live
                    if t.deployment_id == deployment.id and t.desired_status == "RUNNING" and not self.lost(t)
                ]
                begun = [t for t in new if t.deployment_id == deployment.id]
                if begun and len(alive) > 2 * share(service, deployment):
                    wrong(f"task set {deployment.id} has {len(alive)} tasks for {share(service, deployment)}")
                if begun and deployment.status == "DRAINING":
                    wrong(f"task set {deployment.id} is being deleted and starts tasks")
        elif pair_of(service) is not None:
            upper = service.desired_count * (service.deployment_configuration.maximum_percent or 0) // 100
            for deployment, count in Counter(t.deployment_id for t in live if not self.lost(t)).items():
                if count > upper and any(t.deployment_id == deployment for t in new):
                    wrong(f"{deployment} started tasks beyond maximumPercent: {count} exist, {upper} may")
        else:
            upper = service.desired_count * (service.deployment_configuration.maximum_percent or 0) // 100
            there = sum(not self.lost(task) for task in live)
            if there > upper:
                wrong(f"{service.name} started tasks beyond maximumPercent: {there} exist, {upper} may")

    # -- never too few --------------------------------------------------------------------

    def _minimum(self, service: Service, stopped: list[Task]) -> None:
        """Healthy tasks that the scheduler stopped in this commit must not have been needed."""
        left = [
            t
            for t in self.live(service)
            if t.desired_status == "RUNNING" and self.healthy(service, t) and not self.lost(t)
        ]
        if service.deployment_controller == "EXTERNAL":
            self._minimum_of_sets(service, stopped, left)
            return
        if pair_of(service) is not None:
            # Tasks to which no traffic goes are no loss: ``shift_rules`` looks at the others.
            return
        lower = -(-service.desired_count * (service.deployment_configuration.minimum_healthy_percent or 0) // 100)
        if service.scheduling_strategy == "DAEMON":
            active = {arn for arn, status in self._checker.instances.items() if status == "ACTIVE"}
            primary = service.primary.id if service.primary else None
            # Tasks of the PRIMARY deployment stop where they do not belong, whatever the floor.
            stopped = [t for t in stopped if t.container_instance_arn in active and t.deployment_id != primary]
            left = [t for t in left if t.container_instance_arn in active]
        if stopped and len(left) < min(lower, service.desired_count):
            self._checker.wrong(f"{service.name} stopped healthy tasks: {len(left)} are left, {lower} must be")

    def _minimum_of_sets(self, service: Service, stopped: list[Task], left: list[Task]) -> None:
        for deployment in service.deployments:
            count = sum(task.deployment_id == deployment.id for task in left)
            told = any(task.deployment_id == deployment.id for task in stopped)
            if told and deployment.status != "DRAINING" and count < share(service, deployment):
                self._checker.wrong(f"task set {deployment.id} stopped healthy tasks and has {count} left")

    # -- never those who asked not to be --------------------------------------------------

    def _protected(self, service: Service, old: Task, new: Task) -> None:
        """The scheduler may stop a protected task with its service or task set, and when it fails."""
        if (old.protected_until or 0.0) <= self._checker.now() or service.status != "ACTIVE":
            return
        deployment = next((d for d in service.deployments if d.id == old.deployment_id), None)
        external = service.deployment_controller == "EXTERNAL"
        deleted = external and (deployment is None or deployment.status == "DRAINING")
        status = self._checker.instances.get(new.container_instance_arn or "", "INACTIVE")
        stranded = status == "INACTIVE" or (status != "ACTIVE" and old.last_status != "RUNNING")
        if new.launch_type == "FARGATE":
            stranded = False
        if not deleted and not stranded and not any(words in (new.stopped_reason or "") for words in SICK):
            self._checker.wrong(f"{new.arn} was stopped while it was protected until {old.protected_until}")


def share(service: Service, deployment: Deployment) -> int:
    """How many tasks a task set is to have."""
    assert deployment.task_set is not None
    return math.ceil(round(service.desired_count * deployment.task_set.scale / 100, 6))
