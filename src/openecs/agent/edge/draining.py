"""When a target that is being deregistered has finished: nothing is in flight to it from here.

Looked at only while something drains, and only once the proxy gives the target nothing new.
Twice in a row, because a request that was being given to it at that moment may not be counted yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openecs.agent.edge.routing import Target

#: Looks without anything in flight that are enough.
ENOUGH = 2


class Leaving(NamedTuple):
    """A target that drains, and the address at which the proxy counts its requests."""

    arn: str
    target: Target
    address: str


class Draining:
    """The targets that drain.  Pure: what is in flight is an input."""

    def __init__(self) -> None:
        self._quiet: dict[Leaving, int] = {}

    def confirm(self, leaving: frozenset[Leaving]) -> None:
        """Exactly these get nothing new any more: the proxy has said so."""
        self._quiet = {one: self._quiet.get(one, 0) for one in leaving}

    @property
    def waiting(self) -> bool:
        """Whether some have not finished."""
        return any(quiet < ENOUGH for quiet in self._quiet.values())

    def look(self, in_flight: Mapping[tuple[str, str], int]) -> bool:
        """Take a look; whether some have finished with it."""
        finished = False
        for one, quiet in self._quiet.items():
            if quiet >= ENOUGH:
                continue
            now = quiet + 1 if not in_flight.get((one.arn, one.address)) else 0
            self._quiet[one] = now
            finished = finished or now >= ENOUGH
        return finished

    def drained(self, arn: str) -> frozenset[Target]:
        """The targets of a group that have finished."""
        return frozenset(one.target for one, quiet in self._quiet.items() if one.arn == arn and quiet >= ENOUGH)
