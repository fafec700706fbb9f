"""What must hold of deployments whenever something is committed: how they fail, end and go back.

The circuit breaker's counting is done here once more, from the tasks alone; of the product's
records only what they say to callers is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service_rules import PROOF, SICK, ServiceRules
from simulated_balancer import pair_of
from workload import NEVER_HEALTHY

from openecs.model.service import Deployment, Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import Task

if TYPE_CHECKING:
    from invariants import Checker

_BREAKER = "ECS deployment circuit breaker:"
_FAILURES = ("TaskFailedToStart", "EssentialContainerExited")
_FINAL = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
_ORDER = {
    "PENDING": 0,
    "IN_PROGRESS": 1,
    "STOP_REQUESTED": 2,
    "ROLLBACK_REQUESTED": 2,
    "ROLLBACK_IN_PROGRESS": 3,
} | dict.fromkeys(_FINAL, 4)


class DeploymentRules:
    """Circuit breaker, rollbacks, service deployments, revisions and pinned images."""

    def __init__(self, checker: Checker, services: ServiceRules) -> None:
        self._checker = checker
        self._services = services
        #: Deployment → its tasks that failed so far.
        self._failures: dict[str, set[str]] = {}
        #: Deployment that failed → the one that the service went back to.
        self._rollbacks: dict[str, str] = {}
        #: Service → the deployment that was COMPLETED last, as far as it was seen.
        self._completed: dict[str, str] = {}

    def loaded(self) -> None:
        """A new incarnation: what was not durable did not happen."""
        self._rollbacks.clear()
        self._completed.clear()

    def committed(
        self,
        before: dict[str, Task | None],
        services: dict[str, Service | None],
        records: dict[str, ServiceDeployment | None],
    ) -> None:
        """Check one commit: changed tasks, services and service deployments as they were."""
        tasks = self._checker.tasks
        for arn, old in before.items():
            task = tasks.get(arn)
            if task is None or not task.deployment_id or not task.stopped or (old and old.stopped):
                continue
            if task.stop_code in _FAILURES or any(words in (task.stopped_reason or "") for words in SICK):
                self._failures.setdefault(task.deployment_id, set()).add(arn)
        for arn, was in services.items():
            now = self._checker.services.get(arn)
            if now is not None:
                self._service(was, now)
        for arn, old in before.items():
            task = tasks.get(arn)
            if task is not None and task.service_arn:
                self._launched(services, old, task)
        for arn, record in records.items():
            self._record(record, self._checker.service_deployments.get(arn))

    # -- services -------------------------------------------------------------------------

    def _service(self, was: Service | None, now: Service) -> None:
        wrong = self._checker.wrong
        if was is not None and was.status == now.status == "INACTIVE":
            return
        primaries = [d for d in now.deployments if d.status == "PRIMARY"]
        if now.status == "ACTIVE" and now.deployment_controller == "ECS" and len(primaries) != 1:
            wrong(f"{now.name} has {len(primaries)} PRIMARY deployments")
        known = {d.id: d for d in was.deployments} if was is not None else {}
        for deployment in now.deployments:
            number = deployment.id.partition("/")[2]
            if deployment.task_set is None:
                if deployment.revision_arn.rsplit("/", 1)[-1] != number:
                    wrong(f"{deployment.id} has the service revision {deployment.revision_arn}")
                elif deployment.revision_arn not in self._checker.revisions:
                    wrong(f"{deployment.id} has no service revision of its own")
            elif deployment.task_set.arn.rsplit("/", 1)[-1] != number:
                wrong(f"{deployment.id} has the task set {deployment.task_set.arn}")
            old = known.get(deployment.id)
            if old is not None:
                self._deployment(now, old, deployment)

    def _deployment(self, service: Service, old: Deployment, new: Deployment) -> None:
        wrong = self._checker.wrong
        if old.pins and new.pins != old.pins:
            wrong(f"{new.id} had settled on {old.pins} and has {new.pins}")
        if new.rollout_state == old.rollout_state:
            return
        self._checker.trace(f"{service.name} {new.id} is {new.rollout_state}: {new.rollout_state_reason}")
        if new.rollout_state == "FAILED":
            self._failed(service, old, new)
        elif new.rollout_state == "COMPLETED":
            self._completed[service.arn] = new.id
            if old.rollout_state == "FAILED":
                wrong(f"{new.id} was FAILED and is COMPLETED")
        elif old.rollout_state == "FAILED":
            # What was given up while all traffic went to it still serves: it may be the best there is.
            if pair_of(service) is None:
                wrong(f"{new.id} was FAILED, and {service.name} goes back to it")
        elif new.rolls_back is None:
            wrong(f"{new.id} was {old.rollout_state}, is IN_PROGRESS and no rollback")

    def _failed(self, service: Service, old: Deployment, new: Deployment) -> None:
        wrong = self._checker.wrong
        if old.rollout_state != "IN_PROGRESS":
            wrong(f"{new.id} was {old.rollout_state} and FAILED")
        by_breaker = new.rollout_state_reason.startswith(_BREAKER)
        failures = len(self._failures.get(new.id, ()))
        if by_breaker and failures < threshold(service):
            wrong(f"{new.id} FAILED after {failures} failures of its tasks, the threshold is {threshold(service)}")
        restored = next((d for d in service.deployments if d.rolls_back == new.id), None)
        breaker = service.deployment_configuration.deployment_circuit_breaker
        # One that shifts traffic goes back to what has it, complete or not: see ``shift_rules``.
        known = self._completed.get(service.arn) if pair_of(service) is None else None
        if restored is None:
            if by_breaker and breaker is not None and breaker.rollback and known is not None:
                wrong(f"{new.id} FAILED and {service.name} did not go back to {known}")
            return
        if restored.status != "PRIMARY" or restored.rollout_state != "IN_PROGRESS":
            wrong(f"{service.name} went back to {restored.id}, which is {restored.status} {restored.rollout_state}")
        if by_breaker and (breaker is None or not breaker.rollback):
            wrong(f"{service.name} went back to {restored.id} without being asked to")
        if known is not None and restored.id != known:
            wrong(f"{service.name} went back to {restored.id}, and {known} was COMPLETED last")
        if self._rollbacks.setdefault(new.id, restored.id) != restored.id or new.rolls_back is not None:
            wrong(f"{service.name} went back from {new.id} twice")
        # One that failed as a rollback is not gone back to again.
        self._completed.pop(service.arn, None)

    # -- tasks ----------------------------------------------------------------------------

    def _launched(self, services: dict[str, Service | None], old: Task | None, task: Task) -> None:
        """A task was started, or has found the capacity that it waited for."""
        service = self._checker.services[task.service_arn or ""]
        was = services.get(service.arn, service)
        deployment = next((d for d in service.deployments if d.id == task.deployment_id), None)
        settled = next((d for d in was.deployments if d.id == task.deployment_id), None) if was else None
        if settled is not None and (old is None or (old.node_id is None and task.node_id is not None)):
            digests = {(pin.container, pin.image): pin.digest for pin in settled.pins}
            for container in task.containers:
                digest = digests.get((container.name, container.image))
                if digest is not None and container.keeps_version and container.pinned_digest != digest:
                    self._checker.wrong(f"{task.arn} is not started from {digest}, as {settled.id} is")
        if old is not None:
            return
        if deployment is None:
            self._checker.wrong(f"{service.name} starts a task of {task.deployment_id}, which it does not have")
            return
        if deployment.rollout_state == "FAILED":
            self._checker.wrong(f"{deployment.id} FAILED and starts tasks")
        self._provider(deployment, task)
        if self._should_have_failed(service, deployment):
            self._checker.wrong(
                f"{deployment.id} starts tasks after {len(self._failures[deployment.id])} failures, the circuit "
                f"breaker's threshold is {threshold(service)}"
            )

    def _provider(self, deployment: Deployment, task: Task) -> None:
        """What a strategy gives no weight gets its base and nothing else."""
        if not deployment.capacity_provider_strategy:
            return
        name = task.capacity_provider_name
        item = next((i for i in deployment.capacity_provider_strategy if i.capacity_provider == name), None)
        if item is None:
            self._checker.wrong(f"{task.arn} is of {name}, which {deployment.id} does not name")
            return
        there = [
            t
            for t in self._checker.tasks.values()
            if t.deployment_id == deployment.id and t.capacity_provider_name == name and t.desired_status == "RUNNING"
        ]
        if not item.weight and len(there) > (item.base or 0):
            self._checker.wrong(f"{deployment.id} has {len(there)} tasks of {name}, which has no weight")

    def _should_have_failed(self, service: Service, deployment: Deployment) -> bool:
        """Whether the breaker must have ended it: only where nobody could take a task for healthy."""
        breaker = service.deployment_configuration.deployment_circuit_breaker
        if breaker is None or not breaker.enable or service.scheduling_strategy != "REPLICA":
            return False
        if deployment.status != "PRIMARY" or deployment.rollout_state != "IN_PROGRESS" or deployment.rolls_back:
            return False
        if not self._checker.clocks_are_right() or family(deployment.task_definition_arn) not in NEVER_HEALTHY:
            return False
        failures = self._failures.get(deployment.id, set())
        if len(failures) < threshold(service):
            return False
        # An agent that was cut off tells late that a task ended.
        return not any(
            task.deployment_id == deployment.id and task.started_at is not None and _lived(task) >= PROOF
            for task in self._checker.tasks.values()
        )

    # -- service deployments --------------------------------------------------------------

    def _record(self, old: ServiceDeployment | None, new: ServiceDeployment | None) -> None:
        wrong = self._checker.wrong
        if new is None:
            return
        if old is None:
            if new.status != "PENDING":
                wrong(f"{new.arn} began as {new.status}")
            return
        if _ORDER[new.status] < _ORDER[old.status] or (old.status in _FINAL and new.status != old.status):
            wrong(f"{new.arn} went from {old.status} to {new.status}")
        if new.status != old.status:
            self._checker.trace(f"{new.deployment_id} as a service deployment: {new.status} {new.status_reason or ''}")
        under_way = [
            record
            for record in self._checker.service_deployments.values()
            if record.service_arn == new.service_arn and record.status not in (*_FINAL, "PENDING")
        ]
        asked = [record for record in under_way if not record.status.endswith("_REQUESTED")]
        if len(asked) > 1:
            wrong(f"{new.service_arn} has {len(asked)} service deployments under way: {[r.status for r in asked]}")
        if new.status == "SUCCESSFUL" and old.status != "SUCCESSFUL":
            self._successful(new)

    def _successful(self, record: ServiceDeployment) -> None:
        service = self._checker.services[record.service_arn]
        live = [t for t in self._services.live(service) if t.desired_status == "RUNNING"]
        active = {arn for arn, status in self._checker.instances.items() if status == "ACTIVE"}
        if service.scheduling_strategy == "DAEMON":
            live = [t for t in live if t.container_instance_arn in active]
        healthy = [t for t in live if t.deployment_id == record.deployment_id and self._services.healthy(service, t)]
        early = service.deployment_configuration.early_success_criteria
        needed = service.desired_count
        if early is not None and early.enable:
            needed = -(-needed * (early.healthy_percent or 0) // 100)
        # Traffic is shifted to all of them; what is lost after that does not make it undone.
        if record.shift is None and len(healthy) < needed:
            self._checker.wrong(f"{record.arn} is SUCCESSFUL with {len(healthy)} healthy tasks of {needed}")
        deferred = early is not None and early.enable and early.source_service_revision_cleanup == "DEFERRED"
        others = [t.arn for t in live if t.deployment_id != record.deployment_id]
        if others and not deferred:
            self._checker.wrong(f"{record.arn} is SUCCESSFUL, and {others} are of other deployments")


def threshold(service: Service) -> int:
    """With how many failures a deployment of the service fails at least."""
    breaker = service.deployment_configuration.deployment_circuit_breaker
    given = breaker.threshold_configuration if breaker is not None else None
    kind, value = (given.type, given.value) if given is not None else ("BOUNDED_PERCENT", 50)
    if kind == "COUNT":
        return max(value, 1)
    if service.scheduling_strategy == "DAEMON":
        # A share of how many instances match, which the record may not say yet.
        return 3 if kind == "BOUNDED_PERCENT" else 1
    part = -(-service.desired_count * value // 100)
    return min(max(part, 3), 200) if kind == "BOUNDED_PERCENT" else max(part, 1)


def family(task_definition_arn: str) -> str:
    """The family of a task definition."""
    return task_definition_arn.rsplit("/", 1)[1].split(":", maxsplit=1)[0]


def _lived(task: Task) -> float:
    ended = task.stopping_at or task.stopped_at
    return float("inf") if ended is None else ended - (task.started_at or ended)
