"""The attributes of load balancers, target groups and listeners: names, defaults, allowed values.

State holds what was set; what is not there has the default of this module, which thus can be
shown, checked and sent to hosts in one form.  A value that AWS allows and that we cannot honour
is refused with a sentence; its attribute is still listed, with the default, because clients
read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

#: Why a value is not allowed, or ``None``.
Check = Callable[[str], str | None]


class Attribute(NamedTuple):
    """One attribute of one kind of resource."""

    key: str
    default: str
    check: Check


class UnknownAttributeError(ValueError):
    """No attribute of this name is there for this kind of resource."""


class AttributeValueError(ValueError):
    """The attribute may not have this value; the text is for the caller."""


class UnsupportedAttributeError(ValueError):
    """AWS would take the value and we cannot honour it; the text is for the caller."""


def one_of(*values: str) -> Check:
    """The value is one of these."""

    def check(value: str) -> str | None:
        return None if value in values else f"must be one of: {', '.join(values)}"

    return check


def number(low: int, high: int, *also: str) -> Check:
    """The value is a whole number between these, or one of the words ``also``."""

    def check(value: str) -> str | None:
        if value in also or (re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high):
            return None
        words = f" or {', '.join(also)}" if also else ""
        return f"must be a number between {low} and {high}{words}"

    return check


def slow_start(value: str) -> str | None:
    """Zero, or 30 to 900 seconds."""
    return None if value == "0" else number(30, 900)(value)


def text(longest: int, pattern: str = r"[ -~]*") -> Check:
    """The value is text of at most that length."""

    def check(value: str) -> str | None:
        if len(value) > longest:
            return f"cannot be longer than {longest} characters"
        return None if re.fullmatch(pattern, value) else "contains characters that are not allowed"

    return check


def cookie_name(value: str) -> str | None:
    """A cookie's name that the load balancer does not use itself."""
    if value.startswith("AWSALB"):
        return "cannot start with AWSALB, AWSALBAPP or AWSALBTG"
    return text(256, r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")(value)


def only(value: str, why: str) -> Check:
    """Nothing but ``value`` can be honoured; ``why`` ends the sentence of the refusal."""

    def check(given: str) -> str | None:
        if given != value:
            raise UnsupportedAttributeError(why)
        return None

    return check


_SWITCH = one_of("true", "false")
_BUCKET = text(255, r"[A-Za-z0-9._-]*")
_PREFIX = text(1024, r"[A-Za-z0-9!_.*'()/-]*")
_PROXIED = "load balancers are proxies here: targets see the load balancer's address"

_EVERY_BALANCER = (
    Attribute("access_logs.s3.enabled", "false", _SWITCH),
    Attribute("access_logs.s3.bucket", "", _BUCKET),
    Attribute("access_logs.s3.prefix", "", _PREFIX),
    Attribute("deletion_protection.enabled", "false", _SWITCH),
    Attribute("zonal_shift.config.enabled", "false", only("false", "there is no zonal shift")),
)
_APPLICATION = (
    *_EVERY_BALANCER,
    Attribute("idle_timeout.timeout_seconds", "60", number(1, 4000)),
    Attribute("client_keep_alive.seconds", "3600", number(60, 604800)),
    Attribute("routing.http2.enabled", "true", _SWITCH),
    Attribute("routing.http.drop_invalid_header_fields.enabled", "false", _SWITCH),
    Attribute("routing.http.preserve_host_header.enabled", "false", _SWITCH),
    Attribute("routing.http.xff_client_port.enabled", "false", _SWITCH),
    Attribute("routing.http.xff_header_processing.mode", "append", one_of("append", "preserve", "remove")),
    Attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", _SWITCH),
    Attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        only("defensive", "ambiguous requests are always refused, as in the mode defensive"),
    ),
    Attribute("load_balancing.cross_zone.enabled", "true", one_of("true")),
    Attribute("waf.fail_open.enabled", "false", only("false", "there is no AWS WAF")),
    *(
        Attribute(f"{logs}.s3.{part}", default, only(default, "only access logs are written"))
        for logs in ("connection_logs", "health_check_logs")
        for part, default in (("enabled", "false"), ("bucket", ""), ("prefix", ""))
    ),
)
_NETWORK = (
    *_EVERY_BALANCER,
    Attribute("load_balancing.cross_zone.enabled", "false", _SWITCH),
    Attribute(
        "dns_record.client_routing_policy",
        "any_availability_zone",
        only("any_availability_zone", "names are answered without regard to the client's zone"),
    ),
    Attribute("secondary_ips.auto_assigned.per_subnet", "0", only("0", "a load balancer has one address per subnet")),
)
_EVERY_GROUP = (
    Attribute("deregistration_delay.timeout_seconds", "300", number(0, 3600)),
    Attribute("stickiness.enabled", "false", _SWITCH),
    Attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        one_of("true", "false", "use_load_balancer_configuration"),
    ),
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        only("1", "names hold the addresses of all zones"),
    ),
    Attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        only("off", "names hold the addresses of all zones"),
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        number(1, 1000),
    ),
    Attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        number(1, 100, "off"),
    ),
)
_HTTP_GROUP = (
    *_EVERY_GROUP,
    Attribute("stickiness.type", "lb_cookie", one_of("lb_cookie", "app_cookie")),
    Attribute("stickiness.lb_cookie.duration_seconds", "86400", number(1, 604800)),
    Attribute("stickiness.app_cookie.cookie_name", "", cookie_name),
    Attribute("stickiness.app_cookie.duration_seconds", "86400", number(1, 604800)),
    Attribute("slow_start.duration_seconds", "0", slow_start),
    Attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        one_of("round_robin", "least_outstanding_requests", "weighted_random"),
    ),
    Attribute("load_balancing.algorithm.anomaly_mitigation", "off", only("off", "there is no detection of anomalies")),
)
_STREAM_GROUP = (
    *_EVERY_GROUP,
    Attribute("stickiness.type", "source_ip", one_of("source_ip")),
    Attribute("deregistration_delay.connection_termination.enabled", "false", _SWITCH),
    Attribute("preserve_client_ip.enabled", "false", only("false", _PROXIED)),
    Attribute("proxy_protocol_v2.enabled", "false", _SWITCH),
    Attribute("target_health_state.unhealthy.connection_termination.enabled", "true", _SWITCH),
    Attribute(
        "target_health_state.unhealthy.draining_interval_seconds",
        "0",
        only("0", "connections to a target that became unhealthy end at once or are left alone"),
    ),
)

