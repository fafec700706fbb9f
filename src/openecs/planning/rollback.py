"""What a service does when its PRIMARY deployment is given up: go back, or stall.  Pure.

It goes back to the deployment that was COMPLETED last, once: that one becomes PRIMARY and
IN_PROGRESS again and can only be used again after it was completed again.

Where none was ever completed, as when an update follows before the first deployment has proved
its tasks, an older deployment that did not fail and whose tasks serve in the full number is as
good.  A rollback that fails is not followed by another one.

Without anything to go back to the deployment is FAILED and launches nothing any more.
"""

from __future__ import annotations

import msgspec

from openecs.model.service import Deployment, FailureCount, Service
from openecs.planning import circuit_breaker, service_events
from openecs.planning.rollout_failure import Failure
from openecs.planning.service_actions import Action, Event, FailDeployment
from openecs.planning.service_snapshot import Census, Group


def target(service: Service, census: Census, desired: int) -> Deployment | None:
    """The deployment that the service goes back to if it is to go back now; ``None``: there is none.

    ``desired`` is how many tasks the service is to run.
    """
    in_production = _in_production(service, census)
    if in_production is not None:
        return in_production
    completed, failing = service.last_completed, census.primary
    if completed is not None and failing is not None and completed.id == failing.deployment.id:
        # It has all production traffic already, and there is nothing older than it.
        return None
    if completed is not None:
        # Its tasks may still run: then what is known of it now is newer than what was remembered.
        return service.deployment(completed.id) or completed
    if failing is None or failing.deployment.rolls_back is not None:
        return None
    for group in census.groups:
        older = group.deployment
        if older.status != "ACTIVE" or older.rollout_state == "FAILED":
            continue
        # COMPLETED ones are of records from before ``last_completed`` was kept.
        if older.rollout_state == "COMPLETED" or 0 < desired <= group.serving:
            return older
    return None


def give_up(
    service: Service, census: Census, failed: Group, failure: Failure, desired: int, now: float
) -> tuple[Service, list[Action]]:
    """The service after its PRIMARY deployment failed, and what there is to say about it."""
    loser = msgspec.structs.replace(
        failed.deployment,
        rollout_state="FAILED",
        rollout_state_reason=failure.rollout_reason,
        cause=failure.cause,
        updated_at=now,
    )
    said: list[Action] = [Event(service_events.deployment_failed(service.name, loser.id, failure.event))]
    earlier = target(service, census, desired) if failure.rolls_back else None
    if earlier is None:
        deployments = tuple(loser if d.id == loser.id else d for d in service.deployments)
        said.insert(0, FailDeployment(loser.id, failure.details or failure.rollout_reason))
        return msgspec.structs.replace(service, deployments=deployments, steady=False), said
    restored = msgspec.structs.replace(
        earlier,
        status="PRIMARY",
        rollout_state="IN_PROGRESS",
        rollout_state_reason=failure.rollback_reason(earlier.id),
        updated_at=now,
        failed_tasks=0,
        start_failures=FailureCount(),
        crashes=FailureCount(),
        rolls_back=loser.id,
        cause=failure.cause,
        breaker=_counted_up_to(census, earlier, now),
        ignored_alarms=None,
        ready_at=None,
    )
    loser = msgspec.structs.replace(loser, status="ACTIVE")
    others = [d for d in service.deployments if d.id not in (loser.id, restored.id)]
    said.insert(0, FailDeployment(loser.id, failure.details or failure.rollout_reason, rolls_back_to=restored.id))
    said.append(Event(service_events.rolling_back(service.name, restored.id)))
    changed = msgspec.structs.replace(
        service, deployments=(restored, loser, *others), last_completed=None, steady=False
    )
    return changed, said


def _in_production(service: Service, census: Census) -> Deployment | None:
    """While traffic is shifted, the older deployment that the shift leaves in production."""
    failing = census.primary
    if service.production_id is None or failing is None or failing.deployment.rolls_back is not None:
        return None
    older = (d for d in service.deployments if d.id != failing.deployment.id)
    return next((d for d in older if d.id == service.production_id), None)


def _counted_up_to(census: Census, deployment: Deployment, now: float) -> FailureCount:
    """The breaker's count for a deployment that the service goes back to now."""
    stopped = [task for group in census.everyone for task in group.stopped if task.deployment_id == deployment.id]
    return circuit_breaker.counted_up_to(stopped, now)
