"""Gathers evidence of containers that end, fail or turn UNHEALTHY, and sends it.  Best effort.

Nothing waits for it but the removal of a stopped task's containers, and that for a few seconds
at most.  What is too much, too often or cannot be delivered is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import msgspec
import structlog

from openecs.acs.evidence import LOG_LENGTH, LOG_LINES, PROBE_LENGTH, PROBES, REASON_LENGTH, Evidence, Occasion, Probe
from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine.task_machine import OUT_OF_MEMORY
from openecs.agent.engine.task_state import ContainerState, TaskState
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, Runtime
from openecs.clock import Clock
from openecs.errors import AWSError, Retryable

_log = structlog.get_logger("openecs.agent")
#: Occasions that are gathered or wait to be sent at a time; more are dropped.
MAXIMUM = 64
#: Of them, this many are gathered from the engine at a time.
AT_ONCE = 4
#: Seconds in which the same happening to the same container is told once.
REPEAT_AFTER = 30.0
#: Seconds for the engine's answers, and for which a removal waits.
GATHERING = 5.0
#: Tries to deliver one piece, and the first pause between them in seconds, which doubles.
TRIES, FIRST_PAUSE = 6, 0.5

#: What is told: everything; no words of the container's own (its output and its health check's); nothing.
EvidenceLevel = Literal["full", "status", "none"]


def occasions(payload: TaskPayload, before: TaskState, after: TaskState) -> Iterator[Evidence]:
    """What happened to a task's containers between two states that is worth telling.  Pure.

    A container that is being stopped ends because it was told to: no evidence is needed.
    """
    for old, new in zip(before.containers, after.containers, strict=True):
        if new.stopped and not old.stopped:
            if new.has_run and old.doing != "stop":
                yield _evidence(payload, after, new, "ended")
            elif not new.has_run and new.reason:
                yield _evidence(payload, after, new, "failed")
        elif new.restarts > old.restarts:
            yield _evidence(payload, after, new, "restarted")
        if new.health == "UNHEALTHY" and old.health != "UNHEALTHY":
            yield _evidence(payload, after, new, "unhealthy")


def _evidence(payload: TaskPayload, task: TaskState, container: ContainerState, occasion: Occasion) -> Evidence:
    wanted = next(c for c in payload.containers if c.name == container.name)
    times: dict[Occasion, float | None] = {
        "ended": container.finished_at,
        "failed": container.finished_at,
        "restarted": container.exit_seen,
        "unhealthy": container.health_since,
    }
    pull = None
    if task.pull_started_at is not None and task.pull_stopped_at is not None:
        pull = round(task.pull_stopped_at - task.pull_started_at, 3)
    return Evidence(
        task_arn=payload.arn,
        container=container.name,
        occasion=occasion,
        at=times[occasion] or 0.0,
        exit_code=container.exit_code,
        oom_killed=container.reason == OUT_OF_MEMORY,
        memory_limit=wanted.memory or payload.memory or None,
        reason=(container.reason or "")[:REASON_LENGTH],
        restarts=container.restarts,
        pull_seconds=pull,
    )


class EvidenceGatherer:
    """Takes occasions from tasks' owners.  ``run`` does the work; without it they are dropped."""

    def __init__(
        self,
        runtime: Runtime,
        send: Callable[[bytes], Awaitable[None]],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        output: bool = True,
    ) -> None:
        """``send`` delivers one encoded ``Evidence``; it raises ``AWSError`` or ``Retryable``.

        Without ``output`` nothing that a container or its health check printed is read or told.
        """
        self._runtime = runtime
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._output = output
        self._group: asyncio.TaskGroup | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._count = 0
        #: Task → what is still to be read off its containers.
        self._gathering: dict[str, set[asyncio.Future[None]]] = {}
        #: (task, container, occasion) → when it was last told; in that order.
        self._told: dict[tuple[str, str, str], float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                # Whoever still works while the agent stops has nobody to tell.
                self._group = None

    def take(self, found: Evidence, container_id: str | None) -> None:
        """Tell of an occasion, unless it was told of a moment ago or too many are under way."""
        now = self._clock.now()
        key = (found.task_arn, found.container, found.occasion)
        if self._group is None or now < self._told.get(key, 0.0) + REPEAT_AFTER:
            return
        if self._count >= MAXIMUM:
            _log.debug("evidence dropped: too much at once", task=found.task_arn, container=found.container)
            return
        self._told.pop(key, None)
        self._told[key] = now
        while self._told and next(iter(self._told.values())) + REPEAT_AFTER < now:
            del self._told[next(iter(self._told))]
        self._count += 1
        gathered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathering.setdefault(found.task_arn, set()).add(gathered)
        self._group.create_task(self._tell(found, container_id, gathered))

    async def settled(self, task_arn: str) -> None:
        """Wait until the task's containers may be removed, for ``GATHERING`` seconds at most."""
        waiting = self._gathering.get(task_arn)
        if waiting:
            await asyncio.wait(tuple(waiting), timeout=GATHERING)

    async def _tell(self, found: Evidence, container_id: str | None, gathered: asyncio.Future[None]) -> None:
        try:
            try:
                if container_id is not None:
                    async with self._slots, asyncio.timeout(GATHERING):
                        found = await self._gather(found, container_id)
            except (EngineError, EngineUnavailable, TimeoutError) as error:
                _log.debug("evidence is incomplete", task=found.task_arn, error=str(error))
            except Exception:  # noqa: BLE001 -- whatever an engine answers, what is known already is told
                _log.exception("evidence is incomplete", task=found.task_arn, container=found.container)
            finally:
                self._done_with(found.task_arn, gathered)
            await self._deliver(msgspec.json.encode(found), found.task_arn)
        except Exception:  # noqa: BLE001 -- one piece that is lost must not end the agent
            _log.exception("evidence is lost", task=found.task_arn, container=found.container)
        finally:
            self._count -= 1

    def _done_with(self, task_arn: str, gathered: asyncio.Future[None]) -> None:
        waiting = self._gathering[task_arn]
        waiting.discard(gathered)
        if not waiting:
            del self._gathering[task_arn]
        if not gathered.done():
            gathered.set_result(None)

    async def _gather(self, found: Evidence, container_id: str) -> Evidence:
        info = await self._runtime.inspect(container_id)
        probes = tuple(
            Probe(exit_code=probe.exit_code, output=probe.output[-PROBE_LENGTH:] if self._output else "")
            for probe in info.probes[-PROBES:]
        )
        log = await self._runtime.tail(container_id, LOG_LINES) if self._output else None
        reason = found.reason or info.error[:REASON_LENGTH]
        return msgspec.structs.replace(
            found, probes=probes, log=None if log is None else log[-LOG_LENGTH:], reason=reason
        )

    async def _deliver(self, body: bytes, task_arn: str) -> None:
        pause = FIRST_PAUSE
        for _ in range(TRIES):
            try:
                return await self._send(body)
            except AWSError as error:
                _log.debug("evidence refused", task=task_arn, code=error.code, error=error.message)
                return None
            except Retryable as error:
                _log.debug("evidence did not get through", task=task_arn, error=str(error))
            await self._sleep(pause)
            pause *= 2
        return None
