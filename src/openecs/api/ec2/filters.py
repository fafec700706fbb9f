"""Filters of Describe operations: several filters all hold, of a filter's values one matches.

Values are compared exactly and with case; ``*`` stands for any characters and ``?`` for one,
a backslash before them for the character itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from openecs.api.ec2.errors import invalid_value
from openecs.shapes import ec2, ecs

R = TypeVar("R")

#: From a record to the texts that a filter's values are compared with; ``None`` matches nothing.
Field = Callable[[R], Iterable[str | None]]
Fields = Mapping[str, Field[R]]

MOST_VALUES = 200


def one(value: object) -> tuple[str | None, ...]:
    """The one text of a value, as filters write it: ``true`` and ``false`` for booleans."""
    if value is None:
        return ()
    return (str(value).lower() if isinstance(value, bool) else str(value),)


def nothing(record: object) -> tuple[str | None, ...]:
    """The field of what no record has."""
    del record
    return ()


def always(text: str) -> Field[Any]:
    """The field of what all records have alike."""
    texts = (text,)

    def field(record: object) -> tuple[str | None, ...]:
        del record
        return texts

    return field


def matching(
    records: Iterable[R],
    filters: Sequence[ec2.Filter] | None,
    fields: Fields[R],
    tags_of: Callable[[R], tuple[ecs.Tag, ...]],
) -> list[R]:
    """The records that pass all filters.  Raises InvalidParameterValue for a filter that there is not."""
    found = list(records)
    for wanted in filters or ():
        name, values = wanted.name or "", wanted.values or ()
        if len(values) > MOST_VALUES:
            raise invalid_value(f"The filter '{name}' has more than {MOST_VALUES} values")
        field = _field(name, fields, tags_of)
        tests = [_pattern(value) for value in values]
        found = [
            record
            for record in found
            if any(text is not None and test.fullmatch(text) for text in field(record) for test in tests)
        ]
    return found


def _field(name: str, fields: Fields[R], tags_of: Callable[[R], tuple[ecs.Tag, ...]]) -> Field[R]:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda record: [tag.value or "" for tag in tags_of(record) if tag.key == key]
    if name == "tag-key":
        return lambda record: [tag.key for tag in tags_of(record)]
    if name == "tag-value":
        return lambda record: [tag.value or "" for tag in tags_of(record)]
    field = fields.get(name)
    if field is None:
        raise invalid_value(f"The filter '{name}' is invalid")
    return field


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    # What stands between two stars is looked for once, at its first place: a later one would leave
    # less for the rest.  So the groups are atomic, and no value of a client makes a match slow.
    first, *others = _between_stars(value)
    if not others:
        return re.compile(first, re.DOTALL)
    *inner, last = others
    return re.compile(first + "".join(f"(?>.*?{part})" for part in inner if part) + ".*" + last, re.DOTALL)


def _between_stars(value: str) -> list[str]:
    """The parts of a value around its stars, as regular expressions of a fixed length."""
    parts = [""]
    escaped = False
    for character in value:
        if escaped:
            parts[-1] += re.escape(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "*":
            parts.append("")
        else:
            parts[-1] += "." if character == "?" else re.escape(character)
    if escaped:
        parts[-1] += re.escape("\\")
    return parts
