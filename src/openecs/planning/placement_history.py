"""What history says of placement: why a node was chosen, and what spoke against each one.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from openecs import arn as arns
from openecs.model.history import HistoryEntry
from openecs.model.resources import Resources
from openecs.planning.placement import Rejection, closest

#: Nodes that are named with their reasons; of the others only numbers are kept.
NAMED = 20
#: The same for each task that waits for capacity, and for each that found a node.
NAMED_FOR_ONE = 5


def chosen(strategies: Sequence[str], *, fitting: int, offered: int, against: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a choice among ``fitting`` of ``offered`` nodes; ``against`` tells of the others."""
    return {"strategy": strategies, "fitting": fitting, "offered": offered, **against}


def against(rejections: Sequence[Rejection], needed: Resources, *, named: int) -> dict[str, Any]:
    """Facts about the nodes that cannot take a task: numbers by reason, and some by name."""
    if not rejections:
        return {}
    return {
        "rejected": dict(Counter(rejection.reason for rejection in rejections)),
        "nodes": [{"node": _name(r), "reason": r.reason, "detail": _amounts(r, needed)} for r in rejections[:named]],
    }


def not_placed(
    *,
    service_arn: str,
    deployment_id: str | None,
    missing: int,
    needed: Resources,
    rejections: Sequence[Rejection],
    reason: str,
    now: float,
) -> HistoryEntry:
    """That ``missing`` tasks of a service found no node, and what spoke against each one.

    ``reason`` is what the caller was told, for when no node could even be asked.
    """
    text = f"no node for {missing} {'task' if missing == 1 else 'tasks'}: "
    nearest = closest(rejections)
    if nearest is None:
        text += reason
    else:
        text += f"the closest of {len(rejections)} is {_name(nearest)}: {_told(nearest, needed)}"
    return HistoryEntry(
        at=now,
        kind="not-placed",
        text=text,
        service_arn=service_arn,
        deployment_id=deployment_id,
        facts={"missing": missing, "reason": reason, **against(rejections, needed, named=NAMED)},
    )


def _name(rejection: Rejection) -> str:
    return arns.short(rejection.candidate.arn)


def _told(rejection: Rejection, needed: Resources) -> str:
    amounts = _amounts(rejection, needed)
    return rejection.reason + (f" ({amounts})" if amounts else "")


def _amounts(rejection: Rejection, needed: Resources) -> str:
    """What is there and what is needed, for reasons about amounts."""
    candidate = rejection.candidate
    match rejection.reason:
        case "RESOURCE:CPU":
            return f"{candidate.cpu} CPU units free, {needed.cpu} needed"
        case "RESOURCE:MEMORY":
            return f"{candidate.memory} MiB free, {needed.memory} needed"
        case "RESOURCE:GPU":
            return f"{candidate.gpus} GPUs free, {needed.gpus} needed"
        case "RESOURCE:PORTS":
            tcp = sorted(set(needed.ports) & set(candidate.ports_taken))
            udp = sorted(set(needed.ports_udp) & set(candidate.ports_udp_taken))
            taken = [f"{port}/tcp" for port in tcp] + [f"{port}/udp" for port in udp]
            return f"taken: {', '.join(taken)}" if taken else ""
        case _:
            return ""
