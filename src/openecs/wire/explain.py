"""Words the refusal of a request that did not decode, the way AWS words it.

The fast decoders only say yes or no.  After a no, the functions here walk the plain data
beside the type and find everything that is wrong: first clashes of JSON types
(``SerializationException``), then broken constraints, all of them in one message.  They never
accept anything; when they find nothing the decoder's own words are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from openecs.errors import AWSError
from openecs.wire.blank_members import BLANK
from openecs.wire.operation import Operation

#: Longest rendering of a refused value in a message.
LONGEST_VALUE = 512


def serialization_error(message: str) -> AWSError:
    """What AWS answers to a body whose structure cannot be read."""
    return AWSError("SerializationException", message)


def explain_body(operation: Operation, body: bytes, reason: str) -> AWSError:
    """Why a JSON ``body`` is not an input of ``operation``; ``reason`` is the decoder's."""
    try:
        data = msgspec.json.decode(body)
    except RecursionError:
        return serialization_error("The request body is nested too deeply.")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return serialization_error(_malformed(str(error)))
    return explain_data(operation, data, reason, constraint_code=constraint_code(operation))


def constraint_code(operation: Operation) -> str:
    """The code for a broken constraint where ``operation`` belongs to a JSON service.

    CloudWatch Logs and ECS answer their own InvalidParameterException; services that model no
    such error answer the front end's ValidationException.
    """
    if "InvalidParameterException" in operation.errors:
        return "InvalidParameterException"
    return "ValidationException"


def explain_data(operation: Operation, data: object, reason: str, *, constraint_code: str) -> AWSError:
    """Why plain ``data`` (as a JSON decoder gives it) is not an input of ``operation``."""
    if data is None:
        return serialization_error("The request body is null where a structure was expected.")
    expected = inspect.type_info(operation.input)
    clash = next(_clashes(expected, data), None)
    if clash is not None:
        return serialization_error(clash)
    violations = list(_violations(expected, data, ""))
    for path, _, constraint in violations:
        if constraint == "Member must not be null":
            blank = BLANK.get((operation.service, operation.name, path))
            if blank is not None:
                return AWSError(*blank)
    if not violations:
        return serialization_error(reason)
    count = len(violations)
    detail = "; ".join(
        f"Value {value} at '{path}' failed to satisfy constraint: {constraint}"
        for path, value, constraint in violations
    )
    return AWSError(constraint_code, f"{count} validation error{'s' * (count > 1)} detected: {detail}")


def _malformed(reason: str) -> str:
    if "truncated" in reason:
        return "Unexpected end-of-input in the request body."
    return f"The request body is not valid JSON: {reason.removeprefix('JSON is malformed: ')}."


def _bare(expected: inspect.Type) -> inspect.Type:
    """The type without ``| None`` and without metadata."""
    while True:
        if isinstance(expected, inspect.UnionType):
            expected = next(kind for kind in expected.types if not isinstance(kind, inspect.NoneType))
        elif isinstance(expected, inspect.Metadata):
            expected = expected.type
        else:
            return expected


# -- clashes of JSON types -------------------------------------------------------------------


def _clashes(expected: inspect.Type, data: object) -> Iterator[str]:
    """One message for each place where ``data`` has another JSON type than ``expected``."""
    expected = _bare(expected)
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
        return "a Blob", isinstance(data, str) and _is_base64(data)
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


# -- broken constraints ----------------------------------------------------------------------