#: Where groups for UDP differ from those for TCP alone.
_DATAGRAM_CHANGES = {
    "deregistration_delay.connection_termination.enabled": Attribute(
        "deregistration_delay.connection_termination.enabled", "true", _SWITCH
    ),
    "target_health_state.unhealthy.connection_termination.enabled": Attribute(
        "target_health_state.unhealthy.connection_termination.enabled", "false", one_of("false")
    ),
    "proxy_protocol_v2.enabled": Attribute(
        "proxy_protocol_v2.enabled", "false", only("false", "the load balancer adds nothing to datagrams")
    ),
}
_DATAGRAM_GROUP = tuple(_DATAGRAM_CHANGES.get(attribute.key, attribute) for attribute in _STREAM_GROUP)

_RESPONSE_HEADERS = (
    *("strict_transport_security", "access_control_allow_origin", "access_control_allow_methods"),
    *("access_control_allow_headers", "access_control_allow_credentials", "access_control_expose_headers"),
    *("access_control_max_age", "content_security_policy", "x_content_type_options", "x_frame_options"),
)
_CLIENT_CERTIFICATE_HEADERS = ("_serial_number", "_issuer", "_subject", "_validity", "_leaf", "")
_HEADER_NAME = text(40, r"[A-Za-z0-9_-]+")
_HTTP_LISTENER = (
    Attribute("routing.http.response.server.enabled", "true", _SWITCH),
    *(Attribute(f"routing.http.response.{name}.header_value", "", text(1024)) for name in _RESPONSE_HEADERS),
)
_HTTPS_LISTENER = (
    *_HTTP_LISTENER,
    *(
        Attribute(
            f"routing.http.request.x_amzn_{name}.header_name", f"X-Amzn-{name.title().replace('_', '-')}", _HEADER_NAME
        )
        for name in ("tls_version", "tls_cipher_suite")
    ),
    *(
        Attribute(
            f"routing.http.request.x_amzn_mtls_clientcert{part}.header_name",
            header,
            only(header, "clients are not asked for certificates"),
        )
        for part in _CLIENT_CERTIFICATE_HEADERS
        for header in (f"X-Amzn-Mtls-Clientcert{part.title().replace('_', '-')}",)
    ),
)
_TCP_LISTENER = (Attribute("tcp.idle_timeout.seconds", "350", number(60, 6000)),)


def of_load_balancer(
    kind: Literal["application", "network"], scheme: Literal["internet-facing", "internal"]
) -> tuple[Attribute, ...]:
    """The attributes of a load balancer."""
    denied = "true" if scheme == "internal" else "false"
    igw = Attribute("ipv6.deny_all_igw_traffic", denied, only(denied, "there is no IPv6"))
    return (*(_APPLICATION if kind == "application" else _NETWORK), igw)


def of_target_group(protocol: str) -> tuple[Attribute, ...]:
    """The attributes of a target group."""
    if protocol in ("HTTP", "HTTPS"):
        return _HTTP_GROUP
    if protocol not in ("UDP", "TCP_UDP"):
        return _STREAM_GROUP
    return _DATAGRAM_GROUP


def of_listener(protocol: str) -> tuple[Attribute, ...]:
    """The attributes of a listener."""
    match protocol:
        case "HTTP":
            return _HTTP_LISTENER
        case "HTTPS":
            return _HTTPS_LISTENER
        case "TCP":
            return _TCP_LISTENER
        case _:
            # UDP has no idle timeout that could be set, and that of TLS cannot be either.
            return ()


def effective(known: Iterable[Attribute], given: Mapping[str, str]) -> dict[str, str]:
    """All attributes with their values: those that were set over the defaults."""
    return {attribute.key: given.get(attribute.key, attribute.default) for attribute in known}


def updated(known: Iterable[Attribute], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """What to keep after ``new`` was set over ``old``: only what is not the default.

    Raises ``UnknownAttributeError``, ``AttributeValueError`` or ``UnsupportedAttributeError``.
    """
    by_key = {attribute.key: attribute for attribute in known}
    kept = dict(old)
    for key, value in new.items():
        attribute = by_key.get(key)
        if attribute is None:
            raise UnknownAttributeError(key)
        try:
            problem = attribute.check(value)
        except UnsupportedAttributeError as why:
            raise UnsupportedAttributeError(
                f"The value '{value}' of the attribute '{key}' is not supported by OpenECS: {why}."
            ) from None
        if problem is not None:
            raise AttributeValueError(f"The value '{value}' of the attribute '{key}' is not valid: it {problem}.")
        if value == attribute.default:
            kept.pop(key, None)
        else:
            kept[key] = value
    return kept
