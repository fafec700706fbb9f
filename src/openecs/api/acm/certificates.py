"""Certificates: import, describe, list, get, delete, and their tags.

Nothing is issued here: RequestCertificate and what belongs to it are not served.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from openecs.api.acm.certificate_view import detail, in_use_by, status, summary
from openecs.errors import AWSError
from openecs.iam import x509
from openecs.model.load_balancer import Certificate
from openecs.model.record import changed
from openecs.model.tags import ResourceTags
from openecs.shapes import acm, ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: AWS's default quota of imported certificates.
MOST = 2500
MOST_TAGS = 50
_ARN = re.compile(r"arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]{36}")
#: What ListCertificates shows where no key types are asked for.
_DEFAULT_KEYS = ("RSA_1024", "RSA_2048")


class Certificates:
    """The operations of ACM that are served.  ``seal`` seals a private key."""

    def __init__(self, state: State, pagination: Pagination, seal: Callable[[str], str]) -> None:
        self._state = state
        self._pagination = pagination
        self._seal = seal

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "ImportCertificate": self.import_certificate,
            "DescribeCertificate": self.describe,
            "ListCertificates": self.list,
            "GetCertificate": self.get,
            "DeleteCertificate": self.delete,
            "AddTagsToCertificate": self.add_tags,
            "RemoveTagsFromCertificate": self.remove_tags,
            "ListTagsForCertificate": self.list_tags,
        }

    def import_certificate(self, call: Call, request: acm.ImportCertificateRequest) -> acm.ImportCertificateResponse:
        """Import a certificate, or replace one that was imported."""
        state = self._state
        old = self._found(call, request.certificate_arn) if request.certificate_arn is not None else None
        if old is not None and request.tags:
            raise AWSError("InvalidParameterException", "You cannot apply tags when reimporting a certificate.")
        tags = _checked(request.tags or ())
        try:
            read = x509.read_import(request.certificate, request.private_key, request.certificate_chain, now=call.now)
        except x509.CertificateError as wrong:
            raise AWSError("ValidationException", str(wrong)) from None
        if old is None and state.certificates.count("region", call.region) >= MOST:
            raise AWSError("LimitExceededException", f"You cannot have more than {MOST} imported certificates.")
        base = old or Certificate(
            arn=f"arn:aws:acm:{call.region}:{call.account}:certificate/{call.ids.uuid()}",
            region=call.region,
            certificate="",
            sealed_private_key=b"",
            created_at=call.now,
        )
        new = changed(
            base,
            certificate=read.certificate,
            sealed_private_key=self._seal(read.private_key).encode(),
            certificate_chain=read.chain,
            imported_at=call.now,
            domain_name=read.domain_name,
            alternative_names=read.alternative_names,
            serial=read.serial,
            subject=read.subject,
            issuer=read.issuer,
            not_before=read.not_before,
            not_after=read.not_after,
            key_algorithm=read.key_algorithm,
            signature_algorithm=read.signature_algorithm,
        )
        with state.transaction() as tx:
            tx.put(new)
            if tags:
                tx.put(ResourceTags(arn=new.arn, tags=tags))
        return acm.ImportCertificateResponse(certificate_arn=new.arn)

    def describe(self, call: Call, request: acm.DescribeCertificateRequest) -> acm.DescribeCertificateResponse:
        """Everything that is known of a certificate."""
        certificate = self._found(call, request.certificate_arn)
        return acm.DescribeCertificateResponse(certificate=detail(self._state, certificate, call.now))

    def list(self, call: Call, request: acm.ListCertificatesRequest) -> acm.ListCertificatesResponse:
        """The certificates of the region that the filters let through, the oldest first."""
        if (request.sort_by is None) != (request.sort_order is None):
            raise AWSError("InvalidArgsException", "SortBy and SortOrder must be specified together.")
        found = [
            certificate
            for certificate in self._state.certificates.by("region", call.region)
            if self._matches(certificate, request, call.now)
        ]
        descending = request.sort_order == "DESCENDING"
        found.sort(key=_age, reverse=descending)
        page, token = self._pagination.paginate(
            found,
            max_results=request.max_items,
            next_token=request.next_token,
            default=100,
            limit=1000,
            scope=f"acm/certificates/{call.region}/{request.sort_order}",
            key=_age,
            descending=descending,
            member="maxItems",
            invalid_token="The next token is not valid.",  # noqa: S106 -- words, not a credential
        )
        return acm.ListCertificatesResponse(
            certificate_summary_list=tuple(summary(self._state, each, call.now) for each in page), next_token=token
        )

    def get(self, call: Call, request: acm.GetCertificateRequest) -> acm.GetCertificateResponse:
        """The certificate and its chain as PEM."""
        certificate = self._found(call, request.certificate_arn)
        return acm.GetCertificateResponse(
            certificate=certificate.certificate, certificate_chain=certificate.certificate_chain or None
        )

    def delete(self, call: Call, request: acm.DeleteCertificateRequest) -> None:
        """Delete a certificate that no listener has."""
        certificate = self._found(call, request.certificate_arn)
        if in_use_by(self._state, certificate):
            raise AWSError(
                "ResourceInUseException", f"Certificate {certificate.arn} in account {call.account} is in use."
            )
        tags = self._state.tags.get(certificate.arn)
        with self._state.transaction() as tx:
            tx.delete(certificate)
            if tags is not None:
                tx.delete(tags)

    def add_tags(self, call: Call, request: acm.AddTagsToCertificateRequest) -> None:
        """Add tags or change their values."""
        certificate = self._found(call, request.certificate_arn)
        merged = {tag.key: tag for tag in (*self._tags(certificate.arn), *_checked(request.tags))}
        if len(merged) > MOST_TAGS:
            raise AWSError("TooManyTagsException", f"A certificate can have at most {MOST_TAGS} tags.")
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=certificate.arn, tags=tuple(merged.values())))

    def remove_tags(self, call: Call, request: acm.RemoveTagsFromCertificateRequest) -> None:
        """Take tags off; with a value only where the tag has it."""
        certificate = self._found(call, request.certificate_arn)
        gone = {(tag.key, tag.value) for tag in request.tags}
        kept = tuple(
            tag
            for tag in self._tags(certificate.arn)
            if (tag.key, None) not in gone and (tag.key, tag.value) not in gone
        )
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=certificate.arn, tags=kept))

    def list_tags(self, call: Call, request: acm.ListTagsForCertificateRequest) -> acm.ListTagsForCertificateResponse:
        """The tags of a certificate."""
        certificate = self._found(call, request.certificate_arn)
        tags = tuple(acm.Tag(key=tag.key or "", value=tag.value) for tag in self._tags(certificate.arn))
        return acm.ListTagsForCertificateResponse(tags=tags)

    def _tags(self, arn: str) -> tuple[ecs.Tag, ...]:
        found = self._state.tags.get(arn)
        return found.tags if found is not None else ()

    def _found(self, call: Call, arn: str) -> Certificate:
        if not _ARN.fullmatch(arn):
            raise AWSError("InvalidArnException", f"The ARN {arn} is not the ARN of a certificate.")
        certificate = self._state.certificates.get(arn)
        if certificate is None or certificate.region != call.region:
            raise AWSError("ResourceNotFoundException", f"Could not find certificate {arn}.")
        return certificate

    def _matches(self, certificate: Certificate, request: acm.ListCertificatesRequest, now: float) -> bool:
        wanted = request.includes or acm.Filters()
        origins = request.certificate_key_pair_origins
        used = x509.usages(certificate.certificate)
        return (
            (not request.certificate_statuses or status(certificate, now) in request.certificate_statuses)
            and (not origins or "CUSTOMER_PROVIDED" in origins)
            and certificate.key_algorithm in (wanted.key_types or _DEFAULT_KEYS)
            and _any(wanted.key_usage, used.key)
            and _any(wanted.extended_key_usage, [name for name, _ in used.extended])
            and wanted.export_option in (None, "DISABLED")
            and wanted.managed_by is None
        )


def _any(wanted: Iterable[str] | None, there: Iterable[str]) -> bool:
    return not wanted or "ANY" in wanted or bool(set(wanted) & set(there))


def _age(certificate: Certificate) -> tuple[float, str]:
    return (certificate.created_at, certificate.arn)


def _checked(tags: Iterable[acm.Tag]) -> tuple[ecs.Tag, ...]:
    kept: dict[str, ecs.Tag] = {}
    for tag in tags:
        if tag.key.lower().startswith("aws:"):
            raise AWSError("InvalidTagException", "Tag keys that begin with 'aws:' are reserved.")
        kept[tag.key] = ecs.Tag(key=tag.key, value=tag.value or "")
    return tuple(kept.values())
