"""The parts of ``deploymentConfiguration`` that are for shifting traffic.  Pure checks.

BLUE_GREEN, LINEAR and CANARY deployments have a bake time, steps and lifecycle hooks; rolling
ones have none of these here.  Of the hooks, those that pause are served.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.errors import invalid_parameter, not_supported
from openecs.planning.traffic_shift import CANARY_BAKE, CANARY_PERCENT, STEP_BAKE, STEP_PERCENT
from openecs.shapes import ecs

#: Minutes of a day.
MAX_BAKE = 1440
_NOT_FOR_PAUSE = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")


def settings(given: ecs.DeploymentConfiguration, base: ecs.DeploymentConfiguration) -> dict[str, Any]:
    """The members about traffic to store: ``given`` over ``base``, defaults filled in.

    Raises ``AWSError`` for what AWS refuses and for what is not served.
    """
    strategy = given.strategy or base.strategy or "ROLLING"
    _check_fit(given, strategy)
    if strategy == "ROLLING":
        return {"strategy": strategy, "bake_time_in_minutes": 0}
    bake = given.bake_time_in_minutes
    if bake is None:
        bake = base.bake_time_in_minutes or 0
    _in_range("bakeTimeInMinutes", bake, 0, MAX_BAKE)
    hooks = base.lifecycle_hooks if given.lifecycle_hooks is None else given.lifecycle_hooks
    return {
        "strategy": strategy,
        "bake_time_in_minutes": bake,
        "lifecycle_hooks": tuple(_hook(hook) for hook in hooks or ()) or None,
        "linear_configuration": _linear(given, base) if strategy == "LINEAR" else None,
        "canary_configuration": _canary(given, base) if strategy == "CANARY" else None,
    }


def _check_fit(given: ecs.DeploymentConfiguration, strategy: str) -> None:
    if given.linear_configuration is not None and strategy != "LINEAR":
        raise invalid_parameter("linearConfiguration is only valid with the LINEAR deployment strategy.")
    if given.canary_configuration is not None and strategy != "CANARY":
        raise invalid_parameter("canaryConfiguration is only valid with the CANARY deployment strategy.")
    if strategy == "ROLLING":
        if given.bake_time_in_minutes:
            raise not_supported("deploymentConfiguration.bakeTimeInMinutes with the ROLLING strategy")
        if given.lifecycle_hooks:
            raise not_supported("deploymentConfiguration.lifecycleHooks with the ROLLING strategy")


def _hook(hook: ecs.DeploymentLifecycleHook) -> ecs.DeploymentLifecycleHook:
    if hook.target_type != "PAUSE":
        raise not_supported("deploymentConfiguration.lifecycleHooks with targetType AWS_LAMBDA (PAUSE is served)")
    if not hook.lifecycle_stages:
        raise invalid_parameter("lifecycleStages is required for a deployment lifecycle hook.")
    for stage in hook.lifecycle_stages:
        if stage in _NOT_FOR_PAUSE:
            raise invalid_parameter(f"PAUSE lifecycle hooks cannot be configured at the {stage} stage.")
    for name in ("hook_target_arn", "role_arn", "hook_details"):
        if getattr(hook, name):
            first, *rest = name.split("_")
            member = first + "".join(part.title() for part in rest)
            raise invalid_parameter(f"{member} is not applicable for PAUSE lifecycle hooks.")
    return hook


def _linear(given: ecs.DeploymentConfiguration, base: ecs.DeploymentConfiguration) -> ecs.LinearConfiguration:
    wanted = given.linear_configuration or base.linear_configuration or ecs.LinearConfiguration()
    percent = STEP_PERCENT if wanted.step_percent is None else wanted.step_percent
    minutes = STEP_BAKE if wanted.step_bake_time_in_minutes is None else wanted.step_bake_time_in_minutes
    _percent("linearConfiguration.stepPercent", percent, 3.0)
    _in_range("linearConfiguration.stepBakeTimeInMinutes", minutes, 0, MAX_BAKE)
    return msgspec.structs.replace(wanted, step_percent=percent, step_bake_time_in_minutes=minutes)


def _canary(given: ecs.DeploymentConfiguration, base: ecs.DeploymentConfiguration) -> ecs.CanaryConfiguration:
    wanted = given.canary_configuration or base.canary_configuration or ecs.CanaryConfiguration()
    percent = CANARY_PERCENT if wanted.canary_percent is None else wanted.canary_percent
    minutes = CANARY_BAKE if wanted.canary_bake_time_in_minutes is None else wanted.canary_bake_time_in_minutes
    _percent("canaryConfiguration.canaryPercent", percent, 0.1)
    _in_range("canaryConfiguration.canaryBakeTimeInMinutes", minutes, 0, MAX_BAKE)
    return msgspec.structs.replace(wanted, canary_percent=percent, canary_bake_time_in_minutes=minutes)


def _percent(member: str, value: float, least: float) -> None:
    # Not a number fails every comparison.
    if not least <= value <= 100.0 or abs(value * 10 - round(value * 10)) > 1e-6:
        raise invalid_parameter(f"{member} must be a multiple of 0.1 from {least} to 100.0.")


def _in_range(member: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise invalid_parameter(f"{member} must be between {least} and {most}.")
