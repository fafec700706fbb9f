"""What must hold of tasks behind load balancers and in Cloud Map whenever something is committed.

Nobody is told to stop while new requests may still reach it: a task is released only when none of
its targets is left, and the scheduler's order to stop is also the end of new requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from workload import ACCOUNT, REGION

from openecs.acs.host_documents import ConnectDocument
from openecs.agent.host.documents import HostDocuments
from openecs.model.discovery import DiscoveryInstance
from openecs.model.service import Service
from openecs.model.service_connect import endpoint_key
from openecs.model.target_group import Target, TargetHealth
from openecs.model.task import Task
from openecs.state.journal.protocol import Change
from openecs.state.state import State

if TYPE_CHECKING:
    from invariants import Checker

#: Seconds that requests of Service Connect have to end.
LONGEST = 30.0


class TargetRules:
    """Targets, and what hosts see of them, as committed."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._targets: dict[str, Target] = {}
        self._health: dict[str, TargetHealth] = {}
        #: Task → what Cloud Map finds of it, by key.
        self._found: dict[str | None, dict[str, DiscoveryInstance]] = {}
        #: Deployment → as how many instances each of its tasks is to be found.
        self._to_be_found: dict[str | None, int] = {}
        #: Deployment → in how many target groups its tasks are to be; a deployment may end with its last task.
        self._wanted: dict[str | None, int] = {}

        #: Targets that were none that drain before the newest commit, which has changed them.
        self._leaving: set[str] = set()
        #: What hosts hold: node → documents.
        self.documents: Callable[[], Mapping[str, HostDocuments]] = dict

    def loaded(self, state: State) -> None:
        self._targets = {target.key: target for target in state.targets}
        self._health = {health.key: health for health in state.target_health}
        self._found = {}
        for instance in state.discovery_instances:
            self._found.setdefault(instance.task_arn, {})[instance.key] = instance
        for service in state.services:
            self._note(service)

    def take(self, changes: list[Change]) -> set[str]:
        """Take a commit's targets in; returns the tasks concerned."""
        concerned: set[str] = set()
        self._leaving.clear()
        for change in changes:
            if change.table == "target":
                old = self._targets.get(change.key)
                if old is not None and old.draining_since is None:
                    self._leaving.add(change.key)
                for target in (old, change.record):
                    if target is not None and target.task_arn is not None:
                        concerned.add(target.task_arn)
                _set(self._targets, change.key, change.record)
            elif change.table == "discovery_instance":
                arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default/{change.key.rpartition('|')[2]}"
                concerned.add(arn)
                _set(self._found.setdefault(arn, {}), change.key, change.record)
                if not self._found[arn]:
                    del self._found[arn]
            elif change.table == "target_health":
                _set(self._health, change.key, change.record)
            elif change.table == "service" and change.record is not None:
                self._note(change.record)
        return concerned

    def committed(self, before: dict[str, Task | None], concerned: set[str]) -> None:
        """Check one commit; ``before`` has the changed tasks as they were."""
        for arn in sorted(concerned | set(before)):
            task = self._checker.tasks.get(arn)
            if task is None or task.stopped:
                continue
            mine = self.of(task)
            old = before.get(arn)
            if mine and not task.drains:
                self._checker.wrong(f"{arn} is a target, and its agent may be told to stop it at any time")
            if arn in self._found and not task.drains:
                self._checker.wrong(f"{arn} is found in Cloud Map, and its agent may be told to stop it at any time")
            if task.desired_status == "STOPPED" and old is not None and old.desired_status == "RUNNING":
                by_scheduler = task.stop_code == "ServiceSchedulerInitiated"
                if by_scheduler and any(target.draining_since is None for target in mine):
                    self._checker.wrong(f"{arn} is to stop and goes on getting new requests")
            if old is not None and old.last_status == "DEACTIVATING" and task.last_status == "STOPPING":
                ended = any(c.essential and c.last_status == "STOPPED" for c in task.containers)
                if task.drains and not ended:
                    self._checker.wrong(f"the agent of {arn} was told to stop it while it drains")
            if old is not None and old.connect_draining_since is not None and task.connect_draining_since is None:
                self._released(task, old.connect_draining_since)

    def _released(self, task: Task, since: float) -> None:
        """Before the time for it is over, a task is let go of only when no client's host sends anything there."""
        if task.connect is None or task.eni is None or self._checker.now() - since >= LONGEST:
            return
        clients = {
            t.node_id
            for t in self._checker.tasks.values()
            if not t.stopped
            and t.connect is not None
            and t.connect.names
            and t.connect.namespace_id == task.connect.namespace_id
        }
        for port in task.connect.ports:
            key = endpoint_key(task.connect.namespace_id, port.discovery_name)
            for node_id, documents in self.documents().items():
                known = documents.get("connect", key) if node_id in clients else None
                served = known.targets if isinstance(known, ConnectDocument) else ()
                if any(t.address == task.eni.private_ipv4_address and not t.draining for t in served):
                    self._checker.wrong(f"{task.arn} was let go of, and {node_id} still sends requests to it")

    def of(self, task: Task) -> list[Target]:
        """The targets that a task is."""
        return [target for target in self._targets.values() if target.task_arn == task.arn]

    def _note(self, service: Service) -> None:
        self._to_be_found |= {
            d.id: len(d.service_registries) + len(d.connect.ports if d.connect is not None else ())
            for d in service.deployments
        }
        self._wanted |= {d.id: len(d.load_balancers) for d in service.deployments}

    def task_of(self, key: str) -> str | None:
        """The task that a target is."""
        target = self._targets.get(key)
        return target.task_arn if target is not None else None

    def healthy(self, task: Task, *, leaving: bool = False) -> bool | None:
        """Whether a task is healthy in all its target groups; ``None`` if it is to be in none.

        With ``leaving``: whether it was, before the newest commit has taken it out.
        """
        wanted = self._wanted.get(task.deployment_id, 0)
        if not wanted:
            return None
        mine = [
            target
            for target in self.of(task)
            if target.draining_since is None or (leaving and target.key in self._leaving)
        ]
        return len(mine) == wanted and all(self._is_healthy(target) for target in mine)

    def _is_healthy(self, target: Target) -> bool:
        """Whether every host that serves sees it healthy; one that came later need not have seen it yet."""
        health = self._health.get(target.key)
        if health is None:
            return False
        ready = self._checker.balancer_rules.ready()
        states = [view.state for node, view in health.views.items() if node in ready and view.state != "draining"]
        late = len(ready) - len(states) if health.healthy_at is None else 0
        return set(states) == {"healthy"} and late == 0

    def groups_of(self, task: Task) -> set[str]:
        """The target groups that a task is in, or leaves."""
        return {target.target_group_arn for target in self.of(task)}

    def seen(self) -> list[TargetHealth]:
        """What hosts see of all targets."""
        return list(self._health.values())

    def left(self) -> str | None:
        """A target that nobody should see any more once everything is quiet."""
        for key, target in self._targets.items():
            task = self._checker.tasks.get(target.task_arn or "")
            if target.draining_since is not None:
                return f"target {key} drains"
            if task is None or task.last_status != "RUNNING":
                return f"target {key} belongs to a task that is {task.last_status if task else 'forgotten'}"
        for arn, instances in self._found.items():
            task = self._checker.tasks.get(arn or "")
            if task is None or task.last_status != "RUNNING" or task.desired_status != "RUNNING":
                return (
                    f"Cloud Map finds {sorted(instances)}: a task that is {task.last_status if task else 'forgotten'}"
                )
        for task in self._checker.tasks.values():
            runs = task.last_status == task.desired_status == "RUNNING"
            found = self._found.get(task.arn, {})
            if runs and len(found) != self._to_be_found.get(task.deployment_id, 0):
                return f"Cloud Map does not find {task.arn}, or not only as it should: {sorted(found)}"
        return None


def _set(records: dict[str, object], key: str, record: object | None) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record
