"""The EC2 protocol: form parameters to typed requests, typed answers and errors to XML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import EC2_DIALECT, AuthDialect
from openecs.wire.ec2_form import compile_ec2_reader, invalid_value
from openecs.wire.form import Tree, parse_form, tree
from openecs.wire.operation import Operation
from openecs.wire.shape_types import bare
from openecs.wire.xml_names import Names
from openecs.wire.xml_text import escape
from openecs.wire.xml_writer import Writer, compile_writer


class Ec2Codec:
    """The EC2 protocol with one service's XML namespace and spelling.

    Readers and writers are compiled at the first call of an operation: there are many
    operations, and an installation that nobody asks for networks must not pay for them.
    """

    dialect: AuthDialect = EC2_DIALECT
    content_type = b"text/xml;charset=UTF-8"
    reply_headers: tuple[tuple[bytes, bytes], ...] = ()
    error_header = False

    def __init__(self, xml_namespace: str, names: Names) -> None:
        self._xmlns = f' xmlns="{escape(xml_namespace)}"'
        self._names = names
        self._readers: dict[str, Callable[[Tree], Any]] = {}
        self._writers: dict[str, Writer] = {}

    def decode(self, operation: Operation, body: bytes) -> Shape | None:
        """The typed input from a form (a body, or the query string of a GET).

        Raises the ``AWSError`` that EC2 would answer to parameters that do not fit.
        """
        if operation.input is None:
            return None
        reader = self._readers.get(operation.name)
        if reader is None:
            reader = self._readers[operation.name] = compile_ec2_reader(operation.input, self._names)
        data = reader(tree(parse_form(body)))
        try:
            return msgspec.convert(data, operation.input)
        except msgspec.ValidationError as error:
            kind = inspect.type_info(operation.input)
            refusal = next(_broken(kind, data, "", self._names), None)
            raise refusal or AWSError("InvalidParameterValue", str(error)) from None

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes:
        """The reply's body; an operation without output answers ``true``."""
        name = operation.name
        out = [f"<{name}Response{self._xmlns}><requestId>{request_id}</requestId>"]
        if output is None:
            out.append("<return>true</return>")
        else:
            writer = self._writers.get(name)
            if writer is None:
                writer = self._writers[name] = compile_writer(type(output), self._names)
            writer(out, output)
        out.append(f"</{name}Response>")
        return "".join(out).encode()

    def encode_error(self, error: AWSError, request_id: str) -> bytes:
        """The body of an error reply."""
        return (
            f"<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
            f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        ).encode()


def _broken(kind: inspect.Type, data: Any, path: str, names: Names) -> Iterator[AWSError]:
    """The constraints of the type that plain data breaks, in EC2's words."""
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        structure = kind.cls.__name__
        for member in kind.fields:
            parameter = names.parameter(structure, member.encode_name)
            at = f"{path}.{parameter}" if path else parameter
            if member.encode_name in data:
                yield from _broken(member.type, data[member.encode_name], at, names)
            elif member.required:
                yield AWSError("MissingParameter", f"The request must contain the parameter {at}")
    elif isinstance(kind, inspect.VarTupleType):
        for number, item in enumerate(data, 1):
            yield from _broken(kind.item_type, item, f"{path}.{number}", names)
        if kind.max_length is not None and len(data) > kind.max_length:
            yield AWSError("InvalidParameterValue", f"The parameter {path} has more than {kind.max_length} values.")
        if kind.min_length is not None and len(data) < kind.min_length:
            yield AWSError("InvalidParameterValue", f"The parameter {path} has less than {kind.min_length} values.")
    else:
        yield from _broken_scalar(kind, data, path)


def _broken_scalar(kind: inspect.Type, data: Any, path: str) -> Iterator[AWSError]:
    if isinstance(kind, inspect.LiteralType):
        if data not in kind.values:
            values = ", ".join(map(str, kind.values[:24])) + (", ..." if len(kind.values) > 24 else "")
            yield invalid_value(data, path, f"Valid values: {values}.")
    elif isinstance(kind, inspect.IntType | inspect.FloatType):
        # EC2 writes the bound of a range in these words, and the parameter with a small letter.
        name = path[:1].lower() + path[1:]
        if kind.ge is not None and data < kind.ge:
            yield _out_of_range(data, name, "greater", kind.ge)
        if kind.le is not None and data > kind.le:
            yield _out_of_range(data, name, "less", kind.le)
    elif isinstance(kind, inspect.StrType):
        if kind.max_length is not None and len(data) > kind.max_length:
            yield invalid_value(data, path, f"It has more than {kind.max_length} characters.")
        elif kind.min_length is not None and len(data) < kind.min_length:
            yield invalid_value(data, path, f"It has less than {kind.min_length} characters.")
        elif kind.pattern is not None and re.search(kind.pattern, data) is None:
            yield invalid_value(data, path, "It has not the form of such a value.")
    elif isinstance(kind, inspect.BytesType):
        yield from _broken_blob(data, path)


def _out_of_range(data: float, name: str, side: str, bound: float) -> AWSError:
    text = f"Value ( {data} ) for parameter {name} is invalid. Expecting a value {side} than or equal to {bound}."
    return AWSError("InvalidParameterValue", text)


def _broken_blob(data: str, path: str) -> Iterator[AWSError]:
    try:
        msgspec.convert(data, bytes)
    except msgspec.ValidationError:
        yield invalid_value(data, path, "Expected base64.")
