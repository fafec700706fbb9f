"""What a target's state is, from what every host of its load balancer sees.  Pure.

Each host probes on its own, as each node of a load balancer does on AWS, and routes by what it
sees itself.  The API shows one state: the worst that a host reports.  A target that was never
healthy is healthy when every host that serves says so; afterwards a host that has no view of it
yet (a load balancer's interface has just moved there) does not count.  While no host serves,
nobody knows how a target is that was healthy before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from openecs.model.target_group import HostView, Target, TargetHealth, TargetState
from openecs.shapes import elbv2

#: The worst first.
_ORDER: tuple[TargetState, ...] = ("unhealthy", "unavailable", "initial", "healthy")


class TargetCondition(NamedTuple):
    """A target's state as DescribeTargetHealth shows it."""

    state: TargetState
    reason: elbv2.TargetHealthReasonEnum | None = None
    description: str | None = None


NOT_IN_USE = TargetCondition(
    "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
NOT_REGISTERED = TargetCondition("unused", "Target.NotRegistered", "Target is not registered to the target group")
INVALID_STATE = TargetCondition("unused", "Target.InvalidState", "Target is in the stopped state")
DRAINING = TargetCondition("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
REGISTERING = TargetCondition("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
UNOBSERVED = TargetCondition(
    "unavailable", "Elb.InternalError", "Target health is unavailable due to an internal error"
)
HEALTHY = TargetCondition("healthy")


def condition(
    target: Target, health: TargetHealth | None, *, in_use: bool, usable: bool = True, hosts: Collection[str]
) -> TargetCondition:
    """The state of a registered target.

    ``in_use``: a load balancer uses its target group.  ``usable``: the target has an address.
    ``hosts``: the nodes that run the load balancer and are ready.
    """
    if target.draining_since is not None:
        return DRAINING
    if not in_use:
        return NOT_IN_USE
    if not usable:
        return INVALID_STATE
    views = _views(health, hosts)
    was_healthy = health is not None and health.healthy_at is not None
    if not views:
        return UNOBSERVED if was_healthy and not hosts else REGISTERING
    worst = min(views, key=_badness)
    if worst.state != "healthy":
        return TargetCondition(worst.state, worst.reason, worst.description)
    if not was_healthy and len(views) < len(set(hosts)):
        return REGISTERING
    return HEALTHY


def drained(health: TargetHealth | None, hosts: Collection[str]) -> bool:
    """Whether no host of the load balancer has anything in flight to a draining target any more.

    ``hosts``: every node on which the load balancer has an interface.
    """
    views = health.views if health is not None else {}
    return all((view := views.get(node)) is not None and view.drained for node in hosts)


def forget_at(target: Target, delay: float) -> float:
    """When a draining target is forgotten at the latest (epoch seconds); ``delay``: the group's, in seconds."""
    return (target.draining_since or 0.0) + delay


def _views(health: TargetHealth | None, hosts: Iterable[str]) -> list[HostView]:
    if health is None:
        return []
    found = (health.views.get(node) for node in sorted(set(hosts)))
    # A host that still drains what was registered again has not begun to probe it.
    return [view for view in found if view is not None and view.state in _ORDER]


def _badness(view: HostView) -> int:
    return _ORDER.index(view.state)
