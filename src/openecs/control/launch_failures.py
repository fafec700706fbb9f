"""Why tasks were not launched: the failures of a reply, and the entry in a service's history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openecs.control.launch_spec import LaunchSpec
from openecs.model.resources import Resources
from openecs.planning import placement_history
from openecs.planning.placement import Rejection, closest
from openecs.shapes import ecs
from openecs.state.store import Transaction

FARGATE_FULL = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
NO_ADDRESS = "RESOURCE:ENI"
NO_INSTANCES = "No Container Instances were found in your cluster."
TOO_MANY_WAITING = "You've reached the limit on the number of tasks that can be in the PROVISIONING state in a cluster."


def unplaceable(spec: LaunchSpec, rejections: Sequence[Rejection], missing: int) -> Iterable[ecs.Failure]:
    """The failures of ``missing`` tasks that no node fits: one for each, or one for each node."""
    if not missing:
        return ()
    if spec.launch_type == "FARGATE":
        nearest = closest(rejections)
        detail = f"{len(rejections)} nodes in the Fargate pool"
        if nearest is not None:
            detail += f"; the closest one: {nearest.reason}"
        return [ecs.Failure(reason=FARGATE_FULL, detail=detail)] * missing
    return [ecs.Failure(arn=r.candidate.arn, reason=r.reason) for r in rejections]


def note(
    tx: Transaction,
    spec: LaunchSpec,
    needed: Resources,
    rejections: Sequence[Rejection],
    reason: str | None,
    missing: int,
    now: float,
) -> None:
    """Leave in history why not every task of a service was launched; others' callers are told."""
    if spec.service_arn is not None:
        tx.note(
            placement_history.not_placed(
                service_arn=spec.service_arn,
                deployment_id=spec.deployment_id,
                missing=missing,
                needed=needed,
                rejections=rejections,
                reason=reason or "",
                now=now,
            )
        )
