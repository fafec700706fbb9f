"""Checks AWS Signature Version 4 of incoming requests, header form and presigned form.

Sans-I/O: the request's parts and the time come in; out comes who signed, or the ``AWSError``
that AWS would answer.  It looks keys up through a function and decides nothing about what the
key may do.  The derived keys are cached in the instance, which is what makes a check cheap.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from openecs.arn import REGION
from openecs.wire.auth_errors import AuthDialect
from openecs.wire.call import Principal
from openecs.wire.claim import Claim, claim_of_header, claim_of_query
from openecs.wire.sigv4 import (
    EMPTY_SHA256,
    amz_date,
    canonical_path,
    canonical_query,
    canonical_value,
    derive_key,
    string_to_sign,
)

#: Seconds by which a client's clock may differ from ours.
SKEW = 900.0
CACHED_KEYS = 4096

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What the verifier must know of an access key."""

    secret: str = field(repr=False)
    principal: Principal
    session_token: str | None = field(default=None, repr=False)
    #: Seconds since the epoch; ``None`` for keys without an end.
    expires_at: float | None = None


class Verified(NamedTuple):
    """Who signed a request, and for which region and service (a signing name)."""

    principal: Principal
    region: str
    service: str


class Signed(NamedTuple):
    """The parts of a request that its signature covers, as they were on the wire."""

    method: str
    #: Still percent-encoded.
    path: str
    query: str
    #: Names in lower case; the values of a repeated header joined by commas.
    headers: Mapping[bytes, bytes]
    body: bytes


class Verifier:
    """Verifies requests against the keys that ``lookup`` finds."""

    def __init__(
        self,
        lookup: Callable[[str], SigningKey | None],
        *,
        skew: float = SKEW,
        allow_unsigned_payload: bool = False,
    ) -> None:
        self._lookup = lookup
        self._skew = skew
        self._allow_unsigned = allow_unsigned_payload
        self._keys: dict[tuple[str, str, str, str], bytes] = {}
        #: The last date read, since calls that come together carry the same one.
        self._date: tuple[str, float] = ("", 0.0)

    def verify(self, request: Signed, *, now: float, service: str | None, dialect: AuthDialect) -> Verified:
        """Who signed ``request``.

        ``service`` is the signing name that the scope must have, ``None`` for any.  Raises the
        ``AWSError`` of ``dialect`` for every request whose signature does not hold.
        """
        authorization = request.headers.get(b"authorization")
        if authorization is not None:
            claim = claim_of_header(authorization.decode("latin-1"), request.headers, dialect)
        elif "X-Amz-" in request.query:
            claim = claim_of_query(request.query, dialect)
        else:
            raise dialect.missing()
        key = self._lookup(claim.access_key_id)
        if key is None or not _same(key.session_token or "", claim.token or ""):
            raise dialect.unknown_key()
        if key.expires_at is not None and key.expires_at <= now:
            raise dialect.expired()
        _check_scope(claim, service, dialect)
        self._check_time(claim, now, dialect)
        if not _same(self._signature(request, claim, key.secret, dialect), claim.signature):
            raise dialect.mismatch(MISMATCH)
        return Verified(key.principal, claim.region, claim.service)

    def _signature(self, request: Signed, claim: Claim, secret: str, dialect: AuthDialect) -> str:
        """The signature that the request should carry."""
        headers = request.headers
        lines = [
            request.method.encode(),
            canonical_path(request.path).encode(),
            b"",
        ]
        if request.query:
            leave_out = None if claim.expires is None else "X-Amz-Signature"
            lines[2] = canonical_query(request.query, leave_out=leave_out).encode()
        names = claim.signed_headers.encode("latin-1").split(b";")
        for name in names:
            value = headers.get(name)
            if value is None:
                # The client signed a header that did not arrive: nothing can match.
                raise dialect.mismatch(MISMATCH)
            lines.append(name + b":" + canonical_value(value))
        if b"host" not in names:
            raise dialect.mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
        if b"x-amz-target" in headers and b"x-amz-target" not in names:
            # Otherwise a captured call could be replayed as another operation.
            raise dialect.mismatch("'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.")
        lines += (b"", claim.signed_headers.encode("latin-1"), self._payload_hash(request))
        text = string_to_sign(claim.date, claim.scope, b"\n".join(lines))
        return hmac.digest(self._key(secret, claim), text, "sha256").hex()

    def _payload_hash(self, request: Signed) -> bytes:
        """The body's hash, computed here: what the client says of it is not believed.

        ``UNSIGNED-PAYLOAD`` counts only where the verifier was built to allow it.
        """
        if self._allow_unsigned and request.headers.get(b"x-amz-content-sha256") == b"UNSIGNED-PAYLOAD":
            return b"UNSIGNED-PAYLOAD"
        return (hashlib.sha256(request.body).hexdigest() if request.body else EMPTY_SHA256).encode()

    def _key(self, secret: str, claim: Claim) -> bytes:
        at = (secret, claim.date_of_scope, claim.region, claim.service)
        key = self._keys.get(at)
        if key is None:
            key = derive_key(*at)
            if len(self._keys) >= CACHED_KEYS:
                del self._keys[next(iter(self._keys))]
            self._keys[at] = key
        return key

    def _check_time(self, claim: Claim, now: float, dialect: AuthDialect) -> None:
        text, signed_at = self._date
        if text != claim.date:
            signed_at = _epoch(claim.date, dialect)
            self._date = (claim.date, signed_at)
        life = self._skew if claim.expires is None else float(claim.expires)
        if signed_at + life < now:
            raise dialect.mismatch(
                f"Signature expired: {claim.date} is now earlier than {amz_date(now - life)} "
                f"({amz_date(now)} - {_span(life)})"
            )
        if signed_at > now + self._skew:
            raise dialect.mismatch(
                f"Signature not yet current: {claim.date} is still later than {amz_date(now + self._skew)} "
                f"({amz_date(now)} + {_span(self._skew)})"
            )


def _check_scope(claim: Claim, service: str | None, dialect: AuthDialect) -> None:
    complaints = ""
    if not REGION.fullmatch(claim.region):
        complaints = "Credential should be scoped to a valid region. "
    if service is not None and claim.service != service:
        complaints += f"Credential should be scoped to correct service: '{service}'. "
    if complaints:
        raise dialect.mismatch(complaints)
    if not claim.date.startswith(claim.date_of_scope) or len(claim.date_of_scope) != 8:
        raise dialect.mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date_of_scope[:16]}' != '{claim.date[:8]}', from '{claim.date[:32]}'."
        )


def _epoch(date: str, dialect: AuthDialect) -> float:
    try:
        return float(calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ")))
    except (ValueError, OverflowError):
        raise dialect.incomplete(
            f"Date must be in ISO-8601 'basic format'. Got '{date[:64]}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None


def _span(seconds: float) -> str:
    return f"{int(seconds // 60)} min." if seconds % 60 == 0 else f"{int(seconds)} sec."


def _same(expected: str, given: str) -> bool:
    """Compares without telling by the time it takes where two texts differ."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))
