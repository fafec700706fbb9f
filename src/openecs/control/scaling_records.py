"""How scaling changes records: a service's desired count, with the activity that tells of it.

Functions inside the caller's transaction.  They decide nothing but what bounds demand.
"""

from __future__ import annotations

import msgspec

from openecs.ids import Ids
from openecs.model.scaling import ScalableTarget, ScalingActivity
from openecs.shapes import application_autoscaling as aas
from openecs.state.state import State
from openecs.state.store import Transaction


def set_capacity(
    state: State, tx: Transaction, target: ScalableTarget, capacity: int, cause: str, *, ids: Ids, now: float
) -> None:
    """Set the desired count of the target's service, whatever scaling was under way before."""
    service = state.services.get(target.service_arn)
    if service is None or service.status != "ACTIVE" or service.desired_count == capacity:
        return
    for activity in state.scaling_activities.by("target", target.key):
        if activity.status == "InProgress":
            tx.put(msgspec.structs.replace(activity, status="Overridden", ended_at=now))
    # Whether it is steady is found anew: that is when the activity has succeeded.
    tx.put(msgspec.structs.replace(service, desired_count=capacity, steady=False))
    tx.because(service.arn, f"Application Auto Scaling set the desired count to {capacity}: {cause}")
    tx.put(
        ScalingActivity(
            id=ids.uuid(),
            region=target.region,
            target_key=target.key,
            resource_id=target.resource_id,
            description=f"Setting desired count to {capacity}.",
            cause=cause,
            started_at=now,
            status="InProgress",
            status_message=f"Successfully set desired count to {capacity}. Waiting for change to be fulfilled by ecs.",
            capacity=capacity,
        )
    )


def keep_within(state: State, tx: Transaction, target: ScalableTarget, *, ids: Ids, now: float) -> None:
    """Bring the desired count within the bounds of its target, as registering or a schedule demands."""
    service = state.services.get(target.service_arn)
    if service is None:
        return
    if service.desired_count < target.min_capacity:
        cause = f"minimum capacity was set to {target.min_capacity}"
        set_capacity(state, tx, target, target.min_capacity, cause, ids=ids, now=now)
    elif service.desired_count > target.max_capacity:
        cause = f"maximum capacity was set to {target.max_capacity}"
        set_capacity(state, tx, target, target.max_capacity, cause, ids=ids, now=now)


def note_not_scaled(
    state: State,
    tx: Transaction,
    target: ScalableTarget,
    cause: str,
    reason: aas.NotScaledReason,
    *,
    ids: Ids,
    now: float,
) -> None:
    """Tell once that an alarm changed nothing, until the target is scaled again."""
    activities = state.scaling_activities.by("target", target.key)
    scaled_at = max((a.started_at for a in activities if not a.reasons), default=0.0)
    if any(a.cause == cause and a.reasons == (reason,) and a.started_at >= scaled_at for a in activities):
        return
    tx.put(
        ScalingActivity(
            id=ids.uuid(),
            region=target.region,
            target_key=target.key,
            resource_id=target.resource_id,
            description="Attempting to scale due to alarm triggered",
            cause=cause,
            started_at=now,
            ended_at=now,
            status="Successful",
            status_message="Scaling was not performed. See NotScaledReasons.",
            reasons=(reason,),
        )
    )


def forget_target(state: State, tx: Transaction, target: ScalableTarget) -> None:
    """Forget a target with its policies, their alarms, its scheduled actions and its tags."""
    for policy in state.scaling_policies.by("target", target.key):
        forget_policy_alarms(state, tx, policy.arn)
        tx.delete(policy)
    for action in state.scheduled_scalings.by("target", target.key):
        tx.delete(action)
    tags = state.tags.get(target.arn)
    if tags is not None:
        tx.delete(tags)
    tx.delete(target)


def forget_policy_alarms(state: State, tx: Transaction, policy_arn: str) -> None:
    """Forget the alarms that a policy made."""
    for alarm in state.metric_alarms.by("owner", policy_arn):
        tx.delete(alarm)
