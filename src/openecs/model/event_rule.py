"""EventBridge buses and rules, with the targets of rules.

The default bus of a region needs no record until somebody changes it.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import events

DEFAULT_BUS = "default"


class EventBus(Record, frozen=True, kw_only=True):
    """A custom event bus, or the default one once it has settings of its own."""

    arn: str
    region: str
    name: str
    created_at: float
    modified_at: float
    description: str | None = None
    #: The resource policy, JSON; kept and shown, nothing is decided by it.
    policy: str | None = None
    dead_letter_config: events.DeadLetterConfig | None = None

    @property
    def key(self) -> str:
        return self.arn


class EventRule(Record, frozen=True, kw_only=True):
    """One rule of one bus: what it matches or when it fires, and where its events go."""

    arn: str
    region: str
    name: str
    bus_name: str
    state: Literal["ENABLED", "DISABLED"]
    created_at: float
    #: When pattern, schedule or state were put last; a schedule counts from here.
    modified_at: float
    event_pattern: str | None = None
    schedule_expression: str | None = None
    description: str | None = None
    role_arn: str | None = None
    created_by: str | None = None
    #: In the order of their coming.
    targets: tuple[events.Target, ...] = ()

    @property
    def key(self) -> str:
        return self.arn


def bus_arn(region: str, account: str, name: str = DEFAULT_BUS) -> str:
    """The ARN of a bus."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def rule_arn(region: str, account: str, bus_name: str, name: str) -> str:
    """The ARN of a rule; the default bus does not stand in it."""
    path = name if bus_name == DEFAULT_BUS else f"{bus_name}/{name}"
    return f"arn:aws:events:{region}:{account}:rule/{path}"
