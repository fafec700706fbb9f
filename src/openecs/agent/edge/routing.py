"""Which targets of a group get requests.  Pure.

Only healthy ones, unless too few are: then all that are not being deregistered, whatever their
health (the load balancer "fails open").  When too few are is up to the attributes
``target_group_health.unhealthy_state_routing.minimum_healthy_targets.*``; by default, when none is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

#: ``routable`` gets requests, ``draining`` finishes those that it has, ``out`` gets none.
Route = Literal["routable", "draining", "out"]
#: Target id and port.
Target = tuple[str, int]

_MINIMUM = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"


def routes(states: Mapping[Target, str], attributes: Mapping[str, str]) -> dict[Target, Route]:
    """What becomes of each target; ``states`` as they are reported of this group's targets."""
    serving = [target for target, state in states.items() if state != "draining"]
    healthy = {target for target in serving if states[target] in ("healthy", "unavailable")}
    if len(healthy) < _needed(len(serving), attributes):
        healthy = set(serving)
    return {
        target: "draining" if state == "draining" else "routable" if target in healthy else "out"
        for target, state in states.items()
    }


def _needed(targets: int, attributes: Mapping[str, str]) -> int:
    """How many healthy targets are enough."""
    count = _number(attributes.get(f"{_MINIMUM}.count", "1"))
    percentage = _number(attributes.get(f"{_MINIMUM}.percentage", "off"))
    return max(count, -(-targets * percentage // 100), 1)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
