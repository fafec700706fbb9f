"""Waits until nothing is in flight to tasks that left Service Connect.

A task that is to stop leaves its endpoints first (``control.registries``); from then on hosts give
it nothing new and report when nothing of theirs is in flight to it.  When all hosts with clients
have said so, or after ``LONGEST`` seconds, its order to stop may go to its agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from openecs.clock import Clock
from openecs.control import connect_lookup
from openecs.control.connect_documents import draining_ports
from openecs.control.connect_reports import ConnectNews, ConnectReports
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.model.service_connect import endpoint_key
from openecs.model.task import Task
from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds that requests in flight have to end.
LONGEST = 30.0


class ConnectDraining:
    """Keys are task ARNs."""

    def __init__(self, state: State, clock: Clock, reports: ConnectReports) -> None:
        self._state = state
        self._clock = clock
        self._reports = reports
        self._wake: Callable[[str], None] = lambda _: None
        reports.watch(self._heard)

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("connect-draining", self.reconcile, timing, resync=self._all)
        self._wake = loop.enqueue
        loop.watch(self._state.store, "task", self._task_changed)
        return loop

    def _heard(self, news: ConnectNews) -> None:
        if news.drained:
            for task in self._state.tasks.by("connect_draining", news.endpoint.partition("/")[0]):
                self._wake(task.arn)

    def reconcile(self, key: str) -> Result:
        """Let go of a task when it has drained."""
        task = self._state.tasks.get(key)
        if task is None or task.connect_draining_since is None:
            return Done()
        left = task.connect_draining_since + LONGEST - self._clock.now()
        if not task.stopped and left > 0 and not self._has_drained(task):
            return After(left)
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(task, connect_draining_since=None))
        return Done()

    def _has_drained(self, task: Task) -> bool:
        if task.connect is None or task.eni is None:
            return True
        namespace = task.connect.namespace_id
        hosts = connect_lookup.client_hosts(self._state, namespace)
        return all(
            f"{task.eni.private_ipv4_address}:{port.ingress_port}"
            in self._reports.drained(host, endpoint_key(namespace, port.discovery_name))
            for port in draining_ports(task)
            for host in hosts
        )

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        task: Task | None = notice.new
        if task is None or task.connect is None:
            return ()
        if task.connect_draining_since is not None:
            return (task.arn,)
        if task.stopped and notice.old is not None and not notice.old.stopped:
            # One host less may have to report.
            return [t.arn for t in self._state.tasks.by("connect_draining", task.connect.namespace_id)]
        return ()

    def _all(self) -> Iterable[str]:
        return [task.arn for task in self._state.tasks if task.connect_draining_since is not None]
