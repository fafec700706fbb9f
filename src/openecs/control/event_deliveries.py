"""Delivers events: takes what is due in the table of deliveries to its targets.

A delivery is in the table from the commit of what caused it until its target has taken it, or it
has been given up and is in its dead-letter log group.  When the process ends in between, it is
made again after the start, with the same token.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable

import msgspec
import structlog

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.events.archive_store import ArchiveStore
from openecs.events.invoke import Invoker
from openecs.events.log_group import LogGroups
from openecs.events.meter import Meter
from openecs.events.outcome import InvocationError
from openecs.model.event_delivery import EventDelivery
from openecs.model.event_rule import DEFAULT_BUS
from openecs.planning.delivery_retries import Again, next_attempt
from openecs.planning.event_input import payload
from openecs.planning.event_targets import TargetRefusedError, dead_letter_group
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.events")

#: Deliveries to one target that are under way at a time; others to it wait, and nobody else does.
AT_ONCE = 16


class EventDeliveries:
    """The reconciler of the table of deliveries."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        *,
        invoker: Invoker,
        archives: ArchiveStore,
        log_groups: LogGroups,
        meter: Meter,
    ) -> None:
        self._state = state
        self._clock = clock
        self._invoker = invoker
        self._archives = archives
        self._log_groups = log_groups
        self._meter = meter
        self._busy: set[str] = set()
        #: Target → how many deliveries to it are under way, and which wait for one of them to end.
        self._under_way: Counter[str] = Counter()
        self._waiting: dict[str, deque[str]] = {}

    async def run(self, timing: Timing) -> None:
        """Deliver for ever."""
        self._jitter = timing.jitter
        self._loop = Loop("event-deliveries", self.reconcile, timing, resync=self._all)
        self._loop.watch(self._state.store, "event_delivery", _new)
        async with asyncio.TaskGroup() as self._group:
            await self._loop.run()

    def reconcile(self, key: str) -> Result:
        """Begin a delivery that is due."""
        delivery = self._state.event_deliveries.get(key)
        if delivery is None or key in self._busy:
            return Done()
        early = delivery.due_at - self._clock.now()
        if early > 0:
            return After(early)
        target = delivery.target.arn
        if self._under_way[target] >= AT_ONCE:
            self._waiting.setdefault(target, deque()).append(key)
            return Done()
        self._busy.add(key)
        self._under_way[target] += 1
        self._group.create_task(self._deliver(delivery))
        return Done()

    async def _deliver(self, delivery: EventDelivery) -> None:
        target = delivery.target.arn
        try:
            await self._attempt(delivery)
        finally:
            self._busy.discard(delivery.key)
            self._under_way[target] -= 1
            if not self._under_way[target]:
                del self._under_way[target]
            waiting = self._waiting.get(target)
            if waiting:
                self._loop.enqueue(waiting.popleft())
            else:
                self._waiting.pop(target, None)
            # It is due again later, unless it is gone.
            self._loop.enqueue(delivery.key)

    async def _attempt(self, delivery: EventDelivery) -> None:
        # Nothing leaves the process before what caused it is durable.
        await self._state.store.durable()
        self._count("InvocationAttempts", delivery)
        if delivery.attempts:
            self._count("RetryInvocationAttempts", delivery)
        try:
            text = await self._invoke(delivery)
        except InvocationError as error:
            await self._failed(delivery, error)
            return
        except Exception as error:
            logger.exception("delivery.bug", rule=delivery.rule_arn, target=delivery.target.arn)
            await self._failed(delivery, InvocationError("INTERNAL_ERROR", repr(error), retry=True))
            return
        self._count("Invocations", delivery)
        self._count("SuccessfulInvocationAttempts", delivery)
        logger.debug("delivery.done", rule=delivery.rule_arn, target=delivery.target.arn, outcome=text)
        self._forget(delivery)

    async def _invoke(self, delivery: EventDelivery) -> str:
        archive = self._state.event_archives.get(delivery.target.arn)
        if archive is not None:
            await self._archives.append(archive, delivery.event, delivery.created_at)
            return "archived"
        if ":archive/" in delivery.target.arn:
            return "the archive was deleted"
        text = payload(
            delivery.target,
            delivery.event,
            rule_arn=delivery.rule_arn,
            rule_name=delivery.rule_name,
            ingested_at=delivery.created_at,
        )
        outcome = await self._invoker.invoke(
            delivery.target,
            text,
            token=delivery.id,
            started_by=f"events-rule/{delivery.rule_name}",
            source=delivery.rule_arn,
            hops=delivery.hops,
        )
        return outcome.text

    async def _failed(self, delivery: EventDelivery, error: InvocationError) -> None:
        now = self._clock.now()
        following = next_attempt(
            delivery.target.retry_policy,
            retries=delivery.attempts,
            created_at=delivery.created_at,
            now=now,
            retry=error.retry,
            jitter=self._jitter(),
        )
        logger.warning(
            "delivery.failed",
            rule=delivery.rule_arn,
            target=delivery.target.arn,
            code=error.code,
            reason=error.message,
            retries=delivery.attempts,
            next_at=following.at if isinstance(following, Again) else None,
        )
        if isinstance(following, Again):
            self._put(
                msgspec.structs.replace(
                    delivery,
                    attempts=delivery.attempts + 1,
                    due_at=following.at,
                    last_error_code=error.code,
                    last_error=error.message,
                )
            )
            return
        self._count("Invocations", delivery)
        self._count("FailedInvocations", delivery)
        await self._bury(delivery, error, following.exhausted)
        self._forget(delivery)

    async def _bury(self, delivery: EventDelivery, error: InvocationError, exhausted: str) -> None:
        """Put a delivery that was given up into its dead-letter log group, if it has one."""
        config = delivery.target.dead_letter_config
        if config is None or not config.arn:
            return
        attributes = {
            "RULE_ARN": delivery.rule_arn,
            "TARGET_ARN": delivery.target.arn,
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
            "RETRY_ATTEMPTS": str(delivery.attempts),
        } | ({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {})
        entry = {"attributes": attributes, "body": msgspec.Raw(delivery.event.encode())}
        try:
            where = dead_letter_group(config.arn)
            await self._log_groups.write(
                where.region,
                where.name,
                f"{delivery.rule_name}/{delivery.target.id}",
                msgspec.json.encode(entry).decode(),
                self._clock.now(),
            )
        except (InvocationError, TargetRefusedError):
            self._count("InvocationsFailedToBeSentToDlq", delivery)
            logger.exception("delivery.lost", rule=delivery.rule_arn, target=delivery.target.arn)
            return
        self._count("InvocationsSentToDlq", delivery)

    def _count(self, name: str, delivery: EventDelivery) -> None:
        rule = self._state.event_rules.get(delivery.rule_arn)
        self._meter.count(name, delivery.region, delivery.rule_name, rule.bus_name if rule else DEFAULT_BUS)

    def _put(self, delivery: EventDelivery) -> None:
        with self._state.transaction() as tx:
            tx.put(delivery)

    def _forget(self, delivery: EventDelivery) -> None:
        with self._state.transaction() as tx:
            tx.delete(delivery)

    def _all(self) -> Iterable[str]:
        return [delivery.key for delivery in self._state.event_deliveries]


def _new(notice: Notice) -> Iterable[str]:
    """Deliveries that somebody adds; what becomes of them is known here."""
    return (notice.key,) if notice.old is None and notice.new is not None else ()
