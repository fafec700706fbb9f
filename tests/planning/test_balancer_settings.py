"""Attributes, health check settings, TLS policies and regular expressions of load balancers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from openecs.model.record import changed
from openecs.model.tls_policy import DEFAULT_POLICY, TLS_POLICIES
from openecs.planning import balancer_attributes as attributes
from openecs.planning.health_checks import HealthCheckError, check_health_check, default_health_check
from openecs.planning.re2_syntax import re2_problem

ALB = attributes.of_load_balancer("application", "internet-facing")
NLB = attributes.of_load_balancer("network", "internal")
HTTP = attributes.of_target_group("HTTP")
TCP = attributes.of_target_group("TCP")
UDP = attributes.of_target_group("UDP")


@pytest.mark.parametrize(
    "known",
    [ALB, NLB, HTTP, TCP, UDP, *map(attributes.of_listener, ("HTTP", "HTTPS", "TCP"))],
)
def test_every_default_may_be_set_and_is_then_not_kept(known: tuple[attributes.Attribute, ...]) -> None:
    defaults = attributes.effective(known, {})
    assert len(defaults) == len(known)
    assert attributes.updated(known, {}, defaults) == {}


def test_only_what_differs_is_kept_and_everything_is_shown() -> None:
    kept = attributes.updated(ALB, {}, {"idle_timeout.timeout_seconds": "5", "routing.http2.enabled": "true"})
    assert kept == {"idle_timeout.timeout_seconds": "5"}
    assert attributes.effective(ALB, kept)["idle_timeout.timeout_seconds"] == "5"
    assert attributes.updated(ALB, kept, {"idle_timeout.timeout_seconds": "60"}) == {}


@pytest.mark.parametrize(
    ("known", "key", "value", "error"),
    [
        (ALB, "dns_record.client_routing_policy", "any_availability_zone", attributes.UnknownAttributeError),
        (ALB, "idle_timeout.timeout_seconds", "0", attributes.AttributeValueError),
        (ALB, "idle_timeout.timeout_seconds", "4001", attributes.AttributeValueError),
        (ALB, "idle_timeout.timeout_seconds", "1.5", attributes.AttributeValueError),
        (ALB, "idle_timeout.timeout_seconds", "٣", attributes.AttributeValueError),
        (ALB, "deletion_protection.enabled", "yes", attributes.AttributeValueError),
        (ALB, "load_balancing.cross_zone.enabled", "false", attributes.AttributeValueError),
        (ALB, "access_logs.s3.bucket", "../etc", attributes.AttributeValueError),
        (ALB, "waf.fail_open.enabled", "true", attributes.UnsupportedAttributeError),
        (ALB, "connection_logs.s3.enabled", "true", attributes.UnsupportedAttributeError),
        (ALB, "routing.http.desync_mitigation_mode", "monitor", attributes.UnsupportedAttributeError),
        (NLB, "secondary_ips.auto_assigned.per_subnet", "1", attributes.UnsupportedAttributeError),
        (HTTP, "slow_start.duration_seconds", "29", attributes.AttributeValueError),
        (HTTP, "stickiness.app_cookie.cookie_name", "AWSALBX", attributes.AttributeValueError),
        (HTTP, "stickiness.app_cookie.cookie_name", "a;b", attributes.AttributeValueError),
        (HTTP, "stickiness.type", "source_ip", attributes.AttributeValueError),
        (TCP, "preserve_client_ip.enabled", "true", attributes.UnsupportedAttributeError),
        (UDP, "preserve_client_ip.enabled", "true", attributes.UnsupportedAttributeError),
        (UDP, "proxy_protocol_v2.enabled", "true", attributes.UnsupportedAttributeError),
        (UDP, "target_health_state.unhealthy.connection_termination.enabled", "true", attributes.AttributeValueError),
        (TCP, "stickiness.lb_cookie.duration_seconds", "1", attributes.UnknownAttributeError),
    ],
)
def test_values_that_cannot_be_are_refused(known: Any, key: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        attributes.updated(known, {}, {key: value})
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "version", "by", "timeout", "path", "matcher"),
    [
        ("HTTP", "HTTP1", None, 5, "/", "200"),
        ("HTTPS", "HTTP2", "HTTPS", 5, "/", "200"),
        ("HTTP", "GRPC", None, 5, "/AWS.ALB/healthcheck", "12"),
        ("TCP", None, None, 10, None, None),
        ("TLS", None, "HTTP", 6, "/", "200-399"),
        ("TCP", None, "HTTPS", 10, "/", "200-399"),
    ],
)
def test_health_checks_have_the_defaults_of_aws(
    protocol: str, version: str | None, by: Any, timeout: int, path: str | None, matcher: str | None
) -> None:
    check = default_health_check(protocol, version, by)
    assert (check.interval, check.healthy_threshold, check.unhealthy_threshold) == (30, 5, 2)
    assert (check.timeout, check.path, check.matcher) == (timeout, path, matcher)
    check_health_check(check, protocol, version)


@pytest.mark.parametrize(
    ("protocol", "change", "words"),
    [
        ("HTTP", {"timeout": 30}, "smaller than the interval"),
        ("HTTP", {"port": "0"}, "port"),
        ("HTTP", {"port": "65536"}, "port"),
        ("HTTP", {"port": "080"}, "port"),
        ("HTTP", {"path": "x"}, "begin with"),
        ("HTTP", {"matcher": "200-500"}, "200-499"),
        ("HTTP", {"matcher": "299-200"}, "200-499"),
        ("HTTP", {"matcher": "200,,201"}, "200-499"),
        ("HTTP", {"matcher": "٢٠٠"}, "200-499"),
        ("HTTP", {"enabled": False}, "enabled"),
    ],
)
def test_health_checks_that_aws_refuses(protocol: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(HealthCheckError, match=re.escape(words)):
        check_health_check(changed(default_health_check(protocol, "HTTP1"), **change), protocol, "HTTP1")


@pytest.mark.parametrize("by", ["TCP", "TLS", "UDP"])
def test_protocols_that_no_check_of_an_application_has(by: Any) -> None:
    with pytest.raises(HealthCheckError):
        default_health_check("HTTP", "HTTP1", by)


def test_policies_offer_what_they_promise() -> None:
    assert DEFAULT_POLICY in TLS_POLICIES
    strict = TLS_POLICIES["ELBSecurityPolicy-TLS13-1-3-2021-06"]
    assert strict.protocols == ("TLSv1.3",)
    assert strict.tls12_ciphers == ()
    for policy in TLS_POLICIES.values():
        assert ("TLSv1.3" in policy.protocols) == any(cipher.startswith("TLS_") for cipher in policy.ciphers)
        assert len(set(policy.ciphers)) == len(policy.ciphers) > 0
        if "-FS-" in policy.name or "-Res-" in policy.name:
            assert all(cipher.startswith(("ECDHE", "TLS_")) for cipher in policy.ciphers)


@pytest.mark.parametrize(
    "pattern", [r"^/api/(v\d+)/.*$", r"(?i)^www\.", r"(?:a|b)+?", r"[^/]+", r"(?P<x>a)", r"a{1,9}"]
)
def test_expressions_that_re2_reads(pattern: str) -> None:
    assert re2_problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"(?=a)",
            r"(?!a)",
            r"(?<=a)",
            r"(?<!a)",
            r"(a)\1",
            r"(?P<x>a)(?P=x)",
            r"(?>a)",
            r"a++",
            r"(?#x)",
            r"a{1001}",
        ),
        *(r"(", r"[", r"a**", "\\", r"\Z", r"\Qa\E", r"(?(1)a|b)", r"(?x)a", r"[[a]"),
    ],
)
def test_expressions_that_re2_may_not_read(pattern: str) -> None:
    assert re2_problem(pattern) is not None
