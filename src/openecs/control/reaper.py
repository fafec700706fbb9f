"""The reaper: forgets records when their time of being remembered is over.

Every record that has such a time is a key of a ``Loop``; the loop's timers wake it then, so
nothing is scanned while nothing is due.  Keys are ``table:record key``.  What is forgotten
takes its tags and its events with it.

Task definitions in DELETE_IN_PROGRESS have no time: they go when no task that is not STOPPED
and no deployment of a service needs them any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning import reap_plan
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")


class Reaper:
    """Forgets STOPPED tasks, INACTIVE services and clusters, old client tokens and deleted
    task definitions."""

    def __init__(self, state: State, clock: Clock, retention: reap_plan.Retention | None = None) -> None:
        self._state = state
        self._clock = clock
        self._retention = retention or reap_plan.Retention()

    def loop(
        self,
        *,
        time: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> Loop:
        """The loop that runs the reaper."""
        # The resync is only for lost signals, and there are none between start and change.
        loop = Loop(
            "reaper", self.reconcile, time=time, sleep=sleep, jitter=jitter, resync=self._all, resync_every=6 * 3600.0
        )
        store = self._state.store
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "service", self._service_changed)
        loop.watch(store, "cluster", lambda n: _keys("cluster", n) if n.new and n.new.status == "INACTIVE" else ())
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
        record: Any
        when: float | None
        if table == "task":
            record = self._state.tasks.get(record_key)
            when = reap_plan.forget_task_at(record, self._retention) if record else None
        elif table == "service":
            record = self._state.services.get(record_key)
            when = reap_plan.forget_service_at(record, self._retention) if record else None
        elif table == "cluster":
            record = self._state.clusters.get(record_key)
            when = reap_plan.forget_cluster_at(record, self._retention) if record else None
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

    def _in_use(self, definition_arn: str) -> bool:
        if any(not task.stopped for task in self._state.tasks.by("task_definition", definition_arn)):
            return True
        return any(definition_arn in _definitions(service) for service in self._state.services)

    def _forget(self, record: Any) -> None:
        with self._state.transaction() as tx:
            tx.delete(record)
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
        left = _definitions(old) if old is not None else set()
        kept = _definitions(new) if new is not None else set()
        for definition_arn in sorted(left - kept):
            keys += self._deleting(definition_arn)
        return keys

    def _all(self) -> Iterable[str]:
        state = self._state
        yield from (f"task:{task.arn}" for task in state.tasks.by("stopped", "stopped"))
        yield from (f"service:{s.arn}" for s in state.services if s.status == "INACTIVE")
        yield from (f"cluster:{c.arn}" for c in state.clusters if c.status == "INACTIVE")
        yield from (f"client_token:{token.key}" for token in state.client_tokens)
        yield from (f"task_definition:{d.arn}" for d in state.task_definitions if d.status == "DELETE_IN_PROGRESS")


def _definitions(service: Service) -> set[str]:
    """The task definitions that a service needs; what an INACTIVE one ran is only history."""
    return {d.task_definition_arn for d in service.deployments if d.status != "INACTIVE"}


def _keys(table: str, notice: Notice) -> Iterable[str]:
    return (f"{table}:{notice.key}",)