def _violations(expected: inspect.Type, data: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """(path, rendered value, constraint) for everything in ``data`` that AWS would refuse.

    The types fit already.
    """
    expected = _bare(expected)
    if isinstance(expected, inspect.StructType):
        for member in expected.fields:
            value = data.get(member.encode_name)
            at = f"{path}.{member.encode_name}" if path else member.encode_name
            if value is not None:
                yield from _violations(member.type, value, at)
            elif member.required:
                yield at, "null", "Member must not be null"
        return
    for constraint in _broken(expected, data):
        yield path, f"'{_render(data)}'", constraint
    if isinstance(expected, inspect.VarTupleType):
        yield from _in_items(expected.item_type, list(data), path, f"'{_render(data)}'", "Member")
    elif isinstance(expected, inspect.DictType):
        whole = f"'{_render(data)}'"
        yield from _in_items(expected.key_type, list(data), path, whole, "Map keys")
        yield from _in_items(expected.value_type, list(data.values()), path, whole, "Map value")


def _in_items(
    expected: inspect.Type, items: list[Any], path: str, whole: str, what: str
) -> Iterator[tuple[str, str, str]]:
    """Violations within a list's members or a map's keys or values.

    A structure is refused at its own path (``tags.1.member.key``); a scalar is refused at the
    path of the whole, with all constraints that its kind has.
    """
    if any(item is None for item in items):
        yield path, whole, f"{what} must not be null"
    inner = _bare(expected)
    if isinstance(inner, inspect.StructType | inspect.VarTupleType | inspect.DictType):
        for number, item in enumerate(items, 1):
            if item is not None:
                yield from _violations(inner, item, f"{path}.{number}.member")
    elif any(item is not None and next(_broken(inner, item), None) for item in items):
        yield path, whole, f"{what} must satisfy constraint: [{', '.join(_constraints(inner))}]"


def _broken(expected: inspect.Type, data: Any) -> Iterator[str]:
    """The constraints of one value itself that it breaks."""
    if isinstance(expected, inspect.LiteralType):
        if data not in expected.values:
            yield from _constraints(expected)
    elif isinstance(expected, inspect.IntType | inspect.FloatType):
        if expected.le is not None and data > expected.le:
            yield f"Member must have value less than or equal to {expected.le}"
        if expected.ge is not None and data < expected.ge:
            yield f"Member must have value greater than or equal to {expected.ge}"
    elif isinstance(expected, inspect.StrType | inspect.VarTupleType | inspect.DictType):
        if expected.max_length is not None and len(data) > expected.max_length:
            yield f"Member must have length less than or equal to {expected.max_length}"
        if expected.min_length is not None and len(data) < expected.min_length:
            yield f"Member must have length greater than or equal to {expected.min_length}"
        pattern = expected.pattern if isinstance(expected, inspect.StrType) else None
        if pattern is not None and re.search(pattern, data) is None:
            yield f"Member must satisfy regular expression pattern: {_as_modelled(pattern)}"


def _constraints(expected: inspect.Type) -> list[str]:
    """Every constraint that a scalar's type has, in words."""
    if isinstance(expected, inspect.LiteralType):
        return [f"Member must satisfy enum value set: [{', '.join(map(str, expected.values))}]"]
    if isinstance(expected, inspect.IntType | inspect.FloatType):
        return [
            *([f"Member must have value less than or equal to {expected.le}"] if expected.le is not None else []),
            *([f"Member must have value greater than or equal to {expected.ge}"] if expected.ge is not None else []),
        ]
    if isinstance(expected, inspect.StrType):
        words = []
        if expected.max_length is not None:
            words.append(f"Member must have length less than or equal to {expected.max_length}")
        if expected.min_length is not None:
            words.append(f"Member must have length greater than or equal to {expected.min_length}")
        if expected.pattern is not None:
            words.append(f"Member must satisfy regular expression pattern: {_as_modelled(expected.pattern)}")
        return words
    return []


def _as_modelled(pattern: str) -> str:
    """The pattern without the anchors that the generated shapes add."""
    return pattern.removeprefix("^(?:").removesuffix(")$")


def _render(data: Any) -> str:
    """A value as AWS prints it in a message, cut at a sensible length."""
    text = _rendered(data, 3)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def _rendered(data: Any, depth: int) -> str:
    if isinstance(data, list | dict) and data and depth == 0:
        return "..."
    if isinstance(data, list):
        return f"[{', '.join([_rendered(item, depth - 1) for item in data[:100]])}]"
    if isinstance(data, dict):
        pairs = [f"{key}={_rendered(value, depth - 1)}" for key, value in list(data.items())[:100]]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(data, bool):
        return "true" if data else "false"
    return "null" if data is None else str(data)
