"""Which constraints of a shape plain data breaks, in AWS's words.

Lengths, ranges, patterns, enums and required members; the JSON types fit already, which
``openecs.wire.explain`` has made sure of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import inspect

from openecs.wire.shape_types import bare

#: Longest rendering of a refused value in a message.
LONGEST_VALUE = 512

REQUIRED = "Member must not be null"

#: Java's ``\\p{Z}`` within a class of characters: blanks and the like, but no control characters,
#: which ``\\s`` would let in.
SEPARATORS = r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


class Violation(NamedTuple):
    """One broken constraint."""

    #: As AWS writes it: ``tags.1.member.key``.
    path: str
    #: The refused value as the message shows it, quoted; ``null`` without quotes.
    value: str
    constraint: str


def violations(expected: inspect.Type, data: Any, path: str = "") -> Iterator[Violation]:
    """Everything in ``data`` that breaks a constraint of ``expected``."""
    expected = bare(expected)
    if isinstance(expected, inspect.StructType):
        for member in expected.fields:
            value = data.get(member.encode_name)
            # The front ends name members as their Java beans do: ``loadBalancerArn``.
            name = member.encode_name[:1].lower() + member.encode_name[1:]
            at = f"{path}.{name}" if path else name
            if value is not None:
                yield from violations(member.type, value, at)
            elif member.required:
                yield Violation(at, "null", REQUIRED)
        return
    for constraint in _broken(expected, data):
        yield Violation(path, f"'{_render(data)}'", constraint)
    if isinstance(expected, inspect.VarTupleType):
        yield from _in_items(expected.item_type, list(data), path, f"'{_render(data)}'", "Member")
    elif isinstance(expected, inspect.DictType):
        whole = f"'{_render(data)}'"
        yield from _in_items(expected.key_type, list(data), path, whole, "Map keys")
        yield from _in_items(expected.value_type, list(data.values()), path, whole, "Map value")


def _in_items(expected: inspect.Type, items: list[Any], path: str, whole: str, what: str) -> Iterator[Violation]:
    """Violations within a list's members or a map's keys or values.

    A structure is refused at its own path (``tags.1.member.key``); a scalar is refused at the
    path of the whole, with all constraints that its kind has.
    """
    if any(item is None for item in items):
        yield Violation(path, whole, f"{what} must not be null")
    inner = bare(expected)
    if isinstance(inner, inspect.StructType | inspect.VarTupleType | inspect.DictType):
        for number, item in enumerate(items, 1):
            if item is not None:
                yield from violations(inner, item, f"{path}.{number}.member")
    elif any(item is not None and next(_broken(inner, item), None) for item in items):
        yield Violation(path, whole, f"{what} must satisfy constraint: [{', '.join(_constraints(inner))}]")


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
    """The pattern without the anchors and in the spelling that the model has."""
    pattern = pattern.replace(rf"\w{SEPARATORS}\d", r"\p{L}\p{Z}\p{N}").replace(SEPARATORS, r"\p{Z}")
    return pattern.removeprefix("^(?:").removesuffix(")$").removesuffix(r")\Z")


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
