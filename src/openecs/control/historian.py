"""The historian: makes history of every transaction, as a part of it.

It sees each change before it is committed, so nobody can forget to tell it; whoever decides
something may say why with ``Transaction.because``, and who called comes from ``acting``.
Nothing reads what it writes but ``openecs why``.

Its own memory is small and only saves rows: when each service last failed to place a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog

from openecs import arn as arns
from openecs.clock import Clock
from openecs.model.history import Actor, HistoryEntry
from openecs.model.node import ContainerInstance
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning import service_history, task_history
from openecs.planning.alarms import history as alarm_history
from openecs.state.state import State
from openecs.state.store import Notice, Transaction
from openecs.wire.call import acting

logger = structlog.get_logger("openecs.control")

#: Seconds for which history is kept.
RETENTION = 30 * 86400.0
#: Entries that one commit of the journal's file forgets at most; each batch holds up other commits.
PRUNED_AT_ONCE = 500
#: Seconds between batches while there are more, and between looks otherwise.
PRUNE_PAUSE, PRUNE_INTERVAL = 0.25, 600.0
#: Tables whose changes history tells of.
_TOLD = frozenset(
    {"task", "service", "service_events", "service_deployment", "container_instance", "metric_alarm"}
    | {"composite_alarm"}
)
#: Seconds within which a deployment's tasks not being placed for the same reasons is noted once.
REPEAT_AFTER = 600.0


class Historian:
    """Notes what transactions do.  Constructing it makes the store call it."""

    def __init__(self, state: State, clock: Clock, *, strict: bool = False) -> None:
        """``strict`` is the store's: whether a mistake in here undoes transactions, for tests."""
        self._state = state
        self._clock = clock
        #: Deployment (or service) → the reasons for which its tasks were not placed, and when that was noted.
        self._not_placed: dict[str, tuple[object, float]] = {}
        state.store.keep_history(self._note, strict=strict)

    async def prune(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Forget what is older than ``RETENTION`` or beyond the journal's limits, in small batches, for ever."""
        while True:
            pruned = await self._state.store.prune_history(self._clock.now() - RETENTION, PRUNED_AT_ONCE)
            if pruned:
                logger.debug("history.pruned", entries=pruned)
            await sleep(PRUNE_PAUSE if pruned == PRUNED_AT_ONCE else PRUNE_INTERVAL)

    def _note(self, tx: Transaction, notices: Sequence[Notice]) -> None:
        if tx.notes:
            tx.notes = [note for note in tx.notes if note.kind != "not-placed" or self._is_new(note)]
        for notice in notices:
            if notice.table in _TOLD and not (notice.table == "task" and _untold(notice.old, notice.new)):
                tx.notes.extend(self._entries(tx, notice, acting.get(), self._clock.now()))

    def _entries(self, tx: Transaction, notice: Notice, actor: Actor | None, now: float) -> Iterator[HistoryEntry]:
        table, key, old, new = notice
        if table == "task":
            if new is None:
                return iter(())
            if old is None:
                # Its deployment places tasks again.
                self._not_placed.pop(new.deployment_id or "", None)
            because = tx.reasons.get(key)
            return task_history.entries(old, new, because=because, actor=actor, now=now)
        if table == "service":
            self._forget_reasons(old, new)
            # A step may say why of hundreds of tasks as well.
            deployments = new.deployments if new is not None and tx.reasons else ()
            causes = {d.id: tx.reasons[d.id].text for d in deployments if d.id in tx.reasons}
            return service_history.service_entries(old, new, causes=causes, actor=actor, now=now)
        if table == "service_events":
            return service_history.event_entries(old, new)
        if table == "service_deployment":
            return service_history.service_deployment_entries(old, new, actor=actor, now=now)
        if table == "container_instance":
            return _instance_entries(old, new, actor, now)
        if table in ("metric_alarm", "composite_alarm"):
            return alarm_history.entries(old, new, now)
        return iter(())

    def _forget_reasons(self, old: Service | None, new: Service | None) -> None:
        """Let go of what is over: deployments that left, services that were deleted."""
        over = new is None or new.status == "INACTIVE"
        kept = {d.id for d in new.deployments} if new is not None and not over else set()
        for deployment in old.deployments if old is not None else ():
            if deployment.id not in kept:
                self._not_placed.pop(deployment.id, None)
        if over and old is not None:
            self._not_placed.pop(old.arn, None)

    def _is_new(self, note: HistoryEntry) -> bool:
        """Whether a deployment's tasks not being placed is news."""
        subject = note.deployment_id or note.service_arn or ""
        reasons = sorted(note.facts.get("rejected", {}))
        last, at = self._not_placed.get(subject, (None, 0.0))
        if last == reasons and at <= note.at < at + REPEAT_AFTER:
            return False
        self._not_placed[subject] = (reasons, note.at)
        return True


def _untold(old: Task | None, new: Task | None) -> bool:
    """Whether a task's change is surely worth no entry: most are, and each of them passes here."""
    return (
        old is not None
        and new is not None
        and old.desired_status == new.desired_status
        and new.last_status != "STOPPED"
        and old.health_status == new.health_status
        and old.node_id == new.node_id
        and old.protected_until == new.protected_until
    )


def _instance_entries(
    old: ContainerInstance | None, new: ContainerInstance | None, actor: Actor | None, now: float
) -> Iterator[HistoryEntry]:
    """Who drained a container instance or took it away: the reason behind many a stopped task."""
    if old is None or new is None or old.status == new.status:
        return
    who = f" by {actor.principal} with {actor.operation}" if actor else ""
    yield HistoryEntry(
        at=now,
        kind="instance",
        text=f"container instance {arns.short(new.arn)} became {new.status}{who}",
        cluster_arn=new.cluster_arn,
        facts={"instance": new.arn, "status": new.status},
    )
