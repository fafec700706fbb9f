"""The share of requests that targets get while they start slowly.  Pure: time is an input.

A target that became healthy beside one that was healthy already gets a growing share during the
group's ``slow_start.duration_seconds``, in steps.  The first targets of a group, and those that
were registered together with them, get their full share at once, as on AWS.

Envoy has a slow start of its own.  It begins when an endpoint is added, not when it becomes
healthy, and gives far more than the linear share: seen with Envoy 1.40.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openecs.agent.edge.health import Health
from openecs.agent.edge.routing import Target

ATTRIBUTE = "slow_start.duration_seconds"
#: From nothing to the full share; each is a change of Envoy's configuration.
STEPS = 20
FULL = 100


class Ramp(NamedTuple):
    """How far the targets of one group are."""

    #: Weight of every healthy target; empty when all have the same.
    weights: Mapping[Target, int]
    #: Seconds until a weight changes; ``None``: none will by itself.
    pause: float | None


NO_RAMP = Ramp({}, None)


def ramp(targets: Mapping[Target, Health], attributes: Mapping[str, str], now: float) -> Ramp:
    """The weights at ``now``, in seconds since the epoch like the times in ``targets``."""
    window = float(attributes.get(ATTRIBUTE) or 0)
    healthy = {target: health for target, health in targets.items() if health.state == "healthy"}
    if not window or not healthy:
        return NO_RAMP
    # Of those that were healthy before times were kept it is known that they are the first.
    first = min(healthy.values(), key=lambda health: (health.healthy_since or 0.0, health.registered_at))
    weights: dict[Target, int] = {}
    pauses = []
    for target, health in healthy.items():
        # A clock that was set back does not hold anybody up for longer than the whole duration.
        passed = max(now - (health.healthy_since or 0.0), 0.0)
        if health.registered_at == first.registered_at or passed >= window:
            weights[target] = FULL
            continue
        step = int(passed * STEPS / window) + 1
        weights[target] = min(step, STEPS) * FULL // STEPS
        pauses.append(max(step * window / STEPS - passed, 0.01))
    if not pauses:
        return NO_RAMP
    return Ramp(weights, min(pauses))
