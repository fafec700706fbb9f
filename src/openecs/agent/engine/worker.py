"""The one owner of one task: feeds facts to the machine, persists, carries actions out.

Everything that happens to the task comes through ``post``; facts are taken one at a time, so
nothing about a task is ever decided twice.  Actions run beside each other and post their
outcome.  An engine that does not answer is waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog

from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine import facts as f
from openecs.agent.engine import volumes
from openecs.agent.engine.actions import Actions
from openecs.agent.engine.evidence import occasions
from openecs.agent.engine.names import PAUSE
from openecs.agent.engine.settings import EngineParts
from openecs.agent.engine.task_machine import Step, step
from openecs.agent.engine.task_plan import TaskPlan
from openecs.agent.engine.task_state import TaskState
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable

_log = structlog.get_logger("openecs.agent")
#: Seconds between tries while the engine does not answer.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
SANDBOX_DIED = "ContainerNetworkingError: the container that holds the task's network has ended"


class TaskWorker:
    """One task.  ``run`` returns when the task is stopped, reported, cleaned up and forgotten."""

    def __init__(
        self,
        payload: TaskPayload,
        state: TaskState,
        parts: EngineParts,
        on_health: Callable[[], None],
    ) -> None:
        settings = parts.settings
        self.payload = payload
        self.state = state
        self.cluster = payload.task_cluster_arn or settings.cluster
        #: The task's own addresses, if it has a network of its own.
        self.addresses = frozenset(
            address.private_address for eni in payload.elastic_network_interfaces for address in eni.ipv4_addresses
        )
        self.actions = Actions(payload, parts, self.cluster)
        self._parts = parts
        self._on_health = on_health
        self._plan = TaskPlan(
            payload,
            stop_timeout=settings.stop_timeout,
            cleanup_delay=settings.cleanup_delay,
            prepare=self.actions.surroundings.needed,
        )
        self._inbox: deque[f.Fact] = deque()
        self._posted = asyncio.Event()
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._sending = False
        self._wake_at: float | None = None
        self._group: asyncio.TaskGroup | None = None

    def post(self, fact: f.Fact) -> None:
        """Something happened."""
        self._inbox.append(fact)
        self._posted.set()

    async def run(self, *, recover: bool) -> None:
        """Own the task; with ``recover`` look first at what is there already."""
        problem = volumes.check(self.payload)
        if problem is not None:
            self.state = _refused(self.state, f"UnrecogniedTaskError: Error loading task - {problem}")
        async with asyncio.TaskGroup() as group:
            self._group = group
            if recover:
                await self._patiently(self.reobserve)
                self._take_in(group)
            self.post(f.Begin())
            while self.state.cleanup != "done":
                self._take(group, await self._next())
            self._group = None

    def stop(self) -> None:
        """The control plane wants the task stopped; it says so again if the agent forgets."""
        self.post(f.StopRequested())

    def look_again(self, name: str | None = None) -> None:
        """Something is heard of a container (or of all): inspect and post what is seen."""
        if self._group is None:
            return
        if name is None:
            self._group.create_task(self._patiently(self.reobserve))
        elif name == PAUSE:
            if self.state.resources == "ready" and self.state.desired == "RUNNING":
                self.post(f.SandboxLost(reason=SANDBOX_DIED))
        elif any(container.name == name and not container.stopped for container in self.state.containers):
            self._group.create_task(self._patiently(partial(self.observe, name)))

    def out_of_memory(self, container_id: str, at: float) -> None:
        """The engine says that the kernel killed something in a container for its memory use."""
        if self._group is not None:
            self._group.create_task(self.actions.oom.hear(container_id, at))

    async def reobserve(self) -> None:
        """Look at every container and post what is seen: after a restart or lost events."""
        for container in self.state.containers:
            if not container.stopped:
                await self.observe(container.name)
        if self.state.resources == "ready" and self.state.status != "STOPPED":
            lost = await self.actions.sandbox_loss(self.state)
            if lost is not None:
                self.post(f.SandboxLost(reason=lost))

    async def observe(self, name: str) -> None:
        """Inspect one container and post what is seen."""
        container = self.state.container(name)
        for fact in await self.actions.look(container):
            self.post(fact)

    def _take_in(self, group: asyncio.TaskGroup) -> None:
        """Take everything that recovery saw at once, and before what was ordered meanwhile.

        The last agent's actions are forgotten: a container that it was about to start looks as if
        it had never run, and a stop would give it up without stopping it.
        """
        inbox, self._inbox = self._inbox, deque()
        seen = tuple(fact for fact in inbox if isinstance(fact, f.ContainerFact | f.HealthChanged | f.SandboxLost))
        self._take(group, f.Seen(facts=seen))
        self._inbox.extend(
            fact for fact in inbox if not isinstance(fact, f.ContainerFact | f.HealthChanged | f.SandboxLost)
        )

    # -- the loop -------------------------------------------------------------------------

    async def _next(self) -> f.Fact:
        while not self._inbox:
            if self.state.cleanup == "done":
                return f.Tick()
            self._posted.clear()
            try:
                async with asyncio.timeout(self._patience()):
                    await self._posted.wait()
            except TimeoutError:
                return f.Tick()
        return self._inbox.popleft()

    def _patience(self) -> float | None:
        return None if self._wake_at is None else max(0.0, self._wake_at - self._parts.clock.now())

    def _take(self, group: asyncio.TaskGroup, fact: f.Fact) -> None:
        before = self.state
        outcome: Step = step(self._plan, before, fact, self._parts.clock.now())
        self.state = outcome.state
        if outcome.state != before:
            # Before any action: what is begun must be known after a crash.
            self._parts.store.save(outcome.state)
            self._tell(before)
        for action in outcome.actions:
            self._begin(group, action)
        if self.state.reports and not self._sending:
            self._sending = True
            group.create_task(self._report(group))
        self._wake_at = outcome.wake_at

    def _tell(self, before: TaskState) -> None:
        """Let others know what changed."""
        if before.status != self.state.status:
            _log.info("task", task=self.payload.arn, status=self.state.status, reason=self.state.reason or None)
            if self.state.status == "STOPPED":
                self._parts.ports.release(self.payload.arn)
                self._parts.credentials.drop(self.payload.arn)
        if self._parts.evidence is not None:
            for found in occasions(self.payload, before, self.state):
                self._parts.evidence.take(found, self.state.container(found.container).container_id)
        for old, new in zip(before.containers, self.state.containers, strict=True):
            if old.health != new.health or (old.status != new.status and new.health_since is not None):
                self._on_health()
                break

    def _begin(self, group: asyncio.TaskGroup, action: f.Action) -> None:
        if isinstance(action, f.CancelFetch):
            fetch = self._fetches.pop(action.name, None)
            if fetch is not None:
                fetch.cancel()
            return
        running = group.create_task(self._perform(action))
        if isinstance(action, f.Fetch):
            self._fetches[action.name] = running

    async def _perform(self, action: f.Action) -> None:
        async def act() -> None:
            for fact in await self.actions.perform(action, self.state):
                self.post(fact)

        await self._patiently(act)
        if isinstance(action, f.Fetch):
            self._fetches.pop(action.name, None)

    async def _patiently(self, act: Callable[[], Awaitable[None]]) -> None:
        """Try again for as long as the engine does not answer."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await act()
            except EngineUnavailable as error:
                _log.warning("container engine does not answer", task=self.payload.arn, error=str(error))
            except EngineError as error:
                # What ends a task was turned into a fact before; this is a refusal that may pass.
                _log.warning("container engine refuses", task=self.payload.arn, error=error.message)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _report(self, group: asyncio.TaskGroup) -> None:
        """Send what waits, oldest first, until nothing waits."""
        while self.state.reports:
            count = await self._parts.reporter.send(self.cluster, self.payload.arn, self.state.reports)
            self._take(group, f.Delivered(count=count))
            self._posted.set()
        self._sending = False


def _refused(state: TaskState, reason: str) -> TaskState:
    return msgspec.structs.replace(state, desired="STOPPED", reason=state.reason or reason)
