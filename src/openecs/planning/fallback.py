"""What a service falls back on while its newest deployment is under way or FAILED.  Pure.

Not what a deployment rolls back to: that is ``rollback``.
"""

from __future__ import annotations

from collections.abc import Sequence

from openecs.planning.service_snapshot import Group


def fallback(groups: Sequence[Group]) -> Group | None:
    """What a service falls back on: the newest older deployment that was complete once.

    ``groups`` are in the order of ``Census.everyone``: newest first.
    """
    return next((group for group in groups if group.deployment.status == "ACTIVE" and _proven(group)), None)


def _proven(group: Group) -> bool:
    """Whether a deployment was complete once; one that the service went back to was."""
    deployment = group.deployment
    return deployment.rollout_state == "COMPLETED" or (
        deployment.rollout_state == "IN_PROGRESS" and deployment.rolls_back is not None
    )


def held_by(group: Group) -> int:
    """What a deployment may have; one from before this was remembered, what it has."""
    held = group.deployment.held
    return group.alive if held is None else held
