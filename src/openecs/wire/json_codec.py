"""AWS JSON (1.0 and 1.1): bodies to typed requests, typed answers and errors to bodies.

Decoding accepts fast with a cached msgspec decoder per operation; only a refused body is
looked at again, to word the refusal (``openecs.wire.explain``).
"""

from __future__ import annotations

import msgspec

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import JSON_DIALECT, AuthDialect
from openecs.wire.explain import Explainer, serialization_error
from openecs.wire.operation import Operation


class JsonCodec:
    """The JSON protocol in one version, ``"1.0"`` or ``"1.1"``."""

    dialect: AuthDialect = JSON_DIALECT
    reply_headers: tuple[tuple[bytes, bytes], ...] = ()
    error_header = True

    def __init__(self, version: str = "1.1") -> None:
        self.content_type = f"application/x-amz-json-{version}".encode()
        self._decoders: dict[str, msgspec.json.Decoder[Shape]] = {}
        self._encoder = msgspec.json.Encoder()
        self._explainer = Explainer()

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input; ``None`` when the operation has none.

        An absent body is an empty structure.  Members that the model does not have are
        ignored.  Raises the ``AWSError`` that AWS would answer to a body that does not fit.
        """
        if operation.input is None:
            return None
        at = operation.service + operation.name
        decoder = self._decoders.get(at)
        if decoder is None:
            decoder = self._decoders[at] = msgspec.json.Decoder(operation.input)
        try:
            return decoder.decode(body or b"{}")
        except RecursionError:
            raise serialization_error("The request body is nested too deeply.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._explainer.body(operation, body, str(error)) from None

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes:
        """The reply's body; empty for an operation without output."""
        del operation, request_id
        return b"" if output is None else self._encoder.encode(output)

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply."""
        del request_id
        return self._encoder.encode({"__type": error.code, "message": error.message, **error.members})
