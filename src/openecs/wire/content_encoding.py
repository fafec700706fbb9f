"""Compressed request bodies: what CloudWatch's clients do with large requests."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from openecs.errors import AWSError
from openecs.wire.http_reply import TooLargeError

#: zlib's number for the gzip format.
_GZIP = 31


def plain_body(headers: Mapping[bytes, bytes], body: bytes, limit: int) -> bytes:
    """The body as it was before the client compressed it; other encodings than gzip stay.

    Raises ``TooLargeError`` beyond ``limit`` bytes, and an ``AWSError`` for what is not gzip.
    """
    if headers.get(b"content-encoding", b"").strip().lower() != b"gzip" or not body:
        return body
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise AWSError("SerializationException", "The request body is not in the format gzip.") from None
    if len(plain) > limit:
        raise TooLargeError(limit)
    if not unpacker.eof:
        raise AWSError("SerializationException", "The request body ends within its gzip data.")
    return plain
