"""Log events and the ranges in which they are read.  Values only, no I/O.

Every stored event has a key ``(timestamp, stream id, sequence)``.  Keys are unique in an
installation and ordering by them is ordering by time, so a page of results ends at a key
and the next page starts behind it, whatever arrives in between.
"""

from __future__ import annotations

from typing import NamedTuple

Key = tuple[int, int, int]

#: Later than every timestamp that the API accepts (a signed 64-bit number of milliseconds).
END_OF_TIME = 2**63 - 1

#: What CloudWatch Logs adds to the size of a message for its own bookkeeping.
EVENT_OVERHEAD_BYTES = 26


class Event(NamedTuple):
    """One stored event; the first three members are its key.  Times are epoch milliseconds."""

    timestamp: int
    stream_id: int
    sequence: int
    message: str
    ingestion_time: int

    @property
    def key(self) -> Key:
        return self[:3]


class Range(NamedTuple):
    """Which events a read may return: both times inclusive, both keys exclusive."""

    first: int = 0
    last: int = END_OF_TIME
    after: Key | None = None
    before: Key | None = None

    def touches(self, min_timestamp: int, max_timestamp: int) -> bool:
        """Whether events between the two timestamps (inclusive) can be in this range."""
        first = self.first if self.after is None else max(self.first, self.after[0])
        last = self.last if self.before is None else min(self.last, self.before[0])
        return max_timestamp >= first and min_timestamp <= last


def message_bytes(message: str) -> int:
    """The size of a message in UTF-8."""
    return len(message) if message.isascii() else len(message.encode())
