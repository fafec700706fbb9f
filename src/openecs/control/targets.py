"""Makes tasks of services with load balancers targets, and takes them out before they stop.

A task is registered when it is RUNNING, and from that commit on it ``drains``: when it is to
stop, its agent hears nothing of it until its targets have drained.  Where a task's container
instance is gone, or the task has ended by itself, there is nothing left to drain and its targets
are forgotten at once.  Others are forgotten by ``control.draining_targets`` when they have drained.

Level-triggered: a key is a service, and which of its tasks to look at is only a hint that the
resync makes good.  Whether a target is healthy is nobody's business here, except that the first
time of it is noted on the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from openecs.clock import Clock
from openecs.control.loop import Done, Loop, Result, Timing
from openecs.control.service_speech import say
from openecs.control.target_departure import begin_draining, deregistered, forget
from openecs.control.target_lookup import TargetLookup
from openecs.control.target_verdicts import TargetVerdicts, load_balancers_of
from openecs.control.task_targets import Unreachable, wanted_targets
from openecs.ids import Ids
from openecs.model.service import Service
from openecs.model.target_group import Target
from openecs.model.task import STATUS_ORDER, Task
from openecs.planning import service_events
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

_RUNNING = STATUS_ORDER["RUNNING"]


class TargetController:
    """Registers and deregisters tasks.  Keys are service ARNs."""

    def __init__(self, state: State, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        #: Service → its tasks to look at.
        self._tasks: dict[str, dict[str, None]] = {}

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs this controller, woken by every change that matters to it."""
        loop = Loop("targets", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "target", lambda notice: self._look_at((notice.new or notice.old).task_arn))
        loop.watch(store, "target_health", self._health_changed)
        loop.watch(store, "target_group", self._group_changed)
        loop.watch(store, "discovery_instance", lambda notice: self._look_at((notice.new or notice.old).task_arn))
        return loop

    def reconcile(self, key: str) -> Result:
        """Bring the targets of a service's tasks in line with the tasks."""
        service = self._state.services.get(key)
        looked_at = self._tasks.pop(key, {})
        if service is None:
            return Done()
        try:
            _Turn(self._state, service, self._clock.now()).run(looked_at, self._ids)
        except BaseException:
            self._tasks.setdefault(key, {}).update(looked_at)
            raise
        return Done()

    def _look_at(self, task_arn: str | None) -> Iterable[str]:
        task = self._state.tasks.get(task_arn or "")
        if task is None or task.service_arn is None:
            return ()
        self._tasks.setdefault(task.service_arn, {})[task.arn] = None
        return (task.service_arn,)

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        old: Task | None = notice.old
        new: Task | None = notice.new
        task = new or old
        if task is None or task.service_arn is None:
            return ()
        if not task.drains and (new is None or new.last_status != "RUNNING"):
            # Nothing of it is registered, and nothing is to be.
            return ()
        if new is not None and old is not None and not _matters(old, new):
            return ()
        if not task.drains and not self._is_balanced(task):
            return ()
        self._tasks.setdefault(task.service_arn, {})[task.arn] = None
        return (task.service_arn,)

    def _is_balanced(self, task: Task) -> bool:
        service = self._state.services.get(task.service_arn or "")
        return service is not None and bool(load_balancers_of(service, task))

    def _health_changed(self, notice: Notice) -> Iterable[str]:
        target = self._state.targets.get(notice.key)
        return self._look_at(target.task_arn) if target is not None else ()

    def _group_changed(self, notice: Notice) -> Iterable[str]:
        return [
            key
            for target in self._state.targets.by("target_group", notice.key)
            for key in self._look_at(target.task_arn)
        ]

    def _all(self) -> Iterable[str]:
        keys: dict[str, None] = {}
        for target in self._state.targets:
            keys |= dict.fromkeys(self._look_at(target.task_arn))
        for task in self._state.tasks:
            if task.service_arn is not None and (
                task.drains or (not task.stopped and task.last_status == "RUNNING" and self._is_balanced(task))
            ):
                keys |= dict.fromkeys(self._look_at(task.arn))
        return keys


