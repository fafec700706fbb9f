"""Settings of services that shift their traffic, drawn from the seed."""

from __future__ import annotations

import random
from typing import Any

from openecs.shapes import ecs

#: Stages before which a deployment that shifts traffic may pause.
PAUSES: tuple[Any, ...] = (
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
)


def shift_settings(rng: random.Random, breaker: ecs.DeploymentCircuitBreaker | None) -> ecs.DeploymentConfiguration:
    """The deployment configuration of a service that shifts its traffic."""
    strategy = rng.choice(("BLUE_GREEN", "LINEAR", "CANARY"))
    linear = ecs.LinearConfiguration(
        step_percent=rng.choice((25.0, 33.3, 50.0)), step_bake_time_in_minutes=rng.choice((0, 1))
    )
    canary = ecs.CanaryConfiguration(
        canary_percent=rng.choice((0.1, 5.0, 20.0)), canary_bake_time_in_minutes=rng.choice((0, 1, 2))
    )
    return ecs.DeploymentConfiguration(
        strategy=strategy,
        bake_time_in_minutes=rng.choice((0, 0, 1, 3)),
        minimum_healthy_percent=rng.choice((100, 100, 50)),
        maximum_percent=200,
        linear_configuration=linear if strategy == "LINEAR" else None,
        canary_configuration=canary if strategy == "CANARY" else None,
        deployment_circuit_breaker=breaker,
        lifecycle_hooks=tuple(_hook(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
    )


def _hook(rng: random.Random) -> ecs.DeploymentLifecycleHook:
    return ecs.DeploymentLifecycleHook(
        target_type="PAUSE",
        lifecycle_stages=(rng.choice(PAUSES),),
        timeout_configuration=ecs.DeploymentLifecycleHookTimeoutConfiguration(
            timeout_in_minutes=rng.choice((1, 2, 5)),
            action=rng.choice(("CONTINUE", "CONTINUE", "ROLLBACK")),
        ),
    )
