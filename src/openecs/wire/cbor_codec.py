"""smithy-rpc-v2-cbor: bodies to typed requests, typed answers and errors to bodies.

The same services speak AWS JSON; shapes, handlers and the wording of refusals are theirs.
Timestamps travel as tag 1.  The operation stands in the path, which ``openecs.wire.detect``
reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
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

#: The major type of an array, and the two bytes before a timestamp: tag 1, a double.
_ARRAY = 4
_TAGGED_DOUBLE = 0xC1FB


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
        return cbor2.dumps(plain(output), default=_write)

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
        if is_timestamp(kind.item_type):
            return _Timestamps
        return _list(_plain(kind.item_type, known) or _itself)
    if isinstance(kind, inspect.DictType):
        return _map(_plain(kind.value_type, known) or _itself)
    return None


def _tagged(value: Any) -> Any:
    return cbor2.CBORTag(TIMESTAMP, value)


class _Timestamps:
    """A list of timestamps that is written in one go: GetMetricData has a hundred thousand of them."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values


def _write(encoder: cbor2.CBOREncoder, value: Any) -> None:
    """Write what the encoder does not know: ``_Timestamps`` alone, each as tag 1 and a double."""
    if not isinstance(value, _Timestamps):
        raise TypeError(f"{type(value)} is no part of a reply")
    encoder.encode_length(_ARRAY, len(value.values))
    tagged = chain.from_iterable(zip(repeat(_TAGGED_DOUBLE), value.values))
    encoder.write(struct.pack(">" + "Hd" * len(value.values), *tagged))


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
