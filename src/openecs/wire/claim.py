"""What a request says about its own signature: read from the header or from a presigned URL.

Only reading.  Whether any of it is true is for ``openecs.wire.verifier`` to find out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

from openecs.wire.auth_errors import AuthDialect
from openecs.wire.sigv4 import ALGORITHM, TERMINATOR, amz_date

#: Longest life of a presigned URL in seconds, one week.
LONGEST_EXPIRY = 604_800


class Claim(NamedTuple):
    """What a request says about its own signature."""

    access_key_id: str
    scope: str
    date_of_scope: str
    region: str
    service: str
    signed_headers: str
    signature: str
    date: str
    token: str | None
    #: Life of a presigned URL in seconds; ``None`` for the header form.
    expires: int | None


def claim_of_header(header: str, headers: Mapping[bytes, bytes], dialect: AuthDialect) -> Claim:
    """The claim of an ``Authorization`` header; ``headers`` have the date and the token."""
    algorithm, _, rest = header.partition(" ")
    fields: dict[str, str] = {}
    if algorithm == ALGORITHM:
        for part in rest.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals or not name:
                # The header may hold a key that was pasted wrongly, so it is not repeated.
                raise dialect.incomplete(
                    f"Invalid key=value pair (missing equal-sign) in Authorization header {_hashed(header)}"
                )
            fields[name] = value
    raw_date = headers.get(b"x-amz-date") or headers.get(b"date")
    complaints = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not fields.get(name)
    ]
    if raw_date is None:
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints or raw_date is None:
        raise dialect.incomplete(f"{' '.join(complaints)} {_hashed(header)}")
    token = headers.get(b"x-amz-security-token")
    return _claim(
        fields["Credential"],
        fields["SignedHeaders"],
        fields["Signature"],
        _basic_date(raw_date.decode("latin-1")),
        None if token is None else token.decode("latin-1"),
        None,
        dialect,
    )


def claim_of_query(query: str, dialect: AuthDialect) -> Claim:
    """The claim of a presigned URL's query."""
    # What comes from a repeated parameter is as the first says; the signature covers them all.
    fields: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        fields.setdefault(name, value)
    for name in ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date", "Expires"):
        if not fields.get(f"X-Amz-{name}"):
            raise dialect.incomplete(
                f"AWS query-string parameters must include 'X-Amz-{name}'. Re-examine the query-string parameters."
            )
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise dialect.incomplete(f"Unsupported AWS 'algorithm': '{fields['X-Amz-Algorithm'][:64]}'.")
    expires = fields["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit()):
        raise dialect.incomplete("X-Amz-Expires should be a number")
    if len(expires) > 9 or int(expires) > LONGEST_EXPIRY:
        raise dialect.incomplete(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{LONGEST_EXPIRY} seconds"
        )
    return _claim(
        fields["X-Amz-Credential"],
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
        fields["X-Amz-Date"],
        fields.get("X-Amz-Security-Token"),
        int(expires),
        dialect,
    )


def _claim(
    credential: str,
    signed_headers: str,
    proof: str,
    date: str,
    token: str | None,
    expires: int | None,
    dialect: AuthDialect,
) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5:
        raise dialect.incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential[:128]}'"
        )
    access_key_id, day, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise dialect.mismatch(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator[:64]}'."
        )
    scope = credential[len(access_key_id) + 1 :]
    return Claim(access_key_id, scope, day, region, service, signed_headers, proof, date, token, expires)


def _basic_date(text: str) -> str:
    """A ``Date`` header in the usual HTTP form as ISO 8601 basic; anything else unchanged."""
    if "," not in text:
        return text
    try:
        return amz_date(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError, OSError):
        return text


def _hashed(header: str) -> str:
    digest = base64.b64encode(hashlib.sha256(header.encode("latin-1", "replace")).digest()).decode()
    return f"(Hashed with SHA-256 and encoded with Base64) Authorization={digest}"
