"""Form bodies of the EC2 protocol as plain data, compiled once per shape.

``Filter.1.Value.2=x`` becomes ``{"Filters": [{"Values": [..., "x"]}]}``.  Lists stand under
their own name without ``member``; every refusal names the parameter as the client wrote it.
Unlike the Query services EC2 refuses parameters that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import inspect

from openecs.errors import AWSError
from openecs.wire import form_values
from openecs.wire.form import Tree
from openecs.wire.shape_types import bare, is_timestamp
from openecs.wire.xml_names import Names
from openecs.wire.xml_text import is_tellable

#: (branch, the parameter's name so far) → plain data.
Reader = Callable[["Tree | str", str], Any]

#: Parameters of the protocol itself.
_PROTOCOL = re.compile(r"(?:Action|Version|SignatureMethod|SignatureVersion|AWSAccessKeyId|Timestamp|X-Amz-.*)")


def compile_ec2_reader(shape: type, names: Names) -> Callable[[Tree], Any]:
    """A function from the parameters' tree to the plain data of ``shape``, a ``Shape`` class.

    It raises the ``AWSError`` that EC2 answers to parameters that it cannot read.
    """
    read = _reader(inspect.type_info(shape), {}, names)

    def data(tree: Tree) -> Any:
        return read({name: value for name, value in tree.items() if not _PROTOCOL.fullmatch(name)}, "")

    return data


def invalid_value(value: str, parameter: str, expected: str) -> AWSError:
    """What EC2 answers to a value that cannot be one of the parameter's."""
    return AWSError("InvalidParameterValue", f"Value ({value[:128]}) for parameter {parameter} is invalid. {expected}")


def _reader(kind: inspect.Type, known: dict[type, Reader], names: Names) -> Reader:
    if is_timestamp(kind):
        return _timestamp
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        return _structure(kind, known, names)
    if isinstance(kind, inspect.VarTupleType):
        return _list(_reader(kind.item_type, known, names))
    if isinstance(kind, inspect.BoolType):
        return _boolean
    if isinstance(kind, inspect.IntType):
        return _integer
    if isinstance(kind, inspect.FloatType):
        return _double
    return _text


def _structure(kind: inspect.StructType, known: dict[type, Reader], names: Names) -> Reader:
    if kind.cls in known:
        return known[kind.cls]
    members: dict[str, tuple[str, Reader]] = {}

    def read(branch: Tree | str, path: str) -> Any:
        if isinstance(branch, str):
            if branch == "":
                return {}
            raise invalid_value(branch, path, "Expected a structure.")
        data = {}
        for parameter, value in branch.items():
            at = f"{path}.{parameter}" if path else parameter
            member = members.get(parameter)
            if member is None:
                raise AWSError("UnknownParameter", f"The parameter {at[:128]} is not recognized")
            data[member[0]] = member[1](value, at)
        return data

    # Registered before its members are compiled, for a shape may contain itself.
    known[kind.cls] = read
    structure = kind.cls.__name__
    for member in kind.fields:
        parameter = names.parameter(structure, member.encode_name)
        members[parameter] = (member.encode_name, _reader(member.type, known, names))
    return read


def _list(item: Reader) -> Reader:
    def read(branch: Tree | str, path: str) -> Any:
        if isinstance(branch, str):
            if branch == "":
                return []
            raise invalid_value(branch, path, "Expected a list.")
        numbered = []
        for number, value in branch.items():
            if not (number.isascii() and number.isdigit() and len(number) < 9):
                raise AWSError("UnknownParameter", f"The parameter {path}.{number[:64]} is not recognized")
            numbered.append((int(number), number, value))
        numbered.sort(key=_number)
        return [item(value, f"{path}.{number}") for _, number, value in numbered]

    return read


def _number(entry: tuple[int, str, Tree | str]) -> int:
    return entry[0]


def _text(branch: Tree | str, path: str) -> str:
    if isinstance(branch, dict):
        raise AWSError("UnknownParameter", f"The parameter {path}.{next(iter(branch), '')[:64]} is not recognized")
    if not is_tellable(branch):
        raise invalid_value(branch, path, "It has characters that XML cannot carry.")
    return branch


def _boolean(branch: Tree | str, path: str) -> bool:
    text = _text(branch, path)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise invalid_value(text, path, "Expected true or false.")


def _integer(branch: Tree | str, path: str) -> int:
    text = _text(branch, path)
    value = form_values.integer(text)
    if value is None:
        raise invalid_value(text, path, "Expected an integer.")
    return value


def _double(branch: Tree | str, path: str) -> float:
    text = _text(branch, path)
    value = form_values.double(text)
    if value is None:
        raise invalid_value(text, path, "Expected a number.")
    return value


def _timestamp(branch: Tree | str, path: str) -> float:
    text = _text(branch, path)
    value = form_values.timestamp(text)
    if value is None:
        raise invalid_value(text, path, "Expected a timestamp.")
    return value
