"""What must hold of tasks behind load balancers and in Cloud Map whenever something is committed.

Nobody is told to stop while new requests may still reach it: a task is released only when none of
its targets is left, and the scheduler's order to stop is also the end of new requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulated_control_plane import ACCOUNT, REGION

from openecs.model.discovery import DiscoveryInstance
from openecs.model.service import Service
from openecs.model.target_group import Target, TargetHealth
from openecs.model.task import Task
from openecs.state.journal.protocol import Change
from openecs.state.state import State

if TYPE_CHECKING:
    from invariants import Checker


class TargetRules:
    """Targets, and what hosts see of them, as committed."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._targets: dict[str, Target] = {}
        self._health: dict[str, TargetHealth] = {}
        #: Task → what Cloud Map finds of it.
        self._found: dict[str | None, DiscoveryInstance] = {}
        #: Deployments whose tasks are to be found.
        self._to_be_found: set[str | None] = set()
        #: Deployment → in how many target groups its tasks are to be; a deployment may end with its last task.
        self._wanted: dict[str | None, int] = {}

    def loaded(self, state: State) -> None:
        self._targets = {target.key: target for target in state.targets}
        self._health = {health.key: health for health in state.target_health}
        self._found = {instance.task_arn: instance for instance in state.discovery_instances}
        for service in state.services:
            self._note(service)

    def take(self, changes: list[Change]) -> set[str]:
        """Take a commit's targets in; returns the tasks concerned."""
        concerned: set[str] = set()
        for change in changes:
            if change.table == "target":
                old = self._targets.get(change.key)
                for target in (old, change.record):
                    if target is not None and target.task_arn is not None:
                        concerned.add(target.task_arn)
                _set(self._targets, change.key, change.record)
            elif change.table == "discovery_instance":
                arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default/{change.key.rpartition('|')[2]}"
                concerned.add(arn)
                _set(self._found, arn, change.record)
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

    def of(self, task: Task) -> list[Target]:
        """The targets that a task is."""
        return [target for target in self._targets.values() if target.task_arn == task.arn]

    def _note(self, service: Service) -> None:
        self._to_be_found |= {d.id for d in service.deployments if d.service_registries}
        self._wanted |= {d.id: len(d.load_balancers) for d in service.deployments}

    def healthy(self, task: Task) -> bool | None:
        """Whether a task is healthy in all its target groups; ``None`` if it is to be in none."""
        wanted = self._wanted.get(task.deployment_id, 0)
        if not wanted:
            return None
        states = [
            view.state
            for target in self.of(task)
            if target.draining_since is None and target.key in self._health
            for view in self._health[target.key].views.values()
        ]
        return len(states) == wanted and set(states) == {"healthy"}

    def left(self) -> str | None:
        """A target that nobody should see any more once everything is quiet."""
        for key, target in self._targets.items():
            task = self._checker.tasks.get(target.task_arn or "")
            if target.draining_since is not None:
                return f"target {key} drains"
            if task is None or task.last_status != "RUNNING":
                return f"target {key} belongs to a task that is {task.last_status if task else 'forgotten'}"
        for arn, instance in self._found.items():
            task = self._checker.tasks.get(arn or "")
            if task is None or task.last_status != "RUNNING" or task.desired_status != "RUNNING":
                return f"Cloud Map finds {instance.key}: a task that is {task.last_status if task else 'forgotten'}"
        for task in self._checker.tasks.values():
            runs = task.last_status == task.desired_status == "RUNNING"
            if runs and task.deployment_id in self._to_be_found and task.arn not in self._found:
                return f"Cloud Map does not find {task.arn}"
        return None


def _set(records: dict[str, object], key: str, record: object | None) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record
