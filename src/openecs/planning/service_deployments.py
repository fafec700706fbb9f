"""How a service deployment moves on with its service.  Pure.

A service deployment is one attempt to bring a revision out.  ``advance`` reads off the service
how far it got, so that nothing is lost when several things happened at once or the process was
restarted in between: PENDING, IN_PROGRESS, then SUCCESSFUL, STOPPED, or over
ROLLBACK_IN_PROGRESS to ROLLBACK_SUCCESSFUL or ROLLBACK_FAILED.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from openecs.model.record import changed
from openecs.model.service import Deployment, Service
from openecs.model.service_deployment import ServiceDeployment, ServiceDeploymentStatus
from openecs.planning import circuit_breaker, rollout_failure

MonitorStatus = Literal["TRIGGERED", "MONITORING", "MONITORING_COMPLETE", "DISABLED"]

_ROLLBACK_REASONS: dict[str | None, str] = {
    "circuit breaker": "Service deployment rolled back because the circuit breaker threshold was exceeded.",
    "alarm": "Service deployment rolled back because of the alarms that were triggered.",
    "request": "Service deployment rolled back because of a StopServiceDeployment request.",
    "lifecycle": "Service deployment rolled back because a lifecycle stage or hook failed.",
}
_STOP_REASONS: dict[str | None, str] = {
    "circuit breaker": "Service deployment stopped because the circuit breaker threshold was exceeded.",
    "alarm": "Service deployment stopped because of the alarms that were triggered.",
    "request": "Service deployment stopped because of a StopServiceDeployment request.",
    "lifecycle": "Service deployment stopped because a lifecycle stage or hook failed.",
}
SUPERSEDED = "Service deployment stopped because a new service deployment was started."
DELETED = "Service deployment stopped because the service was deleted."


def advance(
    record: ServiceDeployment, service: Service, *, now: float, in_alarm: frozenset[str] = frozenset()
) -> ServiceDeployment:
    """``record`` as ``service`` says that it stands; the same object when nothing is new.

    ``in_alarm`` are the names of alarms that are in ALARM.
    """
    if record.finished:
        return record
    target = service.deployment(record.deployment_id)
    restored = next((d for d in service.deployments if d.rolls_back == record.deployment_id), None)
    changes = _monitors(record, service, target, in_alarm)
    if service.status != "ACTIVE":
        changes |= _end("STOPPED", DELETED, now)
    elif restored is not None and restored.status == "PRIMARY":
        changes |= _rollback(record, restored, now)
    elif target is None or target.status != "PRIMARY":
        # Another deployment took over; of one that was going back nothing is left to go back with.
        status: ServiceDeploymentStatus = "STOPPED" if record.rollback_started_at is None else "ROLLBACK_FAILED"
        changes |= _end(status, SUPERSEDED, now)
    elif target.rollout_state == "COMPLETED":
        changes |= _end("SUCCESSFUL", None, now)
    elif target.rollout_state == "FAILED":
        changes |= _end("STOPPED", _STOP_REASONS.get(rollout_failure.cause_of(target)), now)
    else:
        changes["status"] = "IN_PROGRESS"
    if record.started_at is None:
        changes["started_at"] = now
    if "finished_at" in changes and changes["circuit_breaker_status"] == "MONITORING":
        changes["circuit_breaker_status"] = "MONITORING_COMPLETE"
    if "finished_at" in changes and changes["alarms_status"] == "MONITORING":
        changes["alarms_status"] = "MONITORING_COMPLETE"
    moved = changed(record, **changes)
    return record if moved is record else msgspec.structs.replace(moved, updated_at=now)


def _monitors(
    record: ServiceDeployment, service: Service, target: Deployment | None, in_alarm: frozenset[str]
) -> dict[str, Any]:
    """What the circuit breaker and the alarms saw."""
    configuration = service.deployment_configuration
    breaker: MonitorStatus = "MONITORING" if circuit_breaker.enabled(service) else "DISABLED"
    alarms: MonitorStatus = "DISABLED"
    if configuration.alarms is not None and configuration.alarms.enable:
        alarms = "MONITORING"
    changes: dict[str, Any] = {"threshold": circuit_breaker.threshold(configuration, service.desired_count)}
    triggered = record.triggered_alarms
    if target is not None:
        changes["failure_count"] = target.breaker.count
        triggered = triggered or rollout_failure.triggered_alarms(service, target, in_alarm)
        cause = rollout_failure.cause_of(target) if target.rollout_state == "FAILED" else None
        breaker = "TRIGGERED" if cause == "circuit breaker" else breaker
        alarms = "TRIGGERED" if cause == "alarm" else alarms
    changes["triggered_alarms"] = triggered
    # What was triggered once stays so, after the failed deployment is gone too.
    changes["circuit_breaker_status"] = "TRIGGERED" if record.circuit_breaker_status == "TRIGGERED" else breaker
    changes["alarms_status"] = "TRIGGERED" if record.alarms_status == "TRIGGERED" else alarms
    return changes


def _rollback(record: ServiceDeployment, restored: Deployment, now: float) -> dict[str, Any]:
    """The service is on its way back to ``restored``, or arrived, or failed again."""
    began = record.rollback_started_at
    reason = record.rollback_reason
    if began is None:
        began = now
        reason = _ROLLBACK_REASONS.get(rollout_failure.cause_of(restored))
    changes: dict[str, Any] = {
        "rollback_started_at": began,
        "rollback_reason": reason,
        "rollback_revision_arn": restored.revision_arn or None,
        "status_reason": reason,
    }
    if restored.rollout_state == "IN_PROGRESS":
        return changes | {"status": "ROLLBACK_IN_PROGRESS"}
    if restored.rollout_state == "COMPLETED":
        return changes | _end("ROLLBACK_SUCCESSFUL", reason, now)
    return changes | _end("ROLLBACK_FAILED", "The service revision that was rolled back to failed as well.", now)


def _end(status: ServiceDeploymentStatus, reason: str | None, now: float) -> dict[str, Any]:
    changes: dict[str, Any] = {"status": status, "status_reason": reason, "finished_at": now}
    return changes | ({"stopped_at": now} if status == "STOPPED" else {})
