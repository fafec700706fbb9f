"""Starting, checking, stopping and restarting a container: timeouts, health, restart policy."""

from __future__ import annotations

from msgspec.structs import replace

from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.shapes import ecs

#: Seconds; nobody waits longer than a day, and the engine counts in 64-bit nanoseconds.
_MAXIMUM_TIMEOUT = 86_400


def check(container: ecs.ContainerDefinition) -> None:
    """Timeouts and restart policy within AWS's ranges."""
    name = container.name or ""
    for kind, seconds in (("start", container.start_timeout), ("stop", container.stop_timeout)):
        if seconds is not None and seconds < 2:
            raise client_error(f"Granular {kind} timeout on container '{name}' must be at least 2 seconds.")
        if seconds is not None and seconds > _MAXIMUM_TIMEOUT:
            raise invalid_field(f"{kind}Timeout", name, f"It must be at most {_MAXIMUM_TIMEOUT} seconds.")
    policy = container.restart_policy
    if policy is None:
        return
    if policy.restart_attempt_period is not None and not 60 <= policy.restart_attempt_period <= 1800:
        raise invalid_field("restartAttemptPeriod", name, "It must be between 60 and 1800 seconds.")
    codes = policy.ignored_exit_codes or ()
    if len(codes) > 50:
        raise invalid_field("ignoredExitCodes", name, "At most 50 exit codes are allowed.")
    if any(not 0 <= code <= 255 for code in codes):
        raise invalid_field("ignoredExitCodes", name, "Exit codes are between 0 and 255.")


def completed_health_check(container: ecs.ContainerDefinition) -> ecs.HealthCheck | None:
    """The health check with interval, timeout and retries filled in (seconds, count)."""
    check = container.health_check
    if check is None:
        return None
    name = container.name or ""
    if not check.command or check.command[0] not in ("CMD", "CMD-SHELL"):
        raise invalid_field("healthCheck", name, "The command must start with CMD or CMD-SHELL.")
    if len(check.command) < 2 or (check.command[0] == "CMD-SHELL" and len(check.command) > 2):
        raise invalid_field("healthCheck", name, "CMD takes a command and its arguments, CMD-SHELL one command line.")
    check = replace(
        check,
        interval=30 if check.interval is None else check.interval,
        timeout=5 if check.timeout is None else check.timeout,
        retries=3 if check.retries is None else check.retries,
    )
    for field, value, low, high in (
        ("interval", check.interval, 5, 300),
        ("timeout", check.timeout, 2, 60),
        ("retries", check.retries, 1, 10),
        ("startPeriod", check.start_period, 0, 300),
    ):
        if value is not None and not low <= value <= high:
            raise invalid_field(f"healthCheck.{field}", name, f"It must be between {low} and {high}.")
    return check
