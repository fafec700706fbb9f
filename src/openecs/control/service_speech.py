"""Saying something in a service's events, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.ids import Ids
from openecs.model.service import ServiceEvents
from openecs.planning import service_events
from openecs.state.state import State
from openecs.state.store import Transaction


def say(state: State, tx: Transaction, service_arn: str, texts: Iterable[str], *, now: float, ids: Ids) -> None:
    """Add ``texts``, in the order in which they happened; what was just said is not repeated."""
    record = state.service_events.get(service_arn) or ServiceEvents(service_arn=service_arn)
    events = service_events.append(record.events, texts, now=now, ids=ids)
    if events != record.events:
        tx.put(msgspec.structs.replace(record, events=events))
