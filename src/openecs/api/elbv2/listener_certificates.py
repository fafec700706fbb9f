"""The certificates of listeners beside the default one, and the security policies."""

from __future__ import annotations

from openecs.api.elbv2 import errors, limits
from openecs.api.elbv2.listener_settings import checked_certificate
from openecs.api.elbv2.lookup import Lookup
from openecs.api.elbv2.paging import Pages
from openecs.errors import AWSError
from openecs.model.load_balancer import Listener
from openecs.model.record import changed
from openecs.model.tls_policy import TLS_POLICIES, TlsPolicy
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class ListenerCertificates:
    """The operations on certificates of listeners and on security policies."""

    def __init__(self, state: State, pages: Pages) -> None:
        self._state = state
        self._pages = pages
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "AddListenerCertificates": self.add,
            "RemoveListenerCertificates": self.remove,
            "DescribeListenerCertificates": self.describe,
            "DescribeSSLPolicies": self.describe_ssl_policies,
        }

    def add(self, call: Call, request: elbv2.AddListenerCertificatesInput) -> elbv2.AddListenerCertificatesOutput:
        """Add certificates, which clients choose by the name that they ask for."""
        listener = self._secure(call, request.listener_arn)
        given = tuple(checked_certificate(self._state, call, each) for each in request.certificates)
        default, *listed = listener.certificates
        kept = tuple(dict.fromkeys((*listed, *given)))
        if len(kept) > limits.CERTIFICATES:
            raise errors.too_many("TooManyCertificates", limits.CERTIFICATES, "certificates of a listener")
        with self._state.transaction() as tx:
            tx.put(changed(listener, certificates=(default, *kept)))
        return elbv2.AddListenerCertificatesOutput(
            certificates=tuple(elbv2.Certificate(certificate_arn=arn, is_default=False) for arn in dict.fromkeys(given))
        )

    def remove(
        self, call: Call, request: elbv2.RemoveListenerCertificatesInput
    ) -> elbv2.RemoveListenerCertificatesOutput:
        """Take certificates away; those that are not there are no error."""
        listener = self._secure(call, request.listener_arn)
        gone = {each.certificate_arn for each in request.certificates}
        default, *listed = listener.certificates
        if default in gone and default not in listed:
            raise errors.not_permitted("The default certificate of a listener cannot be removed")
        kept = tuple(arn for arn in listed if arn not in gone)
        with self._state.transaction() as tx:
            tx.put(changed(listener, certificates=(default, *kept)))
        return elbv2.RemoveListenerCertificatesOutput()

    def describe(
        self, call: Call, request: elbv2.DescribeListenerCertificatesInput
    ) -> elbv2.DescribeListenerCertificatesOutput:
        """The default certificate of a listener, and those of its list, where it may be once more."""
        listener = self._lookup.listener(call, request.listener_arn)
        numbered = list(enumerate(listener.certificates))
        page, marker = self._pages.page(
            numbered, request.page_size, request.marker, f"certificates/{listener.arn}", lambda pair: pair[0]
        )
        return elbv2.DescribeListenerCertificatesOutput(
            certificates=tuple(elbv2.Certificate(certificate_arn=arn, is_default=number == 0) for number, arn in page),
            next_marker=marker,
        )

    def describe_ssl_policies(
        self, call: Call, request: elbv2.DescribeSSLPoliciesInput
    ) -> elbv2.DescribeSSLPoliciesOutput:
        """The security policies that listeners can have, with what they really allow."""
        names = list(dict.fromkeys(request.names or TLS_POLICIES))
        for name in names:
            if name not in TLS_POLICIES:
                raise AWSError("SSLPolicyNotFound", f"SSL policy '{name}' not found")
        if request.load_balancer_type == "gateway":
            names = []
        page, marker = self._pages.page(
            sorted(names), request.page_size, request.marker, f"policies/{call.region}", lambda name: name
        )
        return elbv2.DescribeSSLPoliciesOutput(
            ssl_policies=tuple(_policy_view(TLS_POLICIES[name]) for name in page), next_marker=marker
        )

    def _secure(self, call: Call, arn: str) -> Listener:
        listener = self._lookup.listener(call, arn)
        if not listener.certificates:
            raise errors.validation_error(
                f"You cannot specify certificates for a listener with the protocol '{listener.protocol}'"
            )
        return listener


def _policy_view(policy: TlsPolicy) -> elbv2.SslPolicy:
    return elbv2.SslPolicy(
        name=policy.name,
        ssl_protocols=tuple(policy.protocols),
        ciphers=tuple(elbv2.Cipher(name=cipher, priority=place) for place, cipher in enumerate(policy.ciphers, 1)),
        supported_load_balancer_types=("application", "network"),
    )
