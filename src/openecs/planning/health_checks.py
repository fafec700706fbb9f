"""Health checks of target groups: AWS's defaults and limits.  Pure."""

from __future__ import annotations

import re

from openecs.model import network_text
from openecs.model.target_group import HealthCheck
from openecs.shapes import elbv2

GRPC_PATH = "/AWS.ALB/healthcheck"
_CODES = re.compile(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*", re.ASCII)


class HealthCheckError(ValueError):
    """The settings contradict each other or a limit; the text is for the caller."""


def default_health_check(
    protocol: str, version: str | None, checked_by: elbv2.ProtocolEnum | None = None
) -> HealthCheck:
    """What a target group of that protocol has when nothing is said; ``checked_by``: a protocol that was."""
    application = is_http(protocol)
    chosen = checked_by or ("HTTP" if application else "TCP")
    if chosen not in ("HTTP", "HTTPS", "TCP") or (application and chosen == "TCP"):
        raise HealthCheckError(f"Health check protocol '{chosen}' is not supported for the protocol '{protocol}'")
    http = chosen != "TCP"
    grpc = version == "GRPC"
    return HealthCheck(
        protocol=chosen,
        path=(GRPC_PATH if grpc else "/") if http else None,
        timeout=default_timeout(protocol, chosen),
        matcher=("12" if grpc else "200" if application else "200-399") if http else None,
    )


def default_timeout(protocol: str, chosen: str) -> int:
    """Seconds; AWS's API answers 5 for groups of application load balancers, 6 and 10 for the others."""
    if is_http(protocol):
        return 5
    return 6 if chosen == "HTTP" else 10


def is_http(protocol: str) -> bool:
    """Whether a target group belongs to application load balancers."""
    return protocol in ("HTTP", "HTTPS")


def check_health_check(check: HealthCheck, protocol: str, version: str | None) -> None:
    """Raise ``HealthCheckError`` for settings that AWS refuses."""
    if not check.enabled:
        raise HealthCheckError(
            "Health check enabled must be true for target groups with target type 'instance' or 'ip'"
        )
    if check.timeout >= check.interval and is_http(protocol):
        raise HealthCheckError(
            f"Health check timeout '{check.timeout}' must be smaller than the interval '{check.interval}'"
        )
    if check.timeout > check.interval:
        raise HealthCheckError(
            f"Health check timeout '{check.timeout}' must be smaller than or equal to the interval '{check.interval}'"
        )
    if check.port != "traffic-port" and network_text.port(check.port) is None:
        raise HealthCheckError(f"Health check port '{check.port}' must be in range [1, 65535] or 'traffic-port'")
    if check.protocol == "TCP":
        return
    if not (check.path or "").startswith("/"):
        raise HealthCheckError(f"Health check path '{check.path}' must begin with a '/' character")
    if any(not " " < character < "\x7f" for character in check.path or ""):
        # It goes into the request's first line as it is.
        raise HealthCheckError(f"Health check path '{check.path}' contains characters that are not allowed")
    _check_matcher(check.matcher or "", protocol, version)


def _check_matcher(matcher: str, protocol: str, version: str | None) -> None:
    low, high = (0, 99) if version == "GRPC" else (200, 499) if is_http(protocol) else (200, 599)
    ranges = [part.split("-") for part in matcher.split(",")] if _CODES.fullmatch(matcher) else []
    if not ranges or not all(low <= int(part[0]) <= int(part[-1]) <= high for part in ranges):
        kind = "gRPC" if version == "GRPC" else "HTTP"
        raise HealthCheckError(f"Health check matcher {kind} code '{matcher}' must be within '{low}-{high}'")
