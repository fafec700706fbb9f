"""How each family of AWS services words what fails before a handler is asked.  Data only.

The services that speak JSON and those that speak Query sit behind different front ends: the
same failure has another code and another HTTP status.  JSON services answer 400 throughout;
STS, IAM and the other Query services answer 403 for everything but an incomplete signature;
EC2 has codes of its own and says 401 to those whom it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

from openecs.errors import AWSError


@dataclass(frozen=True, slots=True)
class AuthDialect:
    """Codes, statuses and fixed texts of one family of services."""

    missing_code: str
    missing_text: str
    incomplete_code: str
    unknown_key_code: str
    mismatch_code: str
    expired_code: str
    denied_code: str
    unavailable_code: str
    #: HTTP status of every refusal except ``incomplete``, which is always 400.
    status: int
    #: HTTP status of a caller without permission, where it is not ``status``.
    denied_status: int | None = None
    unknown_key_text: str = "The security token included in the request is invalid."
    expired_text: str = "The security token included in the request is expired"
    #: What stands before the reason of a wrong signature and of a missing permission.
    mismatch_text: str = ""
    denied_text: str = ""

    def missing(self) -> AWSError:
        """No signature at all."""
        return AWSError(self.missing_code, self.missing_text, status=self.status)

    def incomplete(self, message: str) -> AWSError:
        """A signature that cannot be read."""
        return AWSError(self.incomplete_code, message)

    def unknown_key(self) -> AWSError:
        """An access key that nobody has, or a session token that is not the key's."""
        return AWSError(self.unknown_key_code, self.unknown_key_text, status=self.status)

    def mismatch(self, message: str) -> AWSError:
        """A signature that is readable and wrong, too old, too new or for another service."""
        return AWSError(self.mismatch_code, self.mismatch_text + message, status=self.status)

    def expired(self) -> AWSError:
        """Temporary credentials that have ended."""
        return AWSError(self.expired_code, self.expired_text, status=self.status)

    def denied(self, arn: str, action: str) -> AWSError:
        """A caller without permission for ``action`` (``ecs:RunTask``)."""
        message = (
            f"{self.denied_text}User: {arn} is not authorized to perform: {action} on resource: * "
            f"because no identity-based policy allows the {action} action"
        )
        status = self.status if self.denied_status is None else self.denied_status
        return AWSError(self.denied_code, message, status=status)

    def unavailable(self) -> AWSError:
        """Not now; clients try again by themselves."""
        return AWSError(self.unavailable_code, "The service is unavailable. Try again.", status=503)


JSON_DIALECT = AuthDialect(
    missing_code="MissingAuthenticationTokenException",
    missing_text="Missing Authentication Token",
    incomplete_code="IncompleteSignatureException",
    unknown_key_code="UnrecognizedClientException",
    mismatch_code="InvalidSignatureException",
    expired_code="ExpiredTokenException",
    denied_code="AccessDeniedException",
    unavailable_code="ServiceUnavailableException",
    status=400,
)

QUERY_DIALECT = AuthDialect(
    missing_code="MissingAuthenticationToken",
    missing_text="Request is missing Authentication Token",
    incomplete_code="IncompleteSignature",
    unknown_key_code="InvalidClientTokenId",
    mismatch_code="SignatureDoesNotMatch",
    expired_code="ExpiredToken",
    denied_code="AccessDenied",
    unavailable_code="ServiceUnavailable",
    status=403,
)

EC2_DIALECT = AuthDialect(
    missing_code="MissingAuthenticationToken",
    missing_text="Request is missing Authentication Token",
    incomplete_code="IncompleteSignature",
    unknown_key_code="AuthFailure",
    unknown_key_text="AWS was not able to validate the provided access credentials",
    mismatch_code="AuthFailure",
    mismatch_text="AWS was not able to validate the provided access credentials. ",
    expired_code="RequestExpired",
    expired_text="Request has expired.",
    denied_code="UnauthorizedOperation",
    denied_text="You are not authorized to perform this operation. ",
    denied_status=403,
    unavailable_code="Unavailable",
    status=401,
)
