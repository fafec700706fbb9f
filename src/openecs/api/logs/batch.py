"""The rules of PutLogEvents for one batch.  Pure.

This runs for every line that a container prints, so it works on whole lists at a time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from openecs.api.logs.errors import invalid_parameter
from openecs.logs.event import EVENT_OVERHEAD_BYTES
from openecs.shapes import logs as shapes

MAX_BATCH_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
MAX_SPAN = 24 * 60 * 60 * 1000
MAX_AGE = 14 * MAX_SPAN
MAX_AHEAD = 2 * 60 * 60 * 1000


class Admitted(NamedTuple):
    """What of a batch is stored, and what AWS's answer says about the rest."""

    timestamps: list[int]
    messages: list[str]
    rejected: shapes.RejectedLogEventsInfo | None


def admit(events: Sequence[shapes.InputLogEvent], *, now: int, cutoff: int) -> Admitted:
    """Check one batch; ``now`` and ``cutoff`` (older events have expired) in epoch milliseconds.

    Raises ``InvalidParameterException`` for a batch that is refused as a whole.
    """
    if not 0 < len(events) <= MAX_BATCH_EVENTS:
        raise invalid_parameter(
            f"The number of log events in a batch must be between 1 and {MAX_BATCH_EVENTS}, but it is {len(events)}."
        )
    timestamps = [event.timestamp for event in events]
    messages = [event.message for event in events]
    try:
        message_bytes = len("".join(messages).encode())
    except UnicodeEncodeError:
        raise invalid_parameter("Log event messages must be valid UTF-8.") from None
    size = message_bytes + EVENT_OVERHEAD_BYTES * len(events)
    if size > MAX_BATCH_BYTES:
        raise invalid_parameter(f"Upload too large: {size} bytes exceeds limit of {MAX_BATCH_BYTES}")
    if timestamps != sorted(timestamps):
        raise invalid_parameter("Log events in a single PutLogEvents request must be in chronological order.")
    too_old = bisect_left(timestamps, now - MAX_AGE)
    expired = bisect_left(timestamps, cutoff, lo=too_old)
    too_new = bisect_right(timestamps, now + MAX_AHEAD, lo=expired)
    if too_new > expired and timestamps[too_new - 1] - timestamps[expired] > MAX_SPAN:
        raise invalid_parameter(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    if expired == 0 and too_new == len(events):
        return Admitted(timestamps, messages, None)
    rejected = shapes.RejectedLogEventsInfo(
        too_new_log_event_start_index=too_new if too_new < len(events) else None,
        too_old_log_event_end_index=too_old or None,
        expired_log_event_end_index=expired if expired > too_old else None,
    )
    return Admitted(timestamps[expired:too_new], messages[expired:too_new], rejected)
