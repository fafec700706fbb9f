"""What is said about the lasting condition of a service: that it is steady, or is held back.  Pure.

The same for roll-outs and task sets; when a service counts as steady is theirs to say.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.model.service import Deployment, Service
from openecs.planning import deployment_backoff as backoff
from openecs.planning import service_events
from openecs.planning.service_actions import Event


class Steadiness(NamedTuple):
    """Whether a service is steady, and what follows from that."""

    steady: bool
    #: When it was said last (epoch seconds).
    steady_at: float | None
    said: tuple[Event, ...]
    #: When it is to be said again (epoch seconds) if it stays so.
    repeat_at: float | None


def steadiness(service: Service, now: float, *, steady: bool) -> Steadiness:
    """Say that a service became steady, and every six hours that it still is."""
    at = service.steady_at
    if not steady:
        return Steadiness(steady=False, steady_at=at, said=(), repeat_at=None)
    said: tuple[Event, ...] = ()
    if not service.steady or at is None or now >= at + service_events.REPEAT_AFTER:
        at = now
        said = (Event(service_events.steady_state(service.name)),)
    return Steadiness(steady=True, steady_at=at, said=said, repeat_at=at + service_events.REPEAT_AFTER)


def back_off(
    before: Service, deployment: Deployment, held: backoff.BackOff | None, desired: int, *, speaker: str
) -> list[Event]:
    """An event when the back-off of a deployment grew; nothing while it merely lasts.

    ``before`` is the service before the failures were counted; ``speaker`` is whom the event is
    about: the service, or one of its task sets.
    """
    if held is None:
        return []
    old = before.deployment(deployment.id)
    if held.cause == "never-started":
        grew = old is None or old.start_failures.count < deployment.start_failures.count
        if grew and backoff.rounds(held.failures, desired) >= backoff.IMPAIRED_ROUNDS:
            return [Event(service_events.start_impaired(speaker))]
        return []
    if old is None or old.crashes.count < deployment.crashes.count:
        return [Event(service_events.exits_early(before.name, deployment.id, held.delay))]
    return []
