"""Why a deployment is given up: the circuit breaker, an alarm or a caller.  Pure.

Texts are AWS's where AWS has any.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs.model.service import Deployment, Service
from openecs.planning import circuit_breaker
from openecs.planning.service_snapshot import ServiceSnapshot

Cause = Literal["circuit breaker", "alarm", "request", "lifecycle"]

#: How ``rolloutStateReason`` begins.
_PREFIXES: dict[Cause, str] = {
    "circuit breaker": "ECS deployment circuit breaker:",
    "alarm": "ECS deployment alarm:",
    "request": "ECS deployment stop request:",
    "lifecycle": "ECS deployment lifecycle:",
}


class Failure(NamedTuple):
    """What ended a deployment, and what is said about it."""

    cause: Cause
    #: Whether the service goes back to an earlier deployment.
    rolls_back: bool
    #: What happened, without the cause.
    said: str
    #: The end of the service event.
    event: str
    #: What AWS's texts leave out, for history and ``openecs why``.
    details: str = ""

    @property
    def rollout_reason(self) -> str:
        """The ``rolloutStateReason`` of the deployment that failed."""
        return f"{_PREFIXES[self.cause]} {self.said}"

    def rollback_reason(self, target_id: str) -> str:
        """The ``rolloutStateReason`` of the deployment that the service goes back to."""
        return f"{_PREFIXES[self.cause]} rolling back to deploymentId {target_id}."


def failure_of(snapshot: ServiceSnapshot, deployment: Deployment, desired: int) -> Failure | None:
    """What ends the PRIMARY deployment now, if anything does."""
    if deployment.rollout_state != "IN_PROGRESS":
        return None
    traffic = snapshot.traffic
    if traffic is not None and traffic.shift.stage == "CLEAN_UP" and deployment.rolls_back is None:
        # What it replaced is on its way down: there is no way back.
        return None
    service = snapshot.service
    if snapshot.stop_requested is not None:
        return Failure(
            "request",
            snapshot.stop_requested == "ROLLBACK",
            f"{deployment.id} stopped.",
            "stopped by StopServiceDeployment.",
        )
    triggered = triggered_alarms(service, deployment, snapshot.alarms_in_alarm)
    if triggered:
        alarms = service.deployment_configuration.alarms
        rolls_back = alarms is not None and alarms.rollback
        details = f"alarm {' and alarm '.join(triggered)} went into ALARM"
        return Failure("alarm", rolls_back, "alarm detected.", "alarm detected.", details)
    if circuit_breaker.enabled(service):
        threshold = circuit_breaker.threshold(service.deployment_configuration, desired)
        if deployment.breaker.count >= threshold:
            rolls_back = circuit_breaker.rolls_back(service)
            said = "tasks failed to start."
            return Failure("circuit breaker", rolls_back, said, said)
    return None


def triggered_alarms(service: Service, deployment: Deployment, in_alarm: frozenset[str]) -> tuple[str, ...]:
    """The service's deployment alarms that went into ALARM after the deployment began."""
    alarms = service.deployment_configuration.alarms
    if alarms is None or not alarms.enable or not in_alarm or deployment.ignored_alarms is None:
        return ()
    return tuple(name for name in alarms.alarm_names if name in in_alarm and name not in deployment.ignored_alarms)


def cause_of(deployment: Deployment) -> Cause | None:
    """What a deployment FAILED of, or is a rollback because of."""
    if deployment.cause is not None:
        return deployment.cause
    # Records of before the cause was kept say it in their text only.
    reason = deployment.rollout_state_reason
    return next((cause for cause, prefix in _PREFIXES.items() if reason.startswith(prefix)), None)
