"""Archives of events and their replays.  The archived events themselves are in the log store."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import events


class EventArchive(Record, frozen=True, kw_only=True):
    """What is kept of one bus's events, and for how long."""

    arn: str
    region: str
    name: str
    #: ARN of the bus.
    source_arn: str
    created_at: float
    description: str | None = None
    event_pattern: str | None = None
    #: Days; 0 keeps for ever.
    retention_days: int = 0

    @property
    def key(self) -> str:
        return self.arn


class EventReplay(Record, frozen=True, kw_only=True):
    """One replay of a part of an archive; times in seconds since the epoch."""

    arn: str
    region: str
    name: str
    archive_arn: str
    destination: events.ReplayDestination
    #: From this time on, before the other.
    event_start: float
    event_end: float
    started_at: float
    state: events.ReplayState = "STARTING"
    state_reason: str | None = None
    description: str | None = None
    ended_at: float | None = None
    last_replayed_at: float | None = None
    #: Key of the last event in the archive that was sent (``logs.event.Key``).
    position: tuple[int, int, int] | None = None

    @property
    def key(self) -> str:
        return self.arn
