"""What the store needs of a log engine that keeps the events one machine has no room for.

The store stays the authority: it knows which segments there are, and answers every write from
its own disk.  A segment that gets nothing more can move to an engine, which from then on is
asked for its events by slices of time.  Everything else (order, ids, pages, expiry) works on
a moved segment as on any other.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from openecs.logs.event import Event
from openecs.logs.segment import MOVED, Block, Segment

#: About how many events are asked for at a time.
SLICE_EVENTS = 5000


class EngineError(Exception):
    """The engine did not answer, or not what it was asked for."""


class Home(NamedTuple):
    """Which stream a segment belongs to, in words; the engine's own users see them."""

    region: str
    group: str
    stream: str


class LogEngine(Protocol):
    """An engine; called from threads of the store, several at a time."""

    def put(self, segment: Segment, home: Home, events: list[Event]) -> None:
        """Store all events of a segment; events that are there already may be there twice.  Raises ``EngineError``."""
        ...

    def events(self, segment: Segment, first: int, last: int) -> list[Event]:
        """The events of a segment with a timestamp from ``first`` to ``last``, once each, ascending by key.

        Raises ``EngineError``.
        """
        ...


def slices(segment: Segment) -> tuple[Block, ...]:
    """A moved segment as blocks: slices of its time, without gaps and overlaps; ``offset`` counts them."""
    span = segment.max_timestamp - segment.min_timestamp + 1
    count = min(span, -(-segment.event_count // SLICE_EVENTS))
    edges = [segment.min_timestamp + span * number // count for number in range(count + 1)]
    return tuple(Block(number, segment.size // count, edges[number], edges[number + 1] - 1) for number in range(count))


def move(engine: LogEngine, segment: Segment, home: Home, events: list[Event]) -> Segment:
    """Store a segment in the engine, read it back and compare; returns it as one that lies there.

    Raises ``EngineError`` also when what comes back is not what was sent: engines have limits
    of their own, for the length of lines or the age of events.
    """
    engine.put(segment, home, events)
    moved = segment._replace(sealed=MOVED, loose=0)
    back = [event for part in slices(moved) for event in engine.events(moved, part.min_timestamp, part.max_timestamp)]
    if back != events:
        raise EngineError(f"of {len(events)} events of {segment.name} the engine gave back {len(back)}, or others")
    return moved
