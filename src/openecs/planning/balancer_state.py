"""The state of a load balancer, from where its interfaces live and what their hosts say.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from openecs.model.load_balancer import BalancerHost

BalancerStateCode = Literal["provisioning", "active", "active_impaired", "failed"]


class BalancerState(NamedTuple):
    """AWS's state and, unless it is ``active``, why."""

    code: BalancerStateCode
    reason: str = ""


def balancer_state(
    old: BalancerStateCode,
    nodes: Iterable[str | None],
    hosts: Mapping[str, BalancerHost],
    absent: Mapping[str, str],
    nowhere: str,
) -> BalancerState:
    """The state of a load balancer whose interfaces live on ``nodes``.

    ``hosts``: what its hosts say, by node.  ``absent``: nodes whose agent is away, with the words
    for it.  ``nowhere``: why an interface lives on no host.  A load balancer is active when every
    host that it lives on is ready, and impaired when it was active and is not completely ready.
    """
    wanted = sorted(set(nodes), key=lambda node: node or "")
    troubles: list[str] = []
    waits = False
    ready = 0
    for node in wanted:
        said = hosts.get(node) if node is not None else None
        if node is None:
            troubles.append(nowhere)
        elif node in absent:
            troubles.append(absent[node])
            # What it runs goes on while its agent is away.
            ready += said is not None and said.ready
        elif said is None or not (said.ready or said.problem):
            waits = True
        elif said.problem:
            troubles.append(f"{node}: {said.problem}")
            ready += said.ready
        else:
            ready += 1
    if troubles:
        impaired = ready > 0 or old in ("active", "active_impaired")
        return BalancerState("active_impaired" if impaired else "provisioning", " ".join(troubles))
    if waits or not wanted:
        # New interfaces, or new hosts, of an active load balancer do not make it a new one.
        if old == "active" and ready:
            return BalancerState("active")
        if old in ("active", "active_impaired"):
            return BalancerState("active_impaired", "Not all of its addresses are served yet.")
        return BalancerState("provisioning")
    return BalancerState("active")
