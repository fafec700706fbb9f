"""What must hold whenever something changes: commits of the control plane, starts of containers.

Each rule is checked at the moment at which it could be broken, against what the engines really
did.  The checker keeps its own copy of the committed records; it never asks the product whether
the product is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from balancer_rules import BalancerRules
from clients import DISTINCT_GROUP
from deployment_rules import DeploymentRules, family
from service_clients import DISTINCT, NOT_IN_B
from service_rules import ServiceRules
from shift_rules import ShiftRules
from simulated_client import Ledger
from target_rules import TargetRules
from workload import ZONES_ALLOWED

from openecs.agent.engine import names
from openecs.agent.runtime.fake.container import FakeContainer
from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.node import ContainerInstance
from openecs.model.node import Node as NodeRecord
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import STATUS_ORDER, Task
from openecs.state.journal.protocol import Change
from openecs.state.state import State

#: STOPPED tasks stay for an hour.
REMEMBERED = 3600.0
_ZONE = "ecs.availability-zone"
_ORDER = {"PENDING": 0, "RUNNING": 1, "STOPPED": 2}
#: Once set they stay.
_SET_ONCE = ("started_at", "stopped_at", "stop_code", "stopped_reason", "created_at", "node_id")


class Checker:
    """The rules.  ``wrong(text)`` hears of every breach, ``trace(text)`` of what happened."""

    def __init__(
        self, now: Callable[[], float], ledger: Ledger, wrong: Callable[[str], None], trace: Callable[[str], None]
    ) -> None:
        self.now = now
        self._ledger = ledger
        self.wrong = wrong
        self.trace = trace
        self.tasks: dict[str, Task] = {}
        self.services: dict[str, Service] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self.service_deployments: dict[str, ServiceDeployment] = {}
        #: ARNs of service revisions.
        self.revisions: set[str] = set()
        #: Container instance ARN → its status.
        self.instances: dict[str, str] = {}
        #: Container instance ARN → its availability zone.
        self.zones: dict[str, str] = {}
        #: Container instance ARN → the Auto Scaling group that its node joined under.
        self.groups: dict[str, str | None] = {}
        #: (task ARN, container name) → every start of such a container by any engine.
        self.starts: dict[tuple[str, str], list[str]] = {}
        #: Exit codes that engines gave, by the same key.
        self.exits: dict[tuple[str, str], int] = {}
        #: Containers that run now, by the same key.
        self.running: dict[tuple[str, str], set[str]] = {}
        #: Tasks whose time of being remembered is over.
        self.forgotten: set[str] = set()
        #: Tasks that were given up with their instance: nobody reports on them any more.
        self.abandoned: set[str] = set()
        #: Tasks with a container that its agent restarts on purpose.
        self.restarting: Callable[[Task], bool] = lambda task: False
        #: Whether no machine's clock was ever wrong.
        self.clocks_are_right: Callable[[], bool] = lambda: True
        self.balancer_rules = BalancerRules(self)
        self.target_rules = TargetRules(self)
        self.service_rules = ServiceRules(self)
        self.deployment_rules = DeploymentRules(self, self.service_rules)
        self.shift_rules = ShiftRules(self, self.balancer_rules)

    # -- what the control plane does ------------------------------------------------------

    def loaded(self, state: State) -> None:
        """A new incarnation has read what is durable: does it remember what was promised?"""
        self.tasks = {task.arn: task for task in state.tasks}
        self.services = {service.arn: service for service in state.services}
        self.nodes = {node.id: node for node in state.nodes}
        self.instances = {instance.arn: instance.status for instance in state.container_instances}
        self.groups = {instance.arn: _attribute(instance, GROUP_ATTRIBUTE) for instance in state.container_instances}
        self.zones = {instance.arn: _attribute(instance, _ZONE) or "" for instance in state.container_instances}
        self.service_deployments = {record.arn: record for record in state.service_deployments}
        self.revisions = {revision.arn for revision in state.service_revisions}
        self.balancer_rules.loaded(state)
        self.target_rules.loaded(state)
        self.deployment_rules.loaded()
        for arn in self._ledger.tasks:
            shown, task = self._ledger.newest(arn), self.tasks.get(arn)
            if task is None:
                if arn not in self.forgotten:
                    self.wrong(f"{arn} was acknowledged and is lost after a crash")
            elif STATUS_ORDER[task.last_status] < shown.order:
                self.wrong(f"{arn} was shown at {shown.order} and is {task.last_status} after a crash")
            elif shown.to_stop and task.desired_status != "STOPPED":
                self.wrong(f"{arn} was acknowledged as to be stopped and is to run after a crash")
        for arn, name in self.running:
            if self.running[arn, name] and arn not in self.tasks:
                self.wrong(f"container {name} of {arn} runs and no task of that name is remembered")

    def committed(self, changes: list[Change]) -> None:
        """One commit, as it is made."""
        before: dict[str, Task | None] = {}
        services: dict[str, Service | None] = {}
        records: dict[str, ServiceDeployment | None] = {}
        for change in changes:
            record = change.record
            if change.table == "task":
                before[change.key] = self.tasks.get(change.key)
                _set(self.tasks, change.key, record)
            elif change.table == "service":
                services[change.key] = self.services.get(change.key)
                _set(self.services, change.key, record)
            elif change.table == "service_deployment":
                records[change.key] = self.service_deployments.get(change.key)
                _set(self.service_deployments, change.key, record)
            elif change.table == "service_revision":
                (self.revisions.discard if record is None else self.revisions.add)(change.key)
            elif change.table == "node":
                _set(self.nodes, change.key, record)
            elif change.table == "container_instance":
                _set(self.instances, change.key, record and record.status)
                _set(self.groups, change.key, record and _attribute(record, GROUP_ATTRIBUTE))
                _set(self.zones, change.key, record and _attribute(record, _ZONE))
        rules = self.balancer_rules.take(changes)
        concerned = self.target_rules.take(changes)
        for arn in sorted(before):
            self._task(before[arn], self.tasks.get(arn))
        placed = [
            self.tasks[arn]
            for arn, old in before.items()
            if arn in self.tasks and self.tasks[arn].node_id and (old is None or not old.node_id)
        ]
        if placed:
            self._capacity({task.node_id for task in placed})
            self._addresses(placed)
            self._providers(placed)
            self._constraints(placed)
        self.target_rules.committed(before, concerned)
        self.service_rules.committed(before)
        self.deployment_rules.committed(before, services, records)
        self.shift_rules.committed(rules, before, records)

    def _constraints(self, placed: list[Task]) -> None:
        """distinctInstance and memberOf hold for every placement."""
        for task in placed:
            instance = task.container_instance_arn or ""
            zone = self.zones.get(instance, "")
            service = self.services.get(task.service_arn or "")
            constraints = service.placement_constraints if service is not None else ()
            if family(task.task_definition_arn) == "zonal" and zone not in ZONES_ALLOWED:
                self.wrong(f"{task.arn} may run in {ZONES_ALLOWED} and is in {zone}")
            if NOT_IN_B in constraints and zone == "eu-west-1b":
                self.wrong(f"{task.arn} may not be in {zone}")
            if DISTINCT in constraints or task.group == DISTINCT_GROUP:
                # What was told to stop no longer counts.
                alike = [t for t in self.tasks.values() if t.group == task.group and t.desired_status == "RUNNING"]
                if sum(t.container_instance_arn == instance for t in alike) > 1:
                    self.wrong(f"{task.arn} is to be alone of {task.group} on {instance}")

    def _providers(self, placed: list[Task]) -> None:
        """Tasks of a group's provider run on the group's machines."""
        for task in placed:
            if task.launch_type == "FARGATE" or task.capacity_provider_name is None:
                continue
            group = self.groups.get(task.container_instance_arn or "")
            if group != task.capacity_provider_name:
                self.wrong(f"{task.arn} of {task.capacity_provider_name} is on a machine of the group {group}")

    def _task(self, old: Task | None, new: Task | None) -> None:
        if new is None:
            assert old is not None
            if not old.stopped:
                self.wrong(f"{old.arn} was forgotten as {old.last_status}")
            elif (old.stopped_at or 0.0) + REMEMBERED > self.now():
                self.wrong(f"{old.arn} was forgotten too early: it is STOPPED since {old.stopped_at}")
            self.forgotten.add(old.arn)
            self.trace(f"forgot {_short(old.arn)}")
            return
        if old is None:
            where = f"on {new.node_id}" if new.node_id else "waits for capacity"
            self.trace(f"new {_short(new.arn)} {new.task_definition_arn.rsplit('/', 1)[1]} {where}")
            self._waiting(new)
            return
        self._waiting(new)
        if new.node_id and not old.node_id:
            self.trace(f"{_short(new.arn)} has found capacity on {new.node_id}")
        if STATUS_ORDER[new.last_status] < STATUS_ORDER[old.last_status]:
            self.wrong(f"{new.arn} went back from {old.last_status} to {new.last_status}")
        if old.desired_status == "STOPPED" and new.desired_status != "STOPPED":
            self.wrong(f"{new.arn} was to stop and is to run again")
        for name in _SET_ONCE:
            if getattr(old, name) is not None and getattr(new, name) != getattr(old, name):
                self.wrong(f"{new.arn}: {name} was {getattr(old, name)!r} and became {getattr(new, name)!r}")
        for was, is_ in zip(old.containers, new.containers, strict=True):
            if _ORDER[is_.last_status] < _ORDER[was.last_status]:
                self.wrong(f"{new.arn}: container {was.name} went back from {was.last_status} to {is_.last_status}")
        if new.last_status != old.last_status or new.desired_status != old.desired_status:
            told = new.stopped_reason if new.desired_status != old.desired_status else None
            self.trace(f"{_short(new.arn)} is {new.last_status}, desired {new.desired_status} {told or ''}".rstrip())
        if new.last_status == "RUNNING" and old.last_status != "RUNNING":
            for container in new.containers:
                if (new.arn, container.name) not in self.starts:
                    self.wrong(f"{new.arn} is RUNNING and no engine ever started its container {container.name}")
        if new.stopped and not old.stopped:
            self._stopped(new)

    def _waiting(self, task: Task) -> None:
        """Tasks wait exactly while they have no node, and only those of a group's provider."""
        if (task.waiting is not None) != (task.node_id is None and not task.stopped):
            self.wrong(f"{task.arn} is {task.last_status} on {task.node_id} and waits for {task.waiting}")
        if task.waiting is not None and task.last_status != "PROVISIONING":
            self.wrong(f"{task.arn} waits for capacity and is {task.last_status}")

    def _stopped(self, task: Task) -> None:
        node = self.nodes.get(task.node_id or "")
        left_the_pool = task.launch_type == "FARGATE" and node is not None and not node.fargate_pool
        if self.instances.get(task.container_instance_arn or "") == "INACTIVE" or left_the_pool:
            # Given up with its instance or its machine: nobody reports on it any more.
            self.abandoned.add(task.arn)
        for name in ("stop_code", "stopped_reason", "stopped_at", "stopping_at"):
            if not getattr(task, name):
                self.wrong(f"{task.arn} is STOPPED without {name}")
        if task.desired_status != "STOPPED":
            self.wrong(f"{task.arn} is STOPPED and its desired status {task.desired_status}")
        if task.arn in self.abandoned:
            return
        for container in task.containers:
            if self.running.get((task.arn, container.name)):
                self.wrong(f"{task.arn} is STOPPED and its container {container.name} runs")
            real = self.exits.get((task.arn, container.name))
            # Given up in the moment in which the engine started it after all, and then taken away.
            given_up = container.exit_code is None and "DockerTimeoutError" in (container.reason or "")
            if real is not None and container.exit_code != real and not given_up:
                self.wrong(f"{task.arn}: {container.name} ended with {real} and is shown with {container.exit_code}")
            if "already allocated" in (container.reason or ""):
                self.wrong(f"{task.arn}: {container.name} was given a port that another one had: {container.reason}")
            if container.last_status != "STOPPED":
                self.wrong(f"{task.arn} is STOPPED and its container {container.name} {container.last_status}")

    def _capacity(self, nodes: Iterable[str | None]) -> None:
        for node_id in sorted(filter(None, nodes)):
            held = [task for task in self.tasks.values() if task.node_id == node_id and not task.stopped]
            capacity = self.nodes[node_id].capacity
            cpu, memory = sum(t.reservation.cpu for t in held), sum(t.reservation.memory for t in held)
            if cpu > capacity.cpu or memory > capacity.memory:
                self.wrong(f"node {node_id} has {capacity} and its tasks hold {cpu} CPU units and {memory} MiB")
            ports = [port for task in held for port in task.reservation.ports]
            if len(ports) != len(set(ports)):
                self.wrong(f"node {node_id} gave a host port twice: {sorted(ports)}")

    def _addresses(self, new: list[Task]) -> None:
        live = [t.eni.private_ipv4_address for t in self.tasks.values() if t.eni is not None and not t.stopped]
        if any(task.eni is not None for task in new) and len(live) != len(set(live)):
            self.wrong(f"an address was given twice: {sorted(live)}")

    # -- what engines do ------------------------------------------------------------------

    def happened(self, node: str, action: str, container: FakeContainer, digests: tuple[str, ...] = ()) -> None:
        """An engine starts or ends a container; ``digests`` are those of its image."""
        arn = container.labels.get(names.LABEL_TASK_ARN, "")
        name = container.labels.get(names.LABEL_CONTAINER, "")
        self.trace(f"{node} {action} {_short(arn)}/{name} {container.exit_code if action == 'end' else ''}".rstrip())
        running = self.running.setdefault((arn, name), set())
        if action == "end":
            running.discard(container.id)
            if container.exit_code is not None:
                self.exits[arn, name] = container.exit_code
            return
        task = self.tasks.get(arn)
        if task is None:
            self.wrong(f"{node} started container {name} of {arn}, which the control plane does not know")
        elif digests:
            pinned = next((c.pinned_digest for c in task.containers if c.name == name), None)
            if pinned is not None and pinned not in digests:
                self.wrong(f"{node} started container {name} of {arn} from {digests} and not from {pinned}")
        starts = self.starts.setdefault((arn, name), [])
        if running:
            self.wrong(f"{node} started a second container {name} of {arn} beside a running one")
        elif starts and task is not None and not self.restarting(task):
            self.wrong(f"{node} ran container {name} of {arn} again: {[*starts, container.id]}")
        starts.append(container.id)
        running.add(container.id)


def _set(records: dict[str, Any], key: str, record: Any) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record


def _attribute(instance: ContainerInstance, name: str) -> str | None:
    return next((a.value for a in instance.attributes if a.name == name), None)


def _short(arn: str) -> str:
    return arn.rsplit("/", 1)[-1][:8]
