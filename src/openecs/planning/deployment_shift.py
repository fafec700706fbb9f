"""Which tasks to start and stop while traffic is shifted between revisions.  Pure.

Every revision is looked after by itself, as a rolling service that has only that one: what it
loses comes back as itself, what is on draining instances is replaced.  A revision has all tasks
that are desired, or none.  One that is to have none goes when no traffic reaches it any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as replaced

import msgspec

from openecs.model.service import Deployment
from openecs.planning import deployment_rolling
from openecs.planning.deployment_bounds import Bounds
from openecs.planning.deployment_rolling import Step
from openecs.planning.service_snapshot import Census, Group
from openecs.planning.service_victims import MAX_STOPS, Spare


def step(
    census: Census,
    kept: frozenset[str],
    counts: Mapping[str, int],
    limits: Bounds,
    *,
    barred: frozenset[str],
    now: float,
    spare: Spare | None = None,
) -> Step:
    """The next step towards ``counts`` tasks of each deployment.

    Deployments that are not in ``counts``, and tasks of none, stay as they are.  The deployments
    ``kept`` are to have all desired tasks and get back what they lose, within ``limits``; others
    only lose tasks.
    """
    result = Step()
    settled = True
    for group in census.everyone:
        count = counts.get(group.deployment.id)
        if count is None:
            settled = settled and not _remains(group)
            continue
        keeps = group.deployment.id in kept
        alone = replaced(group, deployment=_alone(group.deployment, keeps=keeps))
        part = deployment_rolling.step(
            Census([alone], _nobody(census.orphans), target_failures=census.target_failures),
            alone,
            count,
            limits if keeps else Bounds(count, count),
            barred=barred if keeps else barred | {group.deployment.id},
            now=now,
            spare=spare,
        )
        _add(result, part, group, keeps=keeps)
        if keeps or group is census.primary:
            settled = settled and part.settled
        elif count == 0 and not _remains(group):
            result.finished.add(group.deployment.id)
        else:
            settled = False
    result.settled = settled
    return result


def _alone(deployment: Deployment, *, keeps: bool) -> Deployment:
    """A deployment as one that nothing replaces and that falls back on nothing."""
    state = deployment.rollout_state if keeps else "IN_PROGRESS"
    return msgspec.structs.replace(deployment, status="PRIMARY", rollout_state=state, rolls_back=None)


def _nobody(orphans: Group) -> Group:
    return Group(orphans.deployment)


def _remains(group: Group) -> bool:
    """Whether a task of it is there, or still on its way down where that is known."""
    return bool(group.existing or group.lost)


def _add(result: Step, part: Step, group: Group, *, keeps: bool) -> None:
    stops = part.stops[: max(0, MAX_STOPS - len(result.stops))]
    if not keeps:
        failed = group.deployment.rollout_state == "FAILED"
        reason = "its deployment failed" if failed else "no traffic goes to its revision any more"
        stops = [replaced(stop, reason=reason) for stop in stops]
    result.stops += stops
    result.starts += part.starts
    result.protected |= part.protected
    ends = [at for at in (result.protection_ends_at, part.protection_ends_at) if at is not None]
    result.protection_ends_at = min(ends, default=None)
    result.blocked = result.blocked or part.blocked
