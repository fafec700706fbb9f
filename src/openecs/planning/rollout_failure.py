"""Why a deployment is given up: the circuit breaker, an alarm or a caller.  Pure.

Texts are AWS's where AWS has any.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs.model.service import Deployment, Service
from openecs.planning import circuit_breaker
from openecs.planning.service_snapshot import ServiceSnapshot

Cause = Literal["circuit breaker", "alarm", "request"]

_BREAKER = "ECS deployment circuit breaker:"
_ALARM = "ECS deployment alarm:"
_REQUEST = "ECS deployment stop request:"


class Failure(NamedTuple):
    """What ended a deployment, and what is said about it."""

    cause: Cause
    #: Whether the service goes back to the deployment that was completed last.
    rolls_back: bool
    rollout_reason: str
    #: The end of the service event.
    event: str

    @property
    def rollback_prefix(self) -> str:
        """How the reason of the deployment begins that the service goes back to."""
        return self.rollout_reason.split(":", 1)[0] + ":"


def failure_of(snapshot: ServiceSnapshot, deployment: Deployment, desired: int) -> Failure | None:
    """What ends the PRIMARY deployment now, if anything does."""
    if deployment.rollout_state != "IN_PROGRESS":
        return None
    service = snapshot.service
    if snapshot.stop_requested is not None:
        return Failure(
            "request",
            snapshot.stop_requested == "ROLLBACK",
            f"{_REQUEST} {deployment.id} stopped.",
            "stopped by StopServiceDeployment.",
        )
    if triggered_alarms(service, deployment, snapshot.alarms_in_alarm):
        alarms = service.deployment_configuration.alarms
        rolls_back = alarms is not None and alarms.rollback
        return Failure("alarm", rolls_back, f"{_ALARM} alarm detected.", "alarm detected.")
    if circuit_breaker.enabled(service):
        threshold = circuit_breaker.threshold(service.deployment_configuration, desired)
        if deployment.breaker.count >= threshold:
            rolls_back = circuit_breaker.rolls_back(service)
            said = "tasks failed to start."
            return Failure("circuit breaker", rolls_back, f"{_BREAKER} {said}", said)
    return None


def triggered_alarms(service: Service, deployment: Deployment, in_alarm: frozenset[str]) -> tuple[str, ...]:
    """The service's deployment alarms that went into ALARM after the deployment began."""
    alarms = service.deployment_configuration.alarms
    if alarms is None or not alarms.enable or not in_alarm or deployment.ignored_alarms is None:
        return ()
    return tuple(name for name in alarms.alarm_names if name in in_alarm and name not in deployment.ignored_alarms)


def cause_of(rollout_state_reason: str) -> Cause | None:
    """What a deployment FAILED of, or is a rollback because of, by its ``rolloutStateReason``."""
    causes: dict[str, Cause] = {_BREAKER: "circuit breaker", _ALARM: "alarm", _REQUEST: "request"}
    return next((cause for prefix, cause in causes.items() if rollout_state_reason.startswith(prefix)), None)
