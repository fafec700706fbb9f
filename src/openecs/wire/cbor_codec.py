"""smithy-rpc-v2-cbor: bodies to typed requests, typed answers and errors to bodies.

The same services speak AWS JSON; shapes, handlers and the wording of refusals are theirs.
Timestamps travel as tag 1.  The operation stands in the path, which ``openecs.wire.detect``
reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cbor2
import msgspec
from msgspec import inspect

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import JSON_DIALECT, AuthDialect
from openecs.wire.cbor_reader import TIMESTAMP, CborError, read_cbor
from openecs.wire.explain import Explainer, serialization_error
from openecs.wire.operation import Operation
from openecs.wire.shape_types import bare, is_timestamp

#: What a value looks like for the CBOR encoder.
Plain = Callable[[Any], Any]


class CborCodec:
    """The protocol for one service; ``None`` where a request names no service that is served."""

    dialect: AuthDialect = JSON_DIALECT
    content_type = b"application/cbor"
    reply_headers = ((b"smithy-protocol", b"rpc-v2-cbor"),)
    error_header = True

    def __init__(
        self,
        service: str | None = None,
        message_member: str = "message",
        message_members: Mapping[str, str] | None = None,
    ) -> None:
        self._namespace = f"com.amazonaws.{service}#" if service else ""
        self._message_member = message_member
        #: Errors that spell it otherwise.
        self._message_members = message_members or {}
        self._plain: dict[str, Plain] = {}
        self._explainer = Explainer()

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input; an absent body is an empty structure.

        Raises the ``AWSError`` that AWS would answer to a body that does not fit.
        """
        if operation.input is None:
            return None
        try:
            data = read_cbor(body) if body else {}
        except CborError as error:
            raise serialization_error(f"The request body is not valid CBOR: {error}.") from None
        try:
            return msgspec.convert(data, operation.input)
        except msgspec.ValidationError as error:
            raise self._explainer.data(operation, data, str(error)) from None

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes:
        """The reply's body; empty for an operation without output."""
        del request_id
        if output is None:
            return b""
        plain = self._plain.get(operation.name)
        if plain is None:
            kind = inspect.type_info(type(output))
            plain = self._plain[operation.name] = _plain(kind, {}) or _itself
        return cbor2.dumps(plain(output))

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply: the shape's full id, the message, further members."""
        del request_id
        member = self._message_members.get(error.code, self._message_member)
        body = {"__type": self._namespace + error.code, member: error.message, **error.members}
        return cbor2.dumps(body)


def _itself(value: Any) -> Any:
    return value


def _plain(kind: inspect.Type, known: dict[type, Plain]) -> Plain | None:
    """How values of a type become plain data; ``None`` where they are plain already."""
    timestamp = is_timestamp(kind)
    kind = bare(kind)
    if timestamp:
        return _tagged
    if isinstance(kind, inspect.StructType):
        return _structure(kind, known)
    if isinstance(kind, inspect.VarTupleType):
        return _list(_plain(kind.item_type, known) or _itself)
    if isinstance(kind, inspect.DictType):
        return _map(_plain(kind.value_type, known) or _itself)
    return None


def _tagged(value: Any) -> Any:
    return cbor2.CBORTag(TIMESTAMP, value)


def _structure(kind: inspect.StructType, known: dict[type, Plain]) -> Plain:
    if kind.cls in known:
        return known[kind.cls]
    members: list[tuple[str, str, Plain]] = []

    def plain(value: Any) -> dict[str, Any]:
        return {
            name: member(got) for attribute, name, member in members if (got := getattr(value, attribute)) is not None
        }

    # Registered before its members are compiled, for a shape may contain itself.
    known[kind.cls] = plain
    members.extend((member.name, member.encode_name, _plain(member.type, known) or _itself) for member in kind.fields)
    return plain


def _list(item: Plain) -> Plain:
    def plain(value: Any) -> list[Any]:
        return [item(each) for each in value]

    return plain


def _map(item: Plain) -> Plain:
    def plain(value: Any) -> dict[str, Any]:
        return {key: item(each) for key, each in value.items()}

    return plain
