"""EventBridge's parts, put together: what its API, the sources of events and the schedules share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from openecs.clock import Clock
from openecs.control.event_deliveries import EventDeliveries
from openecs.control.event_replays import EventReplays
from openecs.control.loop import Timing
from openecs.control.schedule_invocations import ScheduleInvocations
from openecs.control.schedule_targets import ScheduleTargets
from openecs.control.schedules import ScheduleController
from openecs.events.alarm_source import AlarmSource
from openecs.events.api_destinations import ApiDestinations
from openecs.events.archive_store import ArchiveStore
from openecs.events.authorization import Authorizer
from openecs.events.bus import BusSender
from openecs.events.ecs_source import EcsSource
from openecs.events.invoke import Invoker
from openecs.events.log_group import LogGroups
from openecs.events.meter import Meter
from openecs.events.router import Router
from openecs.iam.keyring import KeyRing
from openecs.ids import Ids
from openecs.logs.store import LogStore
from openecs.metrics.metric import Datum
from openecs.state.state import State
from openecs.wire.inside import InsideCaller


class EventParts:
    """The working parts; ``invoker`` is there after ``connect``."""

    def __init__(
        self,
        state: State,
        *,
        logs: LogStore,
        add_metrics: Callable[[Iterable[Datum]], None],
        ring: KeyRing,
        clock: Clock,
        ids: Ids,
        account: str,
    ) -> None:
        self._state = state
        self._clock = clock
        self._account = account
        self._add_metrics = add_metrics
        self.authorizer = Authorizer(ring, clock)
        self.archives = ArchiveStore(logs)
        self.log_groups = LogGroups(logs, clock)
        self.meter = Meter(add_metrics, clock)
        self.router = Router(state, clock, self.meter)
        self.sender = BusSender(state, self.router, ids)
        EcsSource(state, self.sender, clock)
        AlarmSource(state, self.sender, clock)

    def connect(self, call: InsideCaller) -> None:
        """Make what calls services, when they are there."""
        self._call = call
        self.invoker = Invoker(
            call=call,
            log_groups=self.log_groups,
            http=ApiDestinations(self._state, self.authorizer),
            pass_on=self.sender.pass_on,
            account=self._account,
        )

    def run(self, group: asyncio.TaskGroup, timing: Timing) -> None:
        """Deliver, replay and fire schedules for ever."""
        deliveries = EventDeliveries(
            self._state,
            self._clock,
            invoker=self.invoker,
            archives=self.archives,
            log_groups=self.log_groups,
            meter=self.meter,
        )
        replays = EventReplays(self._state, self.router, self.archives, self._clock)
        invocations = ScheduleInvocations(
            self._state,
            self._clock,
            ScheduleTargets(self.invoker, self._call, self._clock),
            self.log_groups,
            self._add_metrics,
        )
        group.create_task(ScheduleController(self._state, self._clock, self.sender).run(timing))
        group.create_task(invocations.run(timing))
        group.create_task(deliveries.run(timing))
        group.create_task(replays.loop(timing).run())
