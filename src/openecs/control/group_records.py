"""How machines of Auto Scaling groups change records, with the activities that tell of it.

Functions inside the caller's transaction; who decides is the group's loop, or a caller of the API.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from openecs.ids import Ids
from openecs.model.auto_scaling_group import AutoScalingGroup, GroupActivity, GroupInstance
from openecs.shapes import autoscaling
from openecs.state.state import State
from openecs.state.store import Transaction


def new_activity(group: AutoScalingGroup, description: str, cause: str, *, ids: Ids, now: float) -> GroupActivity:
    """A new activity of a group; ``cause`` goes on after the time."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return GroupActivity(
        id=ids.uuid(),
        group_arn=group.arn,
        group_name=group.name,
        region=group.region,
        description=description,
        cause=f"At {at} {cause}",
        started_at=now,
    )


def finish(
    state: State, tx: Transaction, instance: GroupInstance, status: autoscaling.ScalingActivityStatusCode, *, now: float
) -> None:
    """End the activity that tells of a machine, if it has not ended."""
    known = state.group_activities.get(instance.activity_id)
    if known is not None and known.ended_at is None:
        tx.put(msgspec.structs.replace(known, status=status, message="", ended_at=now))


def retire(
    state: State,
    tx: Transaction,
    group: AutoScalingGroup,
    instance: GroupInstance,
    cause: str,
    *,
    ids: Ids,
    now: float,
) -> GroupActivity:
    """Have a machine ended; what was under way with it is cancelled."""
    finish(state, tx, instance, "Cancelled", now=now)
    told = new_activity(group, f"Terminating EC2 instance: {instance.id}", cause, ids=ids, now=now)
    tx.put(told)
    tx.put(msgspec.structs.replace(instance, state="Terminating", terminating_since=now, activity_id=told.id))
    return told
