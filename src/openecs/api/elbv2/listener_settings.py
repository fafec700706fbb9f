"""Protocol, certificates and TLS settings of a listener: checked together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from openecs import arn as arns
from openecs.api.elbv2 import errors
from openecs.errors import AWSError
from openecs.model.load_balancer import LoadBalancer
from openecs.model.tls_policy import DEFAULT_POLICY, TLS_POLICIES
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call

ListenerProtocol = Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
ALPN_POLICIES = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")
_APPLICATION: dict[str, ListenerProtocol] = {"HTTP": "HTTP", "HTTPS": "HTTPS"}
_NETWORK: dict[str, ListenerProtocol] = {"TCP": "TCP", "TLS": "TLS", "UDP": "UDP", "TCP_UDP": "TCP_UDP"}
#: Protocols that AWS's network load balancers have and ours do not.
_NOT_SERVED = ("QUIC", "TCP_QUIC")


class Settings(NamedTuple):
    """What makes a listener listen."""

    protocol: ListenerProtocol
    port: int
    ssl_policy: str | None
    certificates: tuple[str, ...]
    alpn_policy: tuple[str, ...]


def checked_settings(
    balancer: LoadBalancer,
    *,
    protocol: str | None,
    port: int | None,
    ssl_policy: str | None,
    certificates: tuple[str, ...],
    alpn_policy: Iterable[str],
    mutual_authentication: elbv2.MutualAuthenticationAttributes | None,
) -> Settings:
    """The settings, complete.  Raises AWS's refusals; certificates have been looked up already."""
    if protocol is None:
        raise errors.validation_error("A listener protocol must be specified")
    if port is None:
        raise errors.validation_error("A listener port must be specified")
    kind = listener_protocol(balancer, protocol)
    if mutual_authentication is not None and (mutual_authentication.mode or "off") != "off":
        raise errors.not_supported("Mutual authentication is")
    alpn = tuple(alpn_policy)
    if alpn and kind != "TLS":
        raise errors.validation_error(f"You cannot specify an ALPN policy for a listener with the protocol '{kind}'")
    if len(alpn) > 1:
        raise errors.validation_error("You can specify one ALPN policy only")
    if alpn and alpn[0] not in ALPN_POLICIES:
        raise AWSError("ALPNPolicyNotFound", f"ALPN policy '{alpn[0]}' not found")
    if kind not in ("HTTPS", "TLS"):
        if certificates or ssl_policy:
            raise errors.validation_error(
                f"You cannot specify certificates or a security policy for a listener with the protocol '{kind}'"
            )
        return Settings(kind, port, None, (), ())
    if not certificates:
        raise errors.validation_error(f"A certificate must be specified for {kind} listeners")
    policy = ssl_policy or DEFAULT_POLICY
    if policy not in TLS_POLICIES:
        raise AWSError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    return Settings(kind, port, policy, certificates, alpn)


def listener_protocol(balancer: LoadBalancer, protocol: str) -> ListenerProtocol:
    """The protocol, which the kind of load balancer must have."""
    if balancer.type == "application":
        if protocol in _APPLICATION:
            return _APPLICATION[protocol]
        raise errors.validation_error(f"Protocol '{protocol}' must be one of '[HTTPS, HTTP]'")
    if protocol in _NETWORK:
        return _NETWORK[protocol]
    if protocol in _NOT_SERVED:
        raise errors.not_supported(f"Listeners with the protocol '{protocol}' are")
    raise errors.validation_error(f"Protocol '{protocol}' must be one of '[UDP, TCP, TCP_UDP, TLS]'")


def default_certificate(state: State, call: Call, certificates: Iterable[elbv2.Certificate] | None) -> tuple[str, ...]:
    """The one certificate that a listener was given, or none."""
    given = tuple(certificates or ())
    if len(given) > 1:
        raise errors.validation_error("Exactly one certificate must be specified")
    return tuple(checked_certificate(state, call, certificate) for certificate in given)


def checked_certificate(state: State, call: Call, given: elbv2.Certificate) -> str:
    """The ARN of a certificate that was imported into this region."""
    arn = given.certificate_arn or ""
    if given.is_default:
        raise errors.validation_error("You cannot specify 'IsDefault' for a certificate")
    parsed = arns.parse(arn)
    if parsed is not None and parsed.service == "iam":
        raise errors.not_supported("Server certificates of IAM (import them with 'aws acm import-certificate') are")
    certificate = state.certificates.get(arn)
    if certificate is None or certificate.region != call.region:
        raise errors.certificate_not_found(arn)
    return arn
