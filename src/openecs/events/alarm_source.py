"""The source of CloudWatch's events about alarms; as ``ecs_source``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from openecs.clock import Clock
from openecs.events.bus import BusSender
from openecs.model.event_delivery import EventDelivery
from openecs.planning.alarms.event import SOURCE, AlarmEvent, alarm_event
from openecs.state.state import State
from openecs.state.store import Notice

_TABLES = ("metric_alarm", "composite_alarm")


class AlarmSource:
    """Makes events of alarms that change.  Constructing it makes the store ask it."""

    def __init__(self, state: State, sender: BusSender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        state.store.follow(self._follow)

    def _follow(self, notices: Sequence[Notice]) -> Iterable[EventDelivery]:
        if self._sender.idle():
            return ()
        return [
            delivery
            for event in self._events(notices)
            if self._sender.wanted(event.region, SOURCE, event.detail_type)
            for delivery in self._sender.of_service(
                SOURCE, event.detail_type, event.resources, event.detail, event.time
            )
        ]

    def _events(self, notices: Sequence[Notice]) -> Iterator[AlarmEvent]:
        for notice in notices:
            if notice.table in _TABLES:
                event = alarm_event(notice.old, notice.new, self._clock.now())
                if event is not None:
                    yield event
