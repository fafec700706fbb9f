"""What several hosts of a load balancer say of a target, as one.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from openecs.model.target_group import HostView, TargetState

#: The first that a host says counts: a target serves when it does on every host.
_ORDER: tuple[TargetState, ...] = ("unhealthy", "draining", "initial", "unused", "unavailable", "healthy")


def merge(views: Mapping[str, HostView], hosts: frozenset[str]) -> HostView | None:
    """The view of all ``hosts`` together; ``None`` while one of them, or every one, has said nothing.

    A host that finds the target unhealthy is enough whatever the others have still to say.
    """
    said = [views[host] for host in hosts if host in views]
    worst = min(said, key=lambda view: _ORDER.index(view.state), default=None)
    if worst is None or (len(said) < len(hosts) and worst.state != "unhealthy"):
        return None
    return worst