class _Turn:
    """One look at tasks of one service: one transaction."""

    def __init__(self, state: State, service: Service, now: float) -> None:
        self._state = state
        self._service = service
        self._now = now
        self._lookup = TargetLookup(state)
        self._verdicts = TargetVerdicts(state)
        #: Target group → how many of the tasks came, and how many went without draining.
        self._came: Counter[str] = Counter()
        self._went: Counter[str] = Counter()
        self._said: list[str] = []

    def run(self, task_arns: Iterable[str], ids: Ids) -> None:
        """Write what follows."""
        leaving: list[Task] = []
        with self._state.transaction() as tx:
            for arn in task_arns:
                task = self._state.tasks.get(arn)
                if task is None or task.stopped:
                    self._end(tx, arn, task)
                elif task.desired_status == "STOPPED" or STATUS_ORDER[task.last_status] > _RUNNING:
                    leaving.append(task)
                elif task.last_status == "RUNNING":
                    self._arrive(tx, task)
            texts = [service_events.registered(self._service.name, n, arn) for arn, n in self._came.items()]
            texts += deregistered(self._service, self._went)
            texts += begin_draining(self._state, tx, self._service, leaving, self._now)
            for task in leaving:
                self._release(tx, task)
            say(self._state, tx, self._service.arn, [*texts, *self._said], now=self._now, ids=ids)

    # -- on its way in --------------------------------------------------------------------

    def _arrive(self, tx: Transaction, task: Task) -> None:
        load_balancers = load_balancers_of(self._service, task)
        if not load_balancers:
            return
        wanted: set[str] = set()
        for target in wanted_targets(self._state, task, load_balancers, self._now):
            if isinstance(target, Unreachable):
                said = service_events.registration_failed(self._service.name, target.target_group_arn, target.why)
                self._said.append(said)
            else:
                wanted.add(target.key)
                self._register(tx, target)
        mine = self._state.targets.by("task", task.arn)
        for target in mine:
            # Its container was started again and has another port.
            if target.key not in wanted and target.draining_since is None:
                tx.put(msgspec.structs.replace(target, draining_since=self._now))
                self._went[target.target_group_arn] += 1
        changes: dict[str, object] = {}
        if mine and not task.drains:
            changes["drains"] = True
        if task.targets_healthy_at is None and self._is_healthy(task, load_balancers):
            changes["targets_healthy_at"] = self._now
        if changes:
            tx.put(msgspec.structs.replace(task, **changes))

    def _register(self, tx: Transaction, target: Target) -> None:
        known = self._state.targets.get(target.key)
        if known is not None:
            owner = self._state.tasks.get(known.task_arn or "")
            if known.task_arn == target.task_arn or (owner is not None and not owner.stopped):
                # It is registered, or drains after somebody deregistered it and comes again then.
                return
        health = self._state.target_health.get(target.key)
        if health is not None:
            tx.delete(health)
        tx.put(target)
        self._came[target.target_group_arn] += 1
        balancer = self._lookup.load_balancer(target.target_group_arn)
        if balancer is not None and balancer.state in ("provisioning", "failed"):
            self._said.append(service_events.balancer_not_active(self._service.name, balancer.arn, balancer.reason))

    def _is_healthy(self, task: Task, load_balancers: tuple[ecs.LoadBalancer, ...]) -> bool:
        return self._verdicts.of(task, load_balancers).health == "HEALTHY"

    # -- on its way out -------------------------------------------------------------------

    def _end(self, tx: Transaction, task_arn: str, task: Task | None) -> None:
        """A task that has ended has nothing in flight."""
        for target in self._state.targets.by("task", task_arn):
            if target.draining_since is None:
                self._went[target.target_group_arn] += 1
            forget(self._state, tx, target)
        if task is not None:
            self._release(tx, task)

    def _release(self, tx: Transaction, task: Task) -> None:
        """Let the order to stop go to the agent once nothing sends the task anything."""
        if not task.drains or self._state.targets.by("task", task.arn):
            return
        if not task.stopped and self._state.discovery_instances.by("task", task.arn):
            return
        if not task.stopped and task.connect_draining_since is not None:
            return
        tx.put(msgspec.structs.replace(task, drains=False))


def _matters(old: Task, new: Task) -> bool:
    """Whether a task's change can change its targets."""
    return (
        old.last_status != new.last_status
        or old.desired_status != new.desired_status
        or old.drains != new.drains
        or old.connect_draining_since != new.connect_draining_since
        or (old.containers is not new.containers and _bindings(old) != _bindings(new))
    )


def _bindings(task: Task) -> list[tuple[ecs.NetworkBinding, ...]]:
    return [container.network_bindings for container in task.containers]
