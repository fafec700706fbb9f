"""When a target that is being deregistered has drained.  Pure.

It has when nothing is in flight to it any more on any host that runs a part of its load
balancer, as these hosts say, or when the target group's deregistration delay is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from openecs.model.target_group import HostView, Target, TargetGroup

DELAY_ATTRIBUTE = "deregistration_delay.timeout_seconds"
DEFAULT_DELAY = 300.0


def deregistration_delay(group: TargetGroup | None) -> float:
    """Seconds for which requests in flight to a leaving target may go on."""
    if group is None:
        return 0.0
    return float(group.attributes.get(DELAY_ATTRIBUTE, DEFAULT_DELAY))


def drains_until(target: Target, group: TargetGroup | None) -> float:
    """When (epoch seconds) a draining target is taken out whatever is in flight."""
    return (target.draining_since or 0.0) + deregistration_delay(group)


def drained(
    target: Target, group: TargetGroup | None, views: Mapping[str, HostView], hosts: frozenset[str], now: float
) -> bool:
    """Whether a draining target may be forgotten.

    ``hosts`` are the nodes that run a part of its load balancer now: without any nobody sends it
    anything.  What a host said before the draining began is about another time.
    """
    if target.draining_since is None:
        return False
    if now >= drains_until(target, group):
        return True
    return all(_said_so(views.get(host), target.draining_since) for host in hosts)


def _said_so(view: HostView | None, since: float) -> bool:
    return view is not None and view.drained and view.at >= since
