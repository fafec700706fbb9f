"""Sending events to buses: of services, of callers, of other buses, of schedules."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec

from openecs.arn import parse
from openecs.events.router import Router
from openecs.ids import Ids
from openecs.model.event import Event, envelope
from openecs.model.event_delivery import EventDelivery
from openecs.model.event_rule import DEFAULT_BUS, EventRule
from openecs.state.state import State
from openecs.state.store import Transaction

_TICKS = UUID("0b7d4f0e-4c0a-4f0c-8f59-6c0e6d3f2f11")


class BusSender:
    """Turns events into deliveries within transactions."""

    def __init__(self, state: State, router: Router, ids: Ids) -> None:
        self._state = state
        self._router = router
        self._ids = ids

    def idle(self) -> bool:
        """Whether there is nobody that any event could concern."""
        return not len(self._state.event_rules) and not len(self._state.event_archives)

    def wanted(self, region: str, source: str, detail_type: str) -> bool:
        """Whether an event of a service is worth making."""
        return bool(self._router.candidates(region, DEFAULT_BUS, source, detail_type))

    def of_service(
        self, source: str, detail_type: str, resources: tuple[str, ...], detail: bytes, time: float
    ) -> list[EventDelivery]:
        """What an event of a service about resources (ARNs; their region and account are its) comes to."""
        arn = parse(resources[0])
        if arn is None:
            return []
        event = Event(
            id=self._ids.uuid(),
            source=source,
            detail_type=detail_type,
            account=arn.account,
            region=arn.region,
            time=time,
            detail=detail,
            resources=resources,
        )
        return self._router.deliveries(event)

    def send(self, tx: Transaction, event: Event, bus: str) -> int:
        """Put the deliveries of an event; returns how many there are."""
        deliveries = self._router.deliveries(event, bus)
        for delivery in deliveries:
            tx.put(delivery)
        return len(deliveries)

    def fire(self, tx: Transaction, rule: EventRule, tick: float) -> int:
        """Put the deliveries of one tick (seconds since the epoch) of a rule's schedule; returns how many.

        The same tick of the same rule always makes the same deliveries: a target that can tell
        repetitions (RunTask) does its work once however often a tick is fired.
        """
        event = scheduled_event(rule, tick)
        deliveries = self._router.fired(rule, envelope(event), tick, event.id)
        deliveries += self._router.deliveries(event, token=event.id)
        for delivery in deliveries:
            tx.put(delivery)
        return len({delivery.id for delivery in deliveries})

    def pass_on(self, arn: str, text: str, hops: int) -> None:
        """Send an event (JSON) that a rule of another bus has this bus as a target for."""
        where = parse(arn)
        if where is None:
            raise ValueError(f"{arn} is no ARN")
        event = read_envelope(text)
        name = where.resource.partition("/")[2]
        with self._state.transaction() as tx:
            for delivery in self._router.deliveries(
                event._replace(region=where.region), name, text=text, hops=hops, token=f"{event.id} {arn} {hops}"
            ):
                tx.put(delivery)


def scheduled_event(rule: EventRule, tick: float) -> Event:
    """The event that a rule's schedule makes at a tick; its id is the same every time."""
    parsed = parse(rule.arn)
    return Event(
        id=str(uuid5(_TICKS, f"{rule.arn} {tick:.3f}")),
        source="aws.events",
        detail_type="Scheduled Event",
        account=parsed.account if parsed else "",
        region=rule.region,
        time=tick,
        detail=b"{}",
        resources=(rule.arn,),
    )


class _Envelope(msgspec.Struct, rename={"detail_type": "detail-type", "replay_name": "replay-name"}):
    id: str
    source: str
    detail_type: str
    account: str
    region: str
    detail: msgspec.Raw
    resources: tuple[str, ...] = ()
    replay_name: str | None = None


def read_envelope(text: str) -> Event:
    """The event of a text that ``envelope`` made; its time is not read."""
    found = msgspec.json.decode(text, type=_Envelope)
    return Event(
        id=found.id,
        source=found.source,
        detail_type=found.detail_type,
        account=found.account,
        region=found.region,
        time=0.0,
        detail=bytes(found.detail),
        resources=found.resources,
        replay_name=found.replay_name,
    )
