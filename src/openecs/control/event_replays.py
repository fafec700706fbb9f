"""Replays: sends what an archive holds to its bus again, with how far that went in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.events.archive_store import ArchiveStore
from openecs.events.bus import read_envelope
from openecs.events.router import Router
from openecs.model.event_archive import EventReplay
from openecs.model.event_delivery import EventDelivery
from openecs.state.state import State
from openecs.state.store import Notice

#: Events that one step sends.
PAGE = 200
#: While more deliveries than these are on their way, replays wait; seconds between two looks.
MANY_DELIVERIES, PAUSE = 5000, 0.5

_UNDER_WAY = ("STARTING", "RUNNING", "CANCELLING")


class EventReplays:
    """The reconciler of replays."""

    def __init__(self, state: State, router: Router, archives: ArchiveStore, clock: Clock) -> None:
        self._state = state
        self._router = router
        self._archives = archives
        self._clock = clock

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("event-replays", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "event_replay", _begun)
        return loop

    async def reconcile(self, key: str) -> Result:
        """Send one page of a replay."""
        replay = self._state.event_replays.get(key)
        if replay is None or replay.state not in _UNDER_WAY:
            return Done()
        if replay.state == "CANCELLING":
            return self._end(replay, "CANCELLED", "Replay cancelled by user.")
        archive = self._state.event_archives.get(replay.archive_arn)
        if archive is None:
            return self._end(replay, "FAILED", "The archive was deleted.")
        if len(self._state.event_deliveries) > MANY_DELIVERIES:
            return After(PAUSE)
        page = await self._archives.read(archive, replay.event_start, replay.event_end, replay.position, PAGE)
        # It may have been cancelled while the archive was read.
        replay = self._state.event_replays.get(key)
        if replay is None or replay.state not in ("STARTING", "RUNNING"):
            return After(0.0)
        if not page.events:
            return self._end(replay, "COMPLETED", None)
        sent = [delivery for event in page.events for delivery in self._deliveries(replay, event.message)]
        last = page.events[-1]
        with self._state.transaction() as tx:
            for delivery in sent:
                tx.put(delivery)
            tx.put(
                msgspec.structs.replace(
                    replay, state="RUNNING", position=last.key, last_replayed_at=last.timestamp / 1000
                )
            )
        return After(0.0) if page.more else self._end(self._state.event_replays.get(key), "COMPLETED", None)

    def _deliveries(self, replay: EventReplay, text: str) -> list[EventDelivery]:
        event = read_envelope(text)._replace(replay_name=replay.name)
        members = msgspec.json.decode(text)
        rules = frozenset(replay.destination.filter_arns) if replay.destination.filter_arns else None
        return self._router.deliveries(
            event,
            replay.destination.arn.partition(":event-bus/")[2],
            text=msgspec.json.encode({**members, "replay-name": replay.name}).decode(),
            rules=rules,
            token=f"{event.id} {replay.arn} {replay.started_at}",
        )

    def _end(self, replay: EventReplay | None, state: str, reason: str | None) -> Result:
        if replay is not None:
            ended = msgspec.structs.replace(replay, state=state, state_reason=reason, ended_at=self._clock.now())
            with self._state.transaction() as tx:
                tx.put(ended)
        return Done()

    def _all(self) -> Iterable[str]:
        return [replay.key for replay in self._state.event_replays if replay.state in _UNDER_WAY]


def _begun(notice: Notice) -> Iterable[str]:
    return (notice.key,) if notice.new is not None and notice.new.state in ("STARTING", "CANCELLING") else ()
