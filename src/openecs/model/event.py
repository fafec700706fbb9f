"""An event as EventBridge passes it on.  A value; how it is matched and delivered is elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder(order=None).encode


class Event(NamedTuple):
    """One event; ``detail`` is JSON text of an object, ``time`` in seconds since the epoch."""

    id: str
    source: str
    detail_type: str
    account: str
    region: str
    time: float
    detail: bytes
    resources: tuple[str, ...] = ()
    #: Set in events that a replay sends.
    replay_name: str | None = None


def event_time(seconds: float) -> str:
    """The time of an event: to the second, ``2017-12-22T18:43:48Z``."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_milliseconds(seconds: float) -> str:
    """A time within an event's detail, with milliseconds."""
    return datetime.fromtimestamp(round(seconds, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def envelope(event: Event) -> str:
    """The event as JSON text, in AWS's order of members."""
    members: dict[str, Any] = {
        "version": "0",
        "id": event.id,
        "detail-type": event.detail_type,
        "source": event.source,
        "account": event.account,
        "time": event_time(event.time),
        "region": event.region,
        "resources": event.resources,
        "detail": msgspec.Raw(event.detail),
    }
    if event.replay_name is not None:
        members["replay-name"] = event.replay_name
    return _encode(members).decode()
