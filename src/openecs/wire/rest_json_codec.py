"""REST-JSON: members of requests in the path, the query, the headers and a JSON body.

The bytes of replies are plain JSON.  Errors name their code in a header only.  Replies that have
members in their headers are not written: no served operation has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import JSON_DIALECT, AuthDialect
from openecs.wire.explain import Explainer, serialization_error
from openecs.wire.form_values import double, integer, timestamp
from openecs.wire.operation import Bindings, Operation
from openecs.wire.shape_types import bare, is_timestamp


class RestJsonCodec:
    """The protocol of one service; requests are read by ``RestRequest``."""

    dialect: AuthDialect = JSON_DIALECT
    content_type = b"application/json"
    reply_headers: tuple[tuple[bytes, bytes], ...] = ()
    error_header = True

    def __init__(self, message_member: str = "message") -> None:
        self._message_member = message_member
        self._explainer = Explainer()
        self._types: dict[type[Shape], inspect.StructType] = {}

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input of a request that has everything in its body."""
        return self.read(operation, RestRequest(self, {}, "", {}, body))

    def read(self, operation: Operation, request: RestRequest) -> Shape | None:
        """The typed input; raises the ``AWSError`` that AWS would answer to what does not fit."""
        if operation.input is None:
            return None
        data = _body(operation.bindings, request.body)
        members = {field.encode_name: field.type for field in self._type(operation.input).fields}
        for name, values in _outside(operation.bindings or Bindings(), request).items():
            data[name] = _value(members[name], values)
        try:
            return msgspec.convert(data, operation.input)
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._explainer.data(operation, data, str(error)) from None

    def _type(self, shape: type[Shape]) -> inspect.StructType:
        known = self._types.get(shape)
        if known is None:
            found = inspect.type_info(shape)
            assert isinstance(found, inspect.StructType)  # noqa: S101 -- every shape is one
            known = self._types[shape] = found
        return known

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes:
        """The reply's body."""
        del operation, request_id
        return b"{}" if output is None else msgspec.json.encode(output)

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply."""
        del request_id
        return msgspec.json.encode({self._message_member: error.message, **error.members})


class RestRequest:
    """What one request has in its path, query, headers and body: the codec of this request alone."""

    content_type = RestJsonCodec.content_type
    reply_headers = RestJsonCodec.reply_headers
    error_header = True

    def __init__(
        self,
        codec: RestJsonCodec,
        labels: Mapping[str, str],
        query: str,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> None:
        self.dialect = codec.dialect
        self._codec = codec
        self.labels = labels
        self.query = query
        self.headers = headers
        self.body = body
        self.encode = codec.encode
        self.encode_error = codec.encode_error

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input; a request without a body may come with its query in place of one."""
        del body
        return self._codec.read(operation, self)


def _body(bindings: Bindings | None, body: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise serialization_error("The request body is not valid JSON.") from None
    except RecursionError:
        raise serialization_error("The request body is nested too deeply.") from None
    if bindings is not None and bindings.payload is not None:
        return {bindings.payload: data} if body else {}
    if not isinstance(data, dict):
        raise serialization_error("Start of list found where not expected")
    # What has its place elsewhere is not taken from the body.
    elsewhere = set[str]()
    if bindings is not None:
        elsewhere = {*bindings.labels.values(), *bindings.query.values(), *bindings.headers.values()}
    return {name: value for name, value in data.items() if name not in elsewhere}


def _outside(bindings: Bindings, request: RestRequest) -> dict[str, list[str]]:
    """Member → its texts, for what is not in the body."""
    found: dict[str, list[str]] = {}
    for label, value in request.labels.items():
        found[bindings.labels[label]] = [value]
    for name, value in parse_qsl(request.query, keep_blank_values=True, errors="replace"):
        member = bindings.query.get(name)
        if member is not None:
            found.setdefault(member, []).append(value)
    for header, member in bindings.headers.items():
        raw = request.headers.get(header.encode())
        if raw is not None:
            found[member] = [raw.decode("latin-1")]
    return found


def _value(kind: inspect.Type, texts: list[str]) -> Any:
    """Texts as the JSON value that they stand for; what does not fit stays a text, to be refused."""
    expected = bare(kind)
    if isinstance(expected, inspect.VarTupleType):
        return [_value(expected.item_type, [text]) for text in texts]
    text = texts[-1]
    value: object = None
    if is_timestamp(kind):
        value = _timestamp(text)
    elif isinstance(expected, inspect.IntType):
        value = integer(text)
    elif isinstance(expected, inspect.FloatType):
        value = double(text)
    elif isinstance(expected, inspect.BoolType):
        value = {"true": True, "false": False}.get(text)
    return text if value is None else value


def _timestamp(text: str) -> float | None:
    """Queries have ISO 8601, headers the form of mail."""
    found = timestamp(text)
    if found is not None:
        return found
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
