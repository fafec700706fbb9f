"""The source of ECS's own events: sees every transaction before its commit and adds the deliveries.

Nearly all changes concern no rule; they cost one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from openecs.api.ecs import container_instance_view
from openecs.clock import Clock
from openecs.events.bus import BusSender
from openecs.model.event_delivery import EventDelivery
from openecs.model.node import ContainerInstance
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning import ecs_events
from openecs.planning.ecs_events import EcsEvent
from openecs.planning.task_shape import task_shape
from openecs.state.state import State
from openecs.state.store import Notice


class EcsSource:
    """Makes events of what transactions change.  Constructing it makes the store ask it."""

    def __init__(self, state: State, sender: BusSender, clock: Clock) -> None:
        self._state = state
        self._sender = sender
        self._clock = clock
        state.store.follow(self._follow)

    def _follow(self, notices: Sequence[Notice]) -> Iterable[EventDelivery]:
        if self._sender.idle():
            return ()
        now = self._clock.now()
        return [
            delivery
            for notice in notices
            for event in self._events(notice)
            for delivery in self._sender.of_service(ecs_events.SOURCE, *event, now)
        ]

    def _wanted(self, region: str, detail_type: str) -> bool:
        return self._sender.wanted(region, ecs_events.SOURCE, detail_type)

    def _events(self, notice: Notice) -> Iterator[EcsEvent]:
        table, key, old, new = notice
        if table == "task":
            return self._task_events(old, new)
        if table == "container_instance":
            return self._instance_events(old, new)
        if table == "service":
            return self._service_events(old, new)
        if table == "service_events":
            service = self._state.services.get(key)
            if service is not None and self._wanted(service.region, ecs_events.SERVICE_ACTION):
                return ecs_events.service_actions(service, old, new)
        return iter(())

    def _task_events(self, old: Task | None, new: Task | None) -> Iterator[EcsEvent]:
        """A task's version counts its events."""
        if new is None or (old is not None and old.version == new.version):
            return
        if self._wanted(new.region, ecs_events.TASK_STATE_CHANGE):
            node = self._state.nodes.get(new.node_id) if new.node_id else None
            shape = task_shape(new, node.architecture if node else None, ())
            yield ecs_events.task_event(shape, self._clock.now())

    def _instance_events(self, old: ContainerInstance | None, new: ContainerInstance | None) -> Iterator[EcsEvent]:
        if new is None or (old is not None and old.version == new.version):
            return
        if self._wanted(new.region, ecs_events.INSTANCE_STATE_CHANGE):
            shape = container_instance_view.view(self._state, new)
            yield ecs_events.instance_event(shape, new.cluster_arn, self._clock.now())

    def _service_events(self, old: Service | None, new: Service | None) -> Iterator[EcsEvent]:
        if new is None:
            return
        if self._wanted(new.region, ecs_events.SERVICE_ACTION):
            yield from ecs_events.service_changes(old, new, self._clock.now())
        if self._wanted(new.region, ecs_events.DEPLOYMENT_STATE_CHANGE):
            yield from ecs_events.deployment_events(old, new, self._clock.now())
