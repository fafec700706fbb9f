"""``deploymentConfiguration``: what is stored of what a caller wrote, and what is refused.

Pure functions.  The defaults are AWS's for the scheduling strategy; a part that a caller leaves
out keeps the value that the service has.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.api.ecs import shift_configuration
from openecs.errors import invalid_parameter
from openecs.planning.deployment_bounds import DEFAULT_MAXIMUM_PERCENT, DEFAULT_MINIMUM_HEALTHY_PERCENT
from openecs.shapes import ecs

#: What the circuit breaker does when nothing else is asked for; AWS echoes it in full.
DEFAULT_BREAKER = ecs.DeploymentCircuitBreaker(
    enable=False,
    rollback=False,
    reset_on_healthy_task=True,
    threshold_configuration=ecs.ThresholdConfiguration(type="BOUNDED_PERCENT", value=50),
)
DAEMON_MAXIMUM_PERCENT = 100
DAEMON_MINIMUM_HEALTHY_PERCENT = 0


def resolve(
    given: ecs.DeploymentConfiguration | None,
    existing: ecs.DeploymentConfiguration | None = None,
    *,
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = "REPLICA",
    controller: Literal["ECS", "EXTERNAL"] = "ECS",
) -> ecs.DeploymentConfiguration:
    """The configuration to store: ``given`` over ``existing`` over AWS's defaults.

    Raises ``AWSError`` for values out of range, for combinations that AWS refuses and for
    deployment features that are not there yet.
    """
    given = given or ecs.DeploymentConfiguration()
    _check_alarms(given.alarms, controller)
    daemon = scheduling_strategy == "DAEMON"
    base = existing or ecs.DeploymentConfiguration(
        maximum_percent=DAEMON_MAXIMUM_PERCENT if daemon else DEFAULT_MAXIMUM_PERCENT,
        minimum_healthy_percent=DAEMON_MINIMUM_HEALTHY_PERCENT if daemon else DEFAULT_MINIMUM_HEALTHY_PERCENT,
    )
    minimum = base.minimum_healthy_percent if given.minimum_healthy_percent is None else given.minimum_healthy_percent
    maximum = base.maximum_percent if given.maximum_percent is None else given.maximum_percent
    _check_percents(minimum, maximum, daemon=daemon)
    early = given.early_success_criteria or base.early_success_criteria
    _check_early_success(early, minimum or 0)
    merged = ecs.DeploymentConfiguration(
        deployment_circuit_breaker=_breaker(given.deployment_circuit_breaker, base.deployment_circuit_breaker),
        maximum_percent=maximum,
        minimum_healthy_percent=minimum,
        alarms=given.alarms or base.alarms,
        early_success_criteria=early,
        **shift_configuration.settings(given, base),
    )
    if merged.strategy != "ROLLING":
        _check_shifting(merged, daemon=daemon, controller=controller)
    if controller == "EXTERNAL":
        _check_external(merged)
    return merged


def _check_percents(minimum: int | None, maximum: int | None, *, daemon: bool) -> None:
    if minimum is not None and minimum < 0:
        raise invalid_parameter("minimumHealthyPercent must be at least 0")
    if minimum is not None and minimum > 100:
        raise invalid_parameter("minimumHealthyPercent must be at most 100")
    if maximum is not None and maximum < 100:
        raise invalid_parameter("maximumPercent must be at least 100")
    if daemon and maximum != DAEMON_MAXIMUM_PERCENT:
        raise invalid_parameter(
            "The daemon scheduling strategy does not support values above 100 for maximumPercent. Change the "
            "maximumPercent to 100 and try again"
        )


def _breaker(
    given: ecs.DeploymentCircuitBreaker | None, existing: ecs.DeploymentCircuitBreaker | None
) -> ecs.DeploymentCircuitBreaker:
    """The circuit breaker in full; the optional parts keep what they were."""
    existing = existing or DEFAULT_BREAKER
    given = given or existing
    if given.rollback and not given.enable:
        raise invalid_parameter(
            "deploymentCircuitBreaker.rollback can only be true when deploymentCircuitBreaker.enable is true."
        )
    threshold = given.threshold_configuration
    if threshold is not None and threshold.value < 1:
        raise invalid_parameter("deploymentCircuitBreaker.thresholdConfiguration.value must be at least 1.")
    if given.reset_on_healthy_task is None:
        kept = existing.reset_on_healthy_task
        given = msgspec.structs.replace(given, reset_on_healthy_task=True if kept is None else kept)
    if threshold is None:
        kept_threshold = existing.threshold_configuration or DEFAULT_BREAKER.threshold_configuration
        given = msgspec.structs.replace(given, threshold_configuration=kept_threshold)
    return given


def _check_early_success(early: ecs.DeploymentEarlySuccessCriteria | None, minimum: int) -> None:
    if early is None or not early.enable:
        return
    if early.healthy_percent is None or early.source_service_revision_cleanup is None:
        raise invalid_parameter(
            "earlySuccessCriteria.healthyPercent and earlySuccessCriteria.sourceServiceRevisionCleanup are required "
            "when earlySuccessCriteria.enable is true."
        )
    if early.healthy_percent < minimum:
        raise invalid_parameter(
            "earlySuccessCriteria.healthyPercent must be greater than or equal to minimumHealthyPercent."
        )


def _check_external(merged: ecs.DeploymentConfiguration) -> None:
    """Task sets have no rollouts: nothing of a deployment can be configured."""
    breaker = merged.deployment_circuit_breaker
    early = merged.early_success_criteria
    custom = {
        "maximumPercent": merged.maximum_percent != DEFAULT_MAXIMUM_PERCENT,
        "minimumHealthyPercent": merged.minimum_healthy_percent != DEFAULT_MINIMUM_HEALTHY_PERCENT,
        "deploymentCircuitBreaker": breaker is not None and breaker.enable,
        "earlySuccessCriteria": early is not None and early.enable,
    }
    for member, wanted in custom.items():
        if wanted:
            raise invalid_parameter(
                f"deploymentConfiguration.{member} can not be set for services with an EXTERNAL deployment controller."
            )


def _check_alarms(alarms: ecs.DeploymentAlarms | None, controller: str) -> None:
    """Alarms that do not exist are taken, as on AWS: those on the service's own metrics come after it."""
    if alarms is None or not alarms.enable:
        return
    if not alarms.alarm_names:
        raise invalid_parameter("deploymentConfiguration.alarms.alarmNames can not be empty when alarms are enabled.")
    if controller != "ECS":
        raise invalid_parameter("Deployment alarms are only supported with the ECS deployment controller.")


def _check_shifting(merged: ecs.DeploymentConfiguration, *, daemon: bool, controller: str) -> None:
    if daemon:
        raise invalid_parameter(
            f"The {merged.strategy} deployment strategy is not supported with the DAEMON scheduling strategy."
        )
    if controller != "ECS":
        raise invalid_parameter(
            f"The {merged.strategy} deployment strategy is only supported with the ECS deployment controller."
        )
    early = merged.early_success_criteria
    if early is not None and early.enable:
        raise invalid_parameter(
            f"earlySuccessCriteria is not supported with the {merged.strategy} deployment strategy."
        )
