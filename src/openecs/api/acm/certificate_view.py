"""Certificates as the API shows them."""

from __future__ import annotations

from typing import cast

from openecs.iam import x509
from openecs.model import balancer_arns
from openecs.model.load_balancer import Certificate
from openecs.shapes import acm
from openecs.state.state import State


def detail(state: State, certificate: Certificate, now: float) -> acm.CertificateDetail:
    """One certificate with everything that is known of it."""
    used = x509.usages(certificate.certificate)
    return acm.CertificateDetail(
        certificate_arn=certificate.arn,
        domain_name=certificate.domain_name or None,
        subject_alternative_names=certificate.alternative_names or None,
        serial=certificate.serial,
        subject=certificate.subject,
        issuer=certificate.issuer,
        created_at=certificate.created_at,
        imported_at=certificate.imported_at,
        status=status(certificate, now),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        key_algorithm=cast("acm.KeyAlgorithm", certificate.key_algorithm),
        signature_algorithm=certificate.signature_algorithm,
        in_use_by=in_use_by(state, certificate),
        type="IMPORTED",
        key_usages=tuple(acm.KeyUsage(name=cast("acm.KeyUsageName", name)) for name in used.key),
        extended_key_usages=tuple(
            acm.ExtendedKeyUsage(name=cast("acm.ExtendedKeyUsageName", name), oid=oid) for name, oid in used.extended
        ),
        renewal_eligibility="INELIGIBLE",
        certificate_key_pair_origin="CUSTOMER_PROVIDED",
    )


def summary(state: State, certificate: Certificate, now: float) -> acm.CertificateSummary:
    """One certificate in a list."""
    used = x509.usages(certificate.certificate)
    return acm.CertificateSummary(
        certificate_arn=certificate.arn,
        domain_name=certificate.domain_name or None,
        subject_alternative_name_summaries=certificate.alternative_names or None,
        has_additional_subject_alternative_names=False,
        status=status(certificate, now),
        type="IMPORTED",
        key_algorithm=cast("acm.KeyAlgorithm", certificate.key_algorithm),
        key_usages=cast("tuple[acm.KeyUsageName, ...]", used.key),
        extended_key_usages=cast("tuple[acm.ExtendedKeyUsageName, ...]", tuple(name for name, _ in used.extended)),
        in_use=bool(in_use_by(state, certificate)),
        renewal_eligibility="INELIGIBLE",
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        created_at=certificate.created_at,
        imported_at=certificate.imported_at,
        certificate_key_pair_origin="CUSTOMER_PROVIDED",
    )


def status(certificate: Certificate, now: float) -> acm.CertificateStatus:
    """``ISSUED``, or ``EXPIRED`` when its time is over."""
    return "ISSUED" if now < certificate.not_after else "EXPIRED"


def in_use_by(state: State, certificate: Certificate) -> tuple[str, ...]:
    """The load balancers that have it."""
    listeners = state.balancer_usage.listeners(certificate.arn)
    return tuple(dict.fromkeys(balancer_arns.load_balancer_of(listener) for listener in listeners))
