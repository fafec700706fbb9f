"""What history says of placement: why a node was chosen, and what spoke against each one.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from openecs import arn as arns
from openecs.model.history import HistoryEntry
from openecs.model.resources import Resources
from openecs.planning.placement import Rejection, Strategy, closest

#: Nodes that are named with their reasons; of the others only numbers are kept.
NAMED = 20


def chosen(strategies: Sequence[Strategy], considered: int) -> dict[str, Any]:
    """Facts about a choice among ``considered`` nodes."""
    return {"strategy": [f"{s.type} {s.field}".rstrip() for s in strategies], "considered": considered}


def not_placed(
    *,
    cluster_arn: str,
    service_arn: str | None,
    deployment_id: str | None,
    missing: int,
    needed: Resources,
    rejections: Sequence[Rejection],
    reason: str,
    now: float,
) -> HistoryEntry:
    """That ``missing`` tasks found no node, and what spoke against each one.

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
        # A service's failures are found by the service; nothing else remembers those of RunTask.
        cluster_arn=None if service_arn else cluster_arn,
        service_arn=service_arn,
        deployment_id=deployment_id,
        facts={
            "missing": missing,
            "reason": reason,
            "rejected": dict(Counter(rejection.reason for rejection in rejections)),
            "nodes": [
                {"node": _name(r), "reason": r.reason, "detail": _amounts(r, needed)} for r in rejections[:NAMED]
            ],
        },
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
