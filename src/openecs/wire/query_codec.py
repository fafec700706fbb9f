"""The AWS Query protocol: form parameters to typed requests, typed answers and errors to XML."""

from __future__ import annotations

import msgspec

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import QUERY_DIALECT, AuthDialect
from openecs.wire.explain import Explainer
from openecs.wire.form import Reader, compile_reader, parse_form, tree
from openecs.wire.operation import Operation
from openecs.wire.xml_text import escape
from openecs.wire.xml_writer import Writer, compile_writer


class QueryCodec:
    """The Query protocol with one service's XML namespace."""

    dialect: AuthDialect = QUERY_DIALECT
    content_type = b"text/xml"
    reply_headers: tuple[tuple[bytes, bytes], ...] = ()
    error_header = False

    def __init__(self, xml_namespace: str | None) -> None:
        self._xmlns = f' xmlns="{escape(xml_namespace)}"' if xml_namespace else ""
        self._readers: dict[str, Reader] = {}
        self._writers: dict[str, Writer] = {}
        self._explainer = Explainer(constraint_code="ValidationError")

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input from a form (a body, or the query string of a GET).

        Raises the ``AWSError`` that AWS would answer to parameters that do not fit.
        """
        if operation.input is None:
            return None
        reader = self._readers.get(operation.name)
        if reader is None:
            reader = self._readers[operation.name] = compile_reader(operation.input)
        data = reader(tree(parse_form(body)))
        try:
            return msgspec.convert(data, operation.input)
        except msgspec.ValidationError as error:
            raise self._explainer.data(operation, data, str(error)) from None

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes:
        """The reply's body, result and metadata included."""
        name = operation.name
        out = [f"<{name}Response{self._xmlns}>"]
        if output is not None:
            wrapper = operation.result_wrapper
            writer = self._writers.get(name)
            if writer is None:
                writer = self._writers[name] = compile_writer(type(output))
            if wrapper:
                out.append(f"<{wrapper}>")
            writer(out, output)
            if wrapper:
                out.append(f"</{wrapper}>")
        out.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>")
        return "".join(out).encode()

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply."""
        blame = "Sender" if error.status < 500 else "Receiver"
        return (
            f"<ErrorResponse{self._xmlns}><Error><Type>{blame}</Type><Code>{escape(error.code)}</Code>"
            f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ).encode()
