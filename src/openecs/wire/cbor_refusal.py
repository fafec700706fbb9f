"""The one thing said in CBOR so far: that no service is served over smithy-rpc-v2-cbor.

A client that chose that protocol reads CBOR only; a refusal in JSON would reach its user as a
parse error.  The codec for real services will replace this module.
"""

from __future__ import annotations

from openecs.errors import AWSError
from openecs.wire.auth_errors import JSON_DIALECT, AuthDialect


class CborRefusal:
    """Encodes errors for clients of smithy-rpc-v2-cbor."""

    dialect: AuthDialect = JSON_DIALECT
    content_type = b"application/cbor"

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply: a map of two texts."""
        del request_id
        return b"\xa2" + b"".join(_text(text) for text in ("__type", error.code, "message", error.message))


def _text(text: str) -> bytes:
    """A CBOR text string (major type 3)."""
    data = text.encode()[:65_535]
    size = len(data)
    if size < 24:
        return bytes([0x60 + size]) + data
    if size < 256:
        return bytes([0x78, size]) + data
    return b"\x79" + size.to_bytes(2) + data
