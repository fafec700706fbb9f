"""Form bodies of the AWS Query protocol as plain data, compiled once per shape.

``Filters.member.1.Name=x`` becomes ``{"Filters": [{"Name": "x"}]}``: what a JSON decoder would
have given, so that the same typed shapes and the same wording of refusals serve both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec import inspect

from openecs.errors import AWSError
from openecs.wire import form_values
from openecs.wire.shape_types import bare, is_timestamp
from openecs.wire.xml_text import is_tellable

#: A part of a parameter's dotted name → the parts below it, or the value.
Tree = dict[str, "Tree | str"]
Reader = Callable[["Tree | str"], Any]

#: More parameters than callers put into one request: 1000 metrics with a dozen dimensions.
MOST_PARAMETERS = 50_000
#: Deeper than any AWS shape.
DEEPEST = 24


def malformed(message: str) -> AWSError:
    """What Query services answer to parameters that cannot be read."""
    return AWSError("MalformedInput", message)


def parse_form(body: bytes) -> dict[str, str]:
    """The parameters of a form body.  Raises ``MalformedInput`` for what is not one."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except UnicodeDecodeError:
        raise malformed("The request body is not a form.") from None
    except ValueError:
        raise malformed("The request has too many parameters.") from None
    return dict(pairs)


def tree(form: Mapping[str, str]) -> Tree:
    """The parameters by the parts of their dotted names."""
    root: Tree = {}
    for name, value in form.items():
        parts = name.split(".")
        if len(parts) > DEEPEST:
            raise malformed("The request's parameters are nested too deeply.")
        below = root
        for part in parts[:-1]:
            branch = below.get(part)
            if not isinstance(branch, dict):
                branch = {}
                below[part] = branch
            below = branch
        if not isinstance(below.get(parts[-1]), dict):
            below[parts[-1]] = value
    return root


def compile_reader(shape: type) -> Reader:
    """A function from a ``tree`` to the plain data of ``shape``, a ``Shape`` class."""
    return _reader(inspect.type_info(shape), {})


def _reader(kind: inspect.Type, known: dict[type, Reader]) -> Reader:
    timestamp = is_timestamp(kind)
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        return _structure(kind, known)
    if isinstance(kind, inspect.VarTupleType):
        return _list(_reader(kind.item_type, known))
    if isinstance(kind, inspect.DictType):
        return _map(_reader(kind.key_type, known), _reader(kind.value_type, known))
    if isinstance(kind, inspect.BoolType):
        return _boolean
    if isinstance(kind, inspect.IntType):
        return _integer
    if isinstance(kind, inspect.FloatType):
        return _timestamp if timestamp else _double
    return _text


def _structure(kind: inspect.StructType, known: dict[type, Reader]) -> Reader:
    if kind.cls in known:
        return known[kind.cls]
    members: list[tuple[str, Reader]] = []

    def read(branch: Tree | str) -> Any:
        if isinstance(branch, str):
            if branch == "":
                return {}
            raise malformed("A structure was expected where the request has a value.")
        return {name: reader(branch[name]) for name, reader in members if name in branch}

    # Registered before its members are compiled, for a shape may contain itself.
    known[kind.cls] = read
    members.extend((member.encode_name, _reader(member.type, known)) for member in kind.fields)
    return read


def _list(item: Reader) -> Reader:
    def read(branch: Tree | str) -> Any:
        # Clients write an empty list as the bare name with no value.
        if isinstance(branch, str):
            if branch == "":
                return []
            raise malformed("A list was expected where the request has a value.")
        return [item(value) for _, value in _numbered(branch.get("member", branch))]

    return read


def _map(key: Reader, value: Reader) -> Reader:
    def read(branch: Tree | str) -> Any:
        if isinstance(branch, str):
            if branch == "":
                return {}
            raise malformed("A map was expected where the request has a value.")
        data = {}
        for _, entry in _numbered(branch.get("entry", branch)):
            if not isinstance(entry, dict) or "key" not in entry:
                raise malformed("A map's entry has no key.")
            data[key(entry["key"])] = value(entry.get("value", ""))
        return data

    return read


def _numbered(branch: Tree | str) -> list[tuple[int, Tree | str]]:
    if isinstance(branch, str):
        raise malformed("A numbered parameter was expected.")
    numbered = []
    for number, value in branch.items():
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            raise malformed(f"Unexpected index; only integers are allowed: {number[:32]}")
        numbered.append((int(number), value))
    numbered.sort(key=_number)
    return numbered


def _number(pair: tuple[int, Tree | str]) -> int:
    return pair[0]


def _text(branch: Tree | str) -> str:
    if isinstance(branch, dict):
        raise malformed("A value was expected where the request has a structure or list.")
    if not is_tellable(branch):
        raise AWSError("ValidationError", "A value of the request has characters that XML cannot carry.")
    return branch


def _boolean(branch: Tree | str) -> bool:
    text = _text(branch)
    if text in ("true", "false"):
        return text == "true"
    raise malformed(f"'{text[:64]}' is not a Boolean.")


def _integer(branch: Tree | str) -> int:
    text = _text(branch)
    value = form_values.integer(text)
    if value is None:
        raise malformed(f"'{text[:64]}' is not an Integer.")
    return value


def _double(branch: Tree | str) -> float:
    text = _text(branch)
    value = form_values.double(text)
    if value is None:
        raise malformed(f"'{text[:64]}' is not a Double.")
    return value


def _timestamp(branch: Tree | str) -> float:
    text = _text(branch)
    value = form_values.timestamp(text)
    if value is None:
        raise malformed(f"'{text[:64]}' is not a timestamp.")
    return value
