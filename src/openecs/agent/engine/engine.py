"""All tasks of this node: takes orders, hands events to their owners, recovers after restarts.

``accept`` is synchronous and durable: when it returns, a crash forgets nothing, so the order
may be acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable

import structlog

from openecs.acs.task_payload import RoleCredentials, TaskPayload
from openecs.agent.engine import facts as f
from openecs.agent.engine import names
from openecs.agent.engine.settings import EngineParts
from openecs.agent.engine.task_plan import fresh, restored
from openecs.agent.engine.task_state import Report
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, Event, NoSuchContainer

_log = structlog.get_logger("openecs.agent")
NOT_STOPPABLE = "TaskStateError: Agent could not progress task's state to stopped"
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class TaskEngine:
    """The node's tasks.  ``run`` owns everything that goes on; cancel it to let go of all tasks,
    which keep running."""

    def __init__(self, parts: EngineParts, on_health: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._on_health = on_health
        self._workers: dict[str, TaskWorker] = {}
        self._group: asyncio.TaskGroup | None = None
        #: Set once the tasks of before a restart are known again.
        self.recovered = asyncio.Event()

    @property
    def workers(self) -> Iterable[TaskWorker]:
        """Every task that is not forgotten yet."""
        return self._workers.values()

    def worker(self, arn: str) -> TaskWorker | None:
        """The owner of a task."""
        return self._workers.get(arn)

    async def run(self) -> None:
        """Recover what was there, then live until cancelled."""
        since = self._parts.clock.now()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for payload, state in self._parts.store.tasks():
                self._expect_credentials(payload)
                worker = self._own(TaskWorker(payload, restored(state), self._parts, self._on_health), recover=True)
                worker.actions.adopt_ports(state)
            self.recovered.set()
            group.create_task(self._listen(since))

    # -- orders ---------------------------------------------------------------------------

    def accept(self, payload: TaskPayload) -> None:
        """Run a task.  One that is known already is only told what is wanted of it."""
        known = self._workers.get(payload.arn)
        if known is not None:
            # It may have stopped while the control plane did not hear of it.
            if known.state.status == "STOPPED":
                known.post(f.Resend())
            return
        state = fresh(payload, [self._parts.ids.uuid() for _ in payload.containers])
        self._expect_credentials(payload)
        for credentials in (payload.role_credentials, payload.execution_role_credentials):
            if credentials is not None:
                self.credentials(payload.arn, credentials)
        self._parts.store.add(payload, state)
        self._own(TaskWorker(payload, state, self._parts, self._on_health), recover=False)

    def stop(self, arn: str, cluster: str = "") -> None:
        """Stop a task; of one that nobody knows here it is reported that it is stopped."""
        worker = self._workers.get(arn)
        if worker is None:
            self._spawn(self._report_unknown(arn, cluster or self._parts.settings.cluster))
        elif worker.state.desired == "STOPPED":
            worker.post(f.Resend())
        else:
            worker.stop()

    def running(self) -> list[str]:
        """ARNs of the tasks that should run here."""
        return [w.payload.arn for w in self._workers.values() if w.state.desired == "RUNNING"]

    def credentials(self, task_arn: str, credentials: RoleCredentials) -> None:
        """New keys for a task."""
        self._parts.credentials.put(task_arn, credentials)

    def manifest(self, listed: Iterable[str]) -> None:
        """The control plane named every task of this node: what nobody owns is an orphan."""
        self._spawn(self._remove_orphans(frozenset(listed)))

    # -- inside ---------------------------------------------------------------------------

    def _expect_credentials(self, payload: TaskPayload) -> None:
        for credentials in (payload.role_credentials, payload.execution_role_credentials):
            if credentials is not None:
                self._parts.credentials.expect(payload.arn, credentials.credentials_id)

    def _own(self, worker: TaskWorker, *, recover: bool) -> TaskWorker:
        self._workers[worker.payload.arn] = worker
        self._spawn(self._live(worker, recover=recover))
        return worker

    def _spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        if self._group is None:
            raise RuntimeError("the task engine does not run")
        self._group.create_task(coroutine)

    async def _live(self, worker: TaskWorker, *, recover: bool) -> None:
        await worker.run(recover=recover)
        del self._workers[worker.payload.arn]
        self._parts.store.remove(worker.payload.arn)

    async def _report_unknown(self, arn: str, cluster: str) -> None:
        report = Report(status="STOPPED", reason=NOT_STOPPABLE)
        await self._parts.reporter.send(cluster, arn, [report])

    async def _listen(self, since: float) -> None:
        """Hand engine events to the owners; after a gap every owner looks for itself."""
        pause = FIRST_PAUSE
        while True:
            try:
                async for event in self._parts.runtime.events(since):
                    pause = FIRST_PAUSE
                    since = event.time
                    self._dispatch(event)
            except (EngineUnavailable, EngineError) as error:
                _log.warning("event stream of the container engine ended", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._parts.images.forget()
            for worker in tuple(self._workers.values()):
                worker.look_again()

    def _dispatch(self, event: Event) -> None:
        worker = self._workers.get(event.labels.get(names.LABEL_TASK_ARN, ""))
        name = event.labels.get(names.LABEL_CONTAINER)
        if worker is None or name is None:
            return
        if event.action in ("die", "destroy"):
            worker.look_again(name)
        elif event.action == "oom":
            worker.out_of_memory(event.container_id, event.time)
        elif event.action == "health_status" and event.health in ("healthy", "unhealthy"):
            healthy = event.health == "healthy"
            worker.post(f.HealthChanged(name=name, health="HEALTHY" if healthy else "UNHEALTHY", at=event.time))

    async def _remove_orphans(self, listed: frozenset[str]) -> None:
        """Containers of ours that belong to no task here and that the control plane does not want."""
        runtime = self._parts.runtime
        try:
            mine = f"{names.LABEL_NODE}={self._parts.settings.node_id}"
            # Podman keeps a container whose network another one shares, so these come last.
            shared = await runtime.list([mine, f"{names.LABEL_CONTAINER}={names.PAUSE}"])
            others = [container_id for container_id in await runtime.list([mine]) if container_id not in shared]
            for container_id in (*others, *shared):
                arn = (await runtime.inspect(container_id)).labels.get(names.LABEL_TASK_ARN, "")
                if arn in self._workers or arn in listed:
                    continue
                _log.warning("orphan container removed", container=container_id, task=arn)
                await runtime.remove(container_id)
        except NoSuchContainer:
            _log.debug("a container went away while orphans were looked for")
        except (EngineUnavailable, EngineError) as error:
            _log.warning("orphans not looked for", error=str(error))
