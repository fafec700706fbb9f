"""Typed answers as the XML of the Query and EC2 protocols, compiled once per shape into closures.

Lists are ``<member>`` elements (EC2: ``<item>``), maps ``<entry><key/><value/></entry>``,
timestamps ISO 8601.  How a service spells its elements is in ``openecs.wire.xml_names``.
Only writing; nothing here reads XML.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from typing import Any

from msgspec import inspect

from openecs.wire.shape_types import bare, is_timestamp
from openecs.wire.xml_names import QUERY_NAMES, Names
from openecs.wire.xml_text import escape

#: Appends the XML of one value, its own element included.
Writer = Callable[[list[str], Any], None]


def compile_writer(shape: type, names: Names = QUERY_NAMES) -> Writer:
    """A writer of the members of ``shape``, a ``Shape`` class, without an element around."""
    kind = inspect.type_info(shape)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(f"{shape} is no structure")
    return _members(kind, {}, names)


def _members(kind: inspect.StructType, known: dict[type, Writer], names: Names) -> Writer:
    if kind.cls in known:
        return known[kind.cls]
    writers: list[tuple[str, Writer]] = []

    def write(out: list[str], value: Any) -> None:
        for attribute, writer in writers:
            member = getattr(value, attribute)
            if member is not None:
                writer(out, member)

    # Registered before its members are compiled, for a shape may contain itself.
    known[kind.cls] = write
    structure = kind.cls.__name__
    for member in kind.fields:
        name = names.element(structure, member.encode_name)
        item = names.item(structure, member.encode_name)
        writers.append((member.name, _element(name, member.type, known, names, item)))
    return write


def _element(name: str, kind: inspect.Type, known: dict[type, Writer], names: Names, item: str) -> Writer:
    """A writer of ``<name>…</name>``; ``item`` is the element around the items of a list."""
    timestamp = is_timestamp(kind)
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        return _wrapped(name, _members(kind, known, names))
    if isinstance(kind, inspect.VarTupleType):
        return _wrapped(name, _items(_element(item, kind.item_type, known, names, names.usual_item)))
    if isinstance(kind, inspect.DictType):
        key = _element("key", kind.key_type, known, names, names.usual_item)
        value = _element("value", kind.value_type, known, names, names.usual_item)
        return _wrapped(name, _entries(key, value))
    return _scalar(name, _formatter(kind, timestamp=timestamp))


def _wrapped(name: str, content: Writer) -> Writer:
    opening, closing = f"<{name}>", f"</{name}>"

    def write(out: list[str], value: Any) -> None:
        out.append(opening)
        content(out, value)
        out.append(closing)

    return write


def _items(item: Writer) -> Writer:
    def write(out: list[str], value: Any) -> None:
        for each in value:
            item(out, each)

    return write


def _entries(key: Writer, item: Writer) -> Writer:
    def write(out: list[str], value: Any) -> None:
        for name, each in value.items():
            out.append("<entry>")
            key(out, name)
            item(out, each)
            out.append("</entry>")

    return write


def _scalar(name: str, text: Callable[[Any], str]) -> Writer:
    opening, closing = f"<{name}>", f"</{name}>"

    def write(out: list[str], value: Any) -> None:
        out.append(f"{opening}{text(value)}{closing}")

    return write


def _formatter(kind: inspect.Type, *, timestamp: bool) -> Callable[[Any], str]:
    if isinstance(kind, inspect.BoolType):
        return _boolean
    if isinstance(kind, inspect.IntType):
        return str
    if isinstance(kind, inspect.FloatType):
        return iso_timestamp if timestamp else _double
    if isinstance(kind, inspect.BytesType):
        return _blob
    return escape


def _boolean(value: bool) -> str:  # noqa: FBT001 -- the value itself, not a switch
    return "true" if value else "false"


def _double(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _blob(value: bytes) -> str:
    return base64.b64encode(value).decode()


def iso_timestamp(epoch: float) -> str:
    """``2015-08-30T12:36:00Z``, with milliseconds where there are any."""
    milliseconds = round(epoch * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{rest:03d}Z" if rest else f"{whole}Z"
