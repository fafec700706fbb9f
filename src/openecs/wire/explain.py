"""Words the refusal of a request that did not decode, the way AWS words it.

The fast decoders only say yes or no.  After a no, the plain data is walked beside the type to
find everything that is wrong: first clashes of JSON types (``SerializationException``), then
broken constraints, all of them in one message.  Nothing is ever accepted here; where the walk
finds nothing the decoder's own words are used.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from openecs.errors import AWSError
from openecs.wire.blank_members import BLANK
from openecs.wire.constraints import REQUIRED, violations
from openecs.wire.operation import Operation
from openecs.wire.shape_types import bare


def serialization_error(message: str) -> AWSError:
    """What AWS answers to a body whose structure cannot be read."""
    return AWSError("SerializationException", message)


class Explainer:
    """Explains refusals; keeps what it has learnt of each operation's type.

    ``constraint_code`` is the code for broken constraints.  By default it depends on the
    operation: CloudWatch Logs and ECS answer their own InvalidParameterException, services
    that model no such error answer the front end's ValidationException.
    """

    def __init__(self, constraint_code: str | None = None) -> None:
        self._constraint_code = constraint_code
        self._types: dict[type, inspect.Type] = {}

    def body(self, operation: Operation, body: bytes, reason: str) -> AWSError:
        """Why a JSON ``body`` is not an input of ``operation``; ``reason`` is the decoder's."""
        try:
            data = msgspec.json.decode(body)
        except RecursionError:
            return serialization_error("The request body is nested too deeply.")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return serialization_error(_malformed(str(error)))
        return self.data(operation, data, reason)

    def data(self, operation: Operation, data: object, reason: str) -> AWSError:
        """Why plain ``data`` (as a JSON decoder gives it) is not an input of ``operation``."""
        if operation.input is None or data is None:
            return serialization_error("The request body is null where a structure was expected.")
        expected = self._types.get(operation.input)
        if expected is None:
            expected = self._types[operation.input] = inspect.type_info(operation.input)
        clash = next(_clashes(expected, data), None)
        if clash is not None:
            return serialization_error(clash)
        found = list(violations(expected, data))
        for violation in found:
            if violation.constraint == REQUIRED:
                blank = BLANK.get((operation.service, operation.name, violation.path))
                if blank is not None:
                    return AWSError(*blank)
        if not found:
            return serialization_error(reason)
        words = "; ".join(
            [f"Value {value} at '{path}' failed to satisfy constraint: {broken}" for path, value, broken in found]
        )
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        return AWSError(self._constraint_code or _constraint_code(operation), f"{count}: {words}")


def _constraint_code(operation: Operation) -> str:
    return "InvalidParameterException" if "InvalidParameterException" in operation.errors else "ValidationException"


def _malformed(reason: str) -> str:
    if "truncated" in reason:
        return "Unexpected end-of-input in the request body."
    return f"The request body is not valid JSON: {reason.removeprefix('JSON is malformed: ')}."


def _clashes(expected: inspect.Type, data: object) -> Iterator[str]:
    """One message for each place where ``data`` has another JSON type than ``expected``."""
    expected = bare(expected)
    if data is None:
        return
    if isinstance(expected, inspect.StructType):
        if not isinstance(data, dict):
            yield "Start of list found where not expected" if isinstance(data, list) else "Expected null"
            return
        for member in expected.fields:
            yield from _clashes(member.type, data.get(member.encode_name))
    elif isinstance(expected, inspect.VarTupleType):
        if not isinstance(data, list):
            yield _structure() if isinstance(data, dict) else "Expected list or null"
            return
        for item in data:
            yield from _clashes(expected.item_type, item)
    elif isinstance(expected, inspect.DictType):
        if not isinstance(data, dict):
            yield "Start of list found where not expected" if isinstance(data, list) else "Expected map or null"
            return
        for item in data.values():
            yield from _clashes(expected.value_type, item)
    else:
        wanted, fits = _scalar(expected, data)
        if isinstance(data, dict):
            yield _structure()
        elif isinstance(data, list):
            yield "Start of list found where not expected"
        elif not fits:
            yield f"{_token(data)} can not be converted to {wanted}"


def _structure() -> str:
    return "Start of structure or map found where not expected."


def _scalar(expected: inspect.Type, data: object) -> tuple[str, bool]:
    """What AWS calls the wanted scalar, and whether ``data`` is one."""
    if isinstance(expected, inspect.BoolType):
        return "a Boolean", isinstance(data, bool)
    if isinstance(expected, inspect.IntType):
        return "an Integer", isinstance(data, int) and not isinstance(data, bool)
    if isinstance(expected, inspect.FloatType):
        return "a Double", isinstance(data, int | float) and not isinstance(data, bool)
    if isinstance(expected, inspect.BytesType):
        return "a Blob", isinstance(data, bytes) or (isinstance(data, str) and _is_base64(data))
    return "a String", isinstance(data, str)


def _is_base64(text: str) -> bool:
    try:
        msgspec.convert(text, bytes)
    except msgspec.ValidationError:
        return False
    return True


def _token(data: object) -> str:
    if data is True:
        return "TRUE_VALUE"
    if data is False:
        return "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(data, str) else "NUMBER_VALUE"
