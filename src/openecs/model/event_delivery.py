"""A delivery: one event (or one tick of a schedule) on its way to one target.

It is written with what caused it and deleted when the target has taken it or it was given up,
so nothing that was acknowledged is lost when the process ends in between.
"""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import events


class EventDelivery(Record, frozen=True, kw_only=True):
    """What is to be delivered, where, and how often that failed; times in seconds since the epoch."""

    #: Also the token by which targets know a repetition.
    id: str
    region: str
    rule_arn: str
    rule_name: str
    #: The target as it was when the rule matched.
    target: events.Target
    #: The whole event, JSON.
    event: str
    created_at: float
    #: How many buses the event has been passed on to.
    hops: int = 0
    attempts: int = 0
    #: Not before this time.
    due_at: float = 0.0
    last_error_code: str = ""
    last_error: str = ""

    @property
    def key(self) -> str:
        return self.id
