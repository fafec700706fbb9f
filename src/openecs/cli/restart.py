"""When to start a process again that ended unexpectedly: a pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Exponential back-off, and the number of ends within ``window`` seconds that are too many."""

    first: float
    longest: float
    window: float
    #: ``None``: never give up.
    give_up_after: int | None

    def delay(self, ends: Sequence[float], now: float) -> float | None:
        """Seconds to wait before the next start; ``None`` to give up.

        ``ends`` are the times of the unexpected ends so far, oldest first.  Those before the
        window are forgiven, so that one crash a day never adds up to giving up.
        """
        recent = sum(1 for end in ends if now - end <= self.window)
        if self.give_up_after is not None and recent >= self.give_up_after:
            return None
        if recent == 0:
            return 0.0
        # The exponent is bounded, because a float overflows long before a patient operator.
        return min(self.longest, self.first * 2.0 ** min(recent - 1, 30))


#: The server restarts from what is durable; one that cannot stay up needs a person.
SERVER = RestartPolicy(first=0.1, longest=5.0, window=60.0, give_up_after=5)

#: The agent may wait for ever for an engine or a control plane.
AGENT = RestartPolicy(first=0.5, longest=30.0, window=120.0, give_up_after=None)
