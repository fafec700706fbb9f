"""The reaper: forgets records when their time of being remembered is over.

Every record that has such a time is a key of a ``Loop``; the loop's timers wake it then, so
nothing is scanned while nothing is due.  Keys are ``table:record key``.  What is forgotten
takes its tags and its events with it.

Service deployments and revisions are forgotten with their service, and of a living service
after a long time, unless they are the current ones or others name them.

Task definitions in DELETE_IN_PROGRESS have no time: they go when no task that is not STOPPED
and no deployment of a service needs them any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import structlog

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision, service_arn_of
from openecs.model.task import Task
from openecs.planning import reap_plan
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")


class Reaper:
    """Forgets STOPPED tasks, INACTIVE services and clusters, old service deployments, old client
    tokens and deleted task definitions."""

    def __init__(self, state: State, clock: Clock, retention: reap_plan.Retention | None = None) -> None:
        self._state = state
        self._clock = clock
        self._retention = retention or reap_plan.Retention()
        #: Service revision → how many service deployments name it.
        self._naming: Counter[str] = Counter()
        for deployment in state.service_deployments:
            self._naming.update(reap_plan.named_revisions(deployment))
        state.service_deployments.watch(self._deployment_replaced)

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs the reaper."""
        # The resync is only for lost signals, and there are none between start and change.
        loop = Loop("reaper", self.reconcile, timing, resync=self._all, resync_every=6 * 3600.0)
        store = self._state.store
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "service", self._service_changed)
        loop.watch(
            store,
            "service_deployment",
            lambda n: _keys("service_deployment", n) if n.new and n.new.finished else (),
        )
        loop.watch(store, "cluster", lambda n: _keys("cluster", n) if n.new and n.new.status == "INACTIVE" else ())
        loop.watch(
            store,
            "capacity_provider",
            lambda n: _keys("capacity_provider", n) if n.new and n.new.status == "INACTIVE" else (),
        )
        loop.watch(store, "client_token", lambda n: _keys("client_token", n) if n.new else ())
        loop.watch(
            store,
            "task_definition",
            lambda n: _keys("task_definition", n) if n.new and n.new.status == "DELETE_IN_PROGRESS" else (),
        )
        return loop

    def reconcile(self, key: str) -> Result:
        """Forget one record if its time has come."""
        table, _, record_key = key.partition(":")
        if table == "task_definition":
            return self._definition(record_key)
        if table == "service_revision":
            return self._revision(record_key)
        if table == "task_set":
            return self._task_set(record_key)
        record: Any
        when: float | None
        if table == "task":
            record = self._state.tasks.get(record_key)
            when = reap_plan.forget_task_at(record, self._retention) if record else None
        elif table == "service":
            record = self._state.services.get(record_key)
            when = reap_plan.forget_service_at(record, self._retention) if record else None
        elif table == "service_deployment":
            record = self._state.service_deployments.get(record_key)
            current = record is not None and self._is_current(record)
            when = None if current or not record else reap_plan.forget_service_deployment_at(record, self._retention)
        elif table == "cluster":
            record = self._state.clusters.get(record_key)
            when = reap_plan.forget_cluster_at(record, self._retention) if record else None
        elif table == "capacity_provider":
            record = self._state.capacity_providers.get(record_key)
            when = reap_plan.forget_provider_at(record, self._retention) if record else None
        else:
            record = self._state.client_tokens.get(record_key)
            when = reap_plan.forget_token_at(record, self._retention) if record else None
        if when is None:
            return Done()
        now = self._clock.now()
        if when > now:
            return After(when - now)
        self._forget(record)
        logger.debug("reaper.forgot", table=table, record=record_key)
        return Done()

    def _definition(self, key: str) -> Result:
        definition = self._state.task_definitions.get(key)
        if definition is None or definition.status != "DELETE_IN_PROGRESS" or self._in_use(key):
            return Done()
        self._forget(definition)
        logger.debug("reaper.forgot", table="task_definition", record=key)
        return Done()

    def _revision(self, key: str) -> Result:
        revision = self._state.service_revisions.get(key)
        if revision is None:
            return Done()
        when = reap_plan.forget_service_revision_at(revision, self._retention)
        now = self._clock.now()
        if when > now:
            return After(when - now)
        # What still names it may let go of it later: the resync looks again.
        if not self._named(revision):
            self._forget(revision)
            logger.debug("reaper.forgot", table="service_revision", record=key)
        return Done()

    def _named(self, revision: ServiceRevision) -> bool:
        service = self._state.services.get(revision.service_arn)
        if service is not None and revision.arn in reap_plan.needed_revisions(service):
            return True
        return revision.arn in self._naming

    def _deployment_replaced(self, old: ServiceDeployment | None, new: ServiceDeployment | None) -> None:
        if old is not None:
            for arn in reap_plan.named_revisions(old):
                self._naming[arn] -= 1
                if not self._naming[arn]:
                    del self._naming[arn]
        if new is not None:
            self._naming.update(reap_plan.named_revisions(new))

    def _is_current(self, deployment: ServiceDeployment) -> bool:
        service = self._state.services.get(deployment.service_arn)
        return service is not None and service.service_deployment_arn == deployment.arn

    def _task_set(self, arn: str) -> Result:
        """The tags of a task set go with it."""
        tags = self._state.tags.get(arn)
        service = self._state.services.get(service_arn_of(arn) or "")
        if tags is not None and (service is None or arn not in _task_sets(service)):
            with self._state.transaction() as tx:
                tx.delete(tags)
        return Done()

    def _in_use(self, definition_arn: str) -> bool:
        if any(not task.stopped for task in self._state.tasks.by("task_definition", definition_arn)):
            return True
        return any(definition_arn in _definitions(service) for service in self._state.services)

    def _forget(self, record: Any) -> None:
        with self._state.transaction() as tx:
            tx.delete(record)
            if isinstance(record, Service):
                for deployment in tuple(self._state.service_deployments.by("service", record.arn)):
                    tx.delete(deployment)
                for revision in tuple(self._state.service_revisions.by("service", record.arn)):
                    tx.delete(revision)
            for companion in (self._state.tags.get(record.key), self._state.service_events.get(record.key)):
                if companion is not None:
                    tx.delete(companion)

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        old: Task | None = notice.old
        new: Task | None = notice.new
        if new is not None and new.stopped and (old is None or not old.stopped):
            # The task may have been the last that needed its definition.
            return (f"task:{notice.key}", *self._deleting(new.task_definition_arn))
        return ()

    def _deleting(self, definition_arn: str) -> Iterable[str]:
        definition = self._state.task_definitions.get(definition_arn)
        if definition is None or definition.status != "DELETE_IN_PROGRESS":
            return ()
        return (f"task_definition:{definition_arn}",)

    def _service_changed(self, notice: Notice) -> Iterable[str]:
        old: Service | None = notice.old
        new: Service | None = notice.new
        keys = [f"service:{notice.key}"] if new is not None and new.status == "INACTIVE" else []
        if old is not None and old.deployment_controller == "EXTERNAL":
            gone = _task_sets(old) - (_task_sets(new) if new is not None else set())
            keys += [f"task_set:{arn}" for arn in sorted(gone)]
        left = _definitions(old) if old is not None else set()
        kept = _definitions(new) if new is not None else set()
        for definition_arn in sorted(left - kept):
            keys += self._deleting(definition_arn)
        return keys

    def _all(self) -> Iterable[str]:
        state = self._state
        yield from (f"task:{task.arn}" for task in state.tasks.by("stopped", "stopped"))
        yield from (f"service:{s.arn}" for s in state.services if s.status == "INACTIVE")
        yield from (f"service_deployment:{d.arn}" for d in state.service_deployments if d.finished)
        yield from (f"service_revision:{r.arn}" for r in state.service_revisions)
        yield from (f"cluster:{c.arn}" for c in state.clusters if c.status == "INACTIVE")
        yield from (f"capacity_provider:{p.arn}" for p in state.capacity_providers if p.status == "INACTIVE")
        yield from (f"client_token:{token.key}" for token in state.client_tokens)
        yield from (f"task_definition:{d.arn}" for d in state.task_definitions if d.status == "DELETE_IN_PROGRESS")


def _definitions(service: Service) -> set[str]:
    """The task definitions that a service needs; what an INACTIVE one ran is only history."""
    needed = {d.task_definition_arn for d in service.deployments if d.status != "INACTIVE"}
    if service.status != "INACTIVE" and service.last_completed is not None:
        # A rollback starts tasks of it again.
        needed.add(service.last_completed.task_definition_arn)
    return needed


def _task_sets(service: Service) -> set[str]:
    """The ARNs of the task sets that a service has."""
    if service.status == "INACTIVE":
        return set()
    return {d.task_set.arn for d in service.deployments if d.task_set is not None}


def _keys(table: str, notice: Notice) -> Iterable[str]:
    return (f"{table}:{notice.key}",)
