"""Runs the ticks of schedules: takes what is due in the table of invocations to its target.

An invocation is in the table from its tick until the target has taken it or it was given up; then its
outcome is in the schedule's history.  After a crash it is made again with the same token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import structlog

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.schedule_targets import ScheduleTargets
from openecs.control.schedule_timetable import of_schedule
from openecs.control.schedules import with_outcome
from openecs.events.log_group import LogGroups
from openecs.events.outcome import InvocationError, Outcome
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.schedule import ScheduleInvocation, ScheduleOutcome
from openecs.planning.delivery_retries import Again, next_attempt
from openecs.planning.event_targets import TargetRefusedError, dead_letter_group
from openecs.planning.schedules.ticks import next_tick
from openecs.shapes import events
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.schedules")

#: Invocations under way at a time; 10,000 schedules of one minute take turns.
AT_ONCE = 32
#: The longest time between two looks at an invocation that is not due yet.
LOOK_AGAIN = 30.0


class ScheduleInvocations:
    """The reconciler of the table of invocations."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        targets: ScheduleTargets,
        log_groups: LogGroups,
        add_metrics: Callable[[Iterable[Datum]], None],
    ) -> None:
        self._state = state
        self._clock = clock
        self._targets = targets
        self._log_groups = log_groups
        self._add = add_metrics
        self._busy: set[str] = set()
        self._free = asyncio.Semaphore(AT_ONCE)

    async def run(self, timing: Timing) -> None:
        """Invoke for ever."""
        self._jitter = timing.jitter
        self._loop = Loop("schedule-invocations", self.reconcile, timing, resync=self._all)
        self._loop.watch(self._state.store, "schedule_invocation", _new)
        async with asyncio.TaskGroup() as self._group:
            await self._loop.run()

    def reconcile(self, key: str) -> Result:
        """Begin an invocation that is due."""
        invocation = self._state.schedule_invocations.get(key)
        if invocation is None or key in self._busy:
            return Done()
        early = invocation.due_at - self._clock.now()
        if early > 0:
            # Timers do not know when the wall clock was set or the machine slept.
            return After(min(early, LOOK_AGAIN))
        self._busy.add(key)
        self._group.create_task(self._attempt(invocation))
        return Done()

    async def _attempt(self, invocation: ScheduleInvocation) -> None:
        try:
            async with self._free:
                # Nothing leaves the process before what caused it is durable.
                await self._state.store.durable()
                self._count("InvocationAttemptCount", invocation)
                try:
                    outcome = await self._targets.invoke(invocation)
                except InvocationError as error:
                    await self._failed(invocation, error)
                except Exception as error:
                    logger.exception("schedule.bug", schedule=invocation.schedule_arn)
                    await self._failed(invocation, InvocationError("INTERNAL_ERROR", repr(error), retry=True))
                else:
                    self._settle(invocation, outcome, ok=True)
        finally:
            self._busy.discard(invocation.key)
            self._loop.enqueue(invocation.key)

    async def _failed(self, invocation: ScheduleInvocation, error: InvocationError) -> None:
        self._count("TargetErrorCount", invocation)
        given = invocation.target.retry_policy
        policy = None if given is None else msgspec.convert(msgspec.to_builtins(given), events.RetryPolicy)
        following = next_attempt(
            policy,
            retries=invocation.attempts,
            created_at=invocation.tick,
            now=self._clock.now(),
            retry=error.retry,
            jitter=self._jitter(),
        )
        if isinstance(following, Again):
            if invocation.key in self._state.schedule_invocations:
                again = msgspec.structs.replace(
                    invocation,
                    attempts=invocation.attempts + 1,
                    due_at=following.at,
                    last_error=f"{error.code}: {error.message}",
                )
                with self._state.transaction() as tx:
                    tx.put(again)
            return
        self._count("InvocationDroppedCount", invocation)
        await self._bury(invocation, error, following.exhausted)
        self._settle(invocation, Outcome(f"{error.code}: {error.message}"), ok=False)

    async def _bury(self, invocation: ScheduleInvocation, error: InvocationError, exhausted: str) -> None:
        """Put an invocation that was given up into its dead-letter log group, if it has one."""
        config = invocation.target.dead_letter_config
        if config is None or not config.arn:
            return
        attributes = {
            "SCHEDULE_ARN": invocation.schedule_arn,
            "TARGET_ARN": invocation.target.arn,
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
            "RETRY_ATTEMPTS": str(invocation.attempts),
            "EXECUTION_ID": invocation.id,
        } | ({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {})
        entry = msgspec.json.encode({"attributes": attributes, "body": invocation.target.input or "{}"}).decode()
        try:
            where = dead_letter_group(config.arn)
            stream = f"{invocation.group}/{invocation.name}"
            await self._log_groups.write(where.region, where.name, stream, entry, self._clock.now())
        except (InvocationError, TargetRefusedError):
            self._count("InvocationsFailedToBeSentToDeadLetterCount", invocation)
            logger.exception("schedule.lost", schedule=invocation.schedule_arn)
            return
        self._count("InvocationsSentToDeadLetterCount", invocation)

    def _settle(self, invocation: ScheduleInvocation, outcome: Outcome, *, ok: bool) -> None:
        """The end of an invocation: it goes, its outcome stays, and so may the schedule go."""
        if invocation.key not in self._state.schedule_invocations:
            return
        schedule = self._state.schedules.get(invocation.schedule_arn)
        progress = self._state.schedule_progress.get(invocation.schedule_arn)
        ended = ScheduleOutcome(
            tick=invocation.tick, ended_at=self._clock.now(), text=outcome.text, ok=ok, task_arns=outcome.task_arns
        )
        with self._state.transaction() as tx:
            tx.delete(invocation)
            if progress is not None:
                tx.put(with_outcome(progress, ended))
            if (
                schedule is not None
                and schedule.after_completion == "DELETE"
                and next_tick(of_schedule(schedule), max(invocation.tick, schedule.modified_at)) is None
                and self._state.schedule_invocations.count("schedule", schedule.arn) == 0
            ):
                tx.delete(schedule)

    def _count(self, name: str, invocation: ScheduleInvocation) -> None:
        key = MetricKey(invocation.region, "AWS/Scheduler", name, dimensions({"ScheduleGroup": invocation.group}))
        self._add((single(key, self._clock.now(), 1.0, "Count"),))

    def _all(self) -> Iterable[str]:
        return [invocation.key for invocation in self._state.schedule_invocations]


def _new(notice: Notice) -> Iterable[str]:
    return (notice.key,) if notice.old is None and notice.new is not None else ()
