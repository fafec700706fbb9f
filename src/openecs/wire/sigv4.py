"""AWS Signature Version 4 as pure functions: canonical forms, keys, and signing a request.

Bytes and the time come in, signatures go out; no I/O and no clock.  Checking a signature that
somebody else made is ``openecs.wire.verifier``; both use the same canonical forms.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Credentials(NamedTuple):
    """A key pair to sign with; ``session_token`` belongs to temporary ones."""

    access_key_id: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id!r})"


def amz_date(now: float) -> str:
    """``20150830T123600Z`` for seconds since the epoch."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def derive_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """The signing key of one day (``YYYYMMDD``), region and service."""
    key = hmac.digest(b"AWS4" + secret_key.encode(), date.encode(), "sha256")
    key = hmac.digest(key, region.encode(), "sha256")
    key = hmac.digest(key, service.encode(), "sha256")
    return hmac.digest(key, TERMINATOR.encode(), "sha256")


def canonical_path(path: str) -> str:
    """The path of the canonical request, from the path as it is on the wire.

    Dot segments and doubled slashes go, and what is percent-encoded is encoded once more:
    every service but S3 signs paths like that.
    """
    if path in ("/", ""):
        return "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    normal = "/" + "/".join(kept)
    if kept and path.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~")


def canonical_query(query: str, *, leave_out: str | None = None) -> str:
    """The query of the canonical request: decoded, encoded strictly and sorted.

    ``+`` is a space.  Some clients, the ECS agent among them, write ``+`` on the wire and sign
    ``%20``.  ``leave_out`` names the parameter that carries the signature of a presigned URL.
    """
    if not query:
        return ""
    pairs = []
    for part in query.replace("+", "%20").split("&"):
        if part:
            name, _, value = part.partition("=")
            name = quote(unquote_to_bytes(name), safe="")
            if name != leave_out:
                pairs.append((name, quote(unquote_to_bytes(value), safe="")))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def canonical_value(value: bytes) -> bytes:
    """A header's value without outer blanks, inner runs of blanks made one."""
    if b"  " in value or b"\t" in value:
        return b" ".join(value.split())
    return value.strip()


def string_to_sign(date: str, scope: str, canonical_request: bytes) -> bytes:
    """What the signing key signs; ``date`` is the ``amz_date`` form."""
    digest = hashlib.sha256(canonical_request).hexdigest()
    return f"{ALGORITHM}\n{date}\n{scope}\n{digest}".encode()


def signature(key: bytes, text: bytes) -> str:
    """The hexadecimal signature of ``text``."""
    return hmac.digest(key, text, "sha256").hex()


def sign(
    credentials: Credentials,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers to add to a request so that it is signed.

    ``url`` is absolute, as it will be sent; ``headers`` are the ones to be signed, and must
    reach the server unchanged.  ``Host`` is taken from them, else from ``url``.  Returns
    ``X-Amz-Date``, ``X-Amz-Security-Token`` where the credentials have one, ``Authorization``.
    """
    parts = urlsplit(url)
    date = amz_date(now)
    added = {"X-Amz-Date": date}
    if credentials.session_token is not None:
        added["X-Amz-Security-Token"] = credentials.session_token
    to_sign = {name.lower(): canonical_value(value.encode()) for name, value in (*headers.items(), *added.items())}
    to_sign.pop("authorization", None)
    to_sign.setdefault("host", _host(parts.scheme, parts.hostname or "", parts.port).encode())
    names = sorted(to_sign)
    signed = ";".join(names)
    request = b"\n".join(
        [
            method.encode(),
            canonical_path(parts.path).encode(),
            canonical_query(parts.query).encode(),
            *[name.encode() + b":" + to_sign[name] for name in names],
            b"",
            signed.encode(),
            hashlib.sha256(body).hexdigest().encode(),
        ]
    )
    scope = f"{date[:8]}/{region}/{service}/{TERMINATOR}"
    key = derive_key(credentials.secret_key, date[:8], region, service)
    proof = signature(key, string_to_sign(date, scope, request))
    added["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={signed}, Signature={proof}"
    )
    return added


def _host(scheme: str, hostname: str, port: int | None) -> str:
    """The Host header that HTTP clients send: without the scheme's own port."""
    name = f"[{hostname}]" if ":" in hostname else hostname
    if port is None or (scheme, port) in (("http", 80), ("https", 443), ("ws", 80), ("wss", 443)):
        return name
    return f"{name}:{port}"
