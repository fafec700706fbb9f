"""Makes tasks of services with ``serviceRegistries`` or Service Connect instances of Cloud Map services.

A task is registered when it is RUNNING, under its id, and from that commit on it ``drains``: when
it is to stop, its agent hears nothing of it before it is deregistered.  Container health becomes
the health of the instance where the Cloud Map service has a custom health check.

Level-triggered: a key is a task.  ``control.targets`` lets go of tasks that drain, once neither a
target nor an instance is left of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.clock import Clock
from openecs.control import connect_lookup, discovery
from openecs.control.loop import Done, Loop, Result, Timing
from openecs.control.registry_instance import NotYetError, wanted_instance
from openecs.control.service_speech import say
from openecs.ids import Ids
from openecs.model.discovery import DiscoveryInstance
from openecs.model.service import Deployment, Service
from openecs.model.task import STATUS_ORDER, Task
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

_RUNNING = STATUS_ORDER["RUNNING"]


class RegistryController:
    """Registers and deregisters tasks.  Keys are task ARNs."""

    def __init__(self, state: State, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs this controller, woken by every change that matters to it."""
        loop = Loop("registries", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "host", self._host_changed)
        # Somebody may have deregistered or changed what is ours.
        loop.watch(store, "discovery_instance", lambda notice: _keys((notice.new or notice.old).task_arn))
        return loop

    def reconcile(self, key: str) -> Result:
        """Bring one task's instances in line with it."""
        task = self._state.tasks.get(key)
        known = self._state.discovery_instances.by("task", key)
        if task is None or _leaves(task):
            if known:
                with self._state.transaction() as tx:
                    if task is not None and not task.stopped and self._has_clients(known):
                        # Requests that Service Connect has sent to it may go on.
                        tx.put(msgspec.structs.replace(task, connect_draining_since=self._clock.now()))
                    for instance in known:
                        discovery.remove_instance(self._state, tx, instance)
            return Done()
        service, deployment = self._deployment(task)
        if service is None or deployment is None or task.last_status != "RUNNING":
            return Done()
        registries = (*deployment.service_registries, *connect_lookup.registries(self._state, deployment))
        if known or registries:
            with self._state.transaction() as tx:
                self._register(tx, task, service, registries, known)
        return Done()

    def _has_clients(self, instances: tuple[DiscoveryInstance, ...]) -> bool:
        return any(connect_lookup.is_endpoint(self._state, instance) for instance in instances)

    def _register(
        self,
        tx: Transaction,
        task: Task,
        service: Service,
        registries: tuple[ecs.ServiceRegistry, ...],
        known: tuple[DiscoveryInstance, ...],
    ) -> None:
        wanted: set[str] = set()
        for registry in registries:
            try:
                instance = wanted_instance(self._state, task, service, registry, self._clock.now())
            except NotYetError as error:
                said = f"(service {service.name}) failed to register instances in ({registry.registry_arn}): {error}"
                say(self._state, tx, service.arn, [said], now=self._clock.now(), ids=self._ids)
                continue
            wanted.add(instance.key)
            discovery.put_instance(self._state, tx, instance)
        for instance in known:
            if instance.key not in wanted:
                discovery.remove_instance(self._state, tx, instance)
        if wanted and not task.drains:
            tx.put(msgspec.structs.replace(task, drains=True))

    def _deployment(self, task: Task) -> tuple[Service | None, Deployment | None]:
        service = self._state.services.get(task.service_arn or "")
        return service, service.deployment(task.deployment_id) if service is not None else None

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        old: Task | None = notice.old
        new: Task | None = notice.new
        task = new or old
        if task is None or task.service_arn is None:
            return ()
        if not task.drains and (new is None or new.last_status != "RUNNING"):
            # Nothing of it is registered, and nothing is to be.
            return ()
        if old is not None and new is not None and not _matters(old, new):
            return ()
        if not task.drains:
            _, deployment = self._deployment(task)
            if deployment is None or not _registers(deployment):
                return ()
        return (notice.key,)

    def _host_changed(self, notice: Notice) -> Iterable[str]:
        """Tasks without an interface of their own are reached at their host's address."""
        old, new = notice.old, notice.new
        if old is not None and new is not None and old.address == new.address:
            return ()
        node_id = notice.key
        return [task.arn for task in self._state.tasks.by("live_on_node", node_id) if task.eni is None]

    def _all(self) -> Iterable[str]:
        keys = dict.fromkeys(i.task_arn for i in self._state.discovery_instances if i.task_arn is not None)
        for service in self._state.services:
            if any(_registers(deployment) for deployment in service.deployments):
                keys |= dict.fromkeys(task.arn for task in self._state.tasks.by("service", service.arn))
        return keys


def _registers(deployment: Deployment) -> bool:
    return bool(deployment.service_registries) or (deployment.connect is not None and bool(deployment.connect.ports))


def _leaves(task: Task) -> bool:
    """Whether nobody is to find the task any more."""
    return task.stopped or task.desired_status == "STOPPED" or STATUS_ORDER[task.last_status] > _RUNNING


def _matters(old: Task, new: Task) -> bool:
    return (
        old.last_status != new.last_status
        or old.desired_status != new.desired_status
        or old.health_status != new.health_status
        or old.containers is not new.containers
    )


def _keys(task_arn: str | None) -> Iterable[str]:
    return () if task_arn is None else (task_arn,)
